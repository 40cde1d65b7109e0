//! The ledger, faults, settings, clients, tokens and scenarios.

use std::{collections::BTreeSet, time::Duration};

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{ControlError, ControlResult, created, id, index, number, ok, page, read};
use crate::sandbox::{
    faults::{FaultOrder, MAX_MS},
    handler::Context,
    ledger::{Move, Request},
    scenarios::{self, Scenario},
    state::Behaviour,
    world::Staleness,
};

/// Entries listed by one request at most.
const MAX_LISTED: usize = 10_000;

/// The newest entries, oldest of them first.
pub fn ledger(context: &mut Context<'_>, (): ()) -> ControlResult {
    let limit = number(context, "limit", 100)?.min(MAX_LISTED);
    let ledger = &context.state.ledger;
    let (requests, moves, totals) = (ledger.requests(), ledger.moves(), ledger.totals());
    ok(&json!({
        "totals": {"requests": totals.requests, "moves": totals.moves},
        "requests": requests.skip(ledger.requests().count().saturating_sub(limit)).collect::<Vec<_>>(),
        "moves": moves.skip(ledger.moves().count().saturating_sub(limit)).collect::<Vec<_>>(),
    }))
}

/// Requests in order of arrival, filtered.
pub fn requests(context: &mut Context<'_>, (): ()) -> ControlResult {
    let (limit, after) = (number(context, "limit", 1_000)?, number(context, "after", 0)?);
    let method = context.parameter("method");
    let path = context.parameter("path").unwrap_or_default();
    let commands = context.parameter("commands").is_some_and(|text| text != "false");
    let fits = |entry: &&Request| {
        usize::try_from(entry.seq).is_ok_and(|seq| seq > after)
            && method.as_deref().is_none_or(|it| it.eq_ignore_ascii_case(&entry.method))
            && entry.path.contains(&path)
            && (!commands || entry.is_command())
    };
    let found: Vec<&Request> = context.state.ledger.requests().filter(fits).collect();
    page(&found, (0, limit.min(MAX_LISTED)), |entry| json!(entry))
}

/// Moves in the order they took effect.
pub fn moves(context: &mut Context<'_>, (): ()) -> ControlResult {
    let (limit, after) = (number(context, "limit", 1_000)?, number(context, "after", 0)?);
    let conversation = id(context, "conversationId")?;
    let fits = |entry: &&Move| {
        usize::try_from(entry.seq).is_ok_and(|seq| seq > after)
            && conversation.is_none_or(|id| id == entry.conversation_id)
    };
    let found: Vec<&Move> = context.state.ledger.moves().filter(fits).collect();
    page(&found, (0, limit.min(MAX_LISTED)), |entry| json!(entry))
}

pub fn clear_ledger(context: &mut Context<'_>, (): ()) -> ControlResult {
    context.state.ledger.clear();
    ok(&json!({"cleared": true}))
}

pub fn faults(context: &mut Context<'_>, (): ()) -> ControlResult {
    ok(&json!({"items": context.state.faults.orders()}))
}

pub fn place(context: &mut Context<'_>, (): ()) -> ControlResult {
    let order: FaultOrder = read(context)?;
    let id = context.state.faults.place(order).map_err(ControlError::bad)?;
    created(&json!({"id": id}))
}

pub fn clear_faults(context: &mut Context<'_>, (): ()) -> ControlResult {
    context.state.faults.clear();
    ok(&json!({"cleared": true}))
}

pub fn cancel(context: &mut Context<'_>, id: u64) -> ControlResult {
    if context.state.faults.cancel(id) {
        return ok(&json!({"cancelled": id}));
    }
    let text = "there is no such order";
    Err(ControlError::new(StatusCode::NOT_FOUND, text, "GET /sandbox/faults lists them"))
}

pub fn settings(context: &mut Context<'_>, (): ()) -> ControlResult {
    ok(&context.state.behaviour)
}

pub fn change_settings(context: &mut Context<'_>, (): ()) -> ControlResult {
    let changes: Map<String, Value> = read(context)?;
    let mut members = json!(context.state.behaviour);
    if let Some(members) = members.as_object_mut() {
        members.extend(changes.into_iter().filter(|(_, value)| !value.is_null()));
    }
    let behaviour: Behaviour = serde_json::from_value(members)
        .map_err(|error| ControlError::bad(format!("the body: {error}")))?;
    check(&behaviour).map_err(ControlError::bad)?;
    context.state.world.staleness = Staleness {
        lag: Duration::from_millis(behaviour.observation_lag_ms),
        ghost_every: behaviour.ghost_every,
    };
    context.state.behaviour = behaviour;
    settings(context, ())
}

fn check(new: &Behaviour) -> Result<(), &'static str> {
    let rules = [
        (new.effect_delay_ms <= MAX_MS, "effectDelayMs: at most 3600000"),
        (new.details_lag_ms <= MAX_MS, "detailsLagMs: at most 3600000"),
        (new.requests_per_minute > 0, "requestsPerMinute: at least 1"),
        ((1..=60).contains(&new.rate_window_seconds), "rateWindowSeconds: 1 to 60"),
        ((1..=172_800).contains(&new.token_lifetime_seconds), "tokenLifetimeSeconds: 1 to 172800"),
        ((1..=500).contains(&new.max_page_size), "maxPageSize: 1 to 500"),
        ([404, 409].contains(&new.ended_status), "endedStatus: 404 or 409"),
    ];
    rules.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, text)| Err(text))
}

pub fn clients(context: &mut Context<'_>, (): ()) -> ControlResult {
    let access = &context.state.access;
    let items = access.clients().iter().map(|it| json!({"id": it.id, "denied": it.denied}));
    ok(&json!({
        "items": items.collect::<Value>(),
        "liveTokens": access.live_tokens(),
        "permissions": index::permissions(&context.core.rules),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewClient {
    id: String,
    secret: String,
}

pub fn add_client(context: &mut Context<'_>, (): ()) -> ControlResult {
    let new: NewClient = read(context)?;
    if new.id.is_empty() || new.id.len() > 256 || new.secret.len() > 1024 {
        return Err(ControlError::bad("id: 1 to 256 characters; secret: at most 1024"));
    }
    context.state.access.put_client(&new.id, &new.secret).map_err(|text| {
        ControlError::new(StatusCode::INSUFFICIENT_STORAGE, text, "change one that is there")
    })?;
    created(&json!({"id": new.id}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DenialBody {
    denied: BTreeSet<String>,
}

pub fn permit(context: &mut Context<'_>, id: String) -> ControlResult {
    let DenialBody { denied } = read(context)?;
    let known = index::permissions(&context.core.rules);
    if !denied.iter().all(|name| known.contains(&name.as_str())) {
        return Err(ControlError::bad(format!("denied: of {known:?}")));
    }
    if context.state.access.deny(&id, denied.clone()) {
        return ok(&json!({"id": Value::from(id), "denied": denied}));
    }
    let text = "there is no such client";
    Err(ControlError::new(StatusCode::NOT_FOUND, text, "GET /sandbox/clients lists them"))
}

pub fn revoke(context: &mut Context<'_>, (): ()) -> ControlResult {
    ok(&json!({"revoked": context.state.access.revoke_all()}))
}

pub fn list_scenarios(_: &mut Context<'_>, (): ()) -> ControlResult {
    ok(&json!({"items": index::scenarios()}))
}

pub fn play(context: &mut Context<'_>, name: String) -> ControlResult {
    let Some(scenario) = Scenario::ALL.into_iter().find(|known| known.name() == name) else {
        let text = format!("{name:?}: there is no such scenario");
        let hint = "GET /sandbox/scenarios lists them";
        return Err(ControlError::new(StatusCode::NOT_FOUND, text, hint));
    };
    scenarios::play(context.core, context.state, scenario)?;
    ok(&json!({"scenario": Value::from(name), "about": scenario.about()}))
}
