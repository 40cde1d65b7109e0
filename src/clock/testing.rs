//! A clock that stands still. What a test starts lives in its own runtime, sockets included, so that
//! everything which waits for a time comes when the test lets the time pass, however long the machine
//! takes. The tests of the whole service share this file.

use std::{sync::mpsc, time::Duration};

/// How long the clock stands still at most, so that a test which waits in vain fails.
const LONGEST: Duration = Duration::from_mins(3);

/// How exact timers are: one may come so much later.
const TICK: Duration = Duration::from_millis(1);

/// While it lives, no timer of the test's runtime fires by itself.
pub(crate) struct Frozen {
    _end: mpsc::Sender<()>,
}

impl Frozen {
    /// Stops the clock.
    pub(crate) fn now() -> Self {
        tokio::time::pause();
        // A paused clock jumps to the next timer when its runtime has nothing to do, although a
        // store or a socket may be at work. It does not while something blocks.
        let (end, ended) = mpsc::channel();
        tokio::task::spawn_blocking(move || ended.recv_timeout(LONGEST));
        Self { _end: end }
    }

    /// Lets time pass at once. Who waits for a store must have come to an end before, or it waits
    /// in vain.
    pub(crate) async fn passes(&self, time: Duration) {
        settle().await;
        tokio::time::advance(time + TICK).await;
        settle().await;
    }

    /// Lets time pass, `step` by `step`, until `done`: for what has no limit.
    pub(crate) async fn passes_until<T>(&self, step: Duration, done: impl Future<Output = T>) -> T {
        let mut done = std::pin::pin!(done);
        loop {
            tokio::select! {
                biased;
                value = &mut done => return value,
                () = self.passes(step) => {}
            }
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        tokio::time::resume();
    }
}

/// Lets what is between two sockets arrive, and all run that can.
async fn settle() {
    let kernel = tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(5)));
    // It does not panic, and nobody aborts it.
    let _ = kernel.await;
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}
