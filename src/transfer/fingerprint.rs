//! When two requests are the same request: by meaning, not by bytes.

use sha2::{Digest, Sha256};

use super::model::TransferRequest;

/// Hash of the request's canonical form: white space, member order, letter case of ids, escapes
/// and the order of skills do not matter; defaults given and left out are the same.
#[must_use]
pub fn fingerprint(request: &TransferRequest) -> [u8; 32] {
    let mut canonical = request.clone();
    if let Some(skills) = &mut canonical.skill_ids {
        skills.sort_unstable();
        skills.dedup();
    }
    // Serialising plain data to memory cannot fail; an empty form would only refuse a replay.
    let bytes = serde_json::to_vec(&canonical).unwrap_or_default();
    Sha256::digest(&bytes).into()
}
