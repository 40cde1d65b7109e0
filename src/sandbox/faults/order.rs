//! A fault order: which requests it is for, and how many of them it hits.

use axum::http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use super::{Fault, MAX_MS, When};

/// Longest path pattern, in characters.
const MAX_PATTERN: usize = 512;

/// An order to misbehave.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FaultOrder {
    /// The method it is for; any when absent.
    #[serde(default)]
    pub method: Option<String>,
    /// The path it is for; `*` stands for any run of characters. A pattern with a `?` is held
    /// against path and query.
    #[serde(default = "any_path")]
    pub path: String,
    /// Matching requests that are let through first.
    #[serde(default)]
    pub skip: u64,
    /// Of the rest only every n-th is hit.
    #[serde(default = "each")]
    pub every: u64,
    /// How many are hit.
    #[serde(default)]
    pub times: Times,
    /// What happens.
    pub fault: Fault,
}

fn any_path() -> String {
    "*".to_owned()
}

fn each() -> u64 {
    1
}

impl FaultOrder {
    /// Hits the next request of that method and path pattern.
    #[must_use]
    pub fn next(method: &str, path: &str, fault: Fault) -> Self {
        Self {
            method: Some(method.to_owned()),
            path: path.to_owned(),
            skip: 0,
            every: 1,
            times: Times::Next(1),
            fault,
        }
    }

    /// The same order for the next `count` requests.
    #[must_use]
    pub fn times(self, count: u64) -> Self {
        Self { times: Times::Next(count), ..self }
    }

    /// The same order until it is taken back.
    #[must_use]
    pub fn forever(self) -> Self {
        Self { times: Times::Forever(Forever::Forever), ..self }
    }

    /// The same order, after letting `count` matching requests through.
    #[must_use]
    pub fn after(self, count: u64) -> Self {
        Self { skip: count, ..self }
    }

    /// The same order for every n-th matching request only.
    #[must_use]
    pub fn every(self, nth: u64) -> Self {
        Self { every: nth, ..self }
    }

    /// Checks what the types cannot.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn check(&self) -> Result<(), String> {
        if self.path.chars().count() > MAX_PATTERN {
            return Err(format!("path: at most {MAX_PATTERN} characters"));
        }
        if self.every == 0 {
            return Err("every: at least 1".to_owned());
        }
        let (ms, status, headers) = match &self.fault {
            Fault::Status(answer) => (0, answer.status, Some(&answer.headers)),
            Fault::Headers { set } => (0, 200, Some(set)),
            Fault::Delay { ms }
            | Fault::SlowBody { ms }
            | Fault::Drop { when: When::Late { ms }, .. } => (*ms, 200, None),
            _ => (0, 200, None),
        };
        if ms > MAX_MS {
            return Err(format!("ms: at most {MAX_MS}"));
        }
        if !(200..=599).contains(&status) {
            return Err("status: 200 to 599".to_owned());
        }
        for (name, value) in headers.into_iter().flatten() {
            let name_ok = HeaderName::from_bytes(name.as_bytes()).is_ok();
            let value_ok = HeaderValue::from_str(value).is_ok();
            if !name_ok || !value_ok {
                return Err(format!("headers: {name:?} is not a possible header"));
            }
        }
        Ok(())
    }
}

/// How many requests an order hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Times {
    /// The next so many.
    Next(u64),
    /// All, until it is taken back.
    Forever(Forever),
}

/// The word `forever`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Forever {
    /// Until it is taken back.
    Forever,
}

impl Default for Times {
    fn default() -> Self {
        Self::Next(1)
    }
}
