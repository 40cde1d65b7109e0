//! Reads an answer's body up to a bound, and no further.

use reqwest::Response;
use tokio::time::{Instant, timeout_at};

use super::answer::root_cause;

/// How a body ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// Whole.
    Complete,
    /// Broken off, or not decodable.
    Broken(String),
    /// Longer than the bound; the rest was left unread.
    TooLong,
    /// Not whole in time.
    Late,
}

/// What was read of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Body {
    /// The bytes, decoded; at most the bound.
    pub bytes: Vec<u8>,
    /// How it ended.
    pub end: End,
}

/// Reads at most `limit` decoded bytes until `by`.
pub(super) async fn read(response: &mut Response, limit: usize, by: Instant) -> Body {
    let mut bytes = Vec::new();
    let end = loop {
        match timeout_at(by, response.chunk()).await {
            Err(_) => break End::Late,
            Ok(Err(error)) => break End::Broken(root_cause(&error.without_url())),
            Ok(Ok(None)) => break End::Complete,
            Ok(Ok(Some(chunk))) => {
                let room = limit - bytes.len();
                let Some(over) = chunk.get(..room).filter(|_| chunk.len() > room) else {
                    bytes.extend_from_slice(&chunk);
                    continue;
                };
                bytes.extend_from_slice(over);
                break End::TooLong;
            }
        }
    };
    Body { bytes, end }
}
