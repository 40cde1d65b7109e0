//! Reads the fields of a JSON object and notes every one that is wrong, not just the first.

use std::{collections::HashSet, str::FromStr};

use super::{
    answer::Failure,
    json::{Value, Whole, whole},
};
use crate::problem::{Code, FieldError, Problem};

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

/// The word from `known` that `name` was probably meant to be.
pub(super) fn suggestion(name: &str, known: &[&'static str]) -> Option<&'static str> {
    // A longer name is no slip of the pen, and comparing it would cost time.
    if name.chars().count() > MAX_SHOWN {
        return None;
    }
    let plain = |text: &str| text.replace(['_', '-'], "").to_lowercase();
    known
        .iter()
        .map(|word| (strsim::damerau_levenshtein(&plain(name), &plain(word)), *word))
        .filter(|(distance, word)| *distance <= word.len() / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// What to say about a name nobody knows.
pub(super) fn unknown(name: &str, known: &[&'static str]) -> String {
    match (suggestion(name, known), known) {
        (Some(word), _) => format!("is unknown; did you mean {word}?"),
        (None, []) => "is unknown; none is taken here".to_owned(),
        (None, known) => format!("is unknown; known are {}", known.join(", ")),
    }
}

/// A JSON object whose members are read one by one. A member that is `null` counts as absent.
pub(super) struct Fields<'v, 'e> {
    pointer: String,
    members: &'v [(String, Value)],
    errors: &'e mut Errors,
}

impl<'v, 'e> Fields<'v, 'e> {
    /// Opens `value`, found at `pointer`, noting members that are not `known` or come twice.
    /// `None`, with a note, when it is no object.
    pub(super) fn open(
        value: &'v Value,
        pointer: &str,
        known: &[&'static str],
        errors: &'e mut Errors,
    ) -> Option<Self> {
        let Value::Object(members) = value else {
            errors.note(pointer, format!("must be an object, not {}", value.kind()));
            return None;
        };
        let fields = Self { pointer: pointer.to_owned(), members, errors };
        let mut seen = HashSet::new();
        let mut reported = HashSet::new();
        for (name, _) in members {
            let again = !seen.insert(name.as_str());
            if again && reported.insert(name.as_str()) {
                fields.errors.note(fields.at(name), "appears more than once");
            } else if !again && !known.contains(&name.as_str()) {
                fields.errors.note(fields.at(name), unknown(name, known));
            }
        }
        Some(fields)
    }

    /// The pointer to member `name`.
    pub(super) fn at(&self, name: &str) -> String {
        format!("{}/{}", self.pointer, segment(name))
    }

    /// Notes that member `name` is wrong.
    pub(super) fn note(&mut self, name: &str, detail: impl Into<String>) {
        let pointer = self.at(name);
        self.errors.note(pointer, detail);
    }

    /// Whether member `name` is there and not `null`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    fn get(&self, name: &str) -> Option<&'v Value> {
        self.members
            .iter()
            .find(|(member, _)| member == name)
            .map(|(_, value)| value)
            .filter(|value| **value != Value::Null)
    }

    /// Notes that `name` must be there, if it is not.
    pub(super) fn require(&mut self, name: &str) {
        if !self.has(name) {
            self.note(name, "is required");
        }
    }

    /// A UUID in its hyphenated form, in either case.
    pub(super) fn uuid<T: FromStr>(&mut self, name: &str) -> Option<T> {
        let value = self.get(name)?;
        let parsed = as_uuid(value);
        parsed.map_err(|detail| self.note(name, detail)).ok()
    }

    /// A list of at most `max` different UUIDs.
    pub(super) fn uuids<T: FromStr + Eq + std::hash::Hash + Copy>(
        &mut self,
        name: &str,
        max: usize,
    ) -> Option<Vec<T>> {
        let items = match self.get(name)? {
            Value::Array(items) => items,
            other => {
                self.note(name, format!("must be a list of UUIDs, not {}", other.kind()));
                return None;
            }
        };
        if items.len() > max {
            self.note(name, format!("may hold at most {max} UUIDs, not {}", items.len()));
            return None;
        }
        let mut seen = HashSet::new();
        let mut ids = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match as_uuid::<T>(item) {
                Ok(id) if seen.insert(id) => ids.push(id),
                Ok(_) => self.note_item(name, index, "appears more than once".to_owned()),
                Err(detail) => self.note_item(name, index, detail),
            }
        }
        Some(ids)
    }

    /// A list of `min` to `max` members.
    pub(super) fn list(&mut self, name: &str, min: usize, max: usize) -> Option<&'v [Value]> {
        let detail = match self.get(name)? {
            Value::Array(items) if (min..=max).contains(&items.len()) => return Some(items),
            Value::Array(items) => {
                format!("must hold {min} to {max} members, not {}", items.len())
            }
            other => format!("must be a list, not {}", other.kind()),
        };
        self.note(name, detail);
        None
    }

    fn note_item(&mut self, name: &str, index: usize, detail: String) {
        let pointer = format!("{}/{index}", self.at(name));
        self.errors.note(pointer, detail);
    }

    /// A whole number from `min` to `max`, in any notation JSON has for it (`10`, `10.0`, `1e1`).
    pub(super) fn whole(&mut self, name: &str, min: i64, max: i64) -> Option<i64> {
        let expected = format!("must be a whole number from {min} to {max}");
        let detail = match self.get(name)? {
            Value::Number(digits) => match whole(digits) {
                Whole::Is(number) if (min..=max).contains(&number) => return Some(number),
                Whole::Is(_) | Whole::TooLarge => format!("{expected}; this one is outside"),
                Whole::Fraction => format!("{expected}, without a fraction"),
            },
            other => format!("{expected}, not {}", other.kind()),
        };
        self.note(name, detail);
        None
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, name: &str) -> Option<bool> {
        match self.get(name)? {
            Value::Bool(value) => Some(*value),
            other => {
                self.note(name, format!("must be true or false, not {}", other.kind()));
                None
            }
        }
    }

    /// A string.
    pub(super) fn string(&mut self, name: &str) -> Option<&'v str> {
        match self.get(name)? {
            Value::String(text) => Some(text),
            other => {
                self.note(name, format!("must be a string, not {}", other.kind()));
                None
            }
        }
    }

    /// A string of at most `max` characters without control characters; line breaks and tabs
    /// only when `lines`.
    pub(super) fn text(&mut self, name: &str, max: usize, lines: bool) -> Option<String> {
        let text = self.string(name)?;
        match check_text(text, max, lines) {
            Ok(()) => Some(text.to_owned()),
            Err(detail) => {
                self.note(name, detail);
                None
            }
        }
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        name: &str,
        choices: &[(&'static str, T)],
    ) -> Option<T> {
        let text = self.string(name)?;
        let chosen = choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if chosen.is_none() {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            self.note(name, format!("must be {}", words.join(" or ")));
        }
        chosen
    }
}

fn as_uuid<T: FromStr>(value: &Value) -> Result<T, String> {
    match value {
        Value::String(text) => {
            text.parse().map_err(|_| "must be a UUID, 36 characters with hyphens".to_owned())
        }
        other => Err(format!("must be a UUID in a string, not {}", other.kind())),
    }
}

/// Checks a text of a caller's against its bounds.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check_text(text: &str, max: usize, lines: bool) -> Result<(), String> {
    if text.chars().count() > max {
        return Err(format!("may have at most {max} characters"));
    }
    let allowed = |c: char| !c.is_control() || (lines && matches!(c, '\n' | '\r' | '\t'));
    if text.chars().all(allowed) { Ok(()) } else { Err("must not hold control characters".into()) }
}
