//! The shapes read what Genesys sends: the fixtures hold every member as the official SDK's models
//! spell it, so a member misspelt here reads as absent and fails.

use serde_json::Value;

use super::*;

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../tests/fixtures/genesys/", $name, ".json"))
    };
}

#[test]
fn a_token_is_read() {
    let token: TokenAnswer = serde_json::from_str(fixture!("token")).unwrap();
    assert!(token.expires_in.is_some_and(|seconds| seconds > 0));
}

#[test]
fn numbers_are_read_however_they_are_written_and_nonsense_as_none() {
    let written = |value: Value| {
        let text = serde_json::json!({"priority": value}).to_string();
        let read = || serde_json::from_str::<RoutingData<'_>>(&text).map(|read| read.priority);
        let priority = read().unwrap();
        // What can be read in one pass is the same.
        assert!(listed::strictly(read).is_ok_and(|strict| strict == priority) || !value.is_i64());
        priority
    };
    for (value, expected) in [
        (Value::from(-5), Some(-5)),
        (Value::from("5"), Some(5)),
        (Value::from(5.0), Some(5)),
        (Value::from("much"), None),
        (Value::from(1e30), None),
        (Value::Null, None),
    ] {
        assert_eq!(written(value.clone()), expected, "{value}");
    }
}

#[test]
fn times_are_read_however_finely_they_are_told() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    for (text, expected) in [
        ("2026-01-01T00:00:01Z", Some(at("2026-01-01T00:00:01Z"))),
        ("2026-01-01T00:00:01.Z", Some(at("2026-01-01T00:00:01Z"))),
        ("2026-01-01T00:00:01.5Z", Some(at("2026-01-01T00:00:01.5Z"))),
        ("2026-01-01T00:00:01.123456789Z", Some(at("2026-01-01T00:00:01.123456789Z"))),
        ("2026-01-01T00:00:01.1234567899Z", Some(at("2026-01-01T00:00:01.123456789Z"))),
        ("2026-01-01T00:00:01.12345678901234567890Z", Some(at("2026-01-01T00:00:01.123456789Z"))),
        ("2026-01-01T01:00:01.1234567890+01:00", Some(at("2026-01-01T00:00:01.123456789Z"))),
        ("2026-01-01T00:00:01.5", None),
        ("2026-01-01T00:00:01.x5Z", None),
        ("yesterday", None),
        ("", None),
        (".", None),
    ] {
        assert_eq!(timestamp(text), expected, "{text}");
    }
}

#[test]
fn a_page_of_queues_is_read_with_its_counts_names_and_divisions() {
    let page: QueuePage = serde_json::from_str(fixture!("queue-page")).unwrap();
    assert!(page.page_count.is_some() && page.total.is_some());
    assert!(page.entities.left_out == 0 && !page.entities.items.is_empty());
    for queue in page.entities.items {
        let division = queue.division.and_then(|division| division.name);
        assert!(!queue.name.is_empty() && division.is_some());
    }
}

#[test]
fn a_conversation_is_read_with_everything_the_rules_look_at() {
    let moved: WireConversation<'_> = serde_json::from_str(fixture!("conversation-moved")).unwrap();
    assert!(!moved.recent_transfers.items.is_empty());
    let replaced = moved.participants.items.iter().find(|participant| {
        participant.purpose.as_deref() == Some("agent") && participant.end_time.is_some()
    });
    let call = replaced.and_then(|participant| participant.media().next()).unwrap();
    assert_eq!(call.disconnect_type.as_deref(), Some("transfer"));
    let waiting = moved.participants.items.iter().rfind(|participant| {
        participant.purpose.as_deref() == Some("acd") && participant.end_time.is_none()
    });
    let waiting = waiting.unwrap();
    assert!(waiting.queue_id.is_some() && waiting.start_time.is_some());
    let routing = waiting.conversation_routing_data.as_ref().unwrap();
    assert!(routing.priority.is_some());
}

#[test]
fn what_genesys_documents_is_read_in_one_pass_and_as_it_is_read_value_by_value() {
    for text in [
        fixture!("conversation-moved"),
        fixture!("conversation-ended"),
        fixture!("conversation-connected"),
        fixture!("conversation-message"),
        fixture!("conversation-waiting"),
    ] {
        let read = || format!("{:?}", serde_json::from_str::<WireConversation<'_>>(text).unwrap());
        assert_eq!(listed::strictly(read), listed::counted(read).0);
    }
    let text = fixture!("queue-page");
    let read = || format!("{:?}", serde_json::from_str::<QueuePage>(text).unwrap());
    assert_eq!(listed::strictly(read), listed::counted(read).0);
}

#[test]
fn an_ended_conversation_is_read_as_ended() {
    let over: WireConversation<'_> = serde_json::from_str(fixture!("conversation-ended")).unwrap();
    assert!(over.end_time.is_some());
}

#[test]
fn a_conversation_of_the_patch_api_is_read_with_its_routing() {
    let read: Communication<'_> =
        serde_json::from_str(fixture!("communications-conversation")).unwrap();
    let routing = read.routing.unwrap();
    assert!(!read.state.is_empty() && routing.queue_id.is_some() && routing.priority.is_some());
}

#[test]
fn the_settings_are_read() {
    let read: ContactCenterSettings =
        serde_json::from_str(fixture!("contact-center-settings")).unwrap();
    let raw: Value = serde_json::from_str(fixture!("contact-center-settings")).unwrap();
    let told = raw["removeSkillsFromBlindTransfer"].as_bool();
    assert_eq!(read.remove_skills_from_blind_transfer, told);
}

/// Members of the bodies we send, as the SDK spells them (`TransferToQueueRequest`,
/// `RoutingConversationAttributesRequest`, 269.0.0).
#[test]
fn bodies_have_only_members_that_genesys_knows() {
    let sent = |body: Value| body.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let replace = TransferToQueue { queue_id: String::new(), transfer_type: "Unattended" };
    let attributes = RoutingAttributes {
        priority: Some(1),
        skill_ids: Some(Vec::new()),
        language_id: Some(String::new()),
    };
    assert_eq!(sent(serde_json::to_value(replace).unwrap()), ["queueId", "transferType"]);
    assert_eq!(
        sent(serde_json::to_value(attributes).unwrap()),
        ["languageId", "priority", "skillIds"]
    );
}
