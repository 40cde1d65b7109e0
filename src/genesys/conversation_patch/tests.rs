use serde_json::{Value, json};

use super::*;

const ID: &str = "11111111-1111-4111-8111-111111111111";
const QUEUE: &str = "33333333-3333-4333-8333-333333333333";
const SKILL: &str = "44444444-4444-4444-8444-444444444444";

fn view_of(body: &Value) -> Result<Conversation, GatewayError> {
    let text = body.to_string();
    let parsed: wire::Communication<'_> = serde_json::from_str(&text).unwrap();
    view(ID.parse().unwrap(), &parsed)
}

fn read(body: &Value) -> Conversation {
    view_of(body).unwrap()
}

fn request() -> TransferRequest {
    let body = json!({"conversationId": ID, "queue": {"id": QUEUE}});
    serde_json::from_value(body).unwrap()
}

#[test]
fn each_state_word_has_its_meaning() {
    let table = [
        ("queued", Some(LegState::Waiting), false, None),
        ("connected", Some(LegState::Connected), false, None),
        ("held", Some(LegState::Held), false, None),
        ("ringing", Some(LegState::Ringing), false, None),
        ("completed", Some(LegState::Ended), true, None),
        ("busy", None, false, Some("busy")),
        ("no-answer", None, false, Some("no-answer")),
        ("Declined", None, false, Some("declined")),
        ("something new", None, false, Some("something new")),
    ];
    for (word, state, ended, blocked) in table {
        let conversation = read(&json!({"id": ID, "state": word}));
        let expected = state.unwrap_or_else(|| LegState::Other(word.to_lowercase()));
        assert_eq!(conversation.legs[0].state, expected, "{word}");
        assert_eq!(conversation.ended, ended, "{word}");
        assert_eq!(conversation.blocked.as_deref(), blocked, "{word}");
    }
}

#[test]
fn a_queued_conversation_carries_queue_time_and_routing() {
    let conversation = read(&json!({
        "id": ID, "state": "queued", "startTime": "2026-11-22T12:00:00Z",
        "routing": {"queueId": QUEUE, "priority": 50, "skillRequirements": [SKILL, {"id": SKILL}]},
    }));
    let leg = &conversation.legs[0];
    let skill: SkillId = SKILL.parse().unwrap();
    assert_eq!(leg.purpose, Purpose::Acd);
    assert_eq!(leg.queue_id, Some(QUEUE.parse().unwrap()));
    assert_eq!(leg.since, Some("2026-11-22T12:00:00Z".parse().unwrap()));
    assert_eq!(leg.routing.priority, Some(50));
    assert_eq!(leg.routing.skill_ids, Some(vec![skill, skill]));
}

#[test]
fn a_skill_that_cannot_be_read_is_not_taken_away_by_the_command() {
    for bad in [json!(null), json!(7), json!({})] {
        let routing = json!({"queueId": QUEUE, "skillRequirements": [SKILL, bad]});
        let view = view_of(&json!({"id": ID, "state": "queued", "routing": routing}));
        assert!(matches!(view, Err(GatewayError::Unreadable { .. })), "{bad}: {view:?}");
    }
}

#[test]
fn what_the_api_cannot_carry_is_named_field_by_field() {
    let request = TransferRequest {
        language_id: Some(SKILL.parse().unwrap()),
        participant_id: Some(SKILL.parse().unwrap()),
        transfer_type: TransferType::Attended,
        priority: Priority::new(101),
        ..request()
    };
    let pointers: Vec<_> = unsupported(&request).into_iter().map(|error| error.pointer).collect();
    assert_eq!(pointers, ["/languageId", "/participantId", "/transferType", "/priority"]);
}

#[test]
fn a_plain_request_can_be_carried() {
    let with = |priority| TransferRequest { priority: Priority::new(priority), ..request() };
    assert_eq!(unsupported(&with(0)), []);
    assert_eq!(unsupported(&with(100)), []);
    assert_eq!(unsupported(&with(-1)).len(), 1);
    assert_eq!(unsupported(&request()), []);
}
