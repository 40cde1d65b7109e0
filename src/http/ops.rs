//! `/ops`: the operators' page. It has no data of its own: it uses the public API with the key that is
//! typed into it. `/` leads browsers there.

use axum::{
    extract::{Path, rejection::PathRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{
    answer::{Failure, ok},
    head::{Media, chosen},
    openapi::entry::{Answer, Entry},
    pages::{Page, SCRIPT, STYLE},
};

const PAGE: Page = Page {
    name: "ops",
    html: include_str!("ops/page.html"),
    files: &[
        ("page.css", STYLE, include_str!("ops/page.css")),
        ("page.js", SCRIPT, include_str!("ops/page.js")),
        ("api.js", SCRIPT, include_str!("ops/api.js")),
        ("state.js", SCRIPT, include_str!("ops/state.js")),
        ("parts.js", SCRIPT, include_str!("ops/parts.js")),
        ("board.js", SCRIPT, include_str!("ops/board.js")),
        ("batches.js", SCRIPT, include_str!("ops/batches.js")),
        ("transfers.js", SCRIPT, include_str!("ops/transfers.js")),
        ("lit-html.js", SCRIPT, include_str!("ops/lit-html.js")),
    ],
};

/// `GET /ops`
pub(super) async fn show_page() -> Response {
    PAGE.show()
}

/// `GET /ops/`
pub(super) async fn lead_to_page() -> Response {
    PAGE.lead()
}

/// `GET /ops/{file}`
pub(super) async fn show_file(
    file: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    PAGE.file(file)
}

/// The service, for a program that knows its address only.
#[derive(Serialize, ToSchema)]
#[schema(as = Service)]
struct ServiceView {
    name: &'static str,
    version: &'static str,
    links: ServiceLinks,
}

/// Paths to go on from.
#[derive(Serialize, ToSchema)]
struct ServiceLinks {
    /// The description of the API.
    openapi: &'static str,
    /// The same as a page.
    docs: &'static str,
    /// The operators' page.
    ops: &'static str,
    /// Whether transfers can be carried out now.
    ready: &'static str,
}

const LINKS: ServiceLinks =
    ServiceLinks { openapi: "/openapi.json", docs: "/docs", ops: "/ops", ready: "/health/ready" };

/// `GET /`
pub(super) async fn show_root(headers: HeaderMap) -> Response {
    let vary = [(header::VARY, "accept")];
    if chosen(&headers, &[Media::Json, Media::Html]) == Some(Media::Html) {
        return (StatusCode::SEE_OTHER, vary, [(header::LOCATION, "/ops")]).into_response();
    }
    let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    (vary, ok(&ServiceView { name, version, links: LINKS })).into_response()
}

/// The operations of this module.
pub(super) fn entries() -> Vec<Entry> {
    let service = json!({"name": "genesys-transfer", "version": "1.0.0", "links": LINKS});
    let mut entries = vec![
        Entry::get("/", "showService", "What this is, and where to go on")
            .tag("Meta")
            .about("A browser (`Accept: text/html`) is led to the operators' page.")
            .open()
            .answer(200, Answer::new("The service.").json::<ServiceView>(service))
            .answer(303, Answer::new("The page is at `/ops`.").with_always("Location")),
    ];
    entries.extend(PAGE.entries([
        ("/ops", "showOps", "The operators' page"),
        ("/ops/", "leadToOps", "Leads to the operators' page"),
        ("/ops/{file}", "showOpsFile", "A file the operators' page needs"),
    ]));
    entries
}
