//! `GET /sandbox/`: what can be operated, on one page.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::sandbox::{
    api::PERMISSIONS,
    scenarios::Scenario,
    seed,
    world::{Act, Shape},
};

/// What there is: method, path, and what it does.
const ENTRIES: [(&str, &str, &str); 28] = [
    ("GET", "/sandbox/queues?name=&limit=&offset=", "queues, sorted by name"),
    (
        "POST",
        "/sandbox/queues",
        r#"{"name","id"?,"division"?,"memberCount"?} or {"count","prefix"?}"#,
    ),
    (
        "GET",
        "/sandbox/queues/{id}?next=",
        "one queue, how many wait, and the calls served next (score: ms waited from, less a minute a point)",
    ),
    (
        "PATCH",
        "/sandbox/queues/{id}",
        r#"{"name"?,"joinedMemberCount"?}: rename it, or let agents go on or off queue"#,
    ),
    ("DELETE", "/sandbox/queues/{id}", "delete it"),
    ("GET", "/sandbox/conversations?state=&queueId=&limit=&offset=", "conversations, oldest first"),
    (
        "POST",
        "/sandbox/conversations",
        r#"{"shape","queueId"|"queueName","media"?,"priority"?,"skillIds"?,"languageId"?,"sinceSeconds"?|"since"?,"count"?,"id"?,"attributes"?,"ani"?,"dnis"?} or "legs":[{"purpose","state"?,"held"?,"ended"?,"secondCall"?,"queueId"?,"supervision"?:"monitor"|"coach"|"barge-in","id"?}] for the shape"#,
    ),
    ("GET", "/sandbox/conversations/{id}", "one conversation and its legs"),
    ("POST", "/sandbox/conversations/{id}/{act}", "let something happen to it"),
    (
        "PUT",
        "/sandbox/conversations/{id}/state",
        r#"{"state":"busy"|"no-answer"|"declined"|null} for the conversation-patch API"#,
    ),
    ("DELETE", "/sandbox/conversations/{id}", "as if it had never been"),
    ("GET", "/sandbox/ledger?limit=", "the newest requests and moves"),
    (
        "GET",
        "/sandbox/ledger/requests?after=&method=&path=&commands=&limit=",
        "requests; path is a fragment, commands=true keeps only the commands that move",
    ),
    ("GET", "/sandbox/ledger/moves?after=&conversationId=&limit=", "moves that took effect"),
    ("DELETE", "/sandbox/ledger", "empty it"),
    ("GET", "/sandbox/faults", "the orders and how often each hit"),
    (
        "POST",
        "/sandbox/faults",
        r#"{"method"?,"path":"*/replace/queue","skip"?:0,"every"?:1,"times"?:1|"forever","fault":{…}}; the oldest order that is due wins"#,
    ),
    ("DELETE", "/sandbox/faults", "take all back"),
    ("DELETE", "/sandbox/faults/{number}", "take one back"),
    ("GET", "/sandbox/settings", "how the sandbox behaves"),
    ("PATCH", "/sandbox/settings", "change any of these"),
    ("GET", "/sandbox/clients", "OAuth clients, and the permissions each lacks"),
    ("POST", "/sandbox/clients", r#"{"id","secret"}: add one, or change its secret"#),
    ("PATCH", "/sandbox/clients/{id}", r#"{"denied":["routing:queue:view",…]}; [] grants all"#),
    ("DELETE", "/sandbox/tokens", "revoke all tokens"),
    ("GET", "/sandbox/scenarios", "ready-made situations"),
    ("POST", "/sandbox/scenarios/{name}", "bring one about"),
    ("GET", "/sandbox/", "this page; as JSON with Accept: application/json"),
];

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

/// The page for people. Writing to a `String` cannot fail.
pub(super) fn text(base_url: &str) -> String {
    let mut page = format!(
        "A stand-in for Genesys Cloud. API and login: {base_url}\n\
         Everything below takes and answers JSON; changes live in memory only.\n\n"
    );
    for (method, path, about) in ENTRIES {
        let _ = writeln!(page, "{method:<7}{path}\n       {about}");
    }
    page.push_str("\nShapes: ");
    page.push_str(&words(&Shape::ALL));
    page.push_str("\nActs:   ");
    page.push_str(&words(&Act::ALL));
    page.push_str("\n\nFaults (a 401 for the next N requests is a status fault, too):\n");
    for (fault, about) in FAULTS {
        let _ = writeln!(page, "  {fault}\n       {about}");
    }
    page.push_str("\nScenarios:\n");
    for scenario in Scenario::ALL {
        let _ = writeln!(page, "  {:<14}{}", scenario.name(), scenario.about());
    }
    page.push_str("\nPermissions:\n");
    for permission in PERMISSIONS {
        let _ = writeln!(page, "  {permission}");
    }
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

/// The page for programs.
pub(super) fn json() -> Value {
    let entries: Vec<Value> = ENTRIES
        .iter()
        .map(|(method, path, about)| json!({"method": method, "path": path, "about": about}))
        .collect();
    let faults: Vec<Value> =
        FAULTS.iter().map(|(fault, about)| json!({"fault": fault, "about": about})).collect();
    let scenarios: Vec<Value> = Scenario::ALL
        .iter()
        .map(|scenario| json!({"name": scenario.name(), "about": scenario.about()}))
        .collect();
    json!({
        "entries": entries,
        "shapes": Shape::ALL,
        "acts": Act::ALL,
        "faults": faults,
        "scenarios": scenarios,
        "permissions": PERMISSIONS,
    })
}

fn words<T: serde::Serialize>(all: &[T]) -> String {
    let word = |one: &T| json!(one).as_str().unwrap_or_default().to_owned();
    all.iter().map(word).collect::<Vec<_>>().join(", ")
}
