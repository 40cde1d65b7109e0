//! A queue in which nothing waits, in every form in which Genesys says so.

use genesys_transfer::sandbox::{EmptyQueue, seed};
use serde_json::json;

use crate::support::{
    batches::{NOBODY, crowd, drain, line, moved},
    service::TestApp,
};

const FORMS: [EmptyQueue; 4] = [
    EmptyQueue::Counted,
    EmptyQueue::WithoutMetric,
    EmptyQueue::WithoutData,
    EmptyQueue::Unmentioned,
];

async fn with_form(form: EmptyQueue) -> TestApp {
    let app = TestApp::start().await;
    app.sandbox().with(|state| state.behaviour.empty_queue = form);
    app
}

#[tokio::test]
async fn a_drain_of_an_empty_queue_is_done_at_once() {
    for form in FORMS {
        let app = with_form(form).await;
        let body = json!({"fromQueueName": "Retention", "toQueueName": "Sales"});
        let answer = app.post("/batches", &body).await;
        assert_eq!(answer.status, 202, "{form:?}: {}", answer.json());
        let batch = answer.json();
        assert_eq!(
            (&batch["status"], &batch["total"]),
            (&json!("completed"), &json!(0)),
            "{form:?}"
        );
    }
}

#[tokio::test]
async fn a_plan_for_an_empty_queue_is_empty() {
    for form in FORMS {
        let app = with_form(form).await;
        let body = json!({"fromQueueName": "Retention", "toQueueName": "Sales", "dryRun": true});
        let answer = app.post("/batches", &body).await;
        let plan = answer.json();
        assert_eq!((answer.status.as_u16(), &plan["total"]), (200, &json!(0)), "{form:?}: {plan}");
    }
}

#[tokio::test]
async fn a_drain_ends_when_its_queue_is_empty() {
    for form in FORMS {
        let app = with_form(form).await;
        crowd(app.sandbox(), 3);
        let batch = app.carried_out(&drain(json!({}))).await;
        assert_eq!((moved(&batch), &batch["status"]), (3, &json!("completed")), "{form:?}");
        assert_eq!(line(app.sandbox(), seed::SUPPORT_TIER_1), NOBODY);
    }
}
