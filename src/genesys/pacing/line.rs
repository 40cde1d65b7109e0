//! Which request may go when: the window, Genesys' own ceilings, pauses after a 429, and the
//! waiting line. A state machine over instants; no clock, no tasks.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use super::{
    ceiling::{Ahead, Ask, Ceilings, Hold, RateHeaders},
    share::Share,
    window::RequestWindow,
};
use crate::{
    genesys::call::{Operation, Operations, PerOperation},
    metrics::RateReading,
    transfer::{
        gateway::{BatchPace, Lane},
        model::CallerName,
        rate::{RateShare, RateUse},
    },
};

const LANES: usize = 5;

/// What a limit is for.
const MINUTE: Duration = Duration::from_mins(1);

/// The answer to an [`Ask`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AskResult {
    /// Go.
    Granted,
    /// It would take until then, which is too late.
    Refused(Instant),
    /// Wait; [`PacingQueue::pump`] will name this number.
    Waiting(u64),
}

/// What became of a request that waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Go.
    Granted(Ask),
    /// It will take until then, which is too late.
    Refused(Instant),
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    ask: Ask,
    start_by: Instant,
    /// Who asks; `None` for the service itself.
    caller: Option<CallerName>,
    /// See [`Waiting`].
    round: u64,
}

/// Those that wait in one lane, in the order in which they go: in rounds, with one place for each
/// caller in a round, so that many requests of one caller do not keep those of others waiting.
#[derive(Debug, Default)]
struct Waiting {
    line: VecDeque<Waiter>,
    /// The round of the request that went last.
    round: u64,
}

impl Waiting {
    /// The round that the next request of `caller` takes part in, and its place in the line.
    fn place(&self, caller: Option<&CallerName>) -> (u64, usize) {
        let mut own = self.line.iter().rev().filter(|waiter| waiter.caller.as_ref() == caller);
        let round = own.next().map_or(self.round, |last| last.round.max(self.round)) + 1;
        (round, self.line.partition_point(|waiter| waiter.round <= round))
    }
}

/// The line of one OAuth client.
#[derive(Debug)]
pub(super) struct PacingQueue {
    /// Share of every limit, in percent, that batches and background loads leave untouched
    /// (`batches.reserve`).
    reserve: u64,
    window: RequestWindow,
    ceilings: Ceilings,
    share: Share,
    /// Whether those that wait were told times that no longer hold.
    news: bool,
    /// Per lane, the neediest first.
    paused: [PerOperation<Option<Instant>>; LANES],
    waiting: [Waiting; LANES],
    next_number: u64,
}

const fn rank(lane: Lane) -> usize {
    match lane {
        Lane::Settling => 0,
        Lane::Command => 1,
        Lane::Single => 2,
        Lane::Batch => 3,
        Lane::Refresh => 4,
    }
}

impl PacingQueue {
    /// An empty line with a limit per minute, of which `reserve` percent are kept for single
    /// transfers.
    pub(super) fn new(limit: u32, reserve: u32, now: Instant) -> Self {
        Self {
            reserve: u64::from(reserve.min(100)),
            window: RequestWindow::new(limit, now),
            ceilings: Ceilings::default(),
            share: Share::default(),
            news: false,
            paused: [PerOperation::default(); LANES],
            waiting: Default::default(),
            next_number: 0,
        }
    }

    /// Most requests of these operations that can ever be reserved at once in `lane`.
    pub(super) fn largest(&self, lane: Lane, operations: Operations) -> u32 {
        let spare = self.spare(rank(lane));
        let limit = self.window.limit();
        let window = limit - limit * spare / 100;
        let ceiling = self.ceilings.largest(operations, spare).unwrap_or(u64::MAX);
        let share = self.share.largest(limit);
        u32::try_from(window.min(ceiling).min(share)).unwrap_or(u32::MAX)
    }

    /// How requests of a batch follow each other that needs `needed` more, the next ones for these
    /// operations. Spread over the minute they leave no long silence behind a burst.
    pub(super) fn batch_pace(
        &mut self,
        now: Instant,
        operations: Operations,
        needed: u64,
    ) -> BatchPace {
        let rank = rank(Lane::Batch);
        let hold = self.hold(now, rank, Ask::Reserve(operations), &Ahead::default());
        let spare = self.spare(rank);
        let usual = MINUTE / self.largest(Lane::Batch, operations).max(1);
        let limit = self.window.limit();
        let left = self.window.room(now).saturating_sub(limit * spare / 100);
        let mut apart = if needed > left { usual } else { Duration::ZERO };
        if let Some(theirs) = self.ceilings.of_all(now, &self.window) {
            let left = theirs.left.saturating_sub(theirs.limit * spare / 100);
            if needed > left {
                // What is left may be used up until their minute ends.
                let left = u32::try_from(left).unwrap_or(u32::MAX).max(1);
                let own = if theirs.whole_in.is_zero() { usual } else { theirs.whole_in / left };
                apart = apart.max(own.min(usual));
            }
        }
        BatchPace { apart, ready_in: hold.end(now).saturating_duration_since(now) }
    }

    /// How many wait in `lane`.
    pub(super) fn waiting(&self, lane: Lane) -> usize {
        self.waiting.get(rank(lane)).map_or(0, |waiting| waiting.line.len())
    }

    /// The limit of all requests that is in force, and what is left of it.
    pub(super) fn budget(&mut self, now: Instant) -> RateReading {
        let (limit, left) = (self.window.limit(), self.window.room(now));
        let whole_in = self.window.when(now, limit).saturating_duration_since(now);
        match self.ceilings.of_all(now, &self.window) {
            Some(theirs) => RateReading {
                limit: limit.min(theirs.limit),
                left: left.min(theirs.left),
                whole_in: whole_in.max(theirs.whole_in),
            },
            None => RateReading { limit, left, whole_in },
        }
    }

    /// Genesys' own limits, and what is left of each.
    pub(super) fn limits(&mut self, now: Instant) -> Vec<RateReading> {
        self.ceilings.each(now, &self.window).collect()
    }

    /// Whether none waits.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.iter().all(|waiting| waiting.line.is_empty())
    }

    /// Asks to go. One that could not go before `start_by` is refused at once.
    pub(super) fn enter(
        &mut self,
        now: Instant,
        lane: Lane,
        caller: Option<&CallerName>,
        ask: Ask,
        start_by: Instant,
    ) -> AskResult {
        let rank = rank(lane);
        let Some((round, place)) = self.waiting.get(rank).map(|waiting| waiting.place(caller))
        else {
            return AskResult::Refused(start_by);
        };
        let (ahead, first) = self.ahead(now, rank, place);
        let hold = self.hold(now, rank, ask, &ahead);
        if first && hold.is_none() {
            self.grant(ask);
            return AskResult::Granted;
        }
        let when = hold.end(now);
        if when > start_by {
            return AskResult::Refused(when);
        }
        let number = self.next_number;
        self.next_number += 1;
        if let Some(Waiting { line, .. }) = self.waiting.get_mut(rank) {
            self.news |= place < line.len();
            line.insert(place, Waiter { number, ask, start_by, caller: caller.cloned(), round });
        }
        AskResult::Waiting(number)
    }

    /// What waits in front of a place in a lane, and whether nothing there takes part in what all
    /// share.
    fn ahead(&mut self, now: Instant, rank: usize, place: usize) -> (Ahead, bool) {
        let (mut ahead, mut first) = (Ahead::default(), true);
        for lane in 0..=rank {
            let most = if lane == rank { place } else { usize::MAX };
            let mut index = 0;
            while let Some(ask) = self.ask_at(lane, index).filter(|_| index < most) {
                let aside = self.own_hold(now, lane, ask, &ahead).is_some();
                self.ceilings.queue(&mut ahead, ask, aside);
                first &= aside;
                index += 1;
            }
        }
        (ahead, first)
    }

    /// Lets go what may go, the neediest lane first and in order within a lane, and sends away
    /// what waits in vain.
    pub(super) fn pump(&mut self, now: Instant) -> Vec<(u64, Fate)> {
        let mut fates = self.refuse_hopeless(now);
        let mut ahead = Ahead::default();
        for rank in 0..LANES {
            let mut index = 0;
            while let Some(ask) = self.ask_at(rank, index) {
                let hold = self.hold(now, rank, ask, &ahead);
                if hold.own.is_some() {
                    self.ceilings.queue(&mut ahead, ask, true);
                    index += 1;
                    continue;
                }
                if hold.shared.is_some() {
                    // Those behind are less needy: they must not overtake.
                    return fates;
                }
                self.grant(ask);
                let Some(waiting) = self.waiting.get_mut(rank) else { continue };
                if let Some(waiter) = waiting.line.remove(index) {
                    waiting.round = waiting.round.max(waiter.round);
                    fates.push((waiter.number, Fate::Granted(ask)));
                }
            }
        }
        fates
    }

    /// When [`PacingQueue::pump`] has something to do again, if nothing else happens.
    pub(super) fn next_change(&mut self, now: Instant) -> Option<Instant> {
        let all = self.waiting.iter().flat_map(|waiting| &waiting.line);
        let mut soonest = all.map(|waiter| waiter.start_by).min()?;
        let mut ahead = Ahead::default();
        for rank in 0..LANES {
            let mut index = 0;
            while let Some(ask) = self.ask_at(rank, index) {
                let Some(until) = self.own_hold(now, rank, ask, &ahead) else {
                    return Some(soonest.min(self.hold(now, rank, ask, &ahead).end(now)));
                };
                soonest = soonest.min(until);
                self.ceilings.queue(&mut ahead, ask, true);
                index += 1;
            }
        }
        Some(soonest)
    }

    /// Takes one out of the line.
    pub(super) fn leave(&mut self, number: u64) {
        for waiting in &mut self.waiting {
            waiting.line.retain(|waiter| waiter.number != number);
        }
    }

    /// A request was let go and never left.
    pub(super) fn cancel(&mut self, operation: Operation) {
        self.window.in_flight.take(operation);
        self.ceilings.took_back(Operations::of(operation));
        self.share.took_back(1);
    }

    /// A request that was let go is over.
    pub(super) fn answer(&mut self, now: Instant, operation: Operation) {
        self.window.answer(now, operation);
    }

    /// A request that was reserved as `ticket` is taken up for `operation`: it is on its way from
    /// now on.
    pub(super) fn take_ticket(&mut self, ticket: Operation, operation: Operation) {
        self.window.reserved.take(ticket);
        self.window.in_flight.add(operation);
    }

    /// Reserved requests are given back.
    pub(super) fn give_back(&mut self, tickets: Operations) {
        for ticket in tickets.iter() {
            self.window.reserved.take(ticket);
        }
        self.ceilings.took_back(tickets);
        self.share.took_back(tickets.count());
    }

    /// What of this minute's limit is used; holds until [`PacingQueue::keep_to`].
    pub(super) fn used(&mut self, now: Instant) -> RateUse {
        self.share.hold();
        RateUse { limit: self.window.limit(), spent: self.window.spent(now) }
    }

    /// Keeps to a share of the limit, which other replicas use too.
    pub(super) fn keep_to(&mut self, now: Instant, share: Option<RateShare>) {
        let Some(share) = share else { return self.share.go_on() };
        self.window.others = share.others;
        self.share.begin(now, share);
        self.news = true;
    }

    /// Notes what an answer said about the rate limit.
    pub(super) fn observe(
        &mut self,
        now: Instant,
        operation: Operation,
        headers: Option<RateHeaders>,
    ) {
        self.ceilings.answered(now, &self.window, operation, headers);
    }

    /// After a 429 in `lane`: it rests until then, and so do the lanes with less need. When the
    /// headers say that a limit for only some operations is used up, these alone rest.
    pub(super) fn pause(&mut self, lane: Lane, headers: Option<RateHeaders>, until: Instant) {
        let used_up = headers.filter(RateHeaders::are_used_up);
        let scope = used_up.map_or(Operations::ALL, |headers| self.ceilings.scope_of(headers));
        for paused in self.paused.iter_mut().skip(rank(lane)) {
            for operation in scope.iter() {
                paused[operation] = paused[operation].max(Some(until));
            }
        }
    }

    fn ask_at(&self, rank: usize, index: usize) -> Option<Ask> {
        self.waiter_at(rank, index).map(|(ask, _)| ask)
    }

    fn waiter_at(&self, rank: usize, index: usize) -> Option<(Ask, Instant)> {
        let waiter = self.waiting.get(rank)?.line.get(index)?;
        Some((waiter.ask, waiter.start_by))
    }

    fn paused_until(&self, rank: usize, ask: Ask) -> Option<Instant> {
        let paused = self.paused.get(rank)?;
        ask.operations().iter().filter_map(|operation| paused[operation]).max()
    }

    /// Refuses what waits in vain: what is late or paused for too long; and after news, such as a
    /// share of the limit that other replicas used or a request that was put in front, all that
    /// cannot go in time. These are told now, not when it is too late.
    fn refuse_hopeless(&mut self, now: Instant) -> Vec<(u64, Fate)> {
        let news = std::mem::take(&mut self.news);
        let (mut fates, mut ahead) = (Vec::new(), Ahead::default());
        for rank in 0..LANES {
            let mut index = 0;
            while let Some((ask, start_by)) = self.waiter_at(rank, index) {
                let paused = self.paused_until(rank, ask).map_or(now, |until| until.max(now));
                if news || start_by < paused {
                    let hold = self.hold(now, rank, ask, &ahead);
                    if hold.end(now) > start_by {
                        let waiting = self.waiting.get_mut(rank);
                        let gone = waiting.and_then(|waiting| waiting.line.remove(index));
                        let fate = Fate::Refused(hold.end(now));
                        fates.extend(gone.map(|waiter| (waiter.number, fate)));
                        continue;
                    }
                    self.ceilings.queue(&mut ahead, ask, hold.own.is_some());
                }
                index += 1;
            }
        }
        fates
    }

    /// What holds a request back that others need not wait for.
    fn own_hold(&mut self, now: Instant, rank: usize, ask: Ask, ahead: &Ahead) -> Option<Instant> {
        self.their_hold(now, rank, ask, ahead).own
    }

    /// What holds a request back, with `ahead` in front of it.
    fn hold(&mut self, now: Instant, rank: usize, ask: Ask, ahead: &Ahead) -> Hold {
        let mut hold = self.their_hold(now, rank, ask, ahead);
        if let Ask::Ticket(_) = ask {
            return hold;
        }
        let need = ahead.all + ask.need();
        let with_spare = need + self.window.limit() * self.spare(rank) / 100;
        if self.window.room(now) < with_spare {
            hold.shared = hold.shared.max(Some(self.window.when(now, with_spare)));
        }
        if self.share.room() < need {
            hold.shared = hold.shared.max(Some(self.share.next(now)));
        }
        hold
    }

    /// The same by Genesys' limits and pauses alone.
    fn their_hold(&mut self, now: Instant, rank: usize, ask: Ask, ahead: &Ahead) -> Hold {
        let spare = self.spare(rank);
        let mut hold = self.ceilings.hold(now, &self.window, ask, ahead, spare);
        let paused = self.paused_until(rank, ask).filter(|until| now < *until);
        hold.own = hold.own.max(paused);
        hold
    }

    /// The percentage of each limit that a lane must leave untouched.
    const fn spare(&self, rank: usize) -> u64 {
        if rank < self::rank(Lane::Batch) { 0 } else { self.reserve }
    }

    fn grant(&mut self, ask: Ask) {
        match ask {
            Ask::Request(operation) => self.window.in_flight.add(operation),
            Ask::Reserve(operations) => {
                for operation in operations.iter() {
                    self.window.reserved.add(operation);
                }
            }
            Ask::Ticket(_) => {}
        }
        self.ceilings.let_go(ask);
        self.share.let_go(ask.need());
    }
}

#[cfg(test)]
mod tests;
