//! The line ends of a head. The parser takes a bare line feed for one, which proxies in front may
//! not (RFC 9112, section 2.2, leaves it open): what they take for one request could be two here.

/// Reads along with one head of HTTP/1.1. Not with one that comes in the same read as the request
/// before it, or after a request with a body: where it begins is known to the parser only.
#[derive(Debug)]
pub(super) struct HeadLines {
    /// Lines before the first one that is not empty are no part of the head.
    begun: bool,
    line_is_empty: bool,
    after_return: bool,
    over: bool,
}

impl Default for HeadLines {
    fn default() -> Self {
        Self { begun: false, line_is_empty: true, after_return: false, over: false }
    }
}

impl HeadLines {
    /// Looks at the next bytes: whether a line feed without a carriage return before it is among
    /// those that belong to the head.
    pub(super) fn has_bare_line_feed(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes {
            match *byte {
                _ if self.over => return false,
                b'\n' if self.after_return => {
                    self.over = self.begun && self.line_is_empty;
                    self.line_is_empty = true;
                    self.after_return = false;
                }
                b'\n' => return true,
                b'\r' => self.after_return = true,
                _ => {
                    self.begun = true;
                    self.line_is_empty = false;
                    self.after_return = false;
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether one is found in `text` that comes in pieces of `size` bytes.
    fn found(text: &str, size: usize) -> bool {
        let mut head = HeadLines::default();
        text.as_bytes().chunks(size).any(|piece| head.has_bare_line_feed(piece))
    }

    #[test]
    fn a_bare_line_feed_in_a_head_is_found() {
        for text in [
            "GET / HTTP/1.1\nhost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\nb: c\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\n\n",
            "GET / HTTP/1.1\r\nhost: a\r\r\nb: c\n\r\n",
            "\nGET / HTTP/1.1\r\n\r\n",
            "\r\n\r\nGET / HTTP/1.1\n\r\n",
        ] {
            for size in 1..=text.len() {
                assert!(found(text, size), "{text:?} in pieces of {size}");
            }
        }
    }

    #[test]
    fn whole_line_ends_and_bodies_are_left_alone() {
        let head = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n";
        for text in [head.to_owned(), format!("\r\n{head}"), format!("{head}\n\r\n\n")] {
            for size in 1..=text.len() {
                assert!(!found(&text, size), "{text:?} in pieces of {size}");
            }
        }
    }
}
