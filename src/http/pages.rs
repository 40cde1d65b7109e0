//! The pages in the program: a document and the files it loads, none of them from another host.

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

pub(super) const SCRIPT: &str = "text/javascript; charset=utf-8";
pub(super) const STYLE: &str = "text/css; charset=utf-8";

/// Only what comes from here is loaded, run or asked; nothing is sent elsewhere; no site may frame
/// a page.
const POLICY: (HeaderName, HeaderValue) = (
    header::CONTENT_SECURITY_POLICY,
    HeaderValue::from_static(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
);
const NO_REFERRER: (HeaderName, HeaderValue) =
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));

/// A page at `/NAME`, with its files at `/NAME/FILE`.
pub(super) struct Page {
    pub name: &'static str,
    pub html: &'static str,
    /// The files it needs: name, media type, content.
    pub files: &'static [(&'static str, &'static str, &'static str)],
}

impl Page {
    /// The document.
    pub(super) fn show(&self) -> Response {
        ([POLICY, NO_REFERRER], Html(self.html)).into_response()
    }

    /// From `/NAME/` to the document: its links count from `/NAME`.
    pub(super) fn lead(&self) -> Response {
        (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, format!("../{}", self.name))])
            .into_response()
    }

    /// One of the files.
    ///
    /// # Errors
    /// `not_found`.
    pub(super) fn file(
        &self,
        file: Result<Path<String>, PathRejection>,
    ) -> Result<Response, Failure> {
        let asked = file.map(|Path(name)| name).unwrap_or_default();
        let found = self.files.iter().find(|(name, ..)| *name == asked);
        let (_, kind, text) = found.ok_or_else(|| {
            let hint = format!("The page is at GET /{}.", self.name);
            Failure::new(Code::NotFound, "There is no such file.").hint(hint)
        })?;
        let kind = (header::CONTENT_TYPE, HeaderValue::from_static(kind));
        Ok(([POLICY, kind], *text).into_response())
    }

    /// The three operations: path, id and summary of each.
    pub(super) fn entries(
        &self,
        [page, lead, file]: [(&'static str, &str, &str); 3],
    ) -> [Entry; 3] {
        let html = Answer::new("The page.").of_type("text/html", fields::any_text());
        let files = self.files.iter().fold(Answer::new("The file."), |answer, (_, kind, _)| {
            let kind = kind.split(';').next().unwrap_or_default();
            answer.of_type(kind, fields::any_text())
        });
        let entry = |(path, id, summary)| Entry::get(path, id, summary).tag("Meta").open();
        let name = fields::in_path("file", "The file's name.", fields::any_text(), "page.css");
        [
            entry(page).answer(200, html),
            entry(lead).answer(308, Answer::new("Leads to the page.").with_always("Location")),
            entry(file).parameters([name]).answer(200, files).can_fail(&[Code::NotFound]),
        ]
    }
}
