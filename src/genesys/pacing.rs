//! Pacing: keeps this process inside the rate limit of its OAuth client, in order of
//! need. The rules are in [`mod@line`], as a state machine; here callers wait for their turn.

use std::{
    any::Any,
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep_until, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

pub(super) use self::ceiling::RateHeaders;
use self::{
    ceiling::Ask,
    line::{AskResult, Fate, PacingQueue},
};
use super::{
    attempt::Attempt,
    call::{Operation, Operations},
    retry_after,
};
use crate::{
    metrics::{Label as _, Metrics, Readings},
    trace,
    transfer::{
        gateway::{BatchPace, CallContext, GatewayError, Lane, Reservation},
        rate::{RateShare, RateUse},
    },
};

mod ceiling;
mod line;
mod share;
mod window;

/// Shortest time between two looks at the line.
const TICK: Duration = Duration::from_millis(20);

/// When one may ask again who was not called up in time.
const SOON: Duration = Duration::from_secs(1);

/// The rate budget of one OAuth client.
#[derive(Clone)]
pub(super) struct Pacer(Arc<PacerInner>);

struct PacerInner {
    state: Mutex<PacingState>,
    changed: Notify,
    shutdown: CancellationToken,
    tracker: TaskTracker,
    metrics: Arc<Metrics>,
}

struct PacingState {
    line: PacingQueue,
    seats: HashMap<u64, oneshot::Sender<Turn>>,
    /// Whether the task that calls up those who wait is running.
    called_up: bool,
}

/// What a waiting request is told. Carries the place itself, so that a place granted to a request
/// that has left is given back.
type Turn = Result<Held, Instant>;

/// A place that was granted.
enum Held {
    Slot(Slot),
    Tickets(Tickets),
}

impl Pacer {
    /// A budget of `per_minute` requests in any 60 s, of which `reserve` percent are kept from
    /// batches and background loads.
    pub(super) fn new(
        per_minute: u32,
        reserve: u32,
        shutdown: CancellationToken,
        tracker: TaskTracker,
        metrics: Arc<Metrics>,
    ) -> Self {
        let line = PacingQueue::new(per_minute, reserve, Instant::now());
        let state = Mutex::new(PacingState { line, seats: HashMap::new(), called_up: false });
        Self(Arc::new(PacerInner { state, changed: Notify::new(), shutdown, tracker, metrics }))
    }

    /// Notes the budget now, Genesys' own limits, and how many wait in each lane.
    pub(super) fn read(&self, readings: &mut Readings) {
        let (now, mut state) = (Instant::now(), self.0.lock());
        readings.rate = Some(state.line.budget(now));
        readings.limits = state.line.limits(now);
        let waiting = Lane::ALL.iter().map(|lane| (lane.label(), state.line.waiting(*lane)));
        readings.waiting = waiting.collect();
    }

    /// Waits for leave to send one request, which counts against `ctx`'s reservation if it has
    /// one left.
    ///
    /// # Errors
    /// When it cannot be had in time, or the service ends.
    pub(super) async fn slot(
        &self,
        ctx: &CallContext,
        operation: Operation,
        start_by: Instant,
    ) -> Result<Slot, GatewayError> {
        let tickets = ctx.admission.as_deref();
        let tickets = tickets.and_then(|any| (any as &dyn Any).downcast_ref::<Tickets>());
        let reserved = tickets.is_some_and(|tickets| tickets.take(operation));
        // Made at once: whatever happens from here on, the request that was taken out of the
        // reservation is accounted for.
        let ticket = reserved.then(|| self.granted_slot(operation));
        let ask = if reserved { Ask::Ticket(operation) } else { Ask::Request(operation) };
        match self.turn(ctx, ask, start_by).await? {
            Held::Slot(slot) => Ok(ticket.unwrap_or(slot)),
            Held::Tickets(_) => Err(GatewayError::DeadlineExceeded),
        }
    }

    /// Reserves a request of each of `operations`, or as many as can ever be had at once.
    pub(super) async fn reserve(
        &self,
        ctx: &CallContext,
        operations: Operations,
        start_by: Instant,
    ) -> Result<Arc<dyn Reservation>, GatewayError> {
        let most = self.allowance(ctx.lane, operations).max(1);
        let most = operations.iter().take(usize::try_from(most).unwrap_or(usize::MAX)).collect();
        match self.turn(ctx, Ask::Reserve(most), start_by).await? {
            Held::Tickets(tickets) => Ok(Arc::new(tickets)),
            Held::Slot(_) => Err(GatewayError::DeadlineExceeded),
        }
    }

    /// Requests a minute that `lane` may use for these operations, as far as is known now.
    pub(super) fn allowance(&self, lane: Lane, operations: Operations) -> u32 {
        self.0.lock().line.largest(lane, operations)
    }

    /// How requests of a batch follow each other that needs `needed` more, the next ones for these
    /// operations.
    pub(super) fn batch_pace(&self, operations: Operations, needed: u32) -> BatchPace {
        self.0.lock().line.batch_pace(Instant::now(), operations, u64::from(needed))
    }

    async fn turn(
        &self,
        ctx: &CallContext,
        ask: Ask,
        start_by: Instant,
    ) -> Result<Held, GatewayError> {
        let asked = Instant::now();
        let turn = self.find_turn(ctx, ask, start_by, asked).await;
        self.0.metrics.paced(ctx.lane, asked.elapsed(), turn.is_ok());
        turn
    }

    async fn find_turn(
        &self,
        ctx: &CallContext,
        ask: Ask,
        start_by: Instant,
        asked: Instant,
    ) -> Result<Held, GatewayError> {
        let (entry, turn) = {
            let mut state = self.0.lock();
            let entry = state.line.enter(asked, ctx.lane, ctx.caller.as_ref(), ask, start_by);
            let turn = if let AskResult::Waiting(number) = entry {
                let (seat, turn) = oneshot::channel();
                state.seats.insert(number, seat);
                Some(turn)
            } else {
                None
            };
            (entry, turn)
        };
        match (entry, turn) {
            (AskResult::Granted, _) => Ok(self.held(ask)),
            (AskResult::Refused(when), _) => Err(rate_limited(asked, when)),
            (AskResult::Waiting(_), None) => Err(rate_limited(asked, asked + SOON)),
            (AskResult::Waiting(number), Some(turn)) => {
                let _left = Leaver { pacer: self, number };
                self.call_up();
                let span = trace::stage(trace::TraceStage::Wait);
                let turn = self.wait(turn, start_by, ctx.outlasts_stop).instrument(span).await;
                ctx.usage.add_wait(asked.elapsed());
                turn
            }
        }
    }

    async fn wait(
        &self,
        turn: oneshot::Receiver<Turn>,
        start_by: Instant,
        outlasts_stop: bool,
    ) -> Result<Held, GatewayError> {
        // A moment longer than the line itself waits: its answer carries the true time.
        let by = start_by + 5 * TICK;
        tokio::select! {
            biased;
            turn = timeout_at(by, turn) => match turn {
                Ok(Ok(Ok(held))) => Ok(held),
                Ok(Ok(Err(when))) => Err(rate_limited(Instant::now(), when)),
                // The task that grants places was late itself: the limit is the reason all the same.
                Ok(Err(_)) | Err(_) => Err(rate_limited(by, by + SOON)),
            },
            () = self.0.shutdown.cancelled(), if !outlasts_stop => Err(GatewayError::ShuttingDown),
        }
    }

    fn held(&self, ask: Ask) -> Held {
        match ask {
            // A ticket's request is held by the slot made when it was taken.
            Ask::Ticket(operation) => Held::Slot(Slot { pacer: None, operation, sent: false }),
            Ask::Request(operation) => Held::Slot(self.granted_slot(operation)),
            Ask::Reserve(operations) => {
                Held::Tickets(Tickets { pacer: self.clone(), left: Mutex::new(operations) })
            }
        }
    }

    fn granted_slot(&self, operation: Operation) -> Slot {
        Slot { pacer: Some(self.clone()), operation, sent: false }
    }

    /// Starts the task that calls up those who wait, unless it runs. It ends with the line.
    fn call_up(&self) {
        let start = !std::mem::replace(&mut self.0.lock().called_up, true);
        if start {
            self.0.tracker.spawn(self.clone().calling_up());
        }
        self.0.changed.notify_one();
    }

    async fn calling_up(self) {
        while let Some(next) = self.look_at_the_line() {
            tokio::select! {
                () = self.0.changed.notified() => {}
                () = sleep_until(next) => {}
            }
        }
    }

    /// Tells the requests whose turn it is. Returns when to look next, `None` when none waits.
    fn look_at_the_line(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut told = Vec::new();
        let next = {
            let mut state = self.0.lock();
            for (number, fate) in state.line.pump(now) {
                let turn = match fate {
                    Fate::Granted(ask) => Ok(self.held(ask)),
                    Fate::Refused(when) => Err(when),
                };
                told.push((state.seats.remove(&number), turn));
            }
            let next = state.line.next_change(now);
            state.called_up = next.is_some();
            next
        };
        // Outside the lock: a place that is not taken is given back, which locks.
        for (seat, turn) in told {
            if let Some(seat) = seat {
                drop(seat.send(turn));
            }
        }
        Some(next?.max(now + TICK))
    }

    /// What of this minute's limit is used; holds until [`Pacer::keep_to`].
    pub(super) fn used(&self) -> RateUse {
        self.0.lock().line.used(Instant::now())
    }

    /// Keeps to a share of the limit.
    pub(super) fn keep_to(&self, share: Option<RateShare>) {
        self.settle(|line| line.keep_to(Instant::now(), share));
    }

    fn leave(&self, number: u64) {
        let mut state = self.0.lock();
        if state.seats.remove(&number).is_some() {
            state.line.leave(number);
            self.0.changed.notify_one();
        }
    }

    fn settle(&self, change: impl FnOnce(&mut PacingQueue)) {
        change(&mut self.0.lock().line);
        self.0.changed.notify_one();
    }
}

impl PacerInner {
    fn lock(&self) -> MutexGuard<'_, PacingState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rate_limited(now: Instant, when: Instant) -> GatewayError {
    let retry_after = when.saturating_duration_since(now).min(retry_after::LONGEST);
    GatewayError::RateLimited { retry_after, answer: None }
}

/// Takes a request out of the queue when its future is dropped.
struct Leaver<'a> {
    pacer: &'a Pacer,
    number: u64,
}

impl Drop for Leaver<'_> {
    fn drop(&mut self) {
        self.pacer.leave(self.number);
    }
}

/// Leave to send one request.
pub(super) struct Slot {
    pacer: Option<Pacer>,
    operation: Operation,
    /// Whether the request may have left.
    pub sent: bool,
}

impl Slot {
    /// Notes what came of the request, and what the answer said about the rate limit.
    pub(super) fn answered<T>(
        &mut self,
        lane: Lane,
        attempt: &Attempt<T>,
        rate: Option<RateHeaders>,
    ) {
        self.sent = !matches!(attempt, Attempt::HeldBack(_) | Attempt::NothingLeft(_));
        let Some(pacer) = &self.pacer else { return };
        let (now, operation) = (Instant::now(), self.operation);
        pacer.settle(|line| {
            line.observe(now, operation, rate);
            if let Attempt::Status { throttle: Some(throttle), .. } = attempt {
                line.pause(lane, rate, now + throttle.pause);
            }
        });
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(pacer) = &self.pacer {
            let (operation, sent) = (self.operation, self.sent);
            let now = Instant::now();
            pacer.settle(
                |line| {
                    if sent { line.answer(now, operation) } else { line.cancel(operation) }
                },
            );
        }
    }
}

/// Requests reserved for one transfer; what is left is given back on drop.
struct Tickets {
    pacer: Pacer,
    left: Mutex<Operations>,
}

impl Tickets {
    /// Takes the request reserved for `operation` out of the reservation, else another one;
    /// `false` when none is left.
    fn take(&self, operation: Operation) -> bool {
        let ticket = self.left.lock().unwrap_or_else(PoisonError::into_inner).take(operation);
        if let Some(ticket) = ticket {
            self.pacer.settle(|line| line.take_ticket(ticket, operation));
        }
        ticket.is_some()
    }
}

impl Reservation for Tickets {}

impl std::fmt::Debug for Tickets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tickets").field("left", &self.left).finish_non_exhaustive()
    }
}

impl Drop for Tickets {
    fn drop(&mut self) {
        let left = *self.left.get_mut().unwrap_or_else(PoisonError::into_inner);
        if left.count() > 0 {
            self.pacer.settle(|line| line.give_back(left));
        }
    }
}

#[cfg(test)]
mod tests;
