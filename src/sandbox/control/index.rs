//! `GET /sandbox/`: what can be operated, on one page.

use std::{collections::BTreeSet, fmt::Write};

use axum::{http::header, response::IntoResponse};
use serde_json::{Value, json};

use super::{ControlResult, ok};
use crate::sandbox::{
    access::{EndpointRule, Needs},
    handler::Context,
    scenarios::Scenario,
    seed,
    world::{Act, Shape},
};

/// What a fault order can do.
const FAULTS: [(&str, &str); 16] = [
    (
        r#"{"kind":"status","status":500,"body"?|"text"?,"retryAfter"?,"headers"?,"apply"?}"#,
        "answer that; with apply:true after carrying the request out",
    ),
    (
        r#"{"kind":"delay","ms":5000}"#,
        "carry it out and answer later, or when the order is taken back; even if the caller is gone",
    ),
    (r#"{"kind":"hang","apply"?}"#, "never answer"),
    (r#"{"kind":"drop","when":"before","reset"?}"#, "close the connection, do nothing"),
    (r#"{"kind":"drop","when":"after","reset"?}"#, "carry it out, then close the connection"),
    (
        r#"{"kind":"drop","when":"late","ms":6000}"#,
        "close now, carry it out later, or when the order is taken back",
    ),
    (r#"{"kind":"garbage","form":"not-http","apply"?}"#, "bytes that are not HTTP"),
    (r#"{"kind":"garbage","form":"short-head","apply"?}"#, "half a status line"),
    (r#"{"kind":"garbage","form":"html","apply"?}"#, "200 with an HTML page"),
    (
        r#"{"kind":"garbage","form":"truncated-json"} or "short-body""#,
        "half the answer's body, well framed or breaking off",
    ),
    (
        r#"{"kind":"garbage","form":"bad-entries"}"#,
        "two more entries in each list of the answer: null, and one with half a character in its texts",
    ),
    (r#"{"kind":"slow-body","ms":10000}"#, "the answer's body trickles in"),
    (r#"{"kind":"huge-body","bytes"?}"#, "a body of that size, or without end"),
    (
        r#"{"kind":"headers","set":{"inin-ratelimit-allowed":"60"}}"#,
        "the answer has these headers instead of its own",
    ),
    (r#"{"kind":"revoke-tokens"}"#, "revoke all tokens, then go on"),
    (r#"{"kind":"rate-limit","perMinute":100}"#, "set the limit, then go on"),
];

/// The permissions that endpoints ask for, sorted.
pub fn permissions(rules: &[EndpointRule]) -> Vec<&'static str> {
    let asked = rules.iter().filter_map(|rule| match rule.needs {
        Needs::AnyOf(any_of) => Some(any_of),
        Needs::Nothing | Needs::Operator(..) => None,
    });
    asked.flatten().copied().collect::<BTreeSet<_>>().into_iter().collect()
}

/// What there is for operators: method, path with query, and what it does.
fn entries(rules: &[EndpointRule]) -> impl Iterator<Item = (&str, String, &'static str)> {
    rules.iter().filter_map(|rule| match rule.needs {
        Needs::Operator(query, about) => {
            Some((rule.method.as_str(), format!("{}{query}", rule.path), about))
        }
        Needs::Nothing | Needs::AnyOf(_) => None,
    })
}

pub fn scenarios() -> Value {
    let all = Scenario::ALL.into_iter();
    all.map(|scenario| json!({"name": scenario.name(), "about": scenario.about()})).collect()
}

pub fn page(context: &mut Context<'_>, (): ()) -> ControlResult {
    let rules = &context.core.rules;
    if !context.header(header::ACCEPT).is_some_and(|it| it.contains("application/json")) {
        return Ok(text(&context.core.base_url, rules).into_response());
    }
    let entries = entries(rules)
        .map(|(method, path, about)| json!({"method": method, "path": path, "about": about}));
    let faults = FAULTS.iter().map(|(fault, about)| json!({"fault": fault, "about": about}));
    ok(&json!({
        "entries": entries.collect::<Value>(),
        "shapes": Shape::ALL,
        "acts": Act::ALL,
        "faults": faults.collect::<Value>(),
        "scenarios": scenarios(),
        "permissions": permissions(rules),
    }))
}

/// The page for people. Writing to a `String` cannot fail.
fn text(base_url: &str, rules: &[EndpointRule]) -> String {
    let mut page = format!(
        "A stand-in for Genesys Cloud. API and login: {base_url}\n\
         Everything below takes and answers JSON; changes live in memory only.\n\n"
    );
    for (method, path, about) in entries(rules) {
        let _ = writeln!(page, "{method:<7}{path}\n       {about}");
    }
    let (shapes, acts) = (words(&Shape::ALL), words(&Act::ALL));
    let _ = write!(
        page,
        "\nShapes: {shapes}\nActs:   {acts}\n\n\
         Faults (a 401 for the next N requests is a status fault, too):\n"
    );
    for (fault, about) in FAULTS {
        let _ = writeln!(page, "  {fault}\n       {about}");
    }
    page.push_str("\nScenarios:\n");
    for scenario in Scenario::ALL {
        let _ = writeln!(page, "  {:<14}{}", scenario.name(), scenario.about());
    }
    let _ = writeln!(page, "\nPermissions:\n  {}", permissions(rules).join("\n  "));
    let call = seed::CONNECTED_CALL;
    let _ = writeln!(
        page,
        "\nTry:\n  curl {base_url}/sandbox/conversations/{call}\n  \
         curl -X POST {base_url}/sandbox/conversations/{call}/hold\n  \
         curl {base_url}/sandbox/faults -d \
         '{{\"path\":\"*/replace/queue\",\"fault\":{{\"kind\":\"drop\",\"when\":\"after\"}}}}'\n  \
         curl {base_url}/sandbox/ledger",
    );
    page
}

fn words<T: serde::Serialize>(all: &[T]) -> String {
    let word = |one: &T| json!(one).as_str().unwrap_or_default().to_owned();
    all.iter().map(word).collect::<Vec<_>>().join(", ")
}
