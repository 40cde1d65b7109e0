//! A database whose operations are measured and traced.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::Instrument as _;

use super::{
    backend::{Backend, Trouble},
    operations::Operation,
};
use crate::{
    metrics::{Label as _, Metrics},
    trace,
    transfer::store::Durability,
};

/// See the module's text.
pub(super) struct Measured<B> {
    backend: B,
    metrics: Arc<Metrics>,
}

impl<B> Measured<B> {
    /// `backend`, measured into `metrics`.
    pub(super) const fn new(backend: B, metrics: Arc<Metrics>) -> Self {
        Self { backend, metrics }
    }

    async fn measured<O: Operation>(
        &self,
        work: impl Future<Output = Result<O::Output, Trouble>> + Send,
    ) -> Result<O::Output, Trouble> {
        let span = trace::store(O::NAME.label());
        let began = Instant::now();
        let done = work.instrument(span.clone()).await;
        self.metrics.stored(O::NAME, began.elapsed(), done.is_ok());
        if done.is_err() {
            trace::store_failed(&span);
        }
        done
    }
}

impl<B: Backend> Backend for Measured<B> {
    const SHARED: bool = B::SHARED;

    async fn write<O: Operation>(
        &self,
        operation: O,
        durability: Durability,
    ) -> Result<O::Output, Trouble> {
        self.measured::<O>(self.backend.write(operation, durability)).await
    }

    async fn read<O: Operation>(&self, operation: O) -> Result<O::Output, Trouble> {
        self.measured::<O>(self.backend.read(operation)).await
    }
}
