//! The service's public face: routes, what surrounds them, and the server that listens.
//!
//! A request flows through `layers` to a handler, which reads it (`head`, `body`,
//! `requests`, `query`), makes one call to the domain and shows the result (`views`). What
//! goes wrong anywhere is a `answer::Failure` and becomes `application/problem+json` in one
//! place.

use axum::{
    Router,
    middleware::from_fn,
    routing::{get, post},
};

mod access;
mod answer;
mod batches;
mod body;
mod checked;
mod conversations;
mod docs;
mod errors;
mod fallback;
mod fixed;
mod head;
mod health;
mod layers;
mod log_level;
mod metrics;
mod observe;
mod openapi;
mod ops;
mod own_names;
mod pages;
mod problems;
mod query;
mod queues;
mod request_ids;
mod requests;
mod rules;
mod schema;
mod server;
mod state;
mod streams;
#[cfg(test)]
mod tests;
mod transfers;
mod views;
mod whoami;

pub use openapi::{description, description_3_0};
pub use request_ids::RequestIds;
pub use server::{Finished, Shutdown, Tls, serve};
pub use state::AppState;
pub use views::{batch_response, transfer_response};

/// All routes of the service, with everything around them.
pub fn router(app: &AppState) -> Router {
    let documents = Router::new()
        .route("/", get(ops::show_root))
        .route("/ops", get(ops::show_page))
        .route("/ops/", get(ops::lead_to_page))
        .route("/ops/{file}", get(ops::show_file))
        .route("/docs", get(docs::show_page))
        .route("/docs/", get(docs::lead_to_page))
        .route("/docs/{file}", get(docs::show_file))
        .route("/openapi.json", get(openapi::describe_api))
        .route("/openapi-3.0.json", get(openapi::describe_api_3_0))
        .route("/problems", get(problems::list_problems))
        .route("/problems/{code}", get(problems::explain_problem))
        .route_layer(from_fn(layers::check_no_query));
    // Load balancers may add parameters to a probe.
    let probes = Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready));
    let closed = Router::new()
        .route("/transfers", get(transfers::list_transfers).post(transfers::create_transfer))
        .route("/transfers/{id}", get(transfers::find_transfer))
        .route("/transfers/{id}/settle", post(transfers::settle_transfer))
        .route("/transfers/{id}/undo", post(transfers::undo_transfer))
        .route("/batches", get(batches::list_batches).post(batches::create_batch))
        .route("/batches/{id}", get(batches::find_batch).delete(batches::cancel_batch))
        .route("/batches/{id}/transfers", get(batches::list_batch_transfers))
        .route("/batches/{id}/events", get(batches::watch_batch))
        .route("/batches/{id}/undo", post(batches::undo_batch))
        .route("/conversations/{id}", get(conversations::preview_transfer))
        .route("/queues", get(queues::search_queues))
        .route("/queues/{id}", get(queues::watch_queue))
        .route("/queues/refresh", post(queues::refresh_queues))
        .route("/whoami", get(whoami::show_caller))
        .route("/admin/log-level", get(log_level::show).post(log_level::change))
        .route(metrics::PATH, get(metrics::show_metrics));
    layers::around(documents.merge(probes), closed, app)
}
