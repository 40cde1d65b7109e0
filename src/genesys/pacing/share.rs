//! One minute's limit among several replicas of the service. Each tells the others through the
//! store what it has used and may yet use before the next round, so that the limit holds although
//! each hears of the others a moment late. What one does not use is there for all in the next
//! round.

use std::time::Duration;

use tokio::time::Instant;

use crate::transfer::rate::RateShare;

/// How long a round lasts, as far as those who wait for the next one are told.
const ROUND: Duration = Duration::from_secs(1);

/// What this process may let go before it hears of the others again.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Share {
    /// `None` while the limit is not shared.
    part: Option<Part>,
    /// While the others are being told, nothing is let go.
    held: bool,
}

#[derive(Debug, Clone, Copy)]
struct Part {
    left: u64,
    parts: u64,
    until: Instant,
}

impl Share {
    /// The others are being told.
    pub(super) const fn hold(&mut self) {
        self.held = true;
    }

    /// The others could not be told: what was left goes on counting.
    pub(super) const fn go_on(&mut self) {
        self.held = false;
    }

    /// A new round begins.
    pub(super) fn begin(&mut self, now: Instant, share: RateShare) {
        let parts = u64::from(share.parts.max(1));
        *self =
            Self { part: Some(Part { left: share.left, parts, until: now + ROUND }), held: false };
    }

    /// Requests that may be let go now.
    pub(super) fn room(&self) -> u64 {
        if self.held { 0 } else { self.part.map_or(u64::MAX, |part| part.left) }
    }

    /// Most that can ever be let go in one round, of a minute with `limit` requests.
    pub(super) fn largest(&self, limit: u64) -> u64 {
        self.part.map_or(u64::MAX, |part| limit / part.parts)
    }

    /// When more can be let go, at the earliest.
    pub(super) fn next(&self, now: Instant) -> Instant {
        self.part.map_or(now, |part| part.until.max(now))
    }

    /// Notes that `requests` were let go.
    pub(super) fn let_go(&mut self, requests: u64) {
        if let Some(part) = &mut self.part {
            part.left = part.left.saturating_sub(requests);
        }
    }

    /// Notes that `requests` never left after all.
    pub(super) fn took_back(&mut self, requests: u64) {
        if let Some(part) = &mut self.part {
            part.left = part.left.saturating_add(requests);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::transfer::rate::RateUse;

    fn share(left: u64, parts: u32) -> RateShare {
        RateShare { others: 0, left, parts }
    }

    #[test]
    fn a_limit_that_is_not_shared_holds_nobody_back() {
        let mut whole = Share::default();
        whole.let_go(5);
        assert_eq!((whole.room(), whole.largest(10)), (u64::MAX, u64::MAX));
    }

    #[test]
    fn while_the_others_are_told_nothing_is_let_go() {
        let mut part = Share::default();
        part.begin(Instant::now(), share(4, 2));
        part.hold();
        assert_eq!(part.room(), 0);
        part.go_on();
        assert_eq!(part.room(), 4);
    }

    #[test]
    fn what_was_let_go_counts_until_the_next_round() {
        let mut part = Share::default();
        part.begin(Instant::now(), share(4, 2));
        part.let_go(3);
        assert_eq!(part.room(), 1);
        part.took_back(1);
        assert_eq!(part.room(), 2);
        part.begin(Instant::now(), share(3, 2));
        assert_eq!(part.room(), 3);
    }

    /// A replica: what it has used, and its share of this round.
    #[derive(Clone)]
    struct Replica {
        spent: u64,
        share: Share,
        claim: u64,
    }

    proptest! {
        /// Whatever the order of rounds and requests: never more than the limit in a minute.
        #[test]
        fn all_together_keep_to_the_limit(
            limit in 1_u64..400,
            steps in proptest::collection::vec((0_usize..3, 0_u64..200), 1..200),
        ) {
            let now = Instant::now();
            let mut replicas = vec![Replica { spent: 0, share: Share::default(), claim: 0 }; 3];
            for (who, wants) in steps {
                let others = replicas.iter().enumerate().filter(|(i, _)| *i != who).map(|(_, r)| r.claim).sum();
                let me = &mut replicas[who];
                let given = RateShare::of(RateUse { limit, spent: me.spent }, others, 3);
                me.claim = me.spent + given.left;
                me.share.begin(now, given);
                let sent = wants.min(me.share.room());
                me.share.let_go(sent);
                me.spent += sent;
                let all: u64 = replicas.iter().map(|r| r.spent).sum();
                prop_assert!(all <= limit, "{all} of {limit}");
            }
        }
    }
}
