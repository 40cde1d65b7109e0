//! Every JSON the sandbox sends has only members that the SDK's models have, and only words that
//! its enumerations allow. So have the fixtures that the gateway's own tests read.

use serde_json::Map;

use super::*;
use crate::sandbox::world::{MediaType, Shape};

const MODELS: &str = include_str!("../../../tests/fixtures/genesys/models.json");

fn models() -> Map<String, Value> {
    serde_json::from_str(MODELS).unwrap()
}

/// What is wrong with `value` as an instance of `kind`, with the path to it.
fn faults(
    models: &Map<String, Value>,
    kind: &str,
    value: &Value,
    at: &str,
    found: &mut Vec<String>,
) {
    if value.is_null() {
        return found.push(format!("{at}: null; Genesys leaves such members out"));
    }
    if let Some(inner) = kind.strip_prefix("list[").and_then(|rest| rest.strip_suffix(']')) {
        let Some(items) = value.as_array() else { return found.push(format!("{at}: no list")) };
        return items.iter().for_each(|item| faults(models, inner, item, at, found));
    }
    let fits = match kind {
        "str" => value.is_string(),
        "int" => value.is_i64(),
        "float" => value.is_number(),
        "bool" => value.is_boolean(),
        "datetime" => value.as_str().is_some_and(|text| text.parse::<Timestamp>().is_ok()),
        _ => true,
    };
    if !fits {
        found.push(format!("{at}: {value} is no {kind}"));
    }
    let (Some(model), Some(members)) = (models.get(kind), value.as_object()) else { return };
    for (name, value) in members {
        let at = format!("{at}.{name}");
        let Some(member) = model.get(name) else {
            found.push(format!("{at}: {kind} has no such member"));
            continue;
        };
        let words = member["words"].as_array();
        if words.is_some_and(|words| !value.is_array() && !words.contains(value)) {
            found.push(format!("{at}: {value} is none of its words"));
        }
        faults(models, member["type"].as_str().unwrap(), value, &at, found);
    }
}

fn assert_is(kind: &str, value: &Value) {
    let mut found = Vec::new();
    faults(&models(), kind, value, kind, &mut found);
    assert!(found.is_empty(), "{found:#?}");
    assert!(value.as_object().is_some_and(|members| !members.is_empty()), "{kind}: {value}");
}

#[test]
fn the_checker_itself_finds_misspelt_members_and_unknown_words() {
    for (kind, wrong) in [
        ("Queue", json!({"ID": "x"})),
        ("Queue", json!({"division": {"label": "x"}})),
        ("Conversation", json!({"participants": [{"calls": [{"state": "waiting"}]}]})),
        ("Conversation", json!({"startTime": "yesterday"})),
        ("Queue", json!({"memberCount": "1"})),
        ("Queue", json!({"name": null})),
    ] {
        let mut found = Vec::new();
        faults(&models(), kind, &wrong, kind, &mut found);
        assert_eq!(found.len(), 1, "{kind} {wrong}: {found:?}");
    }
}

#[test]
fn fixtures_have_only_members_of_the_models() {
    macro_rules! fixture {
        ($kind:literal, $file:literal) => {
            let text = include_str!(concat!("../../../tests/fixtures/genesys/", $file));
            assert_is($kind, &serde_json::from_str(text).unwrap());
        };
    }
    fixture!("QueueEntityListing", "queue-page.json");
    fixture!("Queue", "queue.json");
    fixture!("Conversation", "conversation-connected.json");
    fixture!("Conversation", "conversation-waiting.json");
    fixture!("Conversation", "conversation-moved.json");
    fixture!("Conversation", "conversation-ended.json");
    fixture!("Conversation", "conversation-message.json");
    fixture!("CallConversation", "calls-conversation.json");
    fixture!("QueueObservationQueryResponse", "observations.json");
    fixture!("RoutingConversationAttributesResponse", "routing-attributes.json");
    fixture!("ContactCenterSettings", "contact-center-settings.json");
    fixture!("ErrorBody", "error.json");
}

#[tokio::test]
async fn conversations_of_every_shape_and_medium_have_the_models_members() {
    let bench = Bench::with(Options { requests_per_minute: 10_000, ..Options::default() }).await;
    for shape in Shape::ALL {
        for media in MediaType::ALL {
            let (skills, language) = (vec![seed::SKILL], Some(seed::SKILL));
            let queue = Some(seed::SUPPORT_TIER_1);
            let new =
                NewConversation { shape, media, queue, skills, language, ..Default::default() };
            let id = bench.sandbox.add_conversation(new).unwrap();
            let seen = bench.json(&format!("/api/v2/conversations/{id}")).await;
            assert_is("Conversation", &seen);
            if media == MediaType::Voice {
                let seen = bench.json(&format!("/api/v2/conversations/calls/{id}")).await;
                assert_is("CallConversation", &seen);
            }
        }
    }
}

#[tokio::test]
async fn moved_and_answered_calls_have_the_models_members() {
    let bench = Bench::new().await;
    bench.replace(seed::CONNECTED_CALL, 3).send().await.unwrap();
    bench.sandbox.act(seed::CONNECTED_CALL, Act::Answer).unwrap();
    bench.sandbox.act(seed::HELD_CALL, Act::HangUp).unwrap();

    for call in [seed::CONNECTED_CALL, seed::HELD_CALL] {
        assert_is("Conversation", &bench.json(&format!("/api/v2/conversations/{call}")).await);
    }
}

#[tokio::test]
async fn queues_settings_and_errors_have_the_models_members() {
    let bench = Bench::new().await;
    for (kind, path) in [
        ("QueueEntityListing", "/api/v2/routing/queues?pageSize=2&pageNumber=2"),
        ("Queue", "/api/v2/routing/queues/a1000000-0000-4000-8000-000000000001"),
        ("ContactCenterSettings", "/api/v2/routing/settings/contactcenter"),
        ("ErrorBody", "/api/v2/routing/queues/a1000000-0000-4000-8000-000000000099"),
        ("ErrorBody", "/api/v2/routing/queues?pageSize=x"),
    ] {
        assert_is(kind, &bench.json(path).await);
    }
}

#[tokio::test]
async fn routing_and_observation_answers_have_the_models_members() {
    let bench = Bench::new().await;
    let is = |dimension: &str, value: &str| json!({"type": "dimension", "dimension": dimension, "operator": "matches", "value": value});
    let queue = is("queueId", &seed::SUPPORT_TIER_1.to_string());
    let query = json!({
        "filter": {"type": "and", "predicates": [queue]},
        "metrics": ["oWaiting"], "detailMetrics": ["oWaiting"],
    });
    let change = json!({"priority": 1, "languageId": seed::SKILL, "labelId": seed::SKILL});
    let waiting = format!("/api/v2/routing/conversations/{}", seed::WAITING_CALL);
    let observations = "/api/v2/analytics/queues/observations/query";

    let (_, set) = body(bench.send(Method::PATCH, &waiting, &change).await).await;
    let (_, rows) = body(bench.send(Method::POST, observations, &query).await).await;

    assert_is("RoutingConversationAttributesResponse", &set);
    assert_is("QueueObservationQueryResponse", &rows);
}
