//! `/whoami`: the caller as this service knows it.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{RawQuery, State},
    response::Response,
};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{
    answer::{Failure, ok},
    openapi::entry::{Answer, Entry},
    query,
    state::AppState,
};
use crate::{
    auth::Identity,
    config::{Permission, QueuePattern},
    metrics::RateReading,
};

/// Who asks, what it may do, and how many requests to Genesys are left.
#[derive(Serialize, ToSchema)]
#[schema(as = WhoAmI)]
struct IdentityView<'a> {
    /// The name it is recorded by.
    caller: &'a str,
    /// All that it may do; `admin` implies the others.
    permissions: Vec<&'static str>,
    /// Patterns of the queues it may see and use; `*` alone for every queue.
    queues: Vec<&'a str>,
    /// Requests to Genesys, of all callers together; null while it is not known.
    #[schema(required)]
    budget: Option<BudgetView>,
}

/// The limit of requests to Genesys.
#[derive(Serialize, ToSchema)]
#[schema(as = RequestBudget)]
#[serde(rename_all = "camelCase")]
struct BudgetView {
    /// Requests in any minute: the configured limit, or Genesys' own when that is lower.
    per_minute: u64,
    /// Requests that are left now.
    left: u64,
    /// Seconds until all of them are left again, if nothing more is sent; 0 when they are.
    resets_in_seconds: u64,
}

impl From<RateReading> for BudgetView {
    fn from(reading: RateReading) -> Self {
        let part = u64::from(reading.whole_in.subsec_nanos() > 0);
        Self {
            per_minute: reading.limit,
            left: reading.left,
            resets_in_seconds: reading.whole_in.as_secs().saturating_add(part),
        }
    }
}

/// `GET /whoami`
pub(super) async fn show_caller(
    State(app): State<AppState>,
    Extension(identity): Extension<Arc<Identity>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Failure> {
    query::none(raw.as_deref())?;
    let caller = identity.caller();
    let queues = match caller.limits.queues.as_deref() {
        Some(patterns) => patterns.iter().map(QueuePattern::as_str).collect(),
        None => vec!["*"],
    };
    Ok(ok(&IdentityView {
        caller: caller.name.as_str(),
        permissions: identity.permissions().map(Permission::name).collect(),
        queues,
        budget: app.transfers.rate_budget().map(Into::into),
    }))
}

/// The operations of this module.
pub(super) fn entries() -> Vec<Entry> {
    let example = json!({
        "caller": "crm", "permissions": ["transfers:write", "transfers:read", "queues:read"],
        "queues": ["Support *"],
        "budget": {"perMinute": 300, "left": 287, "resetsInSeconds": 42},
    });
    let answer = Answer::new("The caller.").json::<IdentityView<'_>>(example);
    vec![
        Entry::get("/whoami", "showCaller", "See who you are and what you may do")
            .tag("Operations")
            .about("Any caller may ask. Genesys is not asked.")
            .answer(200, answer),
    ]
}
