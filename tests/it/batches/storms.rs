//! Genesys refuses or fails for a while: batches wait, and no call is lost sight of.

use genesys_transfer::sandbox::faults::{Fault, StatusAnswer};
use serde_json::json;

use crate::support::{
    batches::{crowd, drain, moved},
    service::{REPLACE, TestApp},
};

#[tokio::test]
async fn a_storm_of_503_leaves_no_call_in_doubt() {
    let app = TestApp::start().await;
    crowd(app.sandbox(), 12);
    app.fault("POST", REPLACE, 12, Fault::Status(StatusAnswer::new(503)));
    let batch = app.carried_out(&drain(json!({"keepPlace": false}))).await;
    assert_eq!((moved(&batch), &batch["counts"]["unknown"]), (12, &json!(0)));
    assert_eq!(batch["total"], 12);
}
