//! What each field of the body does.

use genesys_transfer::sandbox::world::NewConversation;

use super::*;

#[tokio::test]
async fn skills_are_set_cleared_or_left_alone() {
    let app = TestApp::start().await;
    for (more, answered, on_the_call) in [
        (json!({}), Value::Null, vec![seed::SKILL]),
        (json!({"skillIds": null}), Value::Null, vec![seed::SKILL]),
        (json!({"skillIds": [OTHER_SKILL]}), json!([OTHER_SKILL]), vec![OTHER_SKILL]),
        (json!({"skillIds": []}), json!([]), vec![]),
    ] {
        let call = app.sandbox().add_conversation(NewConversation {
            queue: Some(seed::SUPPORT_TIER_1),
            skills: vec![seed::SKILL],
            ..NewConversation::default()
        });
        let call = call.unwrap();
        let answer = app.submit(with(call, "Support Tier 2", &more)).await;
        assert_eq!(answer.json()["skillIds"], answered, "{more}");
        assert_eq!(app.routing(call).skills, on_the_call, "{more}");
    }
}

#[tokio::test]
async fn skills_asked_for_survive_an_organisation_that_strips_them() {
    let app = TestApp::start().await;
    app.sandbox().with(|state| state.behaviour.remove_skills_from_blind_transfer = true);
    let more = json!({"skillIds": [OTHER_SKILL]});
    app.submit(with(seed::CONNECTED_CALL, "Support Tier 2", &more)).await;
    assert_eq!(app.routing(seed::CONNECTED_CALL).skills, [OTHER_SKILL]);
}

#[tokio::test]
async fn language_ends_up_on_the_call_and_leaves_the_rest_alone() {
    let app = TestApp::start().await;
    let more = json!({"languageId": LANGUAGE});
    let answer = app.submit(with(seed::WAITING_CALL, "Support Tier 2", &more)).await;
    let routing = app.routing(seed::WAITING_CALL);
    assert_eq!(answer.json()["languageId"], json!(LANGUAGE));
    assert_eq!((routing.language, routing.priority), (Some(LANGUAGE), 5));
    assert_eq!(routing.skills, [seed::SKILL]);
}

#[tokio::test]
async fn priority_skills_and_language_take_one_request_together() {
    let app = TestApp::warm(&[]).await;
    let more = json!({"priority": -3, "skillIds": [OTHER_SKILL], "languageId": LANGUAGE});
    app.submit(with(seed::WAITING_CALL, "Support Tier 2", &more)).await;
    let routing = app.routing(seed::WAITING_CALL);
    assert_eq!((routing.priority, routing.language), (-3, Some(LANGUAGE)));
    assert_eq!(app.methods(), ["GET", "POST", "PATCH"]);
}

#[tokio::test]
async fn keep_place_adds_the_minutes_waited_to_the_priority() {
    for (more, sum) in
        [(json!({"keepPlace": true}), 17), (json!({"keepPlace": true, "priority": 40}), 52)]
    {
        let app = TestApp::start().await;
        let answer = app.submit(with(seed::WAITING_CALL, "Support Tier 2", &more)).await;
        let transfer = answer.json();
        assert_eq!((&transfer["priority"], &transfer["waitedMinutes"]), (&json!(sum), &json!(12)));
        assert_eq!(app.routing(seed::WAITING_CALL).priority, sum);
    }
}

#[tokio::test]
async fn keep_place_adds_nothing_for_a_call_that_was_not_waiting() {
    let app = TestApp::warm(&[]).await;
    let more = json!({"keepPlace": true});
    let transfer = app.submit(with(seed::CONNECTED_CALL, "Support Tier 2", &more)).await.json();
    assert_eq!((&transfer["priority"], &transfer["waitedMinutes"]), (&json!(0), &json!(0)));
    assert_eq!(app.routing(seed::CONNECTED_CALL).priority, 0);
    // The move keeps the priority, so there is nothing to set.
    assert_eq!(app.methods(), ["GET", "POST"]);
}

#[tokio::test]
async fn keep_place_false_leaves_the_priority_alone() {
    let app = TestApp::warm(&[]).await;
    let more = json!({"keepPlace": false});
    let transfer = app.submit(with(seed::WAITING_CALL, "Support Tier 2", &more)).await.json();
    assert_eq!((&transfer["priority"], &transfer["waitedMinutes"]), (&Value::Null, &Value::Null));
    assert_eq!(app.routing(seed::WAITING_CALL).priority, 5);
}

#[tokio::test]
async fn reason_and_reference_are_kept_as_given() {
    let app = TestApp::start().await;
    let more = json!({"reason": "Überlauf:\n\"Tier 1\"", "reference": "CASE-4711 ☎"});
    let answer = app.submit(with(seed::CONNECTED_CALL, "Support Tier 2", &more)).await;
    let kept = app.get(answer.header("location").unwrap()).await.json();
    for member in ["reason", "reference"] {
        assert_eq!(answer.json()[member], more[member]);
        assert_eq!(kept[member], more[member]);
    }
}

#[tokio::test]
async fn a_queue_is_found_by_id_and_by_name_whatever_the_case_and_blanks_around() {
    let app = TestApp::start().await;
    for queue in [
        json!({"queueId": seed::SUPPORT_TIER_2}),
        json!({"queueId": seed::SUPPORT_TIER_2.to_string().to_uppercase()}),
        json!({"queueName": "  Support Tier 2\t"}),
        json!({"queueName": "sUPPORT tIER 2"}),
    ] {
        let mut body = queue.clone();
        body["conversationId"] = json!(app.call(Shape::Connected, seed::SUPPORT_TIER_1));
        let transfer = app.submit(body).await.json();
        let expected = json!({"id": seed::SUPPORT_TIER_2, "name": "Support Tier 2"});
        assert_eq!(transfer["queue"], expected, "{queue}");
    }
}

#[tokio::test]
async fn an_exact_name_wins_over_one_that_differs_in_case() {
    let app = TestApp::start().await;
    let lower = app.sandbox().add_queue("support tier 2").unwrap();
    app.post("/queues/refresh", &Value::Null).await;
    let transfer = app.transfer(seed::CONNECTED_CALL, "support tier 2").await.json();
    assert_eq!(transfer["queue"]["id"], json!(lower));
}

#[tokio::test]
async fn several_queues_of_a_name_are_listed_as_candidates() {
    let app = TestApp::start().await;
    let answer = app.transfer(seed::CONNECTED_CALL, "billing").await;
    app.assert_problem(&answer, 422, "queue_ambiguous").await;
    let mut candidates = answer.json()["candidates"].as_array().unwrap().clone();
    candidates.sort_by_key(|candidate| candidate["division"].to_string());
    let expected = [
        json!({"id": seed::BILLING_EMEA, "name": "Billing", "division": "EMEA"}),
        json!({"id": seed::BILLING, "name": "Billing", "division": "Home"}),
    ];
    assert_eq!(candidates, expected);
    assert_eq!(app.commands(), 0);
}

#[tokio::test]
async fn a_misspelt_queue_gets_the_closest_names() {
    let app = TestApp::start().await;
    let answer = app.transfer(seed::CONNECTED_CALL, "Suport Tier 2").await;
    app.assert_problem(&answer, 422, "queue_not_found").await;
    assert!(answer.json()["hint"].as_str().unwrap().contains("\"Support Tier 2\""));
    assert_eq!(answer.json()["transferId"], Value::Null);
}

#[tokio::test]
async fn members_that_are_null_count_as_absent() {
    let app = TestApp::start().await;
    let more = json!({"queueId": null, "priority": null, "skillIds": null, "languageId": null,
        "keepPlace": null, "participantId": null, "transferType": null, "reason": null,
        "reference": null});
    let answer = app.submit(with(seed::CONNECTED_CALL, "Support Tier 2", &more)).await;
    assert_eq!((answer.status.as_u16(), app.moves()), (201, 1));
}

#[tokio::test]
async fn ids_in_capitals_are_answered_in_small_letters() {
    let app = TestApp::start().await;
    let capitals = seed::CONNECTED_CALL.to_string().to_uppercase();
    let body = json!({"conversationId": capitals, "queueName": "Support Tier 2"});
    let transfer = app.submit(body).await.json();
    assert_eq!(transfer["conversationId"], seed::CONNECTED_CALL.to_string());
}
