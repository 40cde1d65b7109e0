//! Bodies and query strings as structs: serde reads them, the same struct describes them, and the
//! types of its fields are their rules. Everything that is wrong is noted, not only the first.

use std::{collections::HashSet, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, MapAccess, Visitor},
};
use serde_json::{error::Category, value::RawValue};
use url::form_urlencoded;
use utoipa::{
    PartialSchema,
    openapi::{RefOr, Schema},
};

use super::{
    answer::Failure,
    errors::{Errors, segment, unknown},
};
use crate::problem::Code;

#[cfg(test)]
mod tests;

/// What is wrong with a value: where in it, as the end of a JSON pointer, and what. Never the value
/// itself: it may be personal.
pub(super) type Wrong = Vec<(String, String)>;

/// A type of field that is read from JSON.
pub(super) trait Rule: Sized {
    /// Reads `json`, one valid JSON value.
    ///
    /// # Errors
    /// All that is wrong with it.
    fn read(json: &str) -> Result<Self, Wrong>;
}

/// A field as it was sent: its value, or what is wrong with it.
#[derive(Debug)]
pub(super) struct Checked<T>(Result<T, Wrong>);

impl<'de, T: Rule> Deserialize<'de> for Checked<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(|json| Self(T::read(json.get())))
    }
}

/// Takes the values out of the fields of a struct, and notes what is wrong with them.
pub(super) struct ObjectFields<'e> {
    at: String,
    errors: &'e mut Errors,
}

impl ObjectFields<'_> {
    /// Notes that the field `name` is wrong.
    pub(super) fn note(&mut self, name: &str, detail: impl Into<String>) {
        self.errors.note(format!("{}{name}", self.at), detail);
    }

    /// The value of the field `name`, if it was sent and nothing is wrong with it.
    pub(super) fn take<T>(&mut self, name: &str, field: Option<Checked<T>>) -> Option<T> {
        field?.0.map_err(|wrong| self.note_all(name, wrong)).ok()
    }

    /// The same of a field that must be there.
    pub(super) fn require<T>(&mut self, name: &str, field: Option<Checked<T>>) -> Option<T> {
        if field.is_none() {
            self.note(name, "is required");
        }
        self.take(name, field)
    }

    /// Notes that the object as a whole is wrong.
    pub(super) fn note_whole(&mut self, detail: impl Into<String>) {
        self.errors.note(self.at.trim_end_matches('/'), detail);
    }

    /// Reads the object `json`, which stands in the field `name`. `None` only after a note.
    pub(super) fn inner<T: DeserializeOwned + PartialSchema, R>(
        &mut self,
        name: &str,
        json: &RawValue,
        to: impl FnOnce(T, &mut ObjectFields<'_>) -> Option<R>,
    ) -> Option<R> {
        let mut fields =
            ObjectFields { at: format!("{}{name}/", self.at), errors: &mut *self.errors };
        // It is JSON: it was read as a part of some.
        let read = fields.object(json.get().as_bytes()).ok().flatten()?;
        to(read, &mut fields)
    }

    fn note_all(&mut self, name: &str, wrong: Wrong) {
        for (below, detail) in wrong {
            self.note(&format!("{name}{below}"), detail);
        }
    }

    /// Reads an object. `None` only after a note.
    ///
    /// # Errors
    /// `json` is not JSON.
    fn object<T: DeserializeOwned + PartialSchema>(
        &mut self,
        json: &[u8],
    ) -> Result<Option<T>, serde_json::Error> {
        // serde takes arrays for structs, too.
        if json.trim_ascii_start().first() != Some(&b'{') {
            let value: &RawValue = serde_json::from_slice(json)?;
            self.note_whole(format!("must be an object, not {}", kind(value.get())));
            return Ok(None);
        }
        match serde_json::from_slice(json) {
            Ok(read) => Ok(Some(read)),
            Err(error) if error.classify() == Category::Data => self.sorted_out(json).map(Some),
            Err(error) => Err(error),
        }
    }

    /// Reads an object in which members are unknown or come twice: notes them and leaves them out.
    fn sorted_out<T: DeserializeOwned + PartialSchema>(
        &mut self,
        json: &[u8],
    ) -> Result<T, serde_json::Error> {
        let Members(members) = serde_json::from_slice(json)?;
        let known = members_of(T::schema());
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let mut kept = Vec::new();
        let (mut seen, mut reported) = (HashSet::new(), HashSet::new());
        for (name, value) in &members {
            if !seen.insert(name.as_str()) {
                if reported.insert(name.as_str()) {
                    self.note(&segment(name), "appears more than once");
                }
            } else if known.contains(&name.as_str()) {
                kept.push(format!("{}:{}", quoted(name), value.get()));
            } else {
                self.note(&segment(name), unknown(name, &known));
            }
        }
        serde_json::from_str(&format!("{{{}}}", kept.join(",")))
    }
}

/// Reads a JSON body as a `T` and makes of it what the domain takes. A UTF-8 byte order mark in front
/// is skipped (RFC 8259, section 8.1 lets a reader do so; some .NET clients send one).
///
/// # Errors
/// `malformed_json`, with the place; `invalid_request` with every bad field.
pub(super) fn body<T: DeserializeOwned + PartialSchema, R>(
    bytes: &[u8],
    to: impl FnOnce(T, &mut ObjectFields<'_>) -> Option<R>,
) -> Result<R, Failure> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    if bytes.trim_ascii().is_empty() {
        return Err(Failure::new(Code::MalformedJson, "The body is empty."));
    }
    let mut errors = Errors::default();
    let mut fields = ObjectFields { at: "/".to_owned(), errors: &mut errors };
    let read = fields.object(bytes).map_err(|error| {
        Failure::new(Code::MalformedJson, format!("The body is not valid JSON: {error}."))
    })?;
    let made = read.and_then(|read| to(read, &mut fields));
    errors.finish(made)
}

/// Reads a query string as strictly as a body: its parameters are members whose values are strings.
///
/// # Errors
/// `invalid_request` with every bad parameter.
pub(super) fn query<T: DeserializeOwned + PartialSchema, R>(
    raw: Option<&str>,
    to: impl FnOnce(T, &mut ObjectFields<'_>) -> R,
) -> Result<R, Failure> {
    let mut errors = Errors::default();
    let mut fields = ObjectFields { at: "?".to_owned(), errors: &mut errors };
    let mut members = Vec::new();
    for (name, value) in form_urlencoded::parse(raw.unwrap_or_default().as_bytes()) {
        // Decoding puts this character where the bytes were not UTF-8.
        if value.contains(char::REPLACEMENT_CHARACTER) {
            fields.note(&segment(&name), "must be UTF-8");
        } else {
            members.push(format!("{}:{}", quoted(&name), quoted(&value)));
        }
    }
    let json = format!("{{{}}}", members.join(","));
    let read = fields.object(json.as_bytes()).unwrap_or_default();
    let made = read.map(|read| to(read, &mut fields));
    errors.finish(made)
}

/// `text` as a JSON string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The names of the members that `schema` describes.
pub(super) fn members_of(schema: RefOr<Schema>) -> Vec<String> {
    match schema {
        RefOr::T(Schema::Object(object)) => object.properties.into_keys().collect(),
        _ => Vec::new(),
    }
}

/// The members of an object as they were written, duplicates included.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}

/// What a JSON value is, in words for a message.
pub(super) fn kind(json: &str) -> &'static str {
    match json.as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}
