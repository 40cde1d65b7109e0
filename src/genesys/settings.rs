//! Settings of the organisation that matter to a transfer, kept as long as the queue map.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::{call::Operation, flight::Flight, upstream::Upstream, wire::ContactCenterSettings};
use crate::transfer::gateway::{CallContext, GatewayError, Lane};

const PATH: [&str; 5] = ["api", "v2", "routing", "settings", "contactcenter"];
/// Longest a load may take.
const LOAD_DEADLINE: Duration = Duration::from_secs(15);

/// The cached settings; loaded once however many ask.
#[derive(Clone)]
pub(super) struct OrganisationSettings(Arc<Shared>);

struct Shared {
    upstream: Upstream,
    ttl: Duration,
    loading: Flight<Result<bool, GatewayError>>,
    strips_skills: Mutex<Option<(bool, Instant)>>,
}

impl OrganisationSettings {
    /// Nothing known yet.
    pub(super) fn new(upstream: Upstream, ttl: Duration, tracker: TaskTracker) -> Self {
        Self(Arc::new(Shared {
            upstream,
            ttl,
            loading: Flight::new(tracker),
            strips_skills: Mutex::default(),
        }))
    }

    /// Whether blind transfers lose their skills.
    ///
    /// # Errors
    /// When it is not known and cannot be found out before `by`.
    pub(super) async fn strips_skills(&self, by: Instant) -> Result<bool, GatewayError> {
        let shared = Arc::clone(&self.0);
        let known = *shared.strips_skills.lock().unwrap_or_else(PoisonError::into_inner);
        match known {
            Some((strips, until)) if Instant::now() < until => Ok(strips),
            _ => self.0.loading.board(|| shared.load()).outcome(by).await?,
        }
    }
}

impl Shared {
    async fn load(self: Arc<Self>) -> Result<bool, GatewayError> {
        let ctx = CallContext::new(Instant::now() + LOAD_DEADLINE, Lane::Single);
        let read = self.upstream.read(&ctx, Operation::GetSettings, &PATH, &[]).await;
        let settings: ContactCenterSettings = read?;
        // Absent means the setting was never turned on.
        let strips = settings.remove_skills_from_blind_transfer.unwrap_or(false);
        let kept = (strips, Instant::now() + self.ttl);
        *self.strips_skills.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
        Ok(strips)
    }
}
