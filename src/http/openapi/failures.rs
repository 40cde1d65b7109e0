//! The problems an operation can be answered with, out of the catalogue of codes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use utoipa::openapi::{
    ContentBuilder, Ref, RefOr, Response, ResponseBuilder,
    example::{Example, ExampleBuilder},
};

use super::fields::{header_reference, reference};
use crate::{
    http::answer::{problem_answer, usual_pause},
    problem::{Candidate, Code, FieldError, Problem, UpstreamAnswer},
};

/// What any request may meet, whatever it asks for.
pub(super) const EVERY: [Code; 5] = [
    Code::InvalidHeader,
    Code::HeadersTooLarge,
    Code::InternalError,
    Code::ShuttingDown,
    Code::DeadlineExceeded,
];

/// What a request may meet where credentials are asked for.
pub(super) const CALLER: [Code; 4] =
    [Code::Unauthenticated, Code::NotPermitted, Code::TooManyRequests, Code::NotReady];

/// The same where parameters and `Accept` are looked at.
pub(super) const STRICT: [Code; 2] = [Code::InvalidRequest, Code::NotAcceptable];

/// What any request may meet where credentials are not asked for.
pub(super) const ANYONE: [Code; 2] = [Code::InvalidHost, Code::NotPermitted];

/// What can be wrong with a body.
pub(super) const BODY: [Code; 5] = [
    Code::MalformedJson,
    Code::UnsupportedMediaType,
    Code::BodyTooLarge,
    Code::RequestTimeout,
    Code::InvalidRequest,
];

/// What may go wrong whenever Genesys is asked.
pub(in crate::http) const GENESYS: [Code; 5] = [
    Code::GenesysCredentialsRejected,
    Code::GenesysPermissionMissing,
    Code::GenesysError,
    Code::GenesysRateLimited,
    Code::GenesysUnavailable,
];

/// What may go wrong when a queue is looked up.
pub(in crate::http) const QUEUE_LOOK_UP: [Code; 3] =
    [Code::QueueNotFound, Code::QueueAmbiguous, Code::QueueNotPermitted];

/// The codes, each once, by the status they come with.
pub(super) fn by_status(codes: &[Code]) -> BTreeMap<u16, Vec<Code>> {
    let mut found: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    let unique: BTreeSet<&str> = codes.iter().map(|code| code.as_str()).collect();
    for code in Code::ALL.iter().filter(|code| unique.contains(code.as_str())) {
        found.entry(code.status()).or_default().push(*code);
    }
    found
}

/// The answer with `status`, which has one of these codes and may be `replayed` from a key.
pub(super) fn answer(status: u16, codes: &[Code], replayed: bool) -> Response {
    let said = codes.iter().map(|code| format!("- `{}`: {}", code.as_str(), code.title()));
    let examples = codes.iter().map(|code| {
        let name = code.as_str();
        (name, RefOr::<Example>::Ref(reference("examples", name)))
    });
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .examples_from_iter(examples)
        .build();
    let response = ResponseBuilder::new()
        .description(said.collect::<Vec<_>>().join("\n"))
        .content("application/problem+json", content);
    headers(status, codes, replayed)
        .into_iter()
        .fold(response, |response, (name, always)| {
            response.header_ref(name, header_reference(name, always))
        })
        .build()
}

/// The headers of such an answer, and whether each is always there.
fn headers(status: u16, codes: &[Code], replayed: bool) -> Vec<(&'static str, bool)> {
    let all_pause = codes.iter().all(|code| usual_pause(*code).is_some());
    let some_pause = codes.iter().any(|code| usual_pause(*code).is_some());
    let unknown = codes.contains(&Code::OutcomeUnknown);
    let mut told = vec![("X-Request-Id", true)];
    let mut add = |there: bool, name, always| told.extend(there.then_some((name, always)));
    add(status == 401, "WWW-Authenticate", true);
    add(status == 405, "Allow", true);
    add(some_pause || unknown, "Retry-After", all_pause);
    add(unknown, "Location", false);
    // Refused before the key was looked at.
    add(
        replayed && !matches!(status, 400 | 401 | 403 | 406 | 408 | 413 | 415 | 421 | 431),
        "Idempotent-Replayed",
        false,
    );
    told
}

/// An example of every code.
pub(super) fn examples() -> impl Iterator<Item = (String, RefOr<Example>)> {
    Code::ALL.iter().map(|code| {
        let answer = problem_answer(&occurrence(*code), "4711-a");
        let value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let example = ExampleBuilder::new().summary(code.title()).value(Some(value)).build();
        (code.as_str().to_owned(), example.into())
    })
}

/// One occurrence of the code, with what usually comes with it.
fn occurrence(code: Code) -> Problem {
    let mut problem = Problem::new(code, code.meaning());
    match code {
        Code::InvalidRequest => {
            let detail = "must be a UUID, 36 characters with hyphens".to_owned();
            problem = Problem::invalid(vec![FieldError {
                pointer: "/conversationId".to_owned(),
                detail,
            }]);
        }
        Code::QueueNotFound => {
            "No queue is called \"Suport Tier 2\".".clone_into(&mut problem.detail);
            problem = problem.hint("Closest names: \"Support Tier 2\", \"Support Tier 1\".");
        }
        Code::QueueAmbiguous => problem.candidates = vec![queue("Home"), queue("Europe")],
        Code::ParticipantAmbiguous => problem.candidates = vec![agent(1), agent(2)],
        Code::GenesysPermissionMissing => {
            problem = problem.upstream(Some(UpstreamAnswer {
                status: 403,
                code: Some("missing.any.permissions".to_owned()),
                message: None,
                correlation_id: Some("5e9d1c6e-3f2b-4a51-8f0e-0c4f7a1f2b3c".to_owned()),
            }));
        }
        _ => {}
    }
    problem
}

fn queue(division: &str) -> Candidate {
    let last = if division == "Home" { 2 } else { 9 };
    Candidate::Queue {
        id: format!("a1000000-0000-4000-8000-00000000000{last}"),
        name: "Support Tier 2".to_owned(),
        division: Some(division.to_owned()),
    }
}

fn agent(number: u8) -> Candidate {
    Candidate::Participant {
        id: format!("b1000000-0000-4000-8000-00000000010{number}"),
        purpose: "agent".to_owned(),
        state: "connected".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn codes_are_listed_once_under_their_status() {
        let codes = [Code::NotFound, Code::Conflict, Code::NotFound, Code::ConversationNotFound];
        let found = by_status(&codes);
        assert_eq!(found[&404], [Code::NotFound, Code::ConversationNotFound]);
        assert_eq!(found[&409], [Code::Conflict]);
    }

    #[test]
    fn every_code_has_an_example_of_itself() {
        for (name, example) in examples() {
            let RefOr::T(example) = example else { panic!("{name} is a reference") };
            let value = example.value.unwrap();
            assert_eq!(value["code"], json!(name));
            assert!(!value["detail"].as_str().unwrap().is_empty());
        }
    }
}
