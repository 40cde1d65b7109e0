//! Who may go when: the window, Genesys' own ceiling, pauses after a 429, and the waiting line.
//! A state machine over instants; no clock, no tasks.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::{
    ceiling::{Ceiling, RateHeaders},
    share::Share,
    window::Window,
};
use crate::{
    metrics::RateReading,
    transfer::{
        gateway::Lane,
        rate::{RateShare, RateUse},
    },
};

const LANES: usize = 5;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// To let one request go.
    Request,
    /// To let one go that was reserved before.
    Ticket,
    /// To reserve this many.
    Reserve(u32),
}

impl Ask {
    /// Requests it takes out of the window.
    fn need(self) -> u64 {
        match self {
            Self::Request => 1,
            Self::Ticket => 0,
            Self::Reserve(calls) => u64::from(calls),
        }
    }
}

/// The answer to an [`Ask`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// Go.
    Granted,
    /// It would take until then, which is too late.
    Refused(Instant),
    /// Wait; [`Line::pump`] will name this number.
    Waiting(u64),
}

/// What became of one who waited.
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
}

/// The line of one OAuth client.
#[derive(Debug)]
pub(super) struct Line {
    /// Share of every limit, in percent, that batches and background loads leave untouched
    /// (`batches.reserve`).
    reserve: u64,
    window: Window,
    ceiling: Ceiling,
    share: Share,
    /// Whether those who wait were told times that no longer hold.
    news: bool,
    /// Per lane, the neediest first.
    paused: [Option<Instant>; LANES],
    waiting: [VecDeque<Waiter>; LANES],
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

impl Line {
    /// An empty line with a limit per minute, of which `reserve` percent are kept for single
    /// transfers.
    pub(super) fn new(limit: u32, reserve: u32, now: Instant) -> Self {
        Self {
            reserve: u64::from(reserve.min(100)),
            window: Window::new(limit, now),
            ceiling: Ceiling::Unknown,
            share: Share::default(),
            news: false,
            paused: [None; LANES],
            waiting: Default::default(),
            next_number: 0,
        }
    }

    /// Most requests that can ever be reserved at once in `lane`.
    pub(super) fn largest(&self, lane: Lane) -> u32 {
        let (ours, theirs) = self.spare(rank(lane));
        let window = self.window.limit() - ours;
        let ceiling = self.ceiling.allowed().map_or(u64::MAX, |allowed| allowed - theirs);
        let share = self.share.largest(self.window.limit());
        u32::try_from(window.min(ceiling).min(share)).unwrap_or(u32::MAX)
    }

    /// How many wait in `lane`.
    pub(super) fn waiting(&self, lane: Lane) -> usize {
        self.waiting.get(rank(lane)).map_or(0, VecDeque::len)
    }

    /// The limit in force and what is left of it.
    pub(super) fn budget(&mut self, now: Instant) -> RateReading {
        let limit = self.window.limit().min(self.ceiling.allowed().unwrap_or(u64::MAX));
        let busy = self.window.in_flight + self.window.reserved;
        let left = self.window.room(now).min(self.ceiling.room(now, busy));
        RateReading { limit, left }
    }

    /// Whether nobody waits.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.iter().all(VecDeque::is_empty)
    }

    /// Asks to go. One who could not go before `start_by` is refused at once.
    pub(super) fn enter(&mut self, now: Instant, lane: Lane, ask: Ask, start_by: Instant) -> Entry {
        let rank = rank(lane);
        let ahead = || self.waiting.iter().take(rank + 1).flatten();
        let first = ahead().next().is_none();
        let ahead: u64 = ahead().map(|waiter| waiter.ask.need()).sum();
        if first && self.fits(now, rank, ask) {
            self.grant(ask);
            return Entry::Granted;
        }
        let when = self.when(now, rank, ahead, ask);
        if when > start_by {
            return Entry::Refused(when);
        }
        let number = self.next_number;
        self.next_number += 1;
        if let Some(lane) = self.waiting.get_mut(rank) {
            lane.push_back(Waiter { number, ask, start_by });
        }
        Entry::Waiting(number)
    }

    /// Lets go whom it can, the neediest lane first and in order within a lane, and sends away
    /// who waits in vain.
    pub(super) fn pump(&mut self, now: Instant) -> Vec<(u64, Fate)> {
        let mut fates = self.send_away(now);
        if std::mem::take(&mut self.news) {
            fates.extend(self.refuse_hopeless(now));
        }
        for rank in 0..LANES {
            while let Some(ask) = self.head(rank) {
                if !self.fits(now, rank, ask) {
                    // Those behind are less needy: they must not overtake.
                    return fates;
                }
                self.grant(ask);
                let waiter = self.waiting.get_mut(rank).and_then(VecDeque::pop_front);
                fates.extend(waiter.map(|waiter| (waiter.number, Fate::Granted(ask))));
            }
        }
        fates
    }

    /// When [`Line::pump`] has something to do again, if nothing else happens.
    pub(super) fn next_change(&mut self, now: Instant) -> Option<Instant> {
        let rank = (0..LANES).find(|rank| self.head(*rank).is_some())?;
        let ask = self.head(rank)?;
        let turn = self.when(now, rank, 0, ask);
        let doomed = self.waiting.iter().flatten().map(|waiter| waiter.start_by).min();
        Some(doomed.map_or(turn, |doomed| doomed.min(turn)))
    }

    /// Takes one out of the line.
    pub(super) fn leave(&mut self, number: u64) {
        for lane in &mut self.waiting {
            lane.retain(|waiter| waiter.number != number);
        }
    }

    /// A request was let go and never left.
    pub(super) fn cancel(&mut self) {
        self.window.in_flight = self.window.in_flight.saturating_sub(1);
        self.ceiling.took_back(1);
        self.share.took_back(1);
    }

    /// A request that was let go is over.
    pub(super) fn answer(&mut self, now: Instant) {
        self.window.answer(now);
    }

    /// A reserved request is taken up: it is on its way from now on.
    pub(super) fn take_ticket(&mut self) {
        self.window.reserved = self.window.reserved.saturating_sub(1);
        self.window.in_flight += 1;
    }

    /// Reserved requests are given back.
    pub(super) fn give_back(&mut self, tickets: u32) {
        self.window.reserved = self.window.reserved.saturating_sub(u64::from(tickets));
        self.ceiling.took_back(u64::from(tickets));
        self.share.took_back(u64::from(tickets));
    }

    /// What of this minute's limit is used; holds until [`Line::keep_to`].
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
    pub(super) fn observe(&mut self, now: Instant, headers: Option<RateHeaders>) {
        self.ceiling.answered(now, headers);
    }

    /// After a 429 in `lane`: it rests until then, and so do the lanes with less need.
    pub(super) fn pause(&mut self, lane: Lane, until: Instant) {
        for paused in self.paused.iter_mut().skip(rank(lane)) {
            *paused = Some(paused.map_or(until, |before| before.max(until)));
        }
    }

    fn head(&self, rank: usize) -> Option<Ask> {
        self.waiting.get(rank)?.front().map(|waiter| waiter.ask)
    }

    fn paused_until(&self, rank: usize) -> Option<Instant> {
        self.paused.get(rank).copied().flatten()
    }

    fn send_away(&mut self, now: Instant) -> Vec<(u64, Fate)> {
        let mut fates = Vec::new();
        for rank in 0..LANES {
            let paused = self.paused_until(rank).unwrap_or(now);
            let in_vain = |waiter: &Waiter| waiter.start_by < paused.max(now);
            let Some(waiting) = self.waiting.get_mut(rank) else { continue };
            if !waiting.iter().any(in_vain) {
                continue;
            }
            let (gone, kept): (VecDeque<_>, _) = waiting.drain(..).partition(in_vain);
            *waiting = kept;
            for Waiter { number, ask, .. } in gone {
                fates.push((number, Fate::Refused(self.when(now, rank, 0, ask))));
            }
        }
        fates
    }

    /// What the other replicas used may have made the wait of some longer than they can wait: they
    /// are told now, not when it is too late.
    fn refuse_hopeless(&mut self, now: Instant) -> Vec<(u64, Fate)> {
        let (mut fates, mut ahead) = (Vec::new(), 0);
        for rank in 0..LANES {
            let waiting = self.waiting.get_mut(rank).map(std::mem::take).unwrap_or_default();
            let mut kept = VecDeque::with_capacity(waiting.len());
            for waiter in waiting {
                let when = self.when(now, rank, ahead, waiter.ask);
                if when > waiter.start_by {
                    fates.push((waiter.number, Fate::Refused(when)));
                } else {
                    ahead += waiter.ask.need();
                    kept.push_back(waiter);
                }
            }
            if let Some(lane) = self.waiting.get_mut(rank) {
                *lane = kept;
            }
        }
        fates
    }

    fn fits(&mut self, now: Instant, rank: usize, ask: Ask) -> bool {
        if self.paused_until(rank).is_some_and(|until| now < until) {
            return false;
        }
        let (ours, theirs) = self.spare(rank);
        if ask == Ask::Ticket {
            // It is among those on their way already.
            let busy = self.window.in_flight.saturating_sub(1);
            return self.ceiling.room_for_ticket(now, busy) >= 1;
        }
        let busy = self.window.in_flight + self.window.reserved;
        self.share.room() >= ask.need()
            && self.window.room(now) >= ask.need() + ours
            && self.ceiling.room(now, busy) >= ask.need() + theirs
    }

    /// What the lane must leave untouched of the window and of the ceiling.
    fn spare(&self, rank: usize) -> (u64, u64) {
        if rank < self::rank(Lane::Batch) {
            return (0, 0);
        }
        let share = |limit: u64| limit * self.reserve / 100;
        (share(self.window.limit()), self.ceiling.allowed().map_or(0, share))
    }

    fn when(&mut self, now: Instant, rank: usize, ahead: u64, ask: Ask) -> Instant {
        let (ours, theirs) = self.spare(rank);
        let mut when = self.paused_until(rank).map_or(now, |until| until.max(now));
        let held_down = if ask == Ask::Ticket {
            self.ceiling.room_for_ticket(now, self.window.in_flight.saturating_sub(1)) < 1
        } else {
            when = when.max(self.window.when(now, ahead + ask.need() + ours));
            if self.share.room() < ahead + ask.need() {
                when = when.max(self.share.next(now));
            }
            let busy = self.window.in_flight + self.window.reserved;
            self.ceiling.room(now, busy) < ahead + ask.need() + theirs
        };
        if held_down {
            // No end is known while the first answer of a new window is awaited: that is soon.
            when = when.max(self.ceiling.until().unwrap_or(now));
        }
        when
    }

    fn grant(&mut self, ask: Ask) {
        match ask {
            Ask::Request => self.window.in_flight += 1,
            Ask::Reserve(calls) => self.window.reserved += u64::from(calls),
            Ask::Ticket => {}
        }
        self.ceiling.let_go(ask.need());
        self.share.let_go(ask.need());
    }
}

#[cfg(test)]
mod tests;
