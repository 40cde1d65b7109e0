//! Requests that fail together, because they began together.

use futures_util::future::join_all;
use genesys_transfer::sandbox::{faults::Fault, seed};

use crate::support::service::{CONVERSATION, TestApp, soon};

/// Requests that time out together.
const BURST: usize = 15;

#[tokio::test]
async fn a_burst_of_timeouts_among_good_answers_stops_nobody() {
    let app = TestApp::with(&[("GENESYS_READ_TIMEOUT", "2s"), ("SERVER_DEADLINE", "5s")]).await;
    let path = format!("/conversations/{}", seed::CONNECTED_CALL);
    for _ in 0..2 * BURST {
        assert_eq!(app.get(&path).await.status, 200);
    }
    let before = app.sandbox().with(|state| state.ledger.totals().requests);
    app.fault("GET", CONVERSATION, BURST as u64, Fault::Hang { apply: false });
    let burst = join_all((0..BURST).map(|_| app.get(&path)));
    let all_sent = soon("the burst", app.sandbox().requests_reach(before + BURST as u64));

    tokio::join!(burst, all_sent);

    let next = app.get(&path).await;
    assert_eq!(next.status, 200, "{}", next.json());
    assert_eq!(app.get("/health/ready").await.json()["reasons"], serde_json::json!([]));
}
