//! `/health`: probes. They need no credentials and no place among the requests in hand.

use axum::{extract::State, response::Response};
use serde_json::json;

use super::{
    answer::{Failure, ok},
    state::AppState,
};
use crate::problem::Code;

/// `GET /health/live`: the process answers, nothing more.
pub(super) async fn live() -> Response {
    ok(&json!({"status": "live"}))
}

/// `GET /health/ready`: whether transfers can be carried out now, and if not, why.
pub(super) async fn ready(State(app): State<AppState>) -> Result<Response, Failure> {
    if app.stopping.is_cancelled() {
        let detail = "The service is stopping.";
        return Err(Failure::new(Code::ShuttingDown, detail).reasons(vec![detail.to_owned()]));
    }
    let mut troubles = app.service.troubles().await;
    troubles.extend(app.keyring.troubles());
    match troubles {
        reasons if reasons.is_empty() => Ok(ok(&json!({"status": "ready", "reasons": []}))),
        reasons => Err(Failure::new(Code::NotReady, reasons.join("; ")).reasons(reasons)),
    }
}
