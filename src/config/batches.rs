//! `[batches]`: many transfers under one id.

use super::reader::Reader;

/// `[batches]`
#[derive(Debug, Clone)]
pub struct Batches {
    /// Most calls of one batch.
    pub max_size: u32,
    /// Percent of the request limit that batches leave to single transfers.
    pub reserve: u32,
}

impl Batches {
    pub(super) fn read(from: &mut Reader) -> Self {
        Self {
            max_size: from.integer("batches.max_size", 1..=10_000),
            reserve: from.integer("batches.reserve", 0..=90),
        }
    }
}
