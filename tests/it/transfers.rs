//! `POST /transfers`: a call moves, by the fewest requests.

use genesys_transfer::sandbox::seed;
use serde_json::json;

use crate::support::service::{TestApp, plain};

#[tokio::test]
async fn a_call_moves_by_queue_name_with_two_requests_to_genesys() {
    let app = TestApp::start().await;
    app.get("/queues").await;
    app.sandbox().with(|state| state.ledger.clear());
    let answer = app.transfer(seed::CONNECTED_CALL, "Support Tier 2").await;
    assert_eq!((answer.status.as_u16(), app.moves()), (201, 1));
    assert_eq!(app.sandbox().requests().len(), 2);
}

#[tokio::test]
async fn the_answer_is_the_transfer_and_its_location_gives_it_again() {
    let app = TestApp::start().await;
    let answer = app.transfer(seed::CONNECTED_CALL, "Support Tier 2").await;
    let location = answer.header("location").unwrap().to_owned();
    assert_eq!(app.get(&location).await.json(), answer.json());
}

#[tokio::test]
async fn priority_costs_one_request_more_and_ends_up_on_the_call() {
    let app = TestApp::start().await;
    app.get("/queues").await;
    app.sandbox().with(|state| state.ledger.clear());
    let mut body = plain(seed::WAITING_CALL, "Support Tier 2");
    body["priority"] = json!(40);
    let answer = app.submit(body).await;
    assert_eq!(answer.json()["priority"], 40);
    assert_eq!(app.sandbox().requests().len(), 3);
}
