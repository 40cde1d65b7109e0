//! `/docs`: the API's description as a page to read and to try, without any other host. The page
//! shows what `/openapi.json` says; nothing about an operation is written here.

use axum::{
    extract::{Path, rejection::PathRejection},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};

use super::{
    answer::Failure,
    openapi::{
        entry::{Answer, Entry},
        fields,
    },
};
use crate::problem::Code;

const PAGE: &str = include_str!("docs/page.html");

/// The files the page needs, with their types.
const FILES: [(&str, &str, &str); 6] = [
    ("page.css", "text/css; charset=utf-8", include_str!("docs/page.css")),
    ("page.js", SCRIPT, include_str!("docs/page.js")),
    ("dom.js", SCRIPT, include_str!("docs/dom.js")),
    ("schema.js", SCRIPT, include_str!("docs/schema.js")),
    ("try.js", SCRIPT, include_str!("docs/try.js")),
    ("icon.svg", "image/svg+xml", include_str!("docs/icon.svg")),
];

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Only what comes from here is loaded, run or asked; nothing is sent elsewhere; no site may frame
/// the page.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// `GET /docs`
pub(super) async fn show_page() -> Response {
    ([(header::CONTENT_SECURITY_POLICY, POLICY), NO_REFERRER], Html(PAGE)).into_response()
}

const NO_REFERRER: (HeaderName, HeaderValue) =
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));

/// `GET /docs/`: the page's links count from `/docs`.
pub(super) async fn lead_to_page() -> Response {
    (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, "../docs")]).into_response()
}

/// `GET /docs/{file}`
pub(super) async fn show_file(
    file: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    let asked = file.map(|Path(name)| name).unwrap_or_default();
    let found = FILES.iter().find(|(name, ..)| *name == asked);
    let (_, kind, text) = found.ok_or_else(|| {
        Failure::new(Code::NotFound, "There is no such file.").hint("The page is at GET /docs.")
    })?;
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(([(header::CONTENT_SECURITY_POLICY, POLICY), kind], *text).into_response())
}

/// The operations of this module.
pub(super) fn entries() -> Vec<Entry> {
    let page = Answer::new("The page.").of_type("text/html", fields::any_text());
    let files = FILES.iter().fold(Answer::new("The file."), |answer, (_, kind, _)| {
        let kind = kind.split(';').next().unwrap_or_default();
        answer.of_type(kind, fields::any_text())
    });
    vec![
        Entry::get("/docs", "showPage", "This description as a page")
            .tag("Meta")
            .open()
            .answer(200, page),
        Entry::get("/docs/", "leadToPage", "Leads to the page")
            .tag("Meta")
            .open()
            .answer(308, Answer::new("The page is at `/docs`.").with_always("Location")),
        Entry::get("/docs/{file}", "showFile", "A file the page needs")
            .tag("Meta")
            .open()
            .parameters([fields::in_path(
                "file",
                "The file's name.",
                fields::any_text(),
                "page.css",
            )])
            .answer(200, files)
            .can_fail(&[Code::NotFound]),
    ]
}
