use serde_json::{Value, json};

use super::*;
use crate::{
    problem::UpstreamAnswer,
    transfer::{
        conversation::{Leg, LegState, Purpose, Routing},
        gateway::QueueActivity,
        model::{QueueRef, Stage, TransferRequest},
    },
};

const fn uuid(n: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(n)
}

fn transfer(stage: Stage) -> Transfer {
    let queue = QueueId::new(uuid(2));
    Transfer {
        id: TransferId::new(uuid(1)),
        stage,
        request: TransferRequest {
            conversation_id: ConversationId::new(uuid(3)),
            queue: QueueRef::Id(queue),
            priority: Priority::new(10),
            skill_ids: Some(Vec::new()),
            language_id: None,
            keep_place: false,
            participant_id: None,
            transfer_type: TransferType::Unattended,
            reason: None,
            reference: Some("CASE-4711".to_owned()),
            undo: None,
        },
        queue: Queue { id: queue, name: "Support Tier 2".to_owned(), division: None },
        requested_by: CallerName::new("crm"),
        request_id: "req-1".to_owned(),
        has_key: true,
        batch_id: None,
        participant_id: Some(ParticipantId::new(uuid(4))),
        previous: Some(Previous {
            purpose: Purpose::Agent,
            state: LegState::Connected,
            queue_id: None,
            priority: Some(3),
            skill_ids: Some(Vec::new()),
            language_id: None,
            waiting_since: None,
        }),
        picture: None,
        priority: Priority::new(10),
        waited_minutes: None,
        max_priority: None,
        hides_previous_queue: false,
        warnings: Vec::new(),
        error: None,
        upstream: UpstreamUse { calls: 2, attempts: 2, waited_ms: 0, correlation_id: None },
        awaited: false,
        created_at: "2026-03-27T09:30:00Z".parse().unwrap(),
        updated_at: "2026-03-27T09:30:00.123456Z".parse().unwrap(),
    }
}

fn failed(stage: Stage, code: Code) -> Transfer {
    Transfer { error: Some(Problem::new(code, "It happened.")), ..transfer(stage) }
}

fn body(answer: &StoredResponse) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

const ADDRESS: &str = "/transfers/00000000-0000-0000-0000-000000000001";

#[test]
fn a_transfer_is_shown_member_for_member() {
    let answer = transfer_response(&transfer(Stage::Accepted));

    let expected = concat!(
        r#"{"id":"00000000-0000-0000-0000-000000000001","status":"accepted","#,
        r#""conversationId":"00000000-0000-0000-0000-000000000003","#,
        r#""queue":{"id":"00000000-0000-0000-0000-000000000002","name":"Support Tier 2"},"#,
        r#""participantId":"00000000-0000-0000-0000-000000000004","#,
        r#""previous":{"purpose":"agent","state":"connected","queueId":null,"#,
        r#""priority":3,"skillIds":[],"languageId":null,"waitingSince":null},"undoes":null,"#,
        r#""priority":10,"waitedMinutes":null,"skillIds":[],"languageId":null,"#,
        r#""transferType":"unattended","reason":null,"reference":"CASE-4711","#,
        r#""requestedBy":"crm","batchId":null,"warnings":[],"error":null,"#,
        r#""upstream":{"calls":2,"attempts":2,"waitedMs":0,"correlationId":null},"#,
        r#""createdAt":"2026-03-27T09:30:00.000Z","updatedAt":"2026-03-27T09:30:00.123Z"}"#,
        "\n"
    );
    assert_eq!(String::from_utf8(answer.body).unwrap(), expected);
}

#[test]
fn a_transfer_that_goes_on_or_went_well_has_an_address() {
    for (stage, status) in [
        (Stage::Received, 202),
        (Stage::Prepared, 202),
        (Stage::Dispatching, 202),
        (Stage::Accepted, 201),
        (Stage::Confirmed, 201),
    ] {
        let answer = transfer_response(&transfer(stage));

        assert_eq!((answer.status, answer.location.as_deref()), (status, Some(ADDRESS)));
        assert_eq!(answer.content_type, "application/json");
        assert_eq!(body(&answer)["status"], stage.status().as_str());
    }
}

#[test]
fn a_failed_transfer_is_answered_with_its_problem() {
    let answer = transfer_response(&failed(Stage::Failed, Code::ConversationEnded));

    assert_eq!((answer.status, answer.location.as_deref()), (409, None));
    assert_eq!(answer.content_type, "application/problem+json");
    let body = body(&answer);
    assert_eq!(body["code"], "conversation_ended");
    assert_eq!(body["transferId"], "00000000-0000-0000-0000-000000000001");
    assert_eq!(body["requestId"], "req-1");
}

#[test]
fn a_failure_without_a_recorded_reason_is_still_a_problem() {
    assert_eq!(transfer_response(&transfer(Stage::Failed)).status, 500);
}

#[test]
fn an_unknown_outcome_is_504_whatever_was_seen_last() {
    let upstream = UpstreamAnswer { status: 502, ..UpstreamAnswer::default() };
    let odd = Problem::new(Code::GenesysError, "Genesys answered 502.").upstream(Some(upstream));
    for transfer in [
        transfer(Stage::Unknown),
        failed(Stage::Unknown, Code::OutcomeUnknown),
        Transfer { error: Some(odd), ..transfer(Stage::Unknown) },
    ] {
        let answer = transfer_response(&transfer);

        assert_eq!((answer.status, answer.location.as_deref()), (504, Some(ADDRESS)));
        let body = body(&answer);
        assert_eq!(body["code"], "outcome_unknown");
        assert_eq!(body["retryable"], true);
        assert!(body["hint"].as_str().unwrap().contains(ADDRESS));
    }
}

#[test]
fn an_error_inside_a_transfer_has_no_request_id() {
    let transfer = failed(Stage::Failed, Code::ConversationEnded);

    let shown = serde_json::to_value(TransferView::from(&transfer)).unwrap();

    assert_eq!(shown["status"], "failed");
    assert_eq!(shown["error"]["code"], "conversation_ended");
    assert_eq!(shown["error"].get("requestId"), None);
}

#[test]
fn the_same_record_gives_the_same_bytes() {
    let transfer = failed(Stage::Unknown, Code::OutcomeUnknown);

    assert_eq!(transfer_response(&transfer), transfer_response(&transfer.clone()));
}

#[test]
fn a_preview_is_shown_member_for_member() {
    let leg = Leg {
        participant_id: Some(ParticipantId::new(uuid(4))),
        purpose: Purpose::Agent,
        state: LegState::Held,
        supervision: None,
        queue_id: None,
        since: None,
        disconnect_type: None,
        routing: Routing::default(),
    };
    let preview = Preview {
        conversation_id: ConversationId::new(uuid(3)),
        code: None,
        detail: "agent leg held".to_owned(),
        legs: vec![LegView { leg, replaced: true, why: "the only agent".to_owned() }],
        target: Some(Queue {
            id: QueueId::new(uuid(2)),
            name: "Support".to_owned(),
            division: Some("Home".to_owned()),
        }),
        activity: Some(QueueActivity {
            waiting: Some(12),
            longest_wait_seconds: Some(340),
            interacting: None,
            on_queue: Some(5),
            idle: Some(0),
            as_of: "2026-03-27T09:30:00Z".parse().unwrap(),
        }),
        skills_will_be_stripped: Some(false),
        waited_minutes: 0,
        priority: Some(0),
    };

    let expected = concat!(
        r#"{"conversationId":"00000000-0000-0000-0000-000000000003","transferable":true,"#,
        r#""code":null,"detail":"agent leg held","#,
        r#""legs":[{"participantId":"00000000-0000-0000-0000-000000000004","purpose":"agent","#,
        r#""state":"held","held":true,"queueId":null,"replaced":true,"why":"the only agent"}],"#,
        r#""target":{"id":"00000000-0000-0000-0000-000000000002","name":"Support","#,
        r#""activity":{"waiting":12,"longestWaitSeconds":340,"interacting":null,"#,
        r#""agents":{"onQueue":5,"idle":0},"estimatedWaitSeconds":null,"#,
        r#""asOf":"2026-03-27T09:30:00.000Z"}},"#,
        r#""skillsWillBeStripped":false,"waitedMinutes":0,"priority":0}"#,
        "\n"
    );
    let bytes = json_bytes(&PreviewView::from(&preview));
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    let refused = Preview { code: Some(Code::ConversationEnded), ..preview };
    let shown = serde_json::to_value(PreviewView::from(&refused)).unwrap();
    assert_eq!(shown["transferable"], false);
    assert_eq!(shown["code"], "conversation_ended");
}

#[test]
fn queues_are_shown_with_their_division_and_the_age_of_the_map() {
    let queue = |division: Option<&str>| Queue {
        id: QueueId::new(uuid(2)),
        name: "Support".to_owned(),
        division: division.map(str::to_owned),
    };
    let items = [queue(Some("Home")), queue(None)];

    let view = QueuesView::new(&items, "2026-03-27T09:30:00.5Z".parse().unwrap());

    assert_eq!(
        serde_json::to_value(view).unwrap(),
        json!({
            "items": [
                {"id": uuid(2), "name": "Support", "division": "Home"},
                {"id": uuid(2), "name": "Support", "division": null},
            ],
            "loadedAt": "2026-03-27T09:30:00.500Z",
        })
    );
}

#[test]
fn a_code_is_explained_in_words() {
    for code in Code::ALL {
        let page = serde_json::to_value(ProblemPage::from(*code)).unwrap();

        assert_eq!(page["code"], code.as_str());
        for text in ["title", "meaning", "remedy"] {
            assert!(page[text].as_str().is_some_and(|text| text.len() > 8), "{code:?} {text}");
        }
    }
}
