//! One rate limit among several replicas.

/// What a process has used of a minute's limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateUse {
    /// Requests a minute, all replicas together.
    pub limit: u64,
    /// Requests sent or promised within the last minute.
    pub spent: u64,
}

/// What a process may use of a minute's limit until the replicas next tell each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateShare {
    /// Requests the others have sent, or may send before the next round.
    pub others: u64,
    /// Requests this one may send in this round.
    pub left: u64,
    /// Among how many what was left was divided.
    pub parts: u32,
}

impl RateShare {
    /// Divides what is left of the limit among `alive` replicas and one that may yet start: that
    /// one must find something, and none may take all at once while the others have not heard.
    #[must_use]
    pub fn of(mine: RateUse, others: u64, alive: u32) -> Self {
        let parts = alive.saturating_add(1);
        let room = mine.limit.saturating_sub(mine.spent).saturating_sub(others);
        Self { others, left: room / u64::from(parts.max(1)), parts }
    }
}
