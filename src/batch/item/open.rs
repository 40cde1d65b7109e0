//! An item on its way to becoming a transfer.

use std::sync::Arc;

use tokio::time::Instant;

use super::super::{
    Item,
    trouble::{Strikes, Trouble},
};
use crate::transfer::{gateway::Usage, ids::TransferId};

/// An item that is not a transfer yet.
#[derive(Debug, Clone)]
pub(in crate::batch) struct Open {
    pub(in crate::batch) item: Item,
    /// Not to be looked at before.
    pub(in crate::batch) not_before: Option<Instant>,
    /// Stands aside so long for trouble of its own.
    pub(in crate::batch) aside: Option<Instant>,
    /// No other call of the batch is left that could show whether Genesys is well.
    pub(in crate::batch) alone: bool,
    /// The transfer that may have been recorded: the store did not say.
    pub(super) transfer_id: Option<TransferId>,
    /// What its calls to Genesys have cost since it became an item.
    pub(super) usage: Arc<Usage>,
    pub(super) laters: u32,
    pub(super) looks: Strikes,
    pub(super) commands: Strikes,
}

impl From<Item> for Open {
    fn from(item: Item) -> Self {
        Self {
            item,
            not_before: None,
            aside: None,
            alone: false,
            transfer_id: None,
            usage: Arc::default(),
            laters: 0,
            looks: Strikes::default(),
            commands: Strikes::default(),
        }
    }
}

impl Open {
    /// Not to be begun before.
    pub(in crate::batch) fn due(&self) -> Option<Instant> {
        self.not_before.max(self.aside)
    }

    /// How often its command was answered in vain.
    pub(in crate::batch) fn strikes(&self) -> u32 {
        self.commands.count()
    }
}

/// How an item left our hands.
#[derive(Debug)]
pub(in crate::batch) enum End {
    /// It is a transfer.
    Taken,
    /// It is a transfer that failed: what would have passed did not.
    GivenUp,
    /// It is a transfer of which nobody knows what became.
    Unclear(Trouble),
    /// To be looked at again in a while.
    Later,
    /// Something that passes is in the way of all.
    Trouble(Trouble),
    /// One before it stays behind.
    Halted,
    /// The batch is not ours any more, or not running.
    Stopped,
}
