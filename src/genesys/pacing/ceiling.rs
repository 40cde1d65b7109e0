//! What Genesys' own headers say is left: `inin-ratelimit-allowed` minus `inin-ratelimit-count`
//! until `inin-ratelimit-reset` seconds have passed. Other users of the same client are in that
//! count, so it may be less than the local window allows.
//!
//! There is one limit for all requests of a token, and lower ones for some resources, each with a
//! counter of its own. The headers of an answer tell of one limit and do not name it. So limits
//! are told apart by `allowed`: the largest holds for all requests, a lower one for the operations
//! whose answers told of it.

use std::time::Duration;

use tokio::time::Instant;

use super::window::RequestWindow;
use crate::{
    genesys::call::{Operation, Operations},
    metrics::RateReading,
};

/// Length of Genesys' windows.
const WINDOW: Duration = Duration::from_mins(1);
/// A reset far beyond the length of a window is nonsense.
const LONGEST_RESET: u64 = 120;
/// Two answers speak of the same window when their ends differ by no more than rounding and
/// latency explain.
const SAME_WINDOW: Duration = Duration::from_secs(2);
/// A limit that no answer told of for so long is forgotten.
const FORGOTTEN: Duration = Duration::from_mins(5);
/// Limits kept at most.
const MOST: usize = 8;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// To let one request go.
    Request(Operation),
    /// To let one go that was reserved before.
    Ticket(Operation),
    /// To reserve one of each.
    Reserve(Operations),
}

impl Ask {
    /// What it is about.
    pub(super) const fn operations(self) -> Operations {
        match self {
            Self::Request(operation) | Self::Ticket(operation) => Operations::of(operation),
            Self::Reserve(operations) => operations,
        }
    }

    /// Requests it takes out of a limit for these operations.
    pub(super) fn need_of(self, scope: Operations) -> u64 {
        match self {
            Self::Ticket(_) => 0,
            Self::Request(_) | Self::Reserve(_) => self.operations().and(scope).count(),
        }
    }

    /// Requests it takes out of the window.
    pub(super) fn need(self) -> u64 {
        self.need_of(Operations::ALL)
    }
}

/// The three rate headers of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::genesys) struct RateHeaders {
    allowed: u32,
    count: u32,
    reset: Duration,
}

impl RateHeaders {
    /// Reads the headers; `None` unless all three are there and make sense.
    pub(in crate::genesys) fn parse(
        allowed: Option<&str>,
        count: Option<&str>,
        reset: Option<&str>,
    ) -> Option<Self> {
        let number = |text: Option<&str>| text?.trim().parse::<u32>().ok();
        let allowed = number(allowed).filter(|allowed| *allowed > 0)?;
        let reset = number(reset).map(u64::from).filter(|reset| *reset <= LONGEST_RESET)?;
        Some(Self { allowed, count: number(count)?, reset: Duration::from_secs(reset) })
    }

    /// Whether the limit they tell of is used up.
    pub(super) const fn are_used_up(&self) -> bool {
        self.count >= self.allowed
    }
}

/// One limit.
#[derive(Debug)]
struct Limit {
    allowed: u64,
    /// Operations whose answers told of it.
    told_by: Operations,
    told_at: Instant,
    until: Instant,
    window: WindowCount,
}

/// What is known about the window that ends at [`Limit::until`].
#[derive(Debug, Clone, Copy)]
enum WindowCount {
    /// How many requests Genesys counted: the highest number seen, because answers overtake each
    /// other.
    Counted(u64),
    /// No answer has told of this window: no more than the allowance is let go.
    LetGo(u64),
}

impl Limit {
    /// Requests that may be let go beside those on their way.
    fn room(&self, busy: u64) -> u64 {
        let used = match self.window {
            // A request on its way may or may not be in the count: it is taken not to be.
            WindowCount::Counted(count) => count + busy,
            WindowCount::LetGo(let_go) => let_go,
        };
        self.allowed.saturating_sub(used)
    }

    /// The operations it holds for, when the largest allowance is `widest`.
    const fn scope(&self, widest: u64) -> Operations {
        if self.allowed == widest { Operations::ALL } else { self.told_by }
    }

    fn observe(&mut self, now: Instant, count: u64, until: Instant) {
        let same = now < self.until
            && until.saturating_duration_since(self.until) <= SAME_WINDOW
            && self.until.saturating_duration_since(until) <= SAME_WINDOW;
        let seen = match self.window {
            WindowCount::Counted(seen) if same => seen,
            WindowCount::Counted(_) | WindowCount::LetGo(_) => 0,
        };
        self.window = WindowCount::Counted(count.max(seen));
        (self.until, self.told_at) = (until, now);
    }

    fn is_stale(&self, now: Instant) -> bool {
        now >= self.told_at + FORGOTTEN
    }
}

/// Requests of those who wait in front.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// Those that take part in what all requests share.
    pub all: u64,
    /// Those that count against each limit.
    each: [u64; MOST],
}

/// Until when a request must wait at least, as far as is known.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Hold {
    /// For what all requests share: others must not overtake.
    pub shared: Option<Instant>,
    /// For what only some requests need: the others may go first.
    pub own: Option<Instant>,
}

impl Hold {
    /// Whether it may go now.
    pub(super) const fn is_none(&self) -> bool {
        self.shared.is_none() && self.own.is_none()
    }

    /// When it may go, at the earliest.
    pub(super) fn end(&self, now: Instant) -> Instant {
        self.shared.max(self.own).map_or(now, |until| until.max(now))
    }
}

/// All limits that answers have told of.
#[derive(Debug, Default)]
pub(super) struct Ceilings {
    /// The one told of last comes first.
    limits: Vec<Limit>,
    /// The largest allowance.
    widest: u64,
}

impl Ceilings {
    /// What holds `ask` back, with `ahead` in front of it, when `spare` percent of each limit are
    /// to be left.
    pub(super) fn hold(
        &mut self,
        now: Instant,
        window: &RequestWindow,
        ask: Ask,
        ahead: &Ahead,
        spare: u64,
    ) -> Hold {
        self.advance(now, window);
        let mut hold = Hold::default();
        for (limit, ahead_of_it) in self.limits.iter().zip(&ahead.each) {
            let scope = limit.scope(self.widest);
            if ask.operations().and(scope).count() == 0 {
                continue;
            }
            let ahead = if scope == Operations::ALL { ahead.all } else { *ahead_of_it };
            let fits = match (ask, limit.window) {
                (Ask::Ticket(_), WindowCount::LetGo(_)) => true,
                // It is among those on their way already.
                (Ask::Ticket(_), WindowCount::Counted(count)) => {
                    limit.allowed >= count + window.in_flight.of(scope)
                }
                (Ask::Request(_) | Ask::Reserve(_), _) => {
                    let need = ahead + ask.need_of(scope) + limit.allowed * spare / 100;
                    limit.room(window.busy(scope)) >= need
                }
            };
            if fits {
                continue;
            }
            let until = match limit.window {
                WindowCount::Counted(_) => limit.until,
                // The first answer of the new window is awaited: that is soon.
                WindowCount::LetGo(_) => now,
            };
            let held = if scope == Operations::ALL { &mut hold.shared } else { &mut hold.own };
            *held = (*held).max(Some(until));
        }
        hold
    }

    /// Puts `ask` in front of what is asked about next. One that is held back for what only some
    /// requests need keeps none of the others waiting.
    pub(super) fn queue(&self, ahead: &mut Ahead, ask: Ask, aside: bool) {
        for (limit, ahead) in self.limits.iter().zip(&mut ahead.each) {
            *ahead += ask.need_of(limit.scope(self.widest));
        }
        if !aside {
            ahead.all += ask.need_of(Operations::ALL);
        }
    }

    /// The largest number of requests of these operations that can ever be had at once.
    pub(super) fn largest(&self, operations: Operations, spare: u64) -> Option<u64> {
        let theirs =
            self.limits.iter().filter(|limit| operations.and(limit.scope(self.widest)).count() > 0);
        theirs.map(|limit| limit.allowed - limit.allowed * spare / 100).min()
    }

    /// The limit of all requests, if one is known.
    pub(super) fn of_all(&mut self, now: Instant, window: &RequestWindow) -> Option<RateReading> {
        let widest = self.widest;
        self.each(now, window).find(|reading| reading.limit == widest)
    }

    /// Each limit and what is left of it.
    pub(super) fn each(
        &mut self,
        now: Instant,
        window: &RequestWindow,
    ) -> impl Iterator<Item = RateReading> {
        self.advance(now, window);
        let widest = self.widest;
        self.limits.iter().map(move |limit| {
            let left = limit.room(window.busy(limit.scope(widest)));
            let spent = left < limit.allowed;
            let whole_at = if spent { limit.until } else { now };
            let whole_in = whole_at.saturating_duration_since(now);
            RateReading { limit: limit.allowed, left, whole_in }
        })
    }

    /// The operations that the limit of these headers holds for.
    pub(super) fn scope_of(&self, headers: RateHeaders) -> Operations {
        let limit = self.limits.iter().find(|limit| limit.allowed == u64::from(headers.allowed));
        limit.map_or(Operations::ALL, |limit| limit.scope(self.widest))
    }

    /// Notes that requests were let go or reserved.
    pub(super) fn let_go(&mut self, ask: Ask) {
        let widest = self.widest;
        for limit in &mut self.limits {
            let need = ask.need_of(limit.scope(widest));
            if let WindowCount::LetGo(let_go) = &mut limit.window {
                *let_go += need;
            }
        }
    }

    /// Notes that requests of these operations never left after all.
    pub(super) fn took_back(&mut self, operations: Operations) {
        let widest = self.widest;
        for limit in &mut self.limits {
            let count = operations.and(limit.scope(widest)).count();
            if let WindowCount::LetGo(let_go) = &mut limit.window {
                *let_go = let_go.saturating_sub(count);
            }
        }
    }

    /// Notes an answer to `operation`, with or without headers, or that there will be none.
    pub(super) fn answered(
        &mut self,
        now: Instant,
        window: &RequestWindow,
        operation: Operation,
        headers: Option<RateHeaders>,
    ) {
        self.advance(now, window);
        let operation = Operations::of(operation);
        let widest = self.widest;
        for limit in &mut self.limits {
            let scope = limit.scope(widest);
            if let (WindowCount::LetGo(let_go), true) =
                (&mut limit.window, operation.and(scope).count() > 0)
            {
                // Headers tell of the limit nearest to its end: this one has room.
                *let_go = window.busy(scope);
            }
        }
        if let Some(headers) = headers {
            self.told(now, operation, headers);
        }
        self.forget(now);
    }

    fn told(&mut self, now: Instant, operation: Operations, headers: RateHeaders) {
        let RateHeaders { allowed, count, reset } = headers;
        let (allowed, count, until) = (u64::from(allowed), u64::from(count), now + reset);
        match self.limits.iter().position(|limit| limit.allowed == allowed) {
            Some(index) => {
                if let Some(limit) = self.limits.get_mut(index) {
                    limit.observe(now, count, until);
                    limit.told_by = limit.told_by.or(operation);
                }
                if let Some(front) = self.limits.get_mut(..=index) {
                    front.rotate_right(1);
                }
            }
            None => self.limits.insert(
                0,
                Limit {
                    allowed,
                    told_by: operation,
                    told_at: now,
                    until,
                    window: WindowCount::Counted(count),
                },
            ),
        }
        self.widest = self.widest.max(allowed);
    }

    /// Keeps what is of use: the limit told of last, the widest, and what was told of not long ago.
    fn forget(&mut self, now: Instant) {
        let Some(newest) = self.limits.first() else { return };
        if newest.is_stale(now) {
            // No headers come any more.
            self.limits.clear();
        } else {
            let (newest, widest) = (newest.allowed, self.widest);
            let mut others = 0;
            self.limits.retain(|limit| {
                others += usize::from(![newest, widest].contains(&limit.allowed));
                [newest, widest].contains(&limit.allowed)
                    || (!limit.is_stale(now) && others + 2 <= MOST)
            });
        }
        self.widest = self.limits.iter().map(|limit| limit.allowed).max().unwrap_or(0);
    }

    /// Begins a new window where one has ended.
    fn advance(&mut self, now: Instant, window: &RequestWindow) {
        let widest = self.widest;
        for limit in self.limits.iter_mut().filter(|limit| now >= limit.until) {
            limit.window = WindowCount::LetGo(window.busy(limit.scope(widest)));
            limit.until = now + WINDOW;
        }
    }
}

#[cfg(test)]
mod tests;
