//! `/docs`: the API's description as a page to read and to try, without any other host. The page
//! shows what `/openapi.json` says; nothing about an operation is written here.

use axum::{
    extract::{Path, rejection::PathRejection},
    response::Response,
};

use super::{
    answer::Failure,
    openapi::entry::Entry,
    pages::{Page, SCRIPT, STYLE},
};

const PAGE: Page = Page {
    name: "docs",
    html: include_str!("docs/page.html"),
    files: &[
        ("page.css", STYLE, include_str!("docs/page.css")),
        ("page.js", SCRIPT, include_str!("docs/page.js")),
        ("dom.js", SCRIPT, include_str!("docs/dom.js")),
        ("schema.js", SCRIPT, include_str!("docs/schema.js")),
        ("try.js", SCRIPT, include_str!("docs/try.js")),
        ("icon.svg", "image/svg+xml", include_str!("docs/icon.svg")),
    ],
};

/// `GET /docs`
pub(super) async fn show_page() -> Response {
    PAGE.show()
}

/// `GET /docs/`
pub(super) async fn lead_to_page() -> Response {
    PAGE.lead()
}

/// `GET /docs/{file}`
pub(super) async fn show_file(
    file: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    PAGE.file(file)
}

/// The operations of this module.
pub(super) fn entries() -> Vec<Entry> {
    PAGE.entries([
        ("/docs", "showPage", "This description as a page"),
        ("/docs/", "leadToPage", "Leads to the page"),
        ("/docs/{file}", "showFile", "A file the page needs"),
    ])
    .into()
}
