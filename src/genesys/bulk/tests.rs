use serde_json::{Value, json};

use super::*;

const QUEUE: &str = "33333333-3333-4333-8333-333333333333";
const OTHER: &str = "44444444-4444-4444-8444-444444444444";
const CALL: &str = "11111111-1111-4111-8111-111111111111";

fn segment(kind: &str, queue: Option<&str>, end: Option<&str>) -> Value {
    json!({
        "segmentType": kind, "queueId": queue, "segmentStart": "2026-01-01T00:00:00.000Z",
        "segmentEnd": end, "disconnectType": end.map(|_| "transfer"),
    })
}

fn participant(number: u32, purpose: &str, segments: &[Value]) -> Value {
    json!({
        "participantId": format!("00000000-0000-4000-8000-0000000{number:05}"), "purpose": purpose,
        "sessions": [{"mediaType": "voice", "segments": segments}],
    })
}

fn customer() -> Value {
    participant(1, "customer", &[segment("interact", None, None)])
}

fn waits(queue: &str) -> Value {
    participant(2, "acd", &[segment("interact", Some(queue), None)])
}

fn read(participants: &Value) -> Option<Conversation> {
    let call = json!({
        "conversationId": CALL, "conversationStart": "2026-01-01T00:00:00Z",
        "participants": participants,
    });
    let call: DetailedCall = serde_json::from_str(&call.to_string()).unwrap();
    view(&call, QUEUE.parse().unwrap(), ClockOffset::default())
}

#[test]
fn a_call_that_only_waits_is_plain() {
    let ended = Some("2026-01-01T00:01:00Z");
    let ivr = participant(3, "ivr", &[segment("ivr", None, ended)]);
    let before = participant(4, "acd", &[segment("interact", Some(OTHER), ended)]);
    let call = read(&json!([customer(), ivr, before, waits(QUEUE)])).unwrap();
    assert!(call.bulk && !call.unread && call.recent_transfers.is_empty());
    let states: Vec<&LegState> = call.legs.iter().map(|leg| &leg.state).collect();
    let expected = [&LegState::Connected, &LegState::Ended, &LegState::Ended, &LegState::Waiting];
    assert_eq!(states, expected);
    let waiting = call.legs.last().unwrap();
    assert_eq!(waiting.queue_id, QUEUE.parse().ok());
    assert_eq!(waiting.since, "2026-01-01T00:00:00Z".parse().ok());
    assert_eq!(waiting.disconnect_type, None);
}

#[test]
fn a_call_that_is_over_is_told_and_one_that_an_agent_has_is_left_to_a_single_look() {
    let ended = Some("2026-01-01T00:01:00Z");
    let agent = |kind: &str| participant(5, "agent", &[segment(kind, Some(QUEUE), None)]);
    let left = || participant(2, "acd", &[segment("interact", Some(QUEUE), ended)]);
    let told = |end: Option<&str>, participants: Value| {
        let call = json!({
            "conversationId": CALL, "conversationEnd": end, "participants": participants,
        });
        let call: DetailedCall = serde_json::from_str(&call.to_string()).unwrap();
        let call = gone(&call, ClockOffset::default())?;
        assert!(call.bulk);
        Some((call.ended, call.legs.len()))
    };
    assert_eq!(told(ended, json!([customer(), waits(QUEUE)])), Some((true, 0)));
    for participants in [
        json!([customer(), left(), agent("interact")]),
        json!([customer(), left(), agent("alert")]),
        json!([customer(), waits(QUEUE), agent("interact")]),
        json!([customer(), waits(OTHER), agent("interact")]),
        json!([customer(), left(), agent("interact"), null]),
        json!([customer(), left()]),
    ] {
        assert_eq!(told(None, participants.clone()), None, "{participants}");
    }
}

#[test]
fn what_is_not_plain_is_left_out() {
    let ended = Some("2026-01-01T00:01:00Z");
    let agent = |kind: &str| participant(5, "agent", &[segment(kind, Some(QUEUE), None)]);
    let listens = json!({
        "participantId": "00000000-0000-4000-8000-000000000009", "purpose": "user",
        "sessions": [{
            "mediaType": "voice", "monitoredParticipantId": "00000000-0000-4000-8000-000000000005",
            "segments": [segment("interact", None, None)],
        }],
    });
    let email = json!({
        "participantId": "00000000-0000-4000-8000-000000000002", "purpose": "acd",
        "sessions": [{"mediaType": "email", "segments": [segment("interact", Some(QUEUE), None)]}],
    });
    let gone = participant(2, "acd", &[segment("interact", Some(QUEUE), ended)]);
    let left = participant(1, "customer", &[segment("interact", None, ended)]);
    for participants in [
        json!([customer(), waits(OTHER)]),
        json!([customer(), waits(QUEUE), agent("alert")]),
        json!([customer(), waits(QUEUE), agent("interact")]),
        json!([customer(), waits(QUEUE), listens]),
        json!([customer(), waits(QUEUE), waits(QUEUE)]),
        json!([customer(), gone]),
        json!([customer(), email]),
        json!([left, waits(QUEUE)]),
        json!([waits(QUEUE)]),
        json!([customer(), waits(QUEUE), null]),
        json!([customer(), waits(QUEUE), participant(6, "ivr", &[])]),
        json!([customer(), waits(QUEUE), participant(6, "ivr", &[segment("ivr", None, None)])]),
        json!([
            customer(),
            participant(
                2,
                "acd",
                &[segment("interact", Some(QUEUE), None), segment("interact", Some(QUEUE), None),]
            )
        ]),
        json!([]),
    ] {
        // As the gateway reads what it cannot read strictly.
        assert_eq!(read(&participants), None, "{participants}");
    }
}
