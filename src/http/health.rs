//! `/health`: probes. They need no credentials and no place among the requests in hand.

use axum::{extract::State, response::Response};
use serde_json::json;

use super::{
    answer::{Failure, ok},
    openapi::entry::{Answer, Entry},
    state::AppState,
    views::Health,
};
use crate::{problem::Code, transfer::Readiness};

/// `GET /health/live`: the process answers, nothing more.
pub(super) async fn live() -> Response {
    ok(&Health { status: "live", reasons: None })
}

/// `GET /health/ready`: whether transfers can be carried out now, and if not, why.
pub(super) async fn ready(State(app): State<AppState>) -> Result<Response, Failure> {
    if app.unready.is_cancelled() {
        let detail = "The service is stopping.";
        return Err(Failure::new(Code::ShuttingDown, detail).reasons(vec![detail.to_owned()]));
    }
    let Readiness { ready, reasons } = app.readiness().await;
    if ready {
        return Ok(ok(&Health { status: "ready", reasons: Some(reasons) }));
    }
    let detail = match reasons.as_slice() {
        [] => "Genesys has not been reached yet.".to_owned(),
        some => some.join("; "),
    };
    Err(Failure::new(Code::NotReady, detail).reasons(reasons))
}

/// The operations of this module.
pub(super) fn entries() -> Vec<Entry> {
    let live = Answer::new("The process answers.").json::<Health>(json!({"status": "live"}));
    let ready = json!({"status": "ready", "reasons": []});
    vec![
        Entry::get("/health/live", "isLive", "Whether the process answers")
            .tag("Health")
            .open()
            .watching()
            .answer(200, live),
        Entry::get("/health/ready", "isReady", "Whether transfers can be carried out now")
            .tag("Health")
            .open()
            .watching()
            .answer(200, Answer::new("They can.").json::<Health>(ready))
            .can_fail(&[Code::NotReady]),
    ]
}
