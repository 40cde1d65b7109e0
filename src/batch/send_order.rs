//! Commands of a batch leave in the order of its items, though several items are in flight at once.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use tokio::{sync::watch, time::Instant};

use super::places::{PlaceOrder, QueueStanding};
use crate::transfer::gateway::Sent;

/// The order in which the commands of one batch leave.
#[derive(Debug)]
pub(super) struct SendOrder {
    stand: watch::Sender<Stand>,
    places: Arc<Mutex<PlaceOrder>>,
    apart: Duration,
    gone: watch::Sender<Gone>,
}

/// How many items in flight cannot come back any more: they wait for what is to be seen, and none
/// has to wait for them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Gone {
    /// Their commands were taken.
    pub(super) taken: usize,
    /// Their commands may have been.
    pub(super) unclear: usize,
}

impl Gone {
    fn of(&mut self, way: Way) -> &mut usize {
        match way {
            Way::Taken => &mut self.taken,
            Way::Unclear => &mut self.unclear,
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Way {
    Taken,
    Unclear,
}

/// Counts an item in flight among those [`Gone`], once it is, for as long as this is kept.
#[derive(Debug)]
pub(super) struct Course {
    way: OnceLock<Way>,
    all: watch::Sender<Gone>,
}

impl Course {
    fn goes(&self, way: Way) {
        if self.way.set(way).is_ok() {
            self.all.send_modify(|gone| *gone.of(way) += 1);
        }
    }
}

impl Drop for Course {
    fn drop(&mut self) {
        if let Some(way) = self.way.get() {
            self.all.send_modify(|gone| {
                let count = gone.of(*way);
                *count = count.saturating_sub(1);
            });
        }
    }
}

#[derive(Debug, Default)]
struct Stand {
    drawn: u64,
    /// The slot that may go.
    current: u64,
    /// Slots behind it that are over already.
    over: BTreeSet<u64>,
    /// Those behind this one are not to go.
    halted: Option<u64>,
    /// The next one is not to go earlier.
    not_before: Option<Instant>,
}

impl SendOrder {
    /// An order without slots. A call that goes is given its place in `places`; the next follows no
    /// sooner than `apart` after it. Genesys answers a command before it has worked on it: two that
    /// follow at once may change places. Those that cannot come back are counted in `gone`.
    pub(super) fn new(
        places: Arc<Mutex<PlaceOrder>>,
        apart: Duration,
        gone: watch::Sender<Gone>,
    ) -> Arc<Self> {
        Arc::new(Self { stand: watch::Sender::default(), places, apart, gone })
    }

    /// The slot behind all given out before.
    pub(super) fn next(self: &Arc<Self>) -> SendSlot {
        let mut number = 0;
        self.stand.send_modify(|stand| {
            number = stand.drawn;
            stand.drawn += 1;
        });
        let course = Course { way: OnceLock::new(), all: self.gone.clone() };
        SendSlot {
            order: Arc::clone(self),
            number,
            place: OnceLock::new(),
            course: Arc::new(course),
            ended: AtomicBool::new(false),
        }
    }
}

/// One item's slot. It is over when its command was answered, or when dropped.
#[derive(Debug)]
pub(super) struct SendSlot {
    order: Arc<SendOrder>,
    number: u64,
    place: OnceLock<(QueueStanding, i64)>,
    course: Arc<Course>,
    ended: AtomicBool,
}

impl SendSlot {
    /// Whether the item can still come back; counts as long as it is kept.
    pub(super) fn course(&self) -> Arc<Course> {
        Arc::clone(&self.course)
    }

    /// Waits until all before have gone. `false`: one of them stays behind, so none may go.
    pub(super) async fn comes(&self) -> bool {
        let mut stand = self.order.stand.subscribe();
        let halted = |stand: &Stand| stand.halted.is_some_and(|at| at < self.number);
        let not_before = {
            let mine = |stand: &Stand| halted(stand) || stand.current == self.number;
            // The sender lives as long as the slot.
            match stand.wait_for(mine).await {
                Ok(stand) if !halted(&stand) => stand.not_before,
                Ok(_) | Err(_) => return false,
            }
        };
        if let Some(at) = not_before {
            tokio::time::sleep_until(at).await;
        }
        true
    }

    /// None behind may go: this one has to come back first.
    pub(super) fn halt(&self) {
        if self.ended.load(Ordering::Relaxed) {
            return;
        }
        self.order.stand.send_modify(|stand| {
            stand.halted = Some(stand.halted.map_or(self.number, |at| at.min(self.number)));
        });
    }

    /// The place the call gets when it goes.
    pub(super) fn takes(&self, standing: QueueStanding, priority: i64) {
        self.place.get_or_init(|| (standing, priority));
    }

    /// The command was answered, or not, by `now`: the next may go, if this one went.
    pub(super) fn pass(&self, sent: &Sent, now: Timestamp) {
        match sent {
            Sent::Taken(_) => self.course.goes(Way::Taken),
            Sent::Uncertain { .. } => self.course.goes(Way::Unclear),
            Sent::NotSent(_) | Sent::Refused(_) | Sent::Abandoned(_) | Sent::Finished(_) => {}
        }
        match sent {
            Sent::NotSent(_) => self.halt(),
            Sent::Refused(_) | Sent::Abandoned(_) => {}
            Sent::Taken(_) | Sent::Finished(_) | Sent::Uncertain { .. } => {
                if let Some((standing, priority)) = self.place.get().copied() {
                    let mut places =
                        self.order.places.lock().unwrap_or_else(PoisonError::into_inner);
                    places.give(standing, priority, now);
                }
                if !self.order.apart.is_zero() {
                    let at = Instant::now() + self.order.apart;
                    self.order.stand.send_modify(|stand| stand.not_before = Some(at));
                }
            }
        }
        self.end();
    }

    /// Its slot is over; again does nothing.
    pub(super) fn end(&self) {
        if self.ended.swap(true, Ordering::Relaxed) {
            return;
        }
        self.order.stand.send_modify(|stand| {
            stand.over.insert(self.number);
            while stand.over.remove(&stand.current) {
                stand.current += 1;
            }
        });
    }
}

impl Drop for SendSlot {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;
    use crate::{problem::UpstreamAnswer, transfer::gateway::Sent};

    const APART: Duration = Duration::from_millis(250);

    fn send_order() -> Arc<SendOrder> {
        SendOrder::new(Arc::default(), APART, watch::Sender::default())
    }

    async fn waits(slot: &SendSlot) -> bool {
        timeout(Duration::from_secs(1), slot.comes()).await.is_err()
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_over_early_lets_none_overtake() {
        let order = send_order();
        let (first, second, third) = (order.next(), order.next(), order.next());
        assert!(first.comes().await);
        drop(second);
        assert!(waits(&third).await);
        drop(first);
        assert!(third.comes().await);
    }

    #[tokio::test(start_paused = true)]
    async fn two_that_get_places_follow_each_other_with_some_time_between() {
        let order = send_order();
        let (first, second) = (order.next(), order.next());
        first.takes(QueueStanding { since: Timestamp::UNIX_EPOCH, base: 0 }, 3);
        let start = Instant::now();
        first.pass(&Sent::Taken(UpstreamAnswer::default()), Timestamp::UNIX_EPOCH);
        assert!(second.comes().await);
        assert!(start.elapsed() >= APART);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_stays_behind_holds_back_all_behind_it_and_none_before() {
        let order = send_order();
        let (first, second, third) = (order.next(), order.next(), order.next());
        second.halt();
        drop(second);
        assert!(first.comes().await);
        assert!(!third.comes().await);
    }

    #[tokio::test(start_paused = true)]
    async fn one_whose_command_was_taken_counts_as_gone_until_it_is_back() {
        let all = watch::Sender::default();
        let order = SendOrder::new(Arc::default(), APART, all.clone());
        for (sent, gone) in [
            (Sent::Taken(UpstreamAnswer::default()), Gone { taken: 1, unclear: 0 }),
            (
                Sent::Uncertain { detail: String::new(), answer: None },
                Gone { taken: 0, unclear: 1 },
            ),
            (Sent::Finished(UpstreamAnswer::default()), Gone::default()),
        ] {
            let slot = order.next();
            let course = slot.course();
            slot.pass(&sent, Timestamp::UNIX_EPOCH);
            assert_eq!(*all.borrow(), gone, "{sent:?}");
            drop((slot, course));
            assert_eq!(*all.borrow(), Gone::default(), "{sent:?}");
        }
    }
}
