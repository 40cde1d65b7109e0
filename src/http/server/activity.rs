//! What a connection is doing, and until when it may go on doing it. Bookkeeping only: sockets
//! and timers are elsewhere.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

#[cfg(test)]
mod tests;

/// How long a connection may be idle between requests. Longer than the 60 s of common load
/// balancers: the side that sends requests must be the one that closes, or it meets a closed
/// connection with a request in its hand.
pub(super) const IDLE: Duration = Duration::from_secs(75);

/// How long a caller may leave an answer unread before the connection is cut.
pub(super) const STALL: Duration = Duration::from_secs(40);

/// Why a connection must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CloseReason {
    /// A request's head began and did not end in time, or none ever began.
    HeadLate,
    /// Nothing was asked for a long time.
    Idle,
    /// The caller does not read an answer.
    Stalled,
}

/// Which protocol a connection speaks, once known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    /// Bytes here may be pings and window updates, so they tell nothing about requests.
    Http2,
}

/// The books of one connection.
#[derive(Debug)]
pub(super) struct Activity {
    header_timeout: Duration,
    state: Mutex<ActivityState>,
    changed: Notify,
    gave_way: CancellationToken,
}

#[derive(Debug)]
struct ActivityState {
    protocol: Protocol,
    /// Requests in hand or being answered.
    requests: usize,
    /// Since when a head is awaited.
    head_since: Option<Instant>,
    /// Since when nothing was asked or written.
    quiet_since: Instant,
    /// Answers with a part handed over that was not taken up yet, since when.
    unread: Vec<(u64, Instant)>,
    next_ticket: u64,
    /// Whether a request had a body.
    bodies: bool,
    /// When the connection looks for a [`CloseReason`] by itself.
    looks_at: Option<Instant>,
}

impl Activity {
    /// A connection accepted at `now`, which must bring a whole head within `header_timeout`.
    pub(super) fn new(header_timeout: Duration, now: Instant) -> Arc<Self> {
        let state = ActivityState {
            protocol: Protocol::Http1,
            requests: 0,
            head_since: Some(now),
            quiet_since: now,
            unread: Vec::new(),
            next_ticket: 0,
            bodies: false,
            looks_at: None,
        };
        let (state, changed) = (Mutex::new(state), Notify::new());
        Arc::new(Self { header_timeout, state, changed, gave_way: CancellationToken::new() })
    }

    /// It is known which protocol is spoken.
    pub(super) fn speaks(&self, protocol: Protocol) {
        self.state().protocol = protocol;
    }

    /// Since when nothing was asked or written; `None` while a request is in hand.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let state = self.state();
        (state.requests == 0).then_some(state.quiet_since)
    }

    /// Ends the connection to make room for another one; `false` when a request is in hand.
    pub(super) fn give_way(&self) -> bool {
        let state = self.state();
        let idle = state.requests == 0;
        if idle {
            // Under the lock: a request that begins later finds that it is too late.
            self.gave_way.cancel();
        }
        idle
    }

    /// Waits until the connection must give way.
    pub(super) async fn must_give_way(&self) {
        self.gave_way.cancelled().await;
    }

    fn state(&self) -> MutexGuard<'_, ActivityState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes came in; says whether another head certainly begins with them. After a request with a
    /// body they may be what is left of that.
    pub(super) fn read(&self, now: Instant) -> bool {
        let mut state = self.state();
        let begins =
            state.protocol == Protocol::Http1 && state.requests == 0 && state.head_since.is_none();
        if begins {
            state.head_since = Some(now);
            self.tell_if_sooner(&mut state);
        }
        begins && !state.bodies
    }

    /// Bytes went out.
    pub(super) fn wrote(&self, now: Instant) {
        let mut state = self.state();
        if state.protocol == Protocol::Http1 {
            state.quiet_since = now;
        }
    }

    /// When something was last asked or written.
    pub(super) fn quiet_since(&self) -> Instant {
        self.state().quiet_since
    }

    /// A head is complete: a request begins, and lasts as long as the ticket. `None` when the
    /// connection has given way: nothing can be answered on it any more.
    pub(super) fn begin(self: &Arc<Self>, has_body: bool) -> Option<Ticket> {
        let mut state = self.state();
        if self.gave_way.is_cancelled() {
            return None;
        }
        state.requests += 1;
        state.head_since = None;
        state.bodies |= has_body;
        state.next_ticket += 1;
        let number = state.next_ticket;
        drop(state);
        Some(Ticket { activity: Arc::clone(self), number })
    }

    /// When to look for a [`CloseReason`] again; `None` while requests are in hand, which have
    /// deadlines of their own. Until then only what makes it sooner is told.
    pub(super) fn due(&self) -> Option<Instant> {
        let mut state = self.state();
        state.looks_at = self.due_by(&state);
        state.looks_at
    }

    fn due_by(&self, state: &ActivityState) -> Option<Instant> {
        match (state.requests, state.head_since) {
            (0, Some(since)) => Some(since + self.header_timeout),
            (0, None) => Some(state.quiet_since + IDLE),
            _ => state.unread.iter().map(|(_, since)| *since + STALL).min(),
        }
    }

    /// To wake the connection's task for each request would cost more than all other bookkeeping.
    fn tell_if_sooner(&self, state: &mut ActivityState) {
        let due = self.due_by(state);
        if due.is_some_and(|due| state.looks_at.is_none_or(|looks_at| due < looks_at)) {
            state.looks_at = due;
            self.changed.notify_one();
        }
    }

    /// Whether the connection must end at `now`, and why.
    pub(super) fn verdict(&self, now: Instant) -> Option<CloseReason> {
        let state = self.state();
        let late = self.due_by(&state).is_some_and(|due| due <= now);
        let verdict = match (state.requests, state.head_since) {
            (0, Some(_)) => CloseReason::HeadLate,
            (0, None) => CloseReason::Idle,
            _ => CloseReason::Stalled,
        };
        late.then_some(verdict)
    }

    /// Whether neither a request is in hand nor, as far as is known, an answer on its way. HTTP/1
    /// closes by itself after the last answer; before the next head is whole, it does not.
    pub(super) fn has_nothing_in_hand(&self) -> bool {
        let state = self.state();
        let between = state.protocol == Protocol::Http2 || state.head_since.is_some();
        state.requests == 0 && between
    }

    /// Waits until [`Self::due`] may have become earlier.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// One request in hand; ends when dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    activity: Arc<Activity>,
    number: u64,
}

impl Ticket {
    /// A part of the answer was handed over at `now` and waits to be taken up.
    pub(super) fn handed_over(&self, now: Instant) {
        let mut state = self.activity.state();
        match state.unread.iter_mut().find(|(number, _)| *number == self.number) {
            Some((_, since)) => *since = now,
            None => state.unread.push((self.number, now)),
        }
        self.activity.tell_if_sooner(&mut state);
    }

    /// What was handed over was taken up.
    pub(super) fn taken_up(&self) {
        self.activity.state().unread.retain(|(number, _)| *number != self.number);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.activity.state();
        state.requests = state.requests.saturating_sub(1);
        state.unread.retain(|(number, _)| *number != self.number);
        state.quiet_since = Instant::now();
        self.activity.tell_if_sooner(&mut state);
    }
}
