//! Settings of the organisation that matter to a transfer, kept as long as the queue map.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    call::Operation,
    text::tidy,
    upstream::Upstream,
    wire::{ContactCenterSettings, analytics::OrganizationLimits},
};
use crate::{
    support::{Fresh, Source},
    transfer::gateway::{CallContext, GatewayError, Lane},
};

/// Whether blind transfers lose their skills.
pub(super) struct StripsSkills {
    /// The API host.
    pub upstream: Upstream,
    /// How long it is kept.
    pub ttl: Duration,
}

impl Source for StripsSkills {
    type Value = bool;
    type Error = GatewayError;

    const LONGEST_LOAD: Duration = Duration::from_secs(15);

    async fn load(&self, _: bool, _: bool) -> Result<Fresh<bool>, GatewayError> {
        let ctx = CallContext::new(Instant::now() + Self::LONGEST_LOAD, Lane::Single);
        let request = self.upstream.request(&ctx, Operation::GetSettings, &[]);
        let read =
            self.upstream.read(request, |text| serde_json::from_str::<ContactCenterSettings>(text));
        let (settings, _) = read.await?;
        // Absent means the setting was never turned on.
        let value = settings.remove_skills_from_blind_transfer.unwrap_or(false);
        let ends_at = Instant::now() + self.ttl;
        Ok(Fresh { value, refresh_at: ends_at, ends_at })
    }

    fn rest(&self, _: &GatewayError, _: bool) -> Duration {
        Duration::ZERO
    }
}

/// Longest name of a limit that is shown, in characters.
const NAME: usize = 100;

/// The organisation's limits of requests a minute.
pub(super) async fn limits(
    upstream: &Upstream,
    ctx: &CallContext,
) -> Result<Vec<(String, u64)>, GatewayError> {
    let request = upstream.request(ctx, Operation::GetLimits, &[]);
    let read =
        upstream.read(request, |text| serde_json::from_str::<OrganizationLimits>(text)).await;
    let (limits, _) = read.map_err(GatewayError::of_no_conversation)?;
    let a_minute = limits.entities.items.iter().filter(|it| it.key.contains("per.minute"));
    Ok(a_minute.filter_map(|limit| Some((tidy(&limit.key, NAME), limit.value?))).collect())
}
