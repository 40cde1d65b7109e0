//! One piece of work at a time, however many wait for it. The work runs in a task of its own, so
//! that one who waits can leave without ending it for the others.

use std::{
    future::Future,
    sync::{Mutex, PoisonError},
};

use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};
use tokio_util::task::TaskTracker;

use crate::transfer::gateway::GatewayError;

/// A place where at most one piece of work is under way.
pub(super) struct Flight<T> {
    tracker: TaskTracker,
    latest: Mutex<Option<watch::Receiver<Option<T>>>>,
}

/// Waits for the work's outcome.
pub(super) struct Boarding<T>(watch::Receiver<Option<T>>);

impl<T: Clone + Send + Sync + 'static> Flight<T> {
    /// Nothing under way; tasks belong to `tracker`.
    pub(super) fn new(tracker: TaskTracker) -> Self {
        Self { tracker, latest: Mutex::new(None) }
    }

    /// Joins the work under way, or starts it.
    pub(super) fn board<W, F>(&self, work: W) -> Boarding<T>
    where
        W: FnOnce() -> F,
        F: Future<Output = T> + Send + 'static,
    {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = latest.as_ref().filter(|outcome| is_under_way(outcome)) {
            return Boarding(running.clone());
        }
        let (tell, outcome) = watch::channel(None);
        let work = work();
        self.tracker.spawn(async move {
            tell.send_replace(Some(work.await));
        });
        *latest = Some(outcome.clone());
        Boarding(outcome)
    }

    /// The work under way, if any.
    pub(super) fn under_way(&self) -> Option<Boarding<T>> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.as_ref().filter(|outcome| is_under_way(outcome)).cloned().map(Boarding)
    }
}

impl<T: Clone> Boarding<T> {
    /// The outcome.
    ///
    /// # Errors
    /// `DeadlineExceeded` when it is not there by then; `Unavailable` when the task died.
    pub(super) async fn outcome(mut self, by: Instant) -> Result<T, GatewayError> {
        let ready = timeout_at(by, self.0.wait_for(Option::is_some)).await;
        let told = ready.map_err(|_| GatewayError::DeadlineExceeded)?;
        told.ok().and_then(|outcome| outcome.clone()).ok_or_else(|| GatewayError::Unavailable {
            retry_after: std::time::Duration::from_secs(1),
            detail: "a task of this service ended early".to_owned(),
        })
    }
}

fn is_under_way<T>(outcome: &watch::Receiver<Option<T>>) -> bool {
    // The sender goes away with the task, also when that panics.
    outcome.has_changed().is_ok() && outcome.borrow().is_none()
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicU32, Ordering},
        },
        time::Duration,
    };

    use tokio::sync::Notify;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[tokio::test]
    async fn fifty_who_come_together_share_one_piece_of_work() {
        let flight = Flight::new(TaskTracker::new());
        let (runs, gate) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let boardings: Vec<_> = (0..50)
            .map(|_| {
                let (runs, gate) = (Arc::clone(&runs), Arc::clone(&gate));
                flight.board(|| async move {
                    gate.notified().await;
                    runs.fetch_add(1, Ordering::SeqCst)
                })
            })
            .collect();
        gate.notify_one();
        for boarding in boardings {
            assert_eq!(boarding.outcome(soon()).await, Ok(0));
        }
    }

    #[tokio::test]
    async fn the_work_goes_on_when_the_first_to_ask_leaves() {
        let flight = Flight::new(TaskTracker::new());
        let gate = Arc::new(Notify::new());
        let held = Arc::clone(&gate);
        drop(flight.board(|| async move {
            held.notified().await;
            7
        }));
        let second = flight.board(|| async { 8 });
        gate.notify_one();
        assert_eq!(second.outcome(soon()).await, Ok(7));
    }

    #[tokio::test]
    async fn work_that_died_is_started_anew() {
        let flight: Flight<u32> = Flight::new(TaskTracker::new());
        let first = flight.board(|| async { panic!("on purpose") });
        assert!(matches!(first.outcome(soon()).await, Err(GatewayError::Unavailable { .. })));
        assert_eq!(flight.board(|| async { 2 }).outcome(soon()).await, Ok(2));
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_waits_too_long_is_told_so() {
        let flight: Flight<u32> = Flight::new(TaskTracker::new());
        let boarding = flight.board(std::future::pending);
        let by = Instant::now() + Duration::from_millis(5);
        assert_eq!(boarding.outcome(by).await, Err(GatewayError::DeadlineExceeded));
    }
}
