//! What a connection is doing, and until when it may go on doing it. Bookkeeping only: sockets
//! and timers are elsewhere.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

#[cfg(test)]
mod tests;

/// How long a connection may be idle between requests. Longer than the 60 s of common load
/// balancers: the side that sends requests must be the one that closes, or it meets a closed
/// connection with a request in its hand.
const IDLE: Duration = Duration::from_secs(75);

/// How long an idle connection that was told to end may stay open.
const CLOSING: Duration = Duration::from_secs(40);

/// How long an HTTP/2 caller may leave answers untaken. For HTTP/1 the system has a shorter limit.
const UNTAKEN: Duration = Duration::from_mins(5);

/// Why a connection must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CloseReason {
    /// A request's head began and did not end in time: it can be answered.
    HeadLate,
    /// A request's head has a line end that proxies may read otherwise.
    HeadMisread,
    /// Nothing was asked for a long time: it ends when nothing is in hand.
    Idle,
    /// It is cut, without an answer.
    Cut,
}

/// The books of one connection.
#[derive(Debug)]
pub(super) struct Activity {
    pub(super) peer: IpAddr,
    header_timeout: Duration,
    state: Mutex<ActivityState>,
    closing: Notify,
}

#[derive(Debug)]
struct ActivityState {
    /// Requests that are worked on, and streams of events.
    busy: usize,
    /// Answers of a known length that are being sent.
    answers: usize,
    /// Since when a head is awaited.
    head_since: Option<Instant>,
    /// When something was last asked or written.
    last: Instant,
    /// Once known. Bytes of HTTP/2 may be pings, so they tell nothing about requests.
    is_http2: Option<bool>,
    /// Whether any bytes came.
    heard: bool,
    /// Whether a request had a body.
    bodies: bool,
    close: Option<CloseReason>,
}

impl Activity {
    /// A connection of `peer` accepted at `now`, which must bring a whole head within
    /// `header_timeout`.
    pub(super) fn new(peer: IpAddr, header_timeout: Duration, now: Instant) -> Arc<Self> {
        let state = Mutex::new(ActivityState {
            busy: 0,
            answers: 0,
            head_since: Some(now),
            last: now,
            is_http2: None,
            heard: false,
            bodies: false,
            close: None,
        });
        Arc::new(Self { peer, header_timeout, state, closing: Notify::new() })
    }

    fn state(&self) -> MutexGuard<'_, ActivityState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes came in; says whether another head certainly begins with them. After a request with a
    /// body they may be what is left of that.
    pub(super) fn read(&self, now: Instant) -> bool {
        let mut state = self.state();
        state.heard = true;
        let begins = state.is_http2 != Some(true) && state.is_free() && state.head_since.is_none();
        if begins {
            state.head_since = Some(now);
        }
        begins && !state.bodies
    }

    /// Bytes went out.
    pub(super) fn wrote(&self, now: Instant) {
        let mut state = self.state();
        // Only HTTP/2 writes before the first request.
        if !*state.is_http2.get_or_insert(true) {
            state.last = now;
        }
    }

    /// A head is complete: a request begins, and lasts as long as the ticket. `None` when the
    /// connection has given way: nothing can be answered on it any more.
    pub(super) fn begin(self: &Arc<Self>, is_http2: bool, has_body: bool) -> Option<Ticket> {
        let mut state = self.state();
        if state.close.is_some_and(|reason| reason != CloseReason::Idle) {
            return None;
        }
        state.is_http2 = Some(is_http2);
        state.busy += 1;
        state.head_since = None;
        state.bodies |= has_body;
        Some(Ticket { activity: Arc::clone(self), is_answer: false })
    }

    /// Since when nothing was asked or written; `None` while a request is in hand.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let state = self.state();
        state.is_free().then_some(state.last)
    }

    /// Cuts the connection to make room for another one; `false` when a request is in hand.
    pub(super) fn give_way(&self) -> bool {
        let mut state = self.state();
        let free = state.is_free();
        if free {
            // Under the lock: a request that begins later finds that it is too late.
            self.tell(&mut state, CloseReason::Cut);
        }
        free
    }

    /// Whether neither a request is in hand nor, as far as is known, an answer on its way. HTTP/1
    /// closes by itself after the last answer; before the next head is whole, it does not.
    pub(super) fn has_nothing_in_hand(&self) -> bool {
        let state = self.state();
        state.is_free() && (state.is_http2 == Some(true) || state.head_since.is_some())
    }

    /// Ends the connection if it has used up its time.
    pub(super) fn look(&self, now: Instant) {
        let mut state = self.state();
        if let Some(reason) = state.used_up(self.header_timeout, now) {
            self.tell(&mut state, reason);
        }
    }

    /// Ends the connection for `reason`.
    pub(super) fn close(&self, reason: CloseReason) {
        self.tell(&mut self.state(), reason);
    }

    fn tell(&self, state: &mut ActivityState, reason: CloseReason) {
        if state.close != Some(reason) {
            state.close = Some(reason);
            self.closing.notify_one();
        }
    }

    /// Waits until the connection must end, and says why; further calls wait for another reason.
    pub(super) async fn must_close(&self) -> CloseReason {
        self.closing.notified().await;
        self.state().close.unwrap_or(CloseReason::Cut)
    }
}

impl ActivityState {
    const fn is_free(&self) -> bool {
        self.busy + self.answers == 0
    }

    fn used_up(&self, header_timeout: Duration, now: Instant) -> Option<CloseReason> {
        // What is worked on has a deadline of its own.
        let (until, reason) = match (self.busy, self.answers, self.head_since) {
            (1.., ..) => return None,
            (_, 1.., _) => (self.last + UNTAKEN, CloseReason::Cut),
            (.., Some(since)) => {
                let answerable = self.heard && self.is_http2 != Some(true);
                let reason = if answerable { CloseReason::HeadLate } else { CloseReason::Cut };
                (since + header_timeout, reason)
            }
            _ if self.last + IDLE + CLOSING <= now => (now, CloseReason::Cut),
            _ => (self.last + IDLE, CloseReason::Idle),
        };
        (until <= now).then_some(reason)
    }
}

/// One request in hand; ends when dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    activity: Arc<Activity>,
    is_answer: bool,
}

impl Ticket {
    /// The work is done; an answer of a known length is being sent from `now` on.
    pub(super) fn answers(&mut self, now: Instant) {
        let mut state = self.activity.state();
        state.busy -= 1;
        state.answers += 1;
        state.last = now;
        self.is_answer = true;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.activity.state();
        state.busy -= usize::from(!self.is_answer);
        state.answers -= usize::from(self.is_answer);
        state.last = Instant::now();
    }
}
