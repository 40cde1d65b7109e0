//! `/problems`: every problem code in words, so that `type` leads somewhere.

use axum::{
    extract::{Path, rejection::PathRejection},
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{
    answer::{Failure, ok},
    views::ProblemPage,
};
use crate::problem::Code;

/// These texts change with a release only.
const CACHED: [(header::HeaderName, &str); 1] = [(header::CACHE_CONTROL, "public, max-age=3600")];

/// `GET /problems`
pub(super) async fn list_problems() -> Response {
    let items: Vec<_> = Code::ALL.iter().copied().map(ProblemPage::from).collect();
    (CACHED, ok(&json!({ "items": items }))).into_response()
}

/// `GET /problems/{code}`
pub(super) async fn explain_problem(
    code: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    let known = code.ok().and_then(|Path(text)| Code::from_text(&text));
    let code = known.ok_or_else(|| {
        Failure::new(Code::NotFound, "There is no such problem code.")
            .hint("GET /problems lists all codes.")
    })?;
    Ok((CACHED, ok(&ProblemPage::from(code))).into_response())
}
