use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const ID: &str = "11111111-1111-4111-8111-111111111111";
const AGENT: &str = "22222222-2222-4222-8222-222222222222";
const QUEUE: &str = "33333333-3333-4333-8333-333333333333";

fn read(body: &Value) -> Result<Conversation, GatewayError> {
    let text = body.to_string();
    let parsed: wire::WireConversation<'_> = serde_json::from_str(&text).unwrap();
    view(ID.parse().unwrap(), &parsed)
}

fn conversation(participants: &Value) -> Conversation {
    read(&json!({"id": ID, "participants": participants})).unwrap()
}

fn only_leg(participant: &Value) -> Leg {
    conversation(&json!([participant])).legs.remove(0)
}

fn state(purpose: &str, call: &Value) -> LegState {
    only_leg(&json!({"id": AGENT, "purpose": purpose, "calls": [call]})).state
}

#[test]
fn each_state_of_a_call_is_told_in_the_contracts_words() {
    for (purpose, call, expected) in [
        ("agent", json!({"state": "connected"}), LegState::Connected),
        ("agent", json!({"state": "connected", "held": true}), LegState::Held),
        ("acd", json!({"state": "connected"}), LegState::Waiting),
        ("acd", json!({"state": "connected", "held": true}), LegState::Waiting),
        ("agent", json!({"state": "alerting"}), LegState::Ringing),
        ("agent", json!({"state": "dialing"}), LegState::Ringing),
        ("agent", json!({"state": "contacting"}), LegState::Ringing),
        ("agent", json!({"state": "offering"}), LegState::Ringing),
        ("agent", json!({"state": "disconnected"}), LegState::Ended),
        ("agent", json!({"state": "terminated", "held": true}), LegState::Ended),
        ("agent", json!({"state": "converting"}), LegState::Other("converting".to_owned())),
        ("agent", json!({"state": "WAITING"}), LegState::Other("waiting".to_owned())),
        ("agent", json!({}), LegState::Other("none".to_owned())),
    ] {
        assert_eq!(state(purpose, &call), expected, "{purpose} {call}");
    }
}

#[test]
fn an_agent_who_consults_stands_as_the_call_that_is_most_alive() {
    let calls = json!([
        {"state": "disconnected", "disconnectType": "peer"},
        {"state": "connected", "held": true},
        {"state": "connected", "held": false},
    ]);
    let leg = only_leg(&json!({"id": AGENT, "purpose": "agent", "calls": calls}));
    assert_eq!(leg.state, LegState::Connected);
}

#[test]
fn an_end_time_ends_a_leg_whatever_its_calls_say() {
    let leg = only_leg(&json!({
        "id": AGENT, "purpose": "agent", "endTime": "2026-11-22T12:00:00.000Z",
        "calls": [
            {"state": "connected", "disconnectType": "peer"},
            {"state": "disconnected", "disconnectType": "transfer"},
        ],
    }));
    assert_eq!(leg.state, LegState::Ended);
    assert_eq!(leg.disconnect_type.as_deref(), Some("transfer"));
}

#[test]
fn other_media_stand_by_the_same_rules() {
    for medium in ["callbacks", "chats", "emails", "messages", "videos", "socialExpressions"] {
        let mut participant = json!({"id": AGENT, "purpose": "agent"});
        participant[medium] = json!([{"state": "connected"}]);
        assert_eq!(only_leg(&participant).state, LegState::Connected, "{medium}");
    }
}

#[test]
fn a_waiting_leg_carries_queue_time_and_routing() {
    let skill = "44444444-4444-4444-8444-444444444444";
    let leg = only_leg(&json!({
        "id": AGENT, "purpose": "acd", "queueId": QUEUE,
        "startTime": "2026-11-22T11:58:00.000Z", "connectedTime": "2026-11-22T11:59:00.000Z",
        "calls": [{"state": "connected"}],
        "conversationRoutingData": {
            "queue": {"id": QUEUE}, "priority": 7,
            "skills": [{"id": skill}, {"id": "no uuid"}], "language": {"id": skill}
        },
    }));
    assert_eq!(leg.queue_id, Some(QUEUE.parse().unwrap()));
    assert_eq!(leg.since, Some("2026-11-22T11:59:00Z".parse().unwrap()));
    assert_eq!(leg.routing.priority, Some(7));
    assert_eq!(leg.routing.skill_ids, Some(vec![skill.parse().unwrap()]));
    assert_eq!(leg.routing.language_id, Some(skill.parse().unwrap()));
}

#[test]
fn an_id_that_is_no_uuid_is_no_id() {
    let leg = only_leg(&json!({"id": "../../evil", "purpose": "agent", "queueId": "x"}));
    assert_eq!((leg.participant_id, leg.queue_id), (None, None));
}

#[test]
fn a_conversation_ends_by_its_end_time_or_with_its_last_leg() {
    let agent = |state: &str| json!({"purpose": "agent", "calls": [{"state": state}]});
    assert!(!conversation(&json!([])).ended);
    assert!(!conversation(&json!([agent("disconnected"), agent("connected")])).ended);
    assert!(conversation(&json!([agent("disconnected"), agent("terminated")])).ended);
    let end = json!({"id": ID, "participants": [agent("connected")], "endTime": "x"});
    assert!(read(&end).unwrap().ended);
}

#[test]
fn recent_transfers_are_kept_by_id() {
    let body = json!({"id": ID, "participants": [], "recentTransfers": [{"id": "t1"}, 5, {}]});
    assert_eq!(read(&body).unwrap().recent_transfers, ["t1"]);
}

#[test]
fn members_of_unexpected_types_count_as_absent() {
    let leg = only_leg(&json!({
        "id": AGENT, "startTime": {}, "conversationRoutingData": "x", "queueId": [],
        "messages": [{"state": "connected", "held": "yes"}], "unknown": [[]],
        "monitoredParticipantId": 7, "bargedParticipantId": "",
    }));
    assert_eq!(leg.purpose, Purpose::Other("unknown".to_owned()));
    assert_eq!((leg.state, leg.supervision), (LegState::Connected, None));
}

#[test]
fn supervisors_are_told_by_whom_they_supervise() {
    let (monitored, coached) = ("monitoredParticipantId", "coachedParticipantId");
    let barged = "bargedParticipantId";
    for (members, expected) in [
        (vec![], None),
        (vec![monitored], Some(Supervision::Listens)),
        (vec![coached], Some(Supervision::Listens)),
        (vec![monitored, coached], Some(Supervision::Listens)),
        (vec![barged], Some(Supervision::BargedIn)),
        (vec![monitored, barged], Some(Supervision::BargedIn)),
    ] {
        let mut participant = json!({"id": AGENT, "purpose": "agent"});
        for member in &members {
            participant[member] = json!(ID);
        }
        assert_eq!(only_leg(&participant).supervision, expected, "{members:?}");
    }
}

#[test]
fn only_what_may_be_an_open_leg_leaves_a_conversation_unread() {
    let talks = json!([{"state": "connected"}]);
    let end = "2026-11-22T12:00:00.000Z";
    for (participant, unread) in [
        (json!({"id": AGENT, "purpose": "agent", "calls": talks}), false),
        (json!({"id": AGENT, "purpose": "agent", "calls": [null, {"state": "connected"}]}), false),
        (json!({"id": AGENT, "purpose": "agent", "calls": [null], "endTime": end}), false),
        (json!({"purpose": "agent", "calls": [{"state": "disconnected"}]}), false),
        (json!(null), true),
        (json!("agent"), true),
        (json!({"id": AGENT, "purpose": 7, "calls": talks}), true),
        (json!({"id": AGENT, "purpose": "agent", "calls": [null]}), true),
        (json!({"id": AGENT, "purpose": "agent", "calls": "none"}), true),
        (json!({"id": AGENT, "purpose": "agent", "messages": [{"state": 5}]}), true),
        (json!({"id": AGENT, "purpose": "agent", "calls": [null, {"state": "alerting"}]}), true),
        (json!({"id": AGENT, "purpose": "agent", "calls": [null, {"state": "terminated"}]}), true),
        (json!({"id": "x", "purpose": "agent", "calls": talks}), true),
        (json!({"purpose": "agent", "calls": talks}), true),
    ] {
        let read = conversation(&json!([participant]));
        assert_eq!(read.unread, unread, "{participant}");
        assert!(!read.unread || !read.ended, "{participant}");
    }
}

#[test]
fn an_answer_about_another_conversation_is_not_used() {
    let body = json!({"id": QUEUE, "participants": []});
    assert!(matches!(read(&body), Err(GatewayError::Unreadable { .. })));
}

#[test]
fn a_conversation_without_participants_member_is_unreadable() {
    assert!(
        serde_json::from_str::<wire::WireConversation<'_>>(&json!({"id": ID}).to_string()).is_err()
    );
}

#[test]
fn the_command_is_spelt_as_genesys_spells_it() {
    let body = wire::TransferToQueue {
        queue_id: QUEUE.to_owned(),
        transfer_type: transfer_type(TransferType::Unattended),
    };
    let expected = json!({"queueId": QUEUE, "transferType": "Unattended"});
    assert_eq!(serde_json::to_value(body).unwrap(), expected);
}

fn any_json() -> impl Strategy<Value = Value> {
    let words = proptest::sample::select(vec![
        "id",
        "state",
        "calls",
        "purpose",
        "connected",
        "acd",
        "held",
        "participants",
        "endTime",
        "conversationRoutingData",
        "skills",
        "queue",
        "recentTransfers",
        "priority",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        words.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec((words.clone(), inner), 0..8).prop_map(|members| {
                members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            }),
        ]
    })
}

proptest! {
    #[test]
    fn no_answer_panics_or_shows_an_ended_leg_as_alive(participant in any_json()) {
        let body = json!({"id": ID, "participants": [participant]});
        let text = body.to_string();
        let parsed = serde_json::from_str::<wire::WireConversation<'_>>(&text);
        // What can be read in one pass is the same.
        let strictly = wire::listed::strictly(|| {
            let read = serde_json::from_str::<wire::WireConversation<'_>>(&text);
            read.ok().map(|read| view(ID.parse().unwrap(), &read).unwrap())
        });
        if let Ok(parsed) = parsed {
            let conversation = view(ID.parse().unwrap(), &parsed).unwrap();
            if let Some(strictly) = strictly {
                prop_assert_eq!(&strictly, &conversation);
            }
            let ended = parsed.participants.items.iter().map(|leg| leg.end_time.is_some());
            for (leg, ended) in conversation.legs.iter().zip(ended) {
                prop_assert!(!ended || leg.is_ended());
            }
        }
    }
}
