//! The callers with API keys, by the hashes of their keys.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::identity::Identity;
use crate::{config::ApiKey, transfer::model::CallerName};

/// SHA-256 of a key. Keys are random 256-bit values, so a fast hash keeps them.
pub(super) fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// All API keys in force.
pub(super) struct ApiKeys(Vec<([u8; 32], Arc<Identity>)>);

impl ApiKeys {
    pub(super) fn new(entries: &[ApiKey], moves_per_conversation: u32) -> Self {
        let keys = entries.iter().flat_map(|entry| {
            let identity = Identity::of_entry(entry, moves_per_conversation);
            entry.sha256.iter().map(move |hash| (*hash, Arc::new(identity.by_another_key())))
        });
        Self(keys.collect())
    }

    /// The keys that come into force instead of `before`. Those of them that are no longer there,
    /// or no longer allow the same, are revoked.
    pub(super) fn instead_of(mut self, before: &Self) -> Self {
        for (hash, identity) in &before.0 {
            // The hashes are no secret: looked for as fast as can be.
            match self.0.iter_mut().find(|(kept, _)| kept == hash) {
                Some((_, kept)) if kept == identity => *kept = Arc::clone(identity),
                _ => identity.revoke(),
            }
        }
        self
    }

    /// Whose key `credential` is. Looks at every key, each in constant time, whether one fits or
    /// not.
    pub(super) fn find(&self, credential: &str) -> Option<Arc<Identity>> {
        let presented = hash(credential);
        let mut found = None;
        for (hash, identity) in &self.0 {
            if bool::from(hash.ct_eq(&presented)) {
                found = Some(identity);
            }
        }
        found.map(Arc::clone)
    }

    /// Whether a caller of this name has a key.
    pub(super) fn knows(&self, name: &CallerName) -> bool {
        self.0.iter().any(|(_, identity)| identity.caller.name == *name)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use futures_util::FutureExt as _;

    use super::*;

    fn entry(caller: &str, keys: &[&str]) -> ApiKey {
        ApiKey {
            caller: caller.to_owned(),
            sha256: keys.iter().map(|key| hash(key)).collect(),
            permissions: BTreeSet::new(),
            queues: Vec::new(),
            max_priority: None,
            requests_per_minute: None,
        }
    }

    #[test]
    fn every_key_of_a_caller_finds_it() {
        let keys = ApiKeys::new(&[entry("crm", &["a", "b"]), entry("ivr", &["c"])], 10);
        for (key, caller) in
            [("a", Some("crm")), ("b", Some("crm")), ("c", Some("ivr")), ("d", None), ("", None)]
        {
            let found = keys.find(key);
            let name = found.as_ref().map(|identity| identity.caller.name.as_str());
            assert_eq!(name, caller, "{key}");
        }
    }

    #[tokio::test]
    async fn a_key_is_revoked_when_it_is_gone_or_allows_something_else() {
        let other = |requests_per_minute| ApiKey { requests_per_minute, ..entry("bi", &["d"]) };
        let before =
            ApiKeys::new(&[entry("crm", &["a", "b"]), entry("ivr", &["c"]), other(None)], 10);
        let had = ["a", "b", "c", "d"].map(|key| before.find(key).unwrap());

        let after = ApiKeys::new(&[entry("crm", &["a"]), other(Some(1))], 10).instead_of(&before);

        let revoked = had.map(|identity| identity.revoked().wait().now_or_never().is_some());
        assert_eq!(revoked, [false, true, true, true]);
        let still = after.find("a").unwrap();
        drop(ApiKeys::new(&[], 10).instead_of(&after));
        assert!(still.revoked().wait().now_or_never().is_some(), "it is revoked later");
    }

    #[test]
    fn the_hash_itself_is_no_key() {
        let keys = ApiKeys::new(&[entry("crm", &["a"])], 10);
        // SHA-256 of "a".
        let hex = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb";
        assert!(keys.find(hex).is_none());
    }
}
