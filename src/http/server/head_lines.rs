//! The line ends of a head. The parser takes a bare line feed for one, which proxies in front may
//! not (RFC 9112, section 2.2, leaves it open): what they take for one request could be two here.

/// Reads along with one head of HTTP/1.1. Not with one that comes in the same read as the request
/// before it, or after a request with a body: where it begins is known to the parser only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum HeadLines {
    /// Before the first line that is not empty; such lines are no part of the head.
    #[default]
    Ahead,
    AheadReturn,
    /// In a line that is not empty.
    Line,
    LineReturn,
    /// At the start of a line.
    Start,
    StartReturn,
    /// After the empty line that ends the head.
    Over,
}

impl HeadLines {
    /// Looks at the next bytes: whether a line feed without a carriage return before it is among
    /// those that belong to the head.
    pub(super) fn has_bare_line_feed(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes {
            *self = match (byte, *self) {
                (_, Self::Over) => return false,
                (b'\n', Self::AheadReturn) => Self::Ahead,
                (b'\n', Self::LineReturn) => Self::Start,
                (b'\n', Self::StartReturn) => Self::Over,
                (b'\n', _) => return true,
                (b'\r', Self::Ahead | Self::AheadReturn) => Self::AheadReturn,
                (b'\r', Self::Start | Self::StartReturn) => Self::StartReturn,
                (b'\r', _) => Self::LineReturn,
                _ => Self::Line,
            };
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
