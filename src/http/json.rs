//! A JSON reader (RFC 8259) that keeps what others throw away: duplicate members, the digits of a
//! number, and the place of a syntax error.
//!
//! `serde_json` turns a number too large for a double into a syntax error and keeps only one of
//! two members with the same name; a caller deserves to be told exactly which field is wrong.

use cursor::Cursor;

mod cursor;
mod number;
#[cfg(test)]
mod tests;

pub(super) use number::{Whole, whole};

/// Deepest nesting taken. The deepest body of the contract needs four levels.
const MAX_DEPTH: usize = 32;

/// A JSON value as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, in the digits it was written with.
    Number(Box<str>),
    /// A string, its escapes resolved.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object: members in their order, duplicates included.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// What the value is, in words for a message.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

/// Why a text is not JSON, and where. Holds nothing of the text itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} at line {line}, column {column}")]
pub(super) struct SyntaxError {
    /// What is wrong there.
    pub what: &'static str,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// Reads one JSON value that fills all of `bytes`. A UTF-8 byte order mark in front is skipped
/// (RFC 8259, section 8.1 lets a reader do so; some .NET clients send one).
///
/// # Errors
/// The first place where `bytes` stops being JSON in UTF-8, or nests deeper than 32 levels.
pub(super) fn parse(bytes: &[u8]) -> Result<Value, SyntaxError> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => document(text).map_err(|(what, at)| locate(text, what, at)),
        Err(error) => {
            let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let text = std::str::from_utf8(valid).unwrap_or_default();
            Err(locate(text, "invalid UTF-8", text.len()))
        }
    }
}

type Fault = (&'static str, usize);

fn document(text: &str) -> Result<Value, Fault> {
    let mut cursor = Cursor::new(text);
    cursor.skip_space();
    if cursor.at_end() {
        return Err(("the body is empty", cursor.place()));
    }
    let value = value(&mut cursor, 0)?;
    cursor.skip_space();
    if cursor.at_end() {
        Ok(value)
    } else {
        Err(("unexpected text after the value", cursor.place()))
    }
}

fn value(cursor: &mut Cursor<'_>, depth: usize) -> Result<Value, Fault> {
    if depth > MAX_DEPTH {
        return Err(("nesting too deep", cursor.place()));
    }
    match cursor.peek() {
        Some(b'{') => object(cursor, depth),
        Some(b'[') => array(cursor, depth),
        Some(b'"') => cursor.string().map(Value::String),
        Some(b'-' | b'0'..=b'9') => cursor.number().map(|digits| Value::Number(digits.into())),
        Some(b't') => cursor.word("true").map(|()| Value::Bool(true)),
        Some(b'f') => cursor.word("false").map(|()| Value::Bool(false)),
        Some(b'n') => cursor.word("null").map(|()| Value::Null),
        Some(_) => Err(("a value was expected", cursor.place())),
        None => Err(("the body ends too early", cursor.place())),
    }
}

fn array(cursor: &mut Cursor<'_>, depth: usize) -> Result<Value, Fault> {
    let mut items = Vec::new();
    cursor.advance();
    cursor.skip_space();
    if cursor.take(b']') {
        return Ok(Value::Array(items));
    }
    loop {
        cursor.skip_space();
        items.push(value(cursor, depth + 1)?);
        cursor.skip_space();
        if cursor.take(b']') {
            return Ok(Value::Array(items));
        }
        cursor.expect(b',', "a comma or ] was expected")?;
    }
}

fn object(cursor: &mut Cursor<'_>, depth: usize) -> Result<Value, Fault> {
    let mut members = Vec::new();
    cursor.advance();
    cursor.skip_space();
    if cursor.take(b'}') {
        return Ok(Value::Object(members));
    }
    loop {
        cursor.skip_space();
        if cursor.peek() != Some(b'"') {
            return Err((cursor.or_end("a member name in quotes was expected"), cursor.place()));
        }
        let name = cursor.string()?;
        cursor.skip_space();
        cursor.expect(b':', "a colon was expected")?;
        cursor.skip_space();
        members.push((name, value(cursor, depth + 1)?));
        cursor.skip_space();
        if cursor.take(b'}') {
            return Ok(Value::Object(members));
        }
        cursor.expect(b',', "a comma or } was expected")?;
    }
}

fn locate(text: &str, what: &'static str, at: usize) -> SyntaxError {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    SyntaxError { what, line, column }
}
