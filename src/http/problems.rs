//! `/problems`: every problem code in words, so that `type` leads somewhere.

use axum::{
    extract::{Path, rejection::PathRejection},
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::json;
use utoipa::openapi::Ref;

use super::{
    answer::{Failure, ok},
    openapi::{
        entry::{Answer, Entry},
        fields,
    },
    views::{ProblemPage, ProblemPages},
};
use crate::problem::Code;

/// These texts change with a release only.
const CACHED: [(header::HeaderName, &str); 1] = [(header::CACHE_CONTROL, "public, max-age=3600")];

/// `GET /problems`
pub(super) async fn list_problems() -> Response {
    let items = Code::ALL.iter().copied().map(ProblemPage::from).collect();
    (CACHED, ok(&ProblemPages { items })).into_response()
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

/// The operations of this module.
pub(super) fn entries() -> Vec<Entry> {
    let one = json!(ProblemPage::from(Code::QueueNotFound));
    let codes = Ref::from_schema_name("ProblemCode");
    vec![
        Entry::get("/problems", "listProblems", "List all problem codes")
            .tag("Meta")
            .open()
            .answer(200, Answer::new("All codes.").json::<ProblemPages>(json!({"items": [one]}))),
        Entry::get("/problems/{code}", "explainProblem", "Explain a problem code")
            .tag("Meta")
            .open()
            .parameters([fields::in_path("code", "The code.", codes, "queue_not_found")])
            .answer(200, Answer::new("What it means, what to do.").json::<ProblemPage>(one))
            .can_fail(&[Code::NotFound]),
    ]
}
