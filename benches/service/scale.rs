//! How much of everything.

use std::time::Duration;

/// The numbers of a run.
pub(crate) struct Scale {
    /// Starts of the program.
    pub starts: usize,
    /// Transfers of one caller, each beside a direct one.
    pub pairs: usize,
    /// How long a load lasts.
    pub load: Duration,
    /// How many callers ask at the same time.
    pub callers: &'static [usize],
    /// Transfers that wait at the same time.
    pub waiting: usize,
    /// Sizes of the queue list.
    pub queues: &'static [usize],
    /// Requests a minute, and for how many minutes they are used up.
    pub limit: u32,
    /// Length of the goodput run.
    pub goodput: Duration,
    /// Stored transfers.
    pub stored: &'static [usize],
    /// Transfers in flight when the process is killed.
    pub unsettled: usize,
}

impl Scale {
    /// For `cargo bench`.
    pub(crate) const fn full() -> Self {
        Self {
            starts: 20,
            pairs: 5_000,
            load: Duration::from_secs(10),
            callers: &[1, 16, 256],
            waiting: 10_000,
            queues: &[1_000, 20_000],
            limit: 300,
            goodput: Duration::from_mins(3),
            stored: &[1_000, 100_000, 1_000_000],
            unsettled: 1_000,
        }
    }

    /// For `cargo test`: to see that the parts work, not to learn anything.
    pub(crate) const fn smoke() -> Self {
        Self {
            starts: 1,
            pairs: 10,
            load: Duration::from_millis(100),
            callers: &[1, 4],
            waiting: 20,
            queues: &[600],
            limit: 30,
            goodput: Duration::from_secs(2),
            stored: &[20, 60],
            unsettled: 5,
        }
    }

    /// Whether this is [`smoke`](Self::smoke).
    pub(crate) const fn is_smoke(&self) -> bool {
        self.starts == 1
    }
}
