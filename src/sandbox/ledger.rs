//! What was requested and what became of it: every request and every move, in order, in a bounded
//! memory. Holds no secret: of a token only its tail.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

pub use super::world::Move;
use super::world::stamp;

/// Requests and moves remembered at most, each; the oldest are forgotten first.
pub const CAPACITY: usize = 100_000;
/// Longest request body that is kept, in bytes.
pub const MAX_BODY: usize = 4_096;

/// What a request did to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Nothing, and nothing is to come.
    None,
    /// It will take effect later.
    Pending,
    /// It took effect.
    Applied,
    /// It was to take effect, but the conversation had changed by then.
    Dropped,
}

/// One request to the pretended Genesys Cloud.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// Its number, from 1, in the order of arrival.
    pub seq: u64,
    /// When it arrived.
    #[serde(serialize_with = "stamp")]
    pub time: Timestamp,
    pub method: String,
    pub path: String,
    pub query: Option<String>,
    /// The status it was answered with; `None` when it was not answered (yet).
    pub status: Option<u16>,
    /// The OAuth client.
    pub client: Option<String>,
    /// The last four characters of its token.
    pub token_tail: Option<String>,
    pub traceparent: Option<String>,
    /// The body of a command.
    pub body: Option<serde_json::Value>,
    pub effect: Effect,
    /// The number of the fault order that hit it.
    pub fault: Option<u64>,
    /// The correlation id of its answer.
    pub correlation_id: Uuid,
}

impl Request {
    /// Writes the client and its token's tail down: the last four characters tell tokens apart.
    pub(super) fn sent_by(&mut self, client: String, token: &str) {
        let from = token.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
        self.client = Some(client);
        self.token_tail = token.get(from..).map(str::to_owned);
    }

    /// Whether it asked for a move, by either API.
    pub fn is_command(&self) -> bool {
        let replaces = self.method == "POST" && self.path.ends_with("/replace/queue");
        let patches = self.method == "PATCH"
            && self.path.starts_with("/api/v2/communications/conversations/");
        replaces || patches
    }
}

/// How much has been written so far; never goes down, except by a reset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests that arrived.
    pub requests: u64,
    /// Requests that were answered or cut off.
    pub finished: u64,
    /// Moves that took effect.
    pub moves: u64,
    /// Changes of any entry; goes on through a reset.
    pub changes: u64,
}

/// Requests and moves, in order.
#[derive(Default)]
pub struct Ledger {
    requests: VecDeque<Request>,
    moves: VecDeque<Move>,
    last_request: u64,
    cleared_at: u64,
    totals: Totals,
}

impl Ledger {
    /// Writes a request down and gives it its number.
    pub fn open(&mut self, mut request: Request) -> u64 {
        self.last_request += 1;
        self.totals.requests += 1;
        self.totals.changes += 1;
        request.seq = self.last_request;
        if self.requests.len() >= CAPACITY {
            self.requests.pop_front();
        }
        self.requests.push_back(request);
        self.last_request
    }

    /// Changes an entry that is still remembered.
    pub fn amend(&mut self, seq: u64, change: impl FnOnce(&mut Request)) {
        let first = self.requests.front().map_or(0, |request| request.seq);
        let position = seq.checked_sub(first).and_then(|at| usize::try_from(at).ok());
        if let Some(request) = position.and_then(|at| self.requests.get_mut(at)) {
            self.totals.changes += 1;
            change(request);
        }
    }

    /// Notes how a request ended: with that status, or cut off.
    pub fn finish(&mut self, seq: u64, status: Option<u16>) {
        self.amend(seq, |request| request.status = status);
        if seq > self.cleared_at {
            self.totals.finished += 1;
        }
    }

    /// Writes a move down.
    pub fn moved(&mut self, mut entry: Move) {
        self.totals.moves += 1;
        self.totals.changes += 1;
        entry.seq = self.totals.moves;
        if self.moves.len() >= CAPACITY {
            self.moves.pop_front();
        }
        self.moves.push_back(entry);
    }

    /// The requests that are remembered, oldest first.
    pub fn requests(&self) -> impl DoubleEndedIterator<Item = &Request> {
        self.requests.iter()
    }

    /// The moves that are remembered, oldest first.
    pub fn moves(&self) -> impl DoubleEndedIterator<Item = &Move> {
        self.moves.iter()
    }

    /// How much was written.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Forgets every entry. Numbers of requests go on, so that late effects find no wrong entry.
    pub fn clear(&mut self) {
        self.requests.clear();
        self.moves.clear();
        self.totals = Totals { changes: self.totals.changes + 1, ..Totals::default() };
        self.cleared_at = self.last_request;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request {
            seq: 0,
            time: Timestamp::UNIX_EPOCH,
            method: "GET".to_owned(),
            path: "/".to_owned(),
            query: None,
            status: None,
            client: None,
            token_tail: None,
            traceparent: None,
            body: None,
            effect: Effect::None,
            fault: None,
            correlation_id: Uuid::nil(),
        }
    }

    #[test]
    fn full_ledger_forgets_the_oldest_and_still_finds_the_rest() {
        let mut ledger = Ledger::default();
        for _ in 0..=CAPACITY {
            ledger.open(request());
        }

        ledger.amend(1, |request| request.status = Some(500));
        ledger.amend(2, |request| request.status = Some(200));

        assert_eq!(ledger.requests().count(), CAPACITY);
        assert_eq!(ledger.requests().next().unwrap().status, Some(200));
    }

    #[test]
    fn answer_of_a_request_from_before_a_reset_is_not_counted() {
        let mut ledger = Ledger::default();
        let old = ledger.open(request());
        ledger.clear();
        let new = ledger.open(request());

        ledger.finish(old, Some(200));

        assert_eq!(ledger.totals().finished, 0);
        assert_eq!(ledger.requests().next().unwrap().seq, new);
        assert_eq!(ledger.requests().next().unwrap().status, None);
    }
}
