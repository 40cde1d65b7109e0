//! Batches over a call floor in memory, for tests with a paused clock.

mod bench;
mod clock;
mod floor;

use std::sync::Arc;

pub(crate) use bench::{BatchBench, order};
pub(crate) use floor::{Floor, Stand, call, from, to};

use super::{BatchState, Batches};
use crate::{
    config::BatchSettings,
    transfer::{
        Transfers,
        store::StoredResponse,
        testing::{MemoryStore, ScriptedGateway, parts, response},
    },
};

/// A response with id and size of the batch as its body.
fn plain_response(state: &BatchState) -> StoredResponse {
    response(202, format!("{} {}", state.batch.id, state.batch.total))
}

/// Batches of `transfers`, in the same store.
fn batches(transfers: &Arc<Transfers>, store: Arc<MemoryStore>) -> Arc<Batches> {
    let settings = BatchSettings { max_size: 10_000, reserve: 30 };
    Batches::new(Arc::clone(transfers), store, settings, plain_response)
}

/// The domain for tests of what surrounds it.
pub(crate) fn placeholder() -> (Arc<Transfers>, Arc<Batches>) {
    let store = Arc::<MemoryStore>::default();
    let parts = parts(Arc::<ScriptedGateway>::default(), Arc::clone(&store), true);
    let transfers = Transfers::new(parts);
    let batches = batches(&transfers, store);
    (transfers, batches)
}
