//! The way down: how the grace is divided, and in which order things end within it.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// So much of the grace is kept for the end of the stop, or half of the grace if that is less.
const ENDING: Duration = Duration::from_secs(2);

/// What the end of the grace is divided among, in this order; each has the same time, and what
/// it does not need is left to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Requests still in hand are answered.
    Answers = 1,
    /// What the work knows is recorded.
    Records,
    /// The process signs off from the store.
    SignOff,
    /// The last spans leave.
    Traces,
    /// The last lines of the log leave.
    Log,
    /// The process ends.
    Exit,
}

/// The grace of a stop.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grace {
    ends: Instant,
    ending: Duration,
}

impl Grace {
    /// A grace of `whole` that begins now.
    pub(super) fn begin(whole: Duration) -> Self {
        Self { ends: Instant::now() + whole, ending: ENDING.min(whole / 2) }
    }

    /// When what is in hand is no longer waited for.
    fn work_ends(self) -> Instant {
        self.ends.checked_sub(self.ending).unwrap_or(self.ends)
    }

    /// When `step` must be over.
    pub(super) fn end_of(self, step: Step) -> Instant {
        self.work_ends() + self.ending / Step::Exit as u32 * step as u32
    }
}

/// How a service is told to end.
#[derive(Clone, Default)]
pub(super) struct Stopping {
    /// The service says that it is not ready, and otherwise works as before; also when `begun`.
    pub(super) announced: CancellationToken,
    /// Nothing new is taken; pauses and background work end, what runs is finished.
    pub(super) begun: CancellationToken,
    /// What is still in hand is answered and recorded as it stands.
    pub(super) over: CancellationToken,
    /// Connections are cut.
    pub(super) cut: CancellationToken,
    /// A second signal: everything is cut.
    pub(super) now: CancellationToken,
}

impl Stopping {
    pub(super) fn new() -> Self {
        let (begun, now) = (CancellationToken::new(), CancellationToken::new());
        let (announced, cut) = (begun.child_token(), now.child_token());
        Self { announced, begun, over: CancellationToken::new(), cut, now }
    }

    /// Ends a service within `grace`. For the first `delay` of it the service takes requests as
    /// before, and only says that it is not ready; a second signal ends the delay. Then end
    /// `server`, which goes on until its connections are done or cut; the work on `tracker`; and,
    /// when all work has ended, `sign_off`. Returns what `server` came to; `None` when that was not
    /// waited for.
    pub(super) async fn wind_down<T>(
        &self,
        grace: Grace,
        delay: Duration,
        server: impl Future<Output = T>,
        tracker: &TaskTracker,
        sign_off: impl Future<Output = ()>,
    ) -> Option<T> {
        self.announced.cancel();
        let delayed = sleep_until(grace.work_ends().min(Instant::now() + delay));
        let _ = self.now.run_until_cancelled(delayed).await;
        self.begun.cancel();
        let clockwork = async {
            sleep_until(grace.work_ends()).await;
            self.over.cancel();
            sleep_until(grace.end_of(Step::Answers)).await;
            self.cut.cancel();
            std::future::pending().await
        };
        let way_down = async {
            let served = timeout_at(grace.end_of(Step::Records), server).await.ok();
            tracker.close();
            let work = timeout_at(grace.end_of(Step::Records), tracker.wait());
            let work = self.now.run_until_cancelled(work).await;
            match work {
                Some(Ok(())) => {
                    let sign_off = timeout_at(grace.end_of(Step::SignOff), sign_off);
                    let _ = self.now.run_until_cancelled(sign_off).await;
                }
                Some(Err(_)) => {
                    tracing::warn!("some work was not finished; the next start resumes it");
                }
                None => {}
            }
            served
        };
        tokio::select! {
            served = way_down => served,
            never = clockwork => never,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::pending};

    use super::*;

    /// What of a service does not end by itself.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Hangs {
        Nothing,
        Connections,
        Server,
        Work,
        SignOff,
    }

    /// Ends a service with a grace of `whole`; how long that takes on a paused clock, and whether it
    /// signed off.
    async fn stop(hangs: Hangs, whole: Duration) -> (Duration, bool) {
        let (stopping, tracker) = (Stopping::new(), TaskTracker::new());
        let (over, cut) = (stopping.over.clone(), stopping.cut.clone());
        let server = async {
            match hangs {
                Hangs::Connections => cut.cancelled().await,
                Hangs::Server => pending().await,
                _ => {}
            }
        };
        tracker.spawn(async move {
            match hangs {
                Hangs::Work => pending().await,
                // As calls to Genesys and waits of callers do.
                _ => over.cancelled().await,
            }
        });
        let signed_off = Cell::new(false);
        let sign_off = async {
            if hangs == Hangs::SignOff {
                pending::<()>().await;
            }
            signed_off.set(true);
        };
        let grace = Grace::begin(whole);
        let began = Instant::now();
        stopping.wind_down(grace, whole / 4, server, &tracker, sign_off).await;
        (began.elapsed(), signed_off.get())
    }

    #[tokio::test(start_paused = true)]
    async fn during_the_delay_the_service_only_says_that_it_is_not_ready() {
        let (whole, delay) = (Duration::from_secs(20), Duration::from_secs(5));
        let (stopping, tracker) = (Stopping::new(), TaskTracker::new());
        let began = Instant::now();
        let times = async {
            stopping.announced.cancelled().await;
            let announced = began.elapsed();
            stopping.begun.cancelled().await;
            (announced, began.elapsed())
        };
        let grace = Grace::begin(whole);
        let stop = stopping.wind_down(grace, delay, async {}, &tracker, async {});
        let ((announced, begun), _) = tokio::join!(times, stop);
        assert!(announced < delay, "{announced:?}");
        assert!(begun >= delay && begun < whole, "{begun:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_signal_ends_the_delay() {
        let (stopping, tracker) = (Stopping::new(), TaskTracker::new());
        let began = Instant::now();
        stopping.now.cancel();
        let (grace, delay) = (Grace::begin(ENDING * 10), ENDING * 5);
        stopping.wind_down(grace, delay, async {}, &tracker, async {}).await;
        assert!(began.elapsed() < delay, "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_hangs_a_stop_keeps_within_its_grace() {
        for whole in
            [Duration::ZERO, Duration::from_millis(100), Duration::from_secs(2), ENDING * 12]
        {
            for hangs in
                [Hangs::Nothing, Hangs::Connections, Hangs::Server, Hangs::Work, Hangs::SignOff]
            {
                let (took, _) = stop(hangs, whole).await;
                // Timers have a resolution of a millisecond.
                let most = whole + Duration::from_millis(1);
                assert!(took <= most, "{hangs:?} with a grace of {whole:?}: {took:?}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_for_genesys_or_a_caller_is_cut_in_time_to_record_it_and_sign_off() {
        for hangs in [Hangs::Nothing, Hangs::Connections] {
            let (took, signed_off) = stop(hangs, Duration::from_secs(20)).await;
            assert!(signed_off, "{hangs:?}");
            assert!(took >= Duration::from_secs(18), "it had its time: {hangs:?}, {took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_still_works_does_not_sign_off() {
        assert!(!stop(Hangs::Work, Duration::from_secs(20)).await.1);
    }

    #[tokio::test(start_paused = true)]
    async fn each_step_has_time_of_its_own() {
        let steps =
            [Step::Answers, Step::Records, Step::SignOff, Step::Traces, Step::Log, Step::Exit];
        for whole in [1, 2, 25, 600].map(Duration::from_secs) {
            let grace = Grace::begin(whole);
            let ends = steps.map(|step| grace.end_of(step));
            assert!(grace.work_ends() < ends[0] && ends.is_sorted_by(|a, b| a < b), "{whole:?}");
            assert!(ends[5] <= grace.ends, "{whole:?}");
        }
    }
}
