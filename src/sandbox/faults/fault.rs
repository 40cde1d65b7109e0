//! What a fault order does to a request.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What happens to a request.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Fault {
    /// It is answered with that status. Unless `apply` is set, it is not looked at.
    Status(StatusAnswer),
    /// It is carried out and answered so many milliseconds later, even if nobody waits any more, or
    /// as soon as the order is taken back.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// It is never answered.
    Hang {
        /// Whether it is carried out all the same.
        #[serde(default)]
        apply: bool,
    },
    /// The connection is closed without an answer.
    Drop {
        /// Whether it is carried out, and when.
        #[serde(flatten)]
        when: When,
        /// Whether the connection is reset rather than closed.
        #[serde(default)]
        reset: bool,
    },
    /// The answer is not what it should be.
    Garbage {
        /// In which way.
        form: Garbage,
        /// Whether it is carried out all the same.
        #[serde(default)]
        apply: bool,
    },
    /// It is carried out; the answer's body trickles in over so many milliseconds.
    SlowBody {
        /// Milliseconds.
        ms: u64,
    },
    /// It is carried out; the answer's body is replaced by one of that size, or one without end.
    HugeBody {
        /// Bytes; endless when absent.
        #[serde(default)]
        bytes: Option<u64>,
    },
    /// It is carried out and answered as usual, but with these headers instead of the answer's own.
    Headers {
        /// Names and values.
        set: BTreeMap<String, String>,
    },
    /// All tokens are revoked first; then it goes on as usual.
    RevokeTokens,
    /// The limit becomes that many requests a minute first; then it goes on as usual.
    RateLimit {
        /// Requests a minute.
        #[serde(rename = "perMinute")]
        per_minute: u32,
    },
}

/// An answer made up by an operator.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StatusAnswer {
    /// The status.
    pub status: u16,
    /// A JSON body; Genesys' own error body for that status when both bodies are absent.
    #[serde(default)]
    pub body: Option<Value>,
    /// A body that is not JSON.
    #[serde(default)]
    pub text: Option<String>,
    /// `Retry-After`, as it is to be sent.
    #[serde(default)]
    pub retry_after: Option<String>,
    /// Other headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Whether the request is carried out all the same.
    #[serde(default)]
    pub apply: bool,
}

impl StatusAnswer {
    /// That status with Genesys' own error body.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self { status, ..Self::default() }
    }
}

/// When a dropped request is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "when", rename_all = "lowercase")]
pub enum When {
    /// The connection drops before: not at all.
    Before,
    /// The connection drops after it was carried out.
    After,
    /// The connection drops now, it is carried out so many milliseconds later, or as soon as the
    /// order is taken back.
    Late {
        /// Milliseconds.
        ms: u64,
    },
}

/// How an answer is spoilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Garbage {
    /// Bytes that are not HTTP.
    NotHttp,
    /// 200 with an HTML page.
    Html,
    /// The proper answer with half its body, well framed.
    TruncatedJson,
    /// The proper answer announces more body than it sends, then the connection closes.
    ShortBody,
    /// The proper answer with two more entries in front of each list: `null`, and one whose texts
    /// hold half a surrogate pair.
    BadEntries,
    /// The status line stops in the middle and the connection closes.
    ShortHead,
}
