//! Orders to misbehave: which requests are hit, how often, and what then happens. Decides only;
//! `misbehave` carries them out.

use std::{collections::BTreeMap, sync::Arc};

use axum::http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// Orders held at most; spent ones make room first.
pub const MAX_ORDERS: usize = 1_000;
/// Longest wait an order may ask for, in milliseconds.
pub const MAX_MS: u64 = 3_600_000;
/// Longest path pattern, in characters.
const MAX_PATTERN: usize = 512;

/// What happens to a request.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Fault {
    /// It is answered with that status. Unless `apply` is set, it is not looked at.
    Status(StatusAnswer),
    /// It is carried out and answered so many milliseconds later, even if the caller is gone, or
    /// as soon as the order is taken back.
    Delay { ms: u64 },
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
        form: Garbage,
        /// Whether it is carried out all the same.
        #[serde(default)]
        apply: bool,
    },
    /// It is carried out; the answer's body trickles in over so many milliseconds.
    SlowBody { ms: u64 },
    /// It is carried out; the answer's body is replaced by one of that size, or one without end.
    HugeBody {
        /// Bytes; endless when absent.
        bytes: Option<u64>,
    },
    /// It is carried out and answered as usual, but with these headers instead of the answer's own.
    Headers { set: BTreeMap<String, String> },
    /// All tokens are revoked first; then it goes on as usual.
    RevokeTokens,
    /// The limit becomes that many requests a minute first; then it goes on as usual.
    RateLimit {
        #[serde(rename = "perMinute")]
        per_minute: u32,
    },
}

/// An answer made up by an operator.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StatusAnswer {
    pub status: u16,
    /// A JSON body; Genesys' own error body for that status when both bodies are absent.
    pub body: Option<Value>,
    /// A body that is not JSON.
    pub text: Option<String>,
    /// `Retry-After`, as it is to be sent.
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
    Late { ms: u64 },
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

/// An order to misbehave.
#[must_use]
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FaultOrder {
    /// The method it is for; any when absent.
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
    #[serde(default)]
    pub times: Times,
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
    pub fn times(self, count: u64) -> Self {
        Self { times: Times::Next(count), ..self }
    }

    /// The same order until it is taken back.
    pub fn forever(self) -> Self {
        Self { times: Times::Forever(Forever::Forever), ..self }
    }

    /// The same order, after letting `count` matching requests through.
    pub fn after(self, count: u64) -> Self {
        Self { skip: count, ..self }
    }

    /// The same order for every n-th matching request only.
    pub fn every(self, nth: u64) -> Self {
        Self { every: nth, ..self }
    }

    /// Checks what the types cannot.
    pub fn check(&self) -> Result<(), String> {
        if self.path.chars().count() > MAX_PATTERN {
            return Err(format!("path: at most {MAX_PATTERN} characters"));
        }
        if self.every == 0 {
            return Err("every: at least 1".to_owned());
        }
        let headers = match &self.fault {
            Fault::Delay { ms }
            | Fault::SlowBody { ms }
            | Fault::Drop { when: When::Late { ms }, .. }
                if *ms > MAX_MS =>
            {
                return Err(format!("ms: at most {MAX_MS}"));
            }
            Fault::Status(answer) if !(200..=599).contains(&answer.status) => {
                return Err("status: 200 to 599".to_owned());
            }
            Fault::Status(StatusAnswer { headers, .. }) | Fault::Headers { set: headers } => {
                headers
            }
            _ => return Ok(()),
        };
        let is_possible = |(name, value): &(&String, &String)| {
            HeaderName::from_bytes(name.as_bytes()).is_ok() && HeaderValue::from_str(value).is_ok()
        };
        match headers.iter().find(|header| !is_possible(header)) {
            Some((name, _)) => Err(format!("headers: {name:?} is not a possible header")),
            None => Ok(()),
        }
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
    Forever,
}

impl Default for Times {
    fn default() -> Self {
        Self::Next(1)
    }
}

/// An order as it stands.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlacedOrder {
    pub id: u64,
    /// Requests that matched.
    pub seen: u64,
    /// Requests it hit.
    pub fired: u64,
    /// Whether it will hit no more.
    pub spent: bool,
    /// The order.
    pub order: FaultOrder,
    #[serde(skip)]
    fault: Arc<Fault>,
    #[serde(skip)]
    taken_back: CancellationToken,
}

/// What happens to a request that an order hits.
pub(super) struct DueFault {
    /// The order's number.
    pub(super) order: u64,
    pub(super) fault: Arc<Fault>,
    /// Cancelled when the order is taken back: what it put off comes then.
    pub(super) taken_back: CancellationToken,
}

/// All orders, oldest first; the first that is due wins.
#[derive(Debug, Default)]
pub struct Faults {
    orders: Vec<PlacedOrder>,
    last: u64,
}

impl Faults {
    /// Takes an order and gives it its number.
    pub fn place(&mut self, order: FaultOrder) -> Result<u64, String> {
        order.check()?;
        if self.orders.len() >= MAX_ORDERS {
            self.orders.retain(|placed| !placed.spent);
        }
        if self.orders.len() >= MAX_ORDERS {
            return Err(format!("there are {MAX_ORDERS} orders already"));
        }
        self.last += 1;
        let fault = Arc::new(order.fault.clone());
        let spent = order.times == Times::Next(0);
        let taken_back = CancellationToken::new();
        let id = self.last;
        self.orders.push(PlacedOrder { id, seen: 0, fired: 0, spent, order, fault, taken_back });
        Ok(self.last)
    }

    /// The orders, spent ones included.
    pub fn orders(&self) -> &[PlacedOrder] {
        &self.orders
    }

    /// Takes an order back; `false` when there is none of that number. What it put off comes at
    /// once.
    pub fn cancel(&mut self, id: u64) -> bool {
        let place = self.orders.iter().position(|placed| placed.id == id);
        place.map(|place| self.orders.remove(place).taken_back.cancel()).is_some()
    }

    /// Takes all orders back, as [`Faults::cancel`] does.
    pub fn clear(&mut self) {
        self.orders.drain(..).for_each(|placed| placed.taken_back.cancel());
    }

    /// What happens to a request, if anything.
    pub(super) fn due(
        &mut self,
        method: &str,
        path: &str,
        query: Option<&str>,
    ) -> Option<DueFault> {
        for placed in self.orders.iter_mut().filter(|placed| !placed.spent) {
            if !fits(&placed.order, method, path, query) {
                continue;
            }
            placed.seen += 1;
            let counted = placed.seen.saturating_sub(placed.order.skip);
            if counted == 0 || counted % placed.order.every != 0 {
                continue;
            }
            placed.fired += 1;
            placed.spent =
                matches!(placed.order.times, Times::Next(times) if placed.fired >= times);
            return Some(DueFault {
                order: placed.id,
                fault: Arc::clone(&placed.fault),
                taken_back: placed.taken_back.clone(),
            });
        }
        None
    }
}

fn fits(order: &FaultOrder, method: &str, path: &str, query: Option<&str>) -> bool {
    if order.method.as_deref().is_some_and(|wanted| !wanted.eq_ignore_ascii_case(method)) {
        return false;
    }
    if order.path.contains('?') {
        let target = format!("{path}?{}", query.unwrap_or_default());
        return wildcard(&order.path, &target);
    }
    wildcard(&order.path, path)
}

/// Whether `text` fits `pattern`, where `*` stands for any run of characters. Linear in practice:
/// each star takes the shortest run that lets the next piece fit.
fn wildcard(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        let Some(at) = rest.find(piece) else { return false };
        rest = rest.get(at + piece.len()..).unwrap_or_default();
    }
    true
}

#[cfg(test)]
mod tests;
