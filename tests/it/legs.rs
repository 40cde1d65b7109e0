//! Which conversations move, and which leg is replaced, through participant-replace.

use genesys_transfer::sandbox::{
    seed,
    world::{Act, LegPurpose, LegSpec, NewConversation, Shape, model::SessionState},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{
    held::{hold_command, let_go},
    service::{REPLACE, ROUTING, TestApp},
    steps::with,
};

#[tokio::test]
async fn a_call_that_can_move_goes_by_the_leg_the_rules_name() {
    let app = TestApp::start().await;
    let tier_1 = json!(seed::SUPPORT_TIER_1);
    for (call, position, purpose, state, queue) in [
        (seed::CONNECTED_CALL, 3, "agent", "connected", &tier_1),
        (seed::HELD_CALL, 3, "agent", "held", &tier_1),
        (seed::WAITING_CALL, 2, "acd", "waiting", &tier_1),
        (seed::IVR_CALL, 1, "ivr", "connected", &Value::Null),
        // Another agent is asked meanwhile and rings.
        (seed::CONSULT_CALL, 3, "agent", "held", &tier_1),
    ] {
        let transfer = app.transfer(call, "Support Tier 2").await.json();
        let leg = seed::leg(call, position);
        let previous = &transfer["previous"];
        assert_eq!(transfer["participantId"], json!(leg));
        assert_eq!((&previous["purpose"], &previous["state"]), (&json!(purpose), &json!(state)));
        assert_eq!(
            (&previous["queueId"], previous["waitingSince"].is_null()),
            (queue, state != "waiting")
        );
        let moved = app.sandbox().moves().pop().unwrap();
        assert_eq!((moved.conversation_id, moved.participant_id), (call, Some(leg)));
        assert_eq!(moved.to_queue_id, seed::SUPPORT_TIER_2);
    }
}

#[tokio::test]
async fn a_call_that_cannot_move_is_refused_and_no_command_leaves() {
    let app = TestApp::start().await;
    let unknown = Uuid::from_u128(42);
    for (call, status, code) in [
        (seed::ENDED_CALL, 409, "conversation_ended"),
        (seed::CUSTOMER_GONE_CALL, 409, "conversation_ended"),
        (seed::RINGING_CALL, 409, "conversation_ringing"),
        (seed::RINGING_DIRECT_CALL, 409, "conversation_ringing"),
        (seed::CONFERENCE_CALL, 409, "participant_ambiguous"),
        (unknown, 404, "conversation_not_found"),
    ] {
        let answer = app.transfer(call, "Support Tier 2").await;
        app.assert_problem(&answer, status, code).await;
        assert!(answer.json()["transferId"].is_string(), "{code}");
    }
    assert_eq!(app.commands(), 0);
}

#[tokio::test]
async fn every_word_for_ringing_keeps_a_call_where_it_is() {
    use SessionState::{Alerting, Contacting, Dialing, Offering};
    let app = TestApp::start().await;
    for state in [Alerting, Dialing, Contacting, Offering] {
        let call = legs(&app, &[spec(LegPurpose::Acd), LegSpec::new(LegPurpose::Agent, state)]);
        let answer = app.transfer(call, "Support Tier 2").await;
        assert_eq!(answer.outcome().1, "conversation_ringing", "{state:?}");
    }
    assert_eq!(app.commands(), 0);
}

#[tokio::test]
async fn flows_and_users_are_replaced_too() {
    let app = TestApp::start().await;
    for purpose in [LegPurpose::User, LegPurpose::Workflow, LegPurpose::Botflow] {
        let call = legs(&app, &[spec(purpose)]);
        let transfer = app.transfer(call, "Support Tier 2").await.json();
        assert_eq!(transfer["previous"]["purpose"], purpose.word());
    }
    assert_eq!(app.moves(), 3);
}

#[tokio::test]
async fn a_call_without_a_leg_that_can_be_replaced_is_not_transferable() {
    let app = TestApp::start().await;
    for others in [vec![], vec![spec(LegPurpose::Voicemail)], vec![spec(LegPurpose::External)]] {
        let call = legs(&app, &others);
        let answer = app.transfer(call, "Support Tier 2").await;
        app.assert_problem(&answer, 409, "conversation_not_transferable").await;
    }
    assert_eq!(app.commands(), 0);
}

#[tokio::test]
async fn an_ambiguous_call_names_its_agents_and_moves_by_the_one_that_is_named() {
    let app = TestApp::start().await;
    let call = seed::CONFERENCE_CALL;
    let ambiguous = app.transfer(call, "Support Tier 2").await.json();
    let candidate = |position| json!({"id": seed::leg(call, position), "purpose": "agent", "state": "connected"});
    assert_eq!(ambiguous["candidates"], json!([candidate(3), candidate(4)]));
    let more = json!({"participantId": seed::leg(call, 4)});
    let answer = app.submit(with(call, "Support Tier 2", &more)).await;
    assert_eq!(answer.json()["participantId"], more["participantId"]);
    assert_eq!(app.sandbox().moves()[0].participant_id, Some(seed::leg(call, 4)));
}

#[tokio::test]
async fn a_connected_and_a_held_agent_are_several() {
    let app = TestApp::start().await;
    let held = LegSpec { held: true, ..spec(LegPurpose::Agent) };
    let call = legs(&app, &[spec(LegPurpose::Agent), held]);
    let answer = app.transfer(call, "Support Tier 2").await;
    assert_eq!(answer.outcome(), (409, "participant_ambiguous".to_owned()));
    assert_eq!(answer.json()["candidates"][1]["state"], "held");
}

#[tokio::test]
async fn a_named_leg_is_refused_when_it_may_not_be_replaced() {
    let app = TestApp::start().await;
    let leg = seed::leg;
    let (connected, consult) = (seed::CONNECTED_CALL, seed::CONSULT_CALL);
    for (call, named, status, code) in [
        (connected, leg(connected, 0), 422, "invalid_request"),
        (connected, leg(connected, 2), 409, "participant_not_found"),
        (connected, Uuid::from_u128(42), 409, "participant_not_found"),
        (connected, leg(consult, 3), 409, "participant_not_found"),
        (consult, leg(consult, 4), 409, "conversation_ringing"),
        (seed::RINGING_CALL, leg(seed::RINGING_CALL, 2), 409, "conversation_ringing"),
        (seed::ENDED_CALL, leg(seed::ENDED_CALL, 3), 409, "conversation_ended"),
    ] {
        let body = with(call, "Support Tier 2", &json!({"participantId": named}));
        let answer = app.submit(body).await;
        app.assert_problem(&answer, status, code).await;
    }
    assert_eq!(app.commands(), 0);
}

#[tokio::test]
async fn the_customers_leg_is_pointed_at_when_it_is_named() {
    let app = TestApp::start().await;
    let more = json!({"participantId": seed::leg(seed::CONNECTED_CALL, 0)});
    let answer = app.submit(with(seed::CONNECTED_CALL, "Support Tier 2", &more)).await;
    assert_eq!(answer.json()["errors"][0]["pointer"], "/participantId");
}

#[tokio::test]
async fn the_outside_party_of_an_outbound_call_is_its_customer() {
    let app = TestApp::start().await;
    let outside = LegSpec { id: Some(Uuid::from_u128(7)), ..spec(LegPurpose::External) };
    let call = conversation(&app, vec![outside, spec(LegPurpose::Agent)]);
    let more = json!({"participantId": Uuid::from_u128(7)});
    let refused = app.submit(with(call, "Support Tier 2", &more)).await;
    assert_eq!(refused.outcome(), (422, "invalid_request".to_owned()));
    assert_eq!(app.transfer(call, "Support Tier 2").await.status, 201);
}

#[tokio::test]
async fn a_call_that_waits_in_the_target_already_is_left_alone() {
    let app = TestApp::warm(&[]).await;
    for more in [json!({}), json!({"keepPlace": true}), json!({"reason": "again"})] {
        let answer = app.submit(with(seed::WAITING_CALL, "Support Tier 1", &more)).await;
        app.assert_problem(&answer, 409, "already_in_queue").await;
    }
    assert_eq!(app.methods(), ["GET", "GET", "GET"]);
}

#[tokio::test]
async fn a_call_that_waits_in_the_target_gets_only_what_is_asked_for() {
    let skill = Uuid::from_u128(0xe2);
    let language = Uuid::from_u128(0xf2);
    for (more, priority, skills, spoken) in [
        (json!({"priority": 30}), 30, vec![seed::SKILL], None),
        (json!({"skillIds": []}), 5, vec![], None),
        (json!({"skillIds": [skill]}), 5, vec![skill], None),
        (json!({"languageId": language}), 5, vec![seed::SKILL], Some(language)),
    ] {
        let app = TestApp::warm(&[]).await;
        let answer = app.submit(with(seed::WAITING_CALL, "Support Tier 1", &more)).await;
        assert_eq!((answer.status.as_u16(), app.moves()), (201, 0), "{more}");
        assert_eq!(answer.json()["previous"]["queueId"], answer.json()["queue"]["id"]);
        let routing = app.routing(seed::WAITING_CALL);
        assert_eq!((routing.priority, routing.language), (priority, spoken), "{more}");
        assert_eq!(routing.skills, skills, "{more}");
        assert_eq!(app.methods(), ["GET", "PATCH"]);
    }
}

#[tokio::test]
async fn a_place_is_kept_by_not_moving_when_the_call_waits_in_the_target_already() {
    let app = TestApp::start().await;
    let more = json!({"keepPlace": true, "priority": 30});
    let transfer = app.submit(with(seed::WAITING_CALL, "Support Tier 1", &more)).await.json();
    assert_eq!((&transfer["priority"], &transfer["waitedMinutes"]), (&json!(30), &json!(0)));
}

#[tokio::test]
async fn an_answered_call_goes_back_to_the_queue_it_came_from() {
    let app = TestApp::start().await;
    let answer = app.transfer(seed::CONNECTED_CALL, "Support Tier 1").await;
    assert_eq!((answer.status.as_u16(), app.moves()), (201, 1));
    assert_eq!(app.waits(seed::CONNECTED_CALL).unwrap().0, seed::SUPPORT_TIER_1);
}

#[tokio::test]
async fn what_happens_between_look_and_command_is_told_apart() {
    for (shape, act, code) in [
        (Shape::Waiting, Act::Answer, "conversation_moved"),
        (Shape::Waiting, Act::HangUp, "conversation_ended"),
        (Shape::Connected, Act::HangUp, "conversation_ended"),
    ] {
        let app = TestApp::warm(&[]).await;
        let call = app.call(shape, seed::SUPPORT_TIER_1);
        let held = hold_command(app.sandbox());
        let meanwhile = async {
            app.sandbox_sees(2).await;
            app.sandbox().act(call, act).unwrap();
            let_go(app.sandbox(), held);
        };
        let (answer, ()) = tokio::join!(app.transfer(call, "Support Tier 2"), meanwhile);
        app.assert_problem(&answer, 409, code).await;
        assert_eq!((app.commands(), app.moves()), (1, 0));
        // Without a key the same request may move the call from where it is now.
        assert_eq!(answer.json()["retryable"], code == "conversation_moved");
    }
}

#[tokio::test]
async fn a_conflict_that_nothing_explains_is_genesys_own() {
    let app = TestApp::start().await;
    app.answers("POST", REPLACE, 1, 409);
    let answer = app.transfer(seed::CONNECTED_CALL, "Support Tier 2").await;
    app.assert_problem(&answer, 409, "conflict").await;
    assert_eq!(answer.json()["upstream"]["status"], 409);
    assert_eq!(app.commands(), 1);
}

#[tokio::test]
async fn a_refused_change_of_priority_moves_nothing() {
    let app = TestApp::start().await;
    app.answers("PATCH", ROUTING, 1, 409);
    let body = with(seed::WAITING_CALL, "Support Tier 1", &json!({"priority": 9}));
    let answer = app.submit(body).await;
    app.assert_problem(&answer, 409, "conflict").await;
    assert_eq!((app.commands(), app.routing(seed::WAITING_CALL).priority), (0, 5));
}

fn spec(purpose: LegPurpose) -> LegSpec {
    LegSpec::new(purpose, SessionState::Connected)
}

/// A call of a customer and these legs.
fn legs(app: &TestApp, others: &[LegSpec]) -> Uuid {
    let all = [&[spec(LegPurpose::Customer)], others].concat();
    conversation(app, all)
}

fn conversation(app: &TestApp, legs: Vec<LegSpec>) -> Uuid {
    let (legs, queue) = (Some(legs), Some(seed::SUPPORT_TIER_1));
    let new = NewConversation { legs, queue, ..NewConversation::default() };
    app.sandbox().add_conversation(new).unwrap()
}
