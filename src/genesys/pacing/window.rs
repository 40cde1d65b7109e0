//! The local limit: never more than N requests in any 60 seconds, whatever the latency.
//!
//! A request counts from the moment it is let go until 60 s after its answer. Genesys saw it
//! somewhere in between, so no window of Genesys' own can hold more than N of ours. Memory is
//! bounded: answered requests are counted in steps of half a second, each forgotten only when
//! all of it is 60 s old.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    genesys::call::{Operation, Operations, PerOperation},
    support,
};

const STEP: Duration = Duration::from_millis(500);
/// 60 s in steps, plus the one that is only partly over.
const STEPS: usize = 121;
/// After this an answered request certainly no longer counts.
pub(super) const FORGOTTEN: Duration = Duration::from_millis(500 * STEPS as u64);

/// Requests of the last minute.
#[derive(Debug)]
pub(super) struct RequestWindow {
    limit: u64,
    answered: support::SlidingWindow<STEPS>,
    /// Let go, not answered yet.
    pub in_flight: OperationCounts,
    /// Reserved, not let go yet.
    pub reserved: OperationCounts,
    /// What other replicas of the service have taken out of the same minute.
    pub others: u64,
}

impl RequestWindow {
    /// An empty window; `limit` is at least 1.
    pub(super) fn new(limit: u32, now: Instant) -> Self {
        Self {
            limit: u64::from(limit.max(1)),
            answered: support::SlidingWindow::new(STEP, now),
            in_flight: OperationCounts::default(),
            reserved: OperationCounts::default(),
            others: 0,
        }
    }

    /// What of this minute is spent or promised here; what the other replicas are told.
    pub(super) fn spent(&mut self, now: Instant) -> u64 {
        self.answered.sum(now) + self.busy(Operations::ALL)
    }

    /// Requests of these operations that are let go and not answered, or reserved.
    pub(super) fn busy(&self, operations: Operations) -> u64 {
        self.in_flight.of(operations) + self.reserved.of(operations)
    }

    /// Most requests in any minute.
    pub(super) const fn limit(&self) -> u64 {
        self.limit
    }

    /// Requests that may be let go now.
    pub(super) fn room(&mut self, now: Instant) -> u64 {
        let spent = self.spent(now);
        self.limit.saturating_sub(spent + self.others)
    }

    /// Moves one request from "let go" to "answered".
    pub(super) fn answer(&mut self, now: Instant, operation: Operation) {
        self.in_flight.take(operation);
        self.answered.add(now);
    }

    /// The earliest time at which `need` requests fit, as far as can be told now: requests on
    /// their way are taken to be answered now.
    pub(super) fn when(&mut self, now: Instant, need: u64) -> Instant {
        // More than a whole minute's allowance: that many windows have to pass first.
        let windows = need.saturating_sub(1) / self.limit;
        let need = need - windows * self.limit;
        let later = FORGOTTEN.saturating_mul(u32::try_from(windows).unwrap_or(u32::MAX));
        let base = self.when_within(now, need);
        base.checked_add(later).unwrap_or(base)
    }

    fn when_within(&mut self, now: Instant, need: u64) -> Instant {
        match need.checked_sub(self.room(now)) {
            None | Some(0) => now,
            Some(more) => self.answered.when_forgotten(now, more).unwrap_or(now + FORGOTTEN),
        }
    }
}

/// Requests, counted by operation.
#[derive(Debug, Default)]
pub(super) struct OperationCounts {
    each: PerOperation<u64>,
    total: u64,
}

impl OperationCounts {
    /// How many there are of these operations.
    pub(super) fn of(&self, operations: Operations) -> u64 {
        if operations == Operations::ALL {
            return self.total;
        }
        operations.iter().map(|operation| self.each[operation]).sum()
    }

    /// Counts one more.
    pub(super) fn add(&mut self, operation: Operation) {
        self.each[operation] += 1;
        self.total += 1;
    }

    /// Counts one less, if there is one.
    pub(super) fn take(&mut self, operation: Operation) {
        if let Some(left) = self.each[operation].checked_sub(1) {
            self.each[operation] = left;
            self.total -= 1;
        }
    }
}
