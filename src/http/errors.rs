//! The bad fields of a request: every one is noted, not just the first.

use super::answer::Failure;
use crate::{
    problem::{Code, FieldError, Problem},
    support::closest,
};

#[cfg(test)]
mod tests;

/// Most bad fields reported at once; a body full of them must not make a huge answer.
const MAX_REPORTED: usize = 100;

/// Longest part of a name shown back to the caller, in characters.
const MAX_SHOWN: usize = 64;

/// The bad fields found so far.
#[derive(Debug, Default)]
pub(super) struct Errors {
    reported: Vec<FieldError>,
    found: usize,
}

impl Errors {
    /// Notes that the field at `pointer` is wrong. `detail` must not hold the field's value: it
    /// may be a person's.
    pub(super) fn note(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.found += 1;
        if self.reported.len() < MAX_REPORTED {
            self.reported.push(FieldError { pointer: pointer.into(), detail: detail.into() });
        }
    }

    /// `value`, if nothing was wrong.
    ///
    /// # Errors
    /// `invalid_request` with all bad fields.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T, Failure> {
        match value {
            Some(value) if self.found == 0 => Ok(value),
            _ => Err(self.into_failure()),
        }
    }

    fn into_failure(self) -> Failure {
        let detail = match (self.reported.as_slice(), self.found) {
            ([one], 1) if one.pointer.is_empty() => format!("The body: {}.", one.detail),
            ([one], 1) => format!("{}: {}.", one.pointer, one.detail),
            (some, all) if some.len() < all => {
                format!("{all} fields are not valid; the first {} are listed.", some.len())
            }
            (_, all) => format!("{all} fields are not valid."),
        };
        let problem = Problem::new(Code::InvalidRequest, detail);
        Failure::from(Problem { errors: self.reported, ..problem })
    }
}

/// `name` as part of a JSON pointer (RFC 6901, section 4), shortened when it is very long.
pub(super) fn segment(name: &str) -> String {
    shown(name).replace('~', "~0").replace('/', "~1")
}

fn shown(name: &str) -> String {
    match name.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()),
        None => name.to_owned(),
    }
}

/// What to say about a name that is not known.
pub(super) fn unknown(name: &str, known: &[&str]) -> String {
    match (closest(name, known.iter().copied()), known) {
        (Some(word), _) => format!("is unknown; did you mean {word}?"),
        (None, []) => "is unknown; none is taken here".to_owned(),
        (None, known) => format!("is unknown; known are {}", known.join(", ")),
    }
}
