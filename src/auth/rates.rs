//! Requests per minute and caller: never more than allowed in any 60 seconds.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::transfer::model::CallerName;

/// The time over which requests are counted.
const WINDOW: Duration = Duration::from_mins(1);

/// Requests this close together are counted as one group, which leaves the window with its last
/// one. It bounds the memory of a caller to 61 groups.
const GROUP: Duration = Duration::from_secs(1);

/// The counts of all callers that have a limit. Their number is bounded by the settings.
pub(super) struct Rates(Mutex<HashMap<CallerName, RateWindow>>);

#[derive(Default)]
struct RateWindow {
    groups: VecDeque<RateBucket>,
    total: u64,
}

struct RateBucket {
    began: Instant,
    latest: Instant,
    count: u64,
}

impl Rates {
    pub(super) fn new() -> Self {
        Self(Mutex::default())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CallerName, RateWindow>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request of `caller` at `now`, of which it may make `most` in 60 seconds.
    ///
    /// # Errors
    /// How long until there is room again; the request is not counted then.
    pub(super) fn count(
        &self,
        caller: &CallerName,
        most: u32,
        now: Instant,
    ) -> Result<(), Duration> {
        let mut callers = self.lock();
        if let Some(window) = callers.get_mut(caller) {
            return window.count(most, now);
        }
        callers.entry(caller.clone()).or_default().count(most, now)
    }

    /// Forgets the callers that `stays` does not name.
    pub(super) fn keep_only(&self, stays: impl Fn(&CallerName) -> bool) {
        self.lock().retain(|caller, _| stays(caller));
    }
}

impl RateWindow {
    fn count(&mut self, most: u32, now: Instant) -> Result<(), Duration> {
        self.forget_before(now);
        match self.groups.front() {
            Some(oldest) if self.total >= u64::from(most) => {
                return Err((oldest.latest + WINDOW).saturating_duration_since(now));
            }
            _ => {}
        }
        self.total += 1;
        match self.groups.back_mut() {
            Some(group) if now.saturating_duration_since(group.began) < GROUP => {
                group.latest = group.latest.max(now);
                group.count += 1;
            }
            _ => self.groups.push_back(RateBucket { began: now, latest: now, count: 1 }),
        }
        Ok(())
    }

    fn forget_before(&mut self, now: Instant) {
        while let Some(oldest) = self.groups.front()
            && now.saturating_duration_since(oldest.latest) >= WINDOW
        {
            self.total = self.total.saturating_sub(oldest.count);
            self.groups.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn crm() -> CallerName {
        CallerName::new("crm")
    }

    #[test]
    fn the_next_request_is_refused_until_the_first_is_a_minute_old() {
        let rates = Rates::new();
        let start = Instant::now();
        for second in [0, 10, 20] {
            let at = start + Duration::from_secs(second);
            assert_eq!(rates.count(&crm(), 3, at), Ok(()));
        }
        let later = |second: u64| rates.count(&crm(), 3, start + Duration::from_secs(second));
        assert_eq!(later(30), Err(Duration::from_secs(30)));
        assert_eq!(later(59), Err(Duration::from_secs(1)));
        assert_eq!(later(60), Ok(()));
        assert_eq!(later(60), Err(Duration::from_secs(10)));
    }

    #[test]
    fn callers_are_counted_apart() {
        let rates = Rates::new();
        let now = Instant::now();
        assert_eq!(rates.count(&crm(), 1, now), Ok(()));
        assert_eq!(rates.count(&CallerName::new("ivr"), 1, now), Ok(()));
        assert!(rates.count(&crm(), 1, now).is_err());
    }

    #[test]
    fn callers_that_are_gone_are_forgotten() {
        let rates = Rates::new();
        let now = Instant::now();
        rates.count(&crm(), 1, now).unwrap();
        rates.keep_only(|caller| caller.as_str() != "crm");
        assert!(rates.lock().is_empty());
    }

    #[test]
    fn a_caller_takes_little_memory_however_much_it_sends() {
        let rates = Rates::new();
        let start = Instant::now();
        for step in 0..30_000 {
            let _ = rates.count(&crm(), u32::MAX, start + Duration::from_millis(step * 10));
        }
        assert!(rates.lock()[&crm()].groups.len() <= 61);
    }

    proptest! {
        #[test]
        fn no_minute_ever_holds_more_than_allowed_and_the_wait_is_enough(
            gaps in proptest::collection::vec(0_u64..20_000, 1..80),
            most in 1_u32..6,
        ) {
            let rates = Rates::new();
            let mut now = Instant::now();
            let mut taken: Vec<Instant> = Vec::new();
            for gap in gaps {
                now += Duration::from_millis(gap);
                if let Err(wait) = rates.count(&crm(), most, now) {
                    prop_assert!(wait <= WINDOW);
                    now += wait;
                    prop_assert_eq!(rates.count(&crm(), most, now), Ok(()));
                }
                taken.push(now);
                let recent = taken.iter().filter(|at| now.duration_since(**at) < WINDOW).count();
                prop_assert!(recent <= most as usize, "{recent} of {most}");
            }
        }
    }
}
