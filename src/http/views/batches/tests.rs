use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    batch::{BatchState, BatchStatus, Counts, Kind, Pace, samples},
    http::batch_response,
    problem::{Code, Problem},
    transfer::{
        gateway::QueueActivity,
        ids::{ConversationId, PlanId},
        model::{Priority, Warning},
    },
};

use super::*;

fn state() -> BatchState {
    BatchState {
        batch: samples::batch(Kind::Drain, 180),
        counts: Counts { pending: 120, accepted: 58, failed: 1, skipped: 1, ..Counts::default() },
        reasons: vec![(Code::NoLongerWaiting, 1), (Code::ConversationEnded, 1)],
        warning_counts: BTreeMap::from([("routing_attributes_not_applied".to_owned(), 2)]),
        pace: Pace { per_minute: 140, eta_seconds: Some(52), waiting_until: None },
    }
}

#[test]
fn a_batch_is_shown_member_for_member() {
    let answer = batch_response(&state());

    let expected = concat!(
        r#"{"id":"00000000-0000-0000-0000-000000000001","kind":"drain","status":"running","#,
        r#""until":null,"when":"always","undoes":null,"#,
        r#""total":180,"counts":{"pending":120,"accepted":58,"confirmed":0,"failed":1,"#,
        r#""unknown":0,"skipped":1},"reasons":{"no_longer_waiting":1,"conversation_ended":1},"#,
        r#""pace":{"perMinute":140,"etaSeconds":52,"waitingUntil":null},"#,
        r#""warningCounts":{"routing_attributes_not_applied":2},"stillWaiting":null,"#,
        r#""from":{"id":"00000000-0000-0000-0000-000000000002","name":"Support Tier 1"},"#,
        r#""to":{"id":"00000000-0000-0000-0000-000000000003","name":"Support Tier 2"},"#,
        r#""reason":null,"reference":"CASE-4711","requestedBy":"crm","warnings":[],"error":null,"#,
        r#""createdAt":"2026-03-27T09:30:00.000Z","updatedAt":"2026-03-27T09:30:00.000Z","#,
        r#""finishedAt":null}"#,
        "\n"
    );
    assert_eq!(std::str::from_utf8(&answer.body).unwrap(), expected);
    assert_eq!(answer.status, 202);
    let address = "/batches/00000000-0000-0000-0000-000000000001";
    assert_eq!(answer.location.as_deref(), Some(address));
}

#[test]
fn a_batch_that_could_not_start_says_why() {
    let mut state = state();
    state.batch.status = BatchStatus::Failed;
    state.batch.error = Some(Problem::new(Code::GenesysError, "It broke."));
    state.batch.warnings = vec![Warning { code: "paused".to_owned(), detail: "x".to_owned() }];
    let shown: Value = serde_json::from_slice(&batch_response(&state).body).unwrap();
    assert_eq!(shown["error"]["code"], "genesys_error");
    assert_eq!(shown["warnings"], json!([{"code": "paused", "detail": "x"}]));
}

#[test]
fn a_plan_is_shown_member_for_member() {
    let at = "2026-03-27T09:30:00Z".parse().unwrap();
    let batch = samples::batch(Kind::Drain, 2);
    let call = |priority, new_priority| PlannedCall {
        conversation_id: ConversationId::new(Uuid::nil()),
        waiting_since: at,
        priority,
        skill_ids: None,
        language_id: None,
        new_priority,
    };
    let plan = Plan {
        id: PlanId::new(Uuid::nil()),
        requested_by: batch.requested_by,
        drain: batch.drain,
        undo: None,
        total: 2,
        items: vec![call(Some(1), Priority::new(11)), call(None, None)],
        activity: Some(QueueActivity {
            waiting: Some(12),
            longest_wait_seconds: Some(340),
            interacting: None,
            on_queue: Some(0),
            idle: Some(0),
            as_of: at,
        }),
        estimated_wait_seconds: Some(50),
        requests: 5,
        eta_seconds: Some(1),
        warnings: Vec::new(),
        reason: None,
        reference: None,
        created_at: at,
        expires_at: at,
    };
    let none = "00000000-0000-0000-0000-000000000000";
    let queue =
        |n, name| json!({"id": format!("00000000-0000-0000-0000-00000000000{n}"), "name": name});
    assert_eq!(
        serde_json::to_value(PlanView::from(&plan)).unwrap(),
        json!({
            "planId": none, "expiresAt": "2026-03-27T09:30:00.000Z", "total": 2,
            "from": queue(2, "Support Tier 1"), "to": {
                "id": "00000000-0000-0000-0000-000000000003", "name": "Support Tier 2",
                "activity": {
                    "waiting": 12, "longestWaitSeconds": 340, "interacting": null,
                    "agents": {"onQueue": 0, "idle": 0}, "estimatedWaitSeconds": 50,
                    "asOf": "2026-03-27T09:30:00.000Z",
                },
            },
            "requests": 5, "etaSeconds": 1, "warnings": [],
            "items": [
                {"conversationId": none, "waitingSince": "2026-03-27T09:30:00.000Z",
                 "priority": 1, "newPriority": 11},
                {"conversationId": none, "waitingSince": "2026-03-27T09:30:00.000Z",
                 "priority": null, "newPriority": null},
            ],
        })
    );
}
