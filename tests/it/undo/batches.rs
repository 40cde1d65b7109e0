//! Undo of batches.
