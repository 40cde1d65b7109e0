//! The service's public face: routes, what surrounds them, and the server that listens.
//!
//! A request flows through [`layers`] to a handler, which reads it ([`head`], [`body`],
//! [`requests`], [`query`]), makes one call to the domain and shows the result ([`views`]). What
//! goes wrong anywhere is a [`answer::Failure`] and becomes `application/problem+json` in one
//! place.

use axum::{
    Router,
    http::{Method, StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::{get, post},
};

mod access;
mod answer;
mod body;
mod conversations;
mod fields;
mod head;
mod health;
mod json;
mod layers;
mod observe;
mod problems;
mod query;
mod queues;
mod requests;
mod server;
mod state;
#[cfg(test)]
mod tests;
mod transfers;
mod views;

pub use server::{Finished, Shutdown, serve};
pub use state::{AppState, RequestIds};
pub use views::JsonAnswers;

use crate::problem::Code;
use answer::Failure;

/// All routes of the service, with everything around them.
pub fn router(app: &AppState) -> Router {
    let open = Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/problems", get(problems::list_problems))
        .route("/problems/{code}", get(problems::explain_problem));
    let closed = Router::new()
        .route("/transfers", get(transfers::list_transfers).post(transfers::create_transfer))
        .route("/transfers/{id}", get(transfers::find_transfer))
        .route("/transfers/{id}/settle", post(transfers::settle_transfer))
        .route("/conversations/{id}", get(conversations::preview_transfer))
        .route("/queues", get(queues::search_queues))
        .route("/queues/refresh", post(queues::refresh_queues));
    let open = open.fallback(no_such_path).method_not_allowed_fallback(other_method);
    let closed = closed.method_not_allowed_fallback(other_method);
    layers::around(open, closed, app)
}

async fn no_such_path(method: Method, uri: Uri) -> Response {
    // `OPTIONS *` asks about the server as a whole (RFC 9110, section 9.3.7).
    if method == Method::OPTIONS && uri.path() == "*" {
        return StatusCode::NO_CONTENT.into_response();
    }
    Failure::new(Code::NotFound, "There is nothing at this path.").into_response()
}

/// The router adds `Allow`.
async fn other_method(method: Method) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    let detail = "This path does not take that method; the Allow header lists those it takes.";
    Failure::new(Code::MethodNotAllowed, detail).into_response()
}
