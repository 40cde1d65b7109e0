//! A place in a text, and the tokens of JSON read from there.

use super::Fault;

/// Reads forward through a text. `at` always lies on a character boundary.
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) const fn place(&self) -> usize {
        self.at
    }

    pub(super) const fn at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    /// `what`, unless the text is at its end and that is the better explanation.
    pub(super) const fn or_end(&self, what: &'static str) -> &'static str {
        if self.at_end() { "the body ends too early" } else { what }
    }

    /// Steps over one ASCII character.
    pub(super) const fn advance(&mut self) {
        self.at += 1;
    }

    pub(super) fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.advance();
        }
    }

    pub(super) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.advance();
        }
        found
    }

    pub(super) fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), Fault> {
        if self.take(byte) { Ok(()) } else { Err((self.or_end(what), self.at)) }
    }

    pub(super) fn word(&mut self, word: &'static str) -> Result<(), Fault> {
        if self.rest().starts_with(word) {
            self.at += word.len();
            Ok(())
        } else {
            Err(("a value was expected", self.at))
        }
    }

    /// The digits of a number, exactly as written.
    pub(super) fn number(&mut self) -> Result<&'a str, Fault> {
        let start = self.at;
        self.take(b'-');
        if self.take(b'0') {
            if matches!(self.peek(), Some(b'0'..=b'9')) {
                return Err(("a number must not begin with 0", self.at));
            }
        } else {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.advance();
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.advance();
            }
            self.digits()?;
        }
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    fn digits(&mut self) -> Result<(), Fault> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err((self.or_end("a digit was expected"), self.at));
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.advance();
        }
        Ok(())
    }

    /// A string with its quotes; the cursor stands on the first of them.
    pub(super) fn string(&mut self) -> Result<String, Fault> {
        let mut out = String::new();
        self.advance();
        loop {
            let plain = self
                .rest()
                .find(|c: char| c == '"' || c == '\\' || c < ' ')
                .ok_or(("a string is not closed", self.text.len()))?;
            out.push_str(self.rest().get(..plain).unwrap_or_default());
            self.at += plain;
            if self.take(b'"') {
                return Ok(out);
            }
            if !self.take(b'\\') {
                return Err(("a control character must be escaped", self.at));
            }
            out.push(self.escape()?);
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let resolved = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err((self.or_end("an unknown escape"), self.at)),
        };
        self.advance();
        Ok(resolved)
    }

    /// `uXXXX`, or a surrogate pair `uXXXX\uXXXX`. A lone surrogate is no character, so it is
    /// refused: it could be neither stored nor sent on.
    fn unicode_escape(&mut self) -> Result<char, Fault> {
        let start = self.at;
        let lone = ("an unpaired surrogate", start);
        let first = self.hex()?;
        if let Some(c) = char::from_u32(first) {
            return Ok(c);
        }
        if first >= 0xDC00 || !self.take(b'\\') || self.peek() != Some(b'u') {
            return Err(lone);
        }
        let second = self.hex()?;
        if !(0xDC00..0xE000).contains(&second) {
            return Err(lone);
        }
        char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00)).ok_or(lone)
    }

    fn hex(&mut self) -> Result<u32, Fault> {
        let start = self.at;
        self.advance();
        let digits = self.text.get(self.at..self.at + 4).unwrap_or_default();
        // `from_str_radix` alone would take a sign.
        if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(("four hex digits were expected", start));
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).map_err(|_| ("four hex digits were expected", start))
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }
}
