//! `/queues`: the cached queue map.

use axum::{
    Extension,
    extract::{Path, RawQuery, State, rejection::PathRejection},
    response::Response,
};
use serde_json::json;

use super::{
    answer::{Failure, ok},
    openapi::{
        entry::{Answer, Entry},
        failures::GENESYS,
        fields,
    },
    query,
    schema::uuid,
    state::{AppState, Arrival},
    views::{QueueView, QueuesView},
};
use crate::{problem::Code, transfer::Caller};

/// `GET /queues`
pub(super) async fn search_queues(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    Extension(arrival): Extension<Arrival>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Failure> {
    let (fragment, with_activity) = query::queues(raw.as_deref())?;
    if with_activity {
        let board = app.transfers.board(&caller, &fragment, arrival.deadline).await?;
        return Ok(ok(&QueuesView::new(&board.0, board.1)));
    }
    let listing = app.transfers.queues(&caller, &fragment, arrival.deadline).await?;
    Ok(ok(&QueuesView::new(&listing.items, listing.loaded_at)))
}

/// `GET /queues/{id}`
pub(super) async fn watch_queue(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    Extension(arrival): Extension<Arrival>,
    id: Result<Path<String>, PathRejection>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Failure> {
    query::none(raw.as_deref())?;
    let id = id.ok().and_then(|Path(text)| text.parse().ok());
    let id = id.ok_or_else(|| Failure::new(Code::NotFound, "A queue id must be a UUID."))?;
    let watched = app.transfers.watch_queue(&caller, id, arrival.deadline).await?;
    Ok(ok(&QueueView::from(&watched)))
}

/// `POST /queues/refresh`; a body is not looked at.
pub(super) async fn refresh_queues(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    Extension(arrival): Extension<Arrival>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Failure> {
    query::none(raw.as_deref())?;
    let listing = app.transfers.refresh_queues(&caller, arrival.deadline).await?;
    Ok(ok(&QueuesView::new(&listing.items, listing.loaded_at)))
}

/// Genesys may refuse to give the list.
const REFUSED: [Code; 2] = [Code::Conflict, Code::RejectedByGenesys];

/// The operations of this module.
pub(super) fn entries() -> Vec<Entry> {
    let queues = |about| {
        Answer::new(about).json::<QueuesView<'_>>(json!({
            "items": [{
                "id": "a1000000-0000-4000-8000-000000000002", "name": "Support Tier 2",
                "division": "Home",
            }],
            "loadedAt": "2026-03-27T09:30:00.000Z",
        }))
    };
    let id = "a1000000-0000-4000-8000-000000000002";
    let one = json!({
        "id": id, "name": "Support Tier 2", "division": "Home",
        "activity": {
            "waiting": 12, "longestWaitSeconds": 340, "interacting": 3,
            "agents": {"onQueue": 5, "idle": 0}, "estimatedWaitSeconds": 90,
            "asOf": "2026-03-27T09:30:00.000Z",
        },
    });
    vec![
        Entry::get("/queues/{id}", "watchQueue", "See what goes on in a queue")
            .tag("Queues")
            .about("At most 5 s old; older while the requests to Genesys are used up.")
            .parameters([fields::in_path(
                "id",
                "The queue. What is no UUID names nothing: 404.",
                uuid(),
                id,
            )])
            .answer(200, Answer::new("The queue and its activity.").json::<QueueView<'_>>(one))
            .can_fail(&GENESYS)
            .can_fail(&REFUSED)
            .can_fail(&[Code::NotFound]),
        Entry::get("/queues", "searchQueues", "Search the queues by name")
            .tag("Queues")
            .about("Looks into the cached map; a caller sees the queues it may use.")
            .parameters(fields::query::<query::QueueQuery>())
            .answer(200, queues("Queues whose name contains the text, by name."))
            .can_fail(&GENESYS)
            .can_fail(&REFUSED),
        Entry::post("/queues/refresh", "refreshQueues", "Load the queues from Genesys again")
            .tag("Queues")
            .about("For a queue that was just made or renamed. A body is not looked at.")
            .answer(200, queues("All queues the caller may use, just loaded."))
            .can_fail(&GENESYS)
            .can_fail(&REFUSED),
    ]
}
