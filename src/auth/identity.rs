//! A caller that was recognised, with what it may do.

use std::{collections::BTreeSet, sync::Arc};

use tokio_util::sync::CancellationToken;

use crate::{
    config::{ApiKey, Permission, QueuePattern},
    transfer::{
        Caller, Limits,
        model::{CallerName, Priority},
    },
};

/// A caller that was recognised, with what it may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub(super) caller: Caller,
    permissions: BTreeSet<Permission>,
    pub(super) requests_per_minute: Option<u32>,
    revoked: Revoked,
}

/// Fires when the key a caller used is no longer in force, or no longer allows the same, so that
/// responses in progress can end. All values are equal: this is no part of what a caller may do.
#[derive(Debug, Clone, Default)]
pub struct Revoked(CancellationToken);

impl Revoked {
    /// Returns when it is so; of an access token, which is valid until it expires, never.
    pub async fn wait(&self) {
        self.0.cancelled().await;
    }
}

impl PartialEq for Revoked {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Revoked {}

impl Identity {
    /// A caller with these permissions and limits, and any number of requests.
    pub(super) fn new(name: CallerName, permissions: BTreeSet<Permission>, limits: Limits) -> Self {
        let admin = permissions.contains(&Permission::Admin);
        let caller = Caller { name, admin, limits };
        Self { caller, permissions, requests_per_minute: None, revoked: Revoked::default() }
    }

    /// The one caller where no credentials are needed.
    pub(super) fn anonymous() -> Self {
        let permissions = BTreeSet::from([Permission::Admin]);
        Self::new(CallerName::new("anonymous"), permissions, Limits::default())
    }

    /// The caller of an entry in `auth.api_keys`. An entry without patterns limits nothing: the
    /// settings require patterns of every caller that moves calls, except an admin.
    pub(super) fn of_entry(entry: &ApiKey, moves_per_conversation: u32) -> Self {
        let patterns: Option<Arc<[QueuePattern]>> =
            (!entry.queues.is_empty()).then(|| entry.queues.clone().into());
        let limits = Limits {
            queues: patterns,
            max_priority: entry.max_priority.and_then(|highest| Priority::new(highest.into())),
            moves_per_conversation: Some(moves_per_conversation),
        };
        let name = CallerName::new(entry.caller.as_str());
        let identity = Self::new(name, entry.permissions.clone(), limits);
        Self { requests_per_minute: entry.requests_per_minute, ..identity }
    }

    /// The caller, as the domain knows it.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Whether the key it came with is still in force.
    #[must_use]
    pub fn revoked(&self) -> &Revoked {
        &self.revoked
    }

    /// The same caller with another key.
    pub(super) fn by_another_key(&self) -> Self {
        Self { revoked: Revoked::default(), ..self.clone() }
    }

    /// The key is no longer in force.
    pub(super) fn revoke(&self) {
        self.revoked.0.cancel();
    }

    /// All that it may do, in the order of [`Permission::ALL`]. `admin` implies all.
    pub fn permissions(&self) -> impl Iterator<Item = Permission> {
        Permission::ALL.iter().copied().filter(|one| self.lacks(&[*one]).is_empty())
    }

    /// Those of `needed` that are missing. `admin` implies all.
    #[must_use]
    pub fn lacks(&self, needed: &[Permission]) -> Vec<Permission> {
        let has =
            |permission: &Permission| self.caller.admin || self.permissions.contains(permission);
        needed.iter().copied().filter(|permission| !has(permission)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(permissions: &[Permission]) -> Identity {
        let permissions = permissions.iter().copied().collect();
        Identity::new(CallerName::new("crm"), permissions, Limits::default())
    }

    #[test]
    fn each_permission_allows_itself_only() {
        for given in Permission::ALL.iter().filter(|given| **given != Permission::Admin) {
            for asked in Permission::ALL {
                let lacks = with(&[*given]).lacks(&[*asked]);
                assert_eq!(lacks.is_empty(), given == asked, "{given} for {asked}");
            }
        }
    }

    #[test]
    fn admin_implies_all() {
        assert_eq!(with(&[Permission::Admin]).lacks(Permission::ALL), []);
        assert!(with(&[Permission::Admin]).caller().admin);
        assert!(!with(&[Permission::TransfersWrite]).caller().admin);
    }

    #[test]
    fn an_entry_becomes_a_limited_caller() {
        let entry = ApiKey {
            caller: "crm".to_owned(),
            sha256: vec![[1; 32]],
            permissions: [Permission::TransfersWrite].into(),
            queues: vec![QueuePattern::new("Support *").unwrap()],
            max_priority: Some(5),
            requests_per_minute: Some(60),
        };
        let identity = Identity::of_entry(&entry, 3);
        let limits = &identity.caller().limits;
        assert_eq!(identity.caller().name.as_str(), "crm");
        assert!(limits.covers("Support 1") && !limits.covers("Sales"));
        assert_eq!(limits.max_priority, Priority::new(5));
        assert_eq!(limits.moves_per_conversation, Some(3));
        assert_eq!(identity.requests_per_minute, Some(60));
    }
}
