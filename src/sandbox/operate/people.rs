//! `/sandbox/settings`, `/sandbox/clients`, `/sandbox/tokens` and `/sandbox/scenarios`

use std::collections::BTreeSet;

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Oops, Order, Outcome, Told};
use crate::sandbox::{
    api::PERMISSIONS,
    faults::MAX_MS,
    scenarios::{self, Scenario},
    state::{EmptyQueue, State},
    world::Staleness,
};

pub(super) fn settings(order: &Order<'_>) -> Told {
    order.shared.with(|state| Told::ok(&state.behaviour))
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Changes {
    effect_delay_ms: Option<u64>,
    requests_per_minute: Option<u32>,
    rate_window_seconds: Option<u32>,
    token_lifetime_seconds: Option<u32>,
    max_page_size: Option<u32>,
    remove_skills_from_blind_transfer: Option<bool>,
    observation_lag_ms: Option<u64>,
    ghost_every: Option<u64>,
    ended_status: Option<u16>,
    empty_queue: Option<EmptyQueue>,
}

impl Changes {
    fn check(&self) -> Result<(), Oops> {
        let wrong = [
            (self.effect_delay_ms.is_some_and(|it| it > MAX_MS), "effectDelayMs: at most 3600000"),
            (self.requests_per_minute == Some(0), "requestsPerMinute: at least 1"),
            (
                self.rate_window_seconds.is_some_and(|it| !(1..=60).contains(&it)),
                "rateWindowSeconds: 1 to 60",
            ),
            (
                self.token_lifetime_seconds.is_some_and(|it| !(1..=172_800).contains(&it)),
                "tokenLifetimeSeconds: 1 to 172800",
            ),
            (
                self.max_page_size.is_some_and(|it| !(1..=500).contains(&it)),
                "maxPageSize: 1 to 500",
            ),
            (self.ended_status.is_some_and(|it| it != 404 && it != 409), "endedStatus: 404 or 409"),
        ];
        let found = wrong.into_iter().find(|(is_wrong, _)| *is_wrong);
        found.map_or(Ok(()), |(_, text)| Err(Oops::bad(text)))
    }

    fn apply(&self, state: &mut State) {
        fn set<T: Copy>(target: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *target = value;
            }
        }
        let now = &mut state.behaviour;
        set(&mut now.effect_delay_ms, self.effect_delay_ms);
        set(&mut now.requests_per_minute, self.requests_per_minute);
        set(&mut now.rate_window_seconds, self.rate_window_seconds);
        set(&mut now.token_lifetime_seconds, self.token_lifetime_seconds);
        set(&mut now.max_page_size, self.max_page_size);
        set(&mut now.remove_skills_from_blind_transfer, self.remove_skills_from_blind_transfer);
        set(&mut now.observation_lag_ms, self.observation_lag_ms);
        set(&mut now.ghost_every, self.ghost_every);
        set(&mut now.ended_status, self.ended_status);
        set(&mut now.empty_queue, self.empty_queue);
        state.world.staleness = Staleness {
            lag: std::time::Duration::from_millis(now.observation_lag_ms),
            ghost_every: now.ghost_every,
        };
    }
}

pub(super) fn change_settings(order: &Order<'_>) -> Outcome {
    let changes: Changes = order.body()?;
    changes.check()?;
    Ok(order.shared.with(|state| {
        changes.apply(state);
        Told::ok(&state.behaviour)
    }))
}

pub(super) fn clients(order: &Order<'_>) -> Told {
    order.shared.with(|state| {
        let items: Vec<Value> = state
            .access
            .clients()
            .map(|client| json!({"id": client.id, "denied": client.denied}))
            .collect();
        let live = state.access.live_tokens();
        Told::ok(json!({"items": items, "liveTokens": live, "permissions": PERMISSIONS}))
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewClient {
    id: String,
    secret: String,
}

pub(super) fn add_client(order: &Order<'_>) -> Outcome {
    let new: NewClient = order.body()?;
    if new.id.is_empty() || new.id.len() > 256 || new.secret.len() > 1024 {
        return Err(Oops::bad("id: 1 to 256 characters; secret: at most 1024"));
    }
    let put = order.shared.with(|state| state.access.put_client(&new.id, &new.secret));
    put.map_err(|text| {
        Oops::new(StatusCode::INSUFFICIENT_STORAGE, text, "change one that is there")
    })?;
    Ok(Told::created(json!({"id": new.id})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Denied {
    denied: BTreeSet<String>,
}

pub(super) fn permit(order: &Order<'_>, id: &str) -> Outcome {
    let body: Denied = order.body()?;
    if body.denied.iter().any(|name| !PERMISSIONS.contains(&name.as_str())) {
        return Err(Oops::bad(format!("denied: of {PERMISSIONS:?}")));
    }
    let denied = body.denied.clone();
    if order.shared.with(|state| state.access.deny(id, denied)) {
        return Ok(Told::ok(json!({"id": id, "denied": body.denied})));
    }
    let text = "there is no such client";
    Err(Oops::new(StatusCode::NOT_FOUND, text, "GET /sandbox/clients lists them"))
}

pub(super) fn revoke(order: &Order<'_>) -> Told {
    let revoked = order.shared.with(|state| state.access.revoke_all());
    Told::ok(json!({"revoked": revoked}))
}

pub(super) fn scenarios() -> Told {
    let items: Vec<Value> = Scenario::ALL
        .iter()
        .map(|scenario| json!({"name": scenario.name(), "about": scenario.about()}))
        .collect();
    Told::ok(json!({"items": items}))
}

pub(super) fn play(order: &Order<'_>, name: &str) -> Outcome {
    let Some(scenario) = Scenario::ALL.into_iter().find(|known| known.name() == name) else {
        let text = format!("{name:?}: there is no such scenario");
        let hint = "GET /sandbox/scenarios lists them";
        return Err(Oops::new(StatusCode::NOT_FOUND, text, hint));
    };
    scenarios::play(order.shared, scenario)?;
    Ok(Told::ok(json!({"scenario": name, "about": scenario.about()})))
}
