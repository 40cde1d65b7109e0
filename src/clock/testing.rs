//! A clock that stands still. What a test starts lives in its own runtime, sockets included, so that
//! everything which waits for a time comes when the test lets the time pass, however long the machine
//! takes. The tests of the whole service share this file.

use std::{sync::mpsc, time::Duration};

use tokio::task::JoinHandle;

/// How long the clock stands still at most: a test that waits in vain fails then.
const LONGEST: Duration = Duration::from_mins(5);

/// How exact timers are: one may come so much later.
const TICK: Duration = Duration::from_millis(1);

/// While it lives, no timer of the test's runtime fires by itself.
pub(crate) struct Frozen {
    standing: JoinHandle<()>,
    _end: mpsc::Sender<()>,
}

impl Frozen {
    /// Stops the clock.
    pub(crate) fn now() -> Self {
        tokio::time::pause();
        // A paused clock jumps to the next timer when its runtime has nothing to do, although a
        // store or a socket may be at work. It does not while something blocks.
        let (end, ended) = mpsc::channel();
        let standing = tokio::task::spawn_blocking(move || {
            // `Err` either way: the time has passed, or the clock goes on.
            let _ = ended.recv_timeout(LONGEST);
        });
        Self { standing, _end: end }
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
        // From then on the clock went by itself, and what came proves nothing.
        let in_vain = self.standing.is_finished() && !std::thread::panicking();
        assert!(!in_vain, "what should come without any time did not come within {LONGEST:?}");
    }
}

/// Lets what is between two sockets arrive, and all run that can.
async fn settle() {
    let kernel = tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(5)));
    // It does not panic, and nothing aborts it.
    let _ = kernel.await;
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}
