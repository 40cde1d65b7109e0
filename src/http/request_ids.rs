//! Ids for requests that bring none.

use std::sync::Arc;

use jiff::Timestamp;

use crate::clock::{Clock, IdSource};

/// Makes ids for requests that bring none.
#[derive(Clone)]
pub struct RequestIds {
    clock: Arc<dyn Clock>,
    ids: Arc<IdSource>,
}

impl RequestIds {
    /// Ids that carry the time of `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, ids: Arc<IdSource>) -> Self {
        Self { clock, ids }
    }

    pub(super) fn make(&self) -> String {
        self.ids.next(self.clock.now()).to_string()
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
