//! What is promised for every moment is a constraint of the database: here the rows come past all
//! code of the store.

use genesys_transfer::{clock::Clock, transfer::model::Stage};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::on_both_stores;
use crate::support::{
    records::{claim, transfer},
    sqlite::client,
    store::Fixture,
};

on_both_stores!(
    a_conversation_has_one_unsettled_row_whoever_writes_it,
    a_key_has_one_row_whoever_writes_it,
);

/// Runs `text` as another client; whether the database took it. `NEW_ID` is a fresh id.
async fn takes(fixture: &Fixture, text: &str) -> bool {
    if fixture.url.starts_with("sqlite") {
        let text = text.replace("NEW_ID", "randomblob(16)");
        client(&fixture.url).execute_batch(&text).is_ok()
    } else {
        let mut client = PgConnection::connect(&fixture.url).await.unwrap();
        let text = text.replace("NEW_ID", "gen_random_uuid()");
        client.execute(AssertSqlSafe(text)).await.is_ok()
    }
}

/// Adds a row in `stage` for the conversation of the one that is recorded.
fn another(stage: Stage) -> String {
    format!(
        "INSERT INTO transfers (id, stage, status, owner, conversation_id, queue_id, caller, \
         created_at, updated_at, data) SELECT NEW_ID, '{}', 'raw', owner, conversation_id, \
         queue_id, caller, created_at, updated_at, data FROM transfers WHERE status <> 'raw'",
        stage.as_str()
    )
}

async fn a_conversation_has_one_unsettled_row_whoever_writes_it(fixture: Fixture) {
    let mut settled = transfer(fixture.clock.now());
    settled.stage = Stage::Skipped;
    fixture.record(&settled).await;
    for first in Stage::ALL {
        for second in Stage::ALL {
            assert!(takes(&fixture, &another(first)).await, "{first:?}");
            let refused = !takes(&fixture, &another(second)).await;
            let both = first.is_unsettled() && second.is_unsettled();
            assert_eq!(refused, both, "{first:?}, then {second:?}");
            assert!(takes(&fixture, "DELETE FROM transfers WHERE status = 'raw'").await);
        }
    }
}

async fn a_key_has_one_row_whoever_writes_it(fixture: Fixture) {
    let (first, second) = (transfer(fixture.clock.now()), transfer(fixture.clock.now()));
    fixture.insert(&first, Some(&claim("k", 1))).await.unwrap();
    fixture.record(&second).await;
    let again = |key: &str| {
        format!(
            "INSERT INTO idempotency_keys (caller, route, key, fingerprint, transfer_id) \
             SELECT caller, route, '{key}', fingerprint, \
             (SELECT id FROM transfers ORDER BY id DESC LIMIT 1) FROM idempotency_keys"
        )
    };
    assert!(!takes(&fixture, &again("k")).await);
    assert!(takes(&fixture, &again("another")).await);
}
