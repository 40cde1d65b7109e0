//! `/conversations`: what a transfer would do.

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
        failures::{GENESYS, QUEUE_LOOK_UP},
        fields,
    },
    query,
    schema::uuid,
    state::{AppState, Arrival},
    views::PreviewView,
};
use crate::{problem::Code, transfer::Caller};

/// `GET /conversations/{id}`
pub(super) async fn preview_transfer(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    Extension(arrival): Extension<Arrival>,
    id: Result<Path<String>, PathRejection>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Failure> {
    let target = query::target(raw.as_deref())?;
    let id = id.ok().and_then(|Path(text)| text.parse().ok()).ok_or_else(|| {
        Failure::new(Code::ConversationNotFound, "A conversation id must be a UUID.")
    })?;
    let preview = app.transfers.preview(&caller, id, target, arrival.deadline).await?;
    Ok(ok(&PreviewView::from(&preview)))
}

/// The operations of this module.
pub(super) fn entries() -> Vec<Entry> {
    let call = "c1000000-0000-4000-8000-000000000001";
    let preview = json!({
        "conversationId": call, "transferable": true, "code": null,
        "detail": "agent leg connected",
        "legs": [{
            "participantId": "b1000000-0000-4000-8000-000000000103", "purpose": "agent",
            "state": "connected", "held": false,
            "queueId": "a1000000-0000-4000-8000-000000000001", "replaced": true,
            "why": "the only connected agent",
        }],
        "target": {
            "id": "a1000000-0000-4000-8000-000000000002", "name": "Support Tier 2",
            "activity": {
                "waiting": 12, "longestWaitSeconds": 340, "interacting": 3,
                "agents": {"onQueue": 5, "idle": 0}, "estimatedWaitSeconds": null,
                "asOf": "2026-03-27T09:30:00.000Z",
            },
        },
        "skillsWillBeStripped": false, "waitedMinutes": 0, "priority": 0,
    });
    let about = "The call. What is no UUID names nothing: 404.";
    let operation = Entry::get(
        "/conversations/{id}",
        "previewTransfer",
        "See what a transfer would do",
    )
    .tag("Conversations")
    .about("Nothing is moved. With a target queue the answer also says how it would fare there.")
    .parameters([fields::in_path("id", about, uuid(), call)])
    .parameters(fields::query::<query::TargetQuery>())
    .answer(200, Answer::new("What would happen.").json::<PreviewView<'_>>(preview))
    .can_fail(&GENESYS)
    .can_fail(&QUEUE_LOOK_UP)
    .can_fail(&[Code::ConversationNotFound, Code::Conflict, Code::RejectedByGenesys]);
    vec![operation]
}
