//! An endpoint of Genesys that answers 401 while the others take the same token.

use genesys_transfer::sandbox::faults::{Fault, StatusAnswer};
use serde_json::{Value, json};

use crate::support::service::{Answer, REPLACE, ROUTING, TOKEN, TestApp, plain};

const REFUSED: &str = "access_token_refused";

/// A service with a token in use, whose Genesys answers these requests with 401 for ever.
async fn refusing(method: &str, path: &str) -> TestApp {
    let app = TestApp::start().await;
    app.get("/queues").await;
    app.sandbox().with(|state| state.ledger.clear());
    app.fault(method, path, 1_000, Fault::Status(StatusAnswer::new(401)));
    app
}

async fn with_priority(app: &TestApp) -> Answer {
    let mut body = plain(app.fresh_call(), "Support Tier 2");
    body["priority"] = json!(40);
    app.submit(body).await
}

fn codes(transfer: &Value) -> Vec<&str> {
    let warnings = transfer["warnings"].as_array().unwrap();
    warnings.iter().map(|warning| warning["code"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_patch_that_always_gets_401_costs_one_token_and_every_transfer_says_so() {
    let app = refusing("PATCH", ROUTING).await;

    let mut answers = Vec::new();
    for _ in 0..5 {
        answers.push(with_priority(&app).await);
    }

    for answer in &answers {
        let transfer = answer.json();
        assert_eq!((answer.status.as_u16(), &transfer["status"]), (201, &json!("accepted")));
        assert_eq!(codes(&transfer), ["routing_attributes_not_applied", REFUSED]);
        let detail = transfer["warnings"][1]["detail"].as_str().unwrap();
        assert!(detail.contains("routing:conversation:edit"), "{detail}");
    }
    // The first tries a new token, the others do not.
    assert_eq!((app.seen(TOKEN), app.seen("/routing/conversations/"), app.moves()), (1, 6, 5));
}

#[tokio::test]
async fn a_command_that_always_gets_401_costs_one_token_and_the_record_says_so() {
    let app = refusing("POST", REPLACE).await;

    let mut calls = Vec::new();
    for _ in 0..5 {
        let call = app.fresh_call();
        let outcome = app.transfer(call, "Support Tier 2").await.outcome();
        assert_eq!(outcome, (502, "genesys_credentials_rejected".to_owned()));
        calls.push(call);
    }

    assert_eq!((app.seen(TOKEN), app.commands(), app.moves()), (1, 6, 0));
    for call in calls {
        assert_eq!(codes(&app.transfer_of(call).await), [REFUSED]);
    }
}

#[tokio::test]
async fn tokens_revoked_again_and_again_cost_one_request_for_a_new_one() {
    let app = TestApp::start().await;
    app.get("/queues").await;
    app.sandbox().with(|state| state.ledger.clear());
    let mut statuses = Vec::new();
    for _ in 0..4 {
        app.sandbox().revoke_tokens();
        statuses.push(app.transfer(app.fresh_call(), "Support Tier 2").await.status.as_u16());
    }

    assert_eq!((statuses, app.seen(TOKEN)), (vec![201, 502, 502, 502], 1));
}
