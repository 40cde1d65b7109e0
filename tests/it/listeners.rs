//! Supervisors: one who only listens is no agent of the call, one who barged in is.

use genesys_transfer::sandbox::{
    seed,
    world::{
        Act, LegPurpose, LegSpec, NewConversation, Shape, SupervisorMode, model::SessionState,
    },
};
use jiff::SignedDuration;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{
    batches::{drain, line, moved},
    process::until,
    service::{TestApp, plain},
    steps::with,
};

/// A command without an answer is answered for after some seconds, which is enough to send it.
const BRIEF: (&str, &str) = ("SERVER_DEADLINE", "8s");

const SUPERVISOR: Uuid = Uuid::from_u128(7);

fn spec(purpose: LegPurpose) -> LegSpec {
    LegSpec::new(purpose, SessionState::Connected)
}

/// A supervisor's leg.
fn supervisor(how: SupervisorMode, state: SessionState) -> LegSpec {
    let id = Some(SUPERVISOR);
    LegSpec { id, supervision: Some(how), ..LegSpec::new(LegPurpose::Agent, state) }
}

fn listening(state: SessionState) -> [LegSpec; 2] {
    [SupervisorMode::Monitor, SupervisorMode::Coach].map(|how| supervisor(how, state))
}

/// A call in Support Tier 1 of a customer and these legs.
fn call(app: &TestApp, others: &[&LegSpec]) -> Uuid {
    let customer = spec(LegPurpose::Customer);
    let legs = [&customer].into_iter().chain(others.iter().copied()).cloned().collect();
    let new = NewConversation {
        legs: Some(legs),
        queue: Some(seed::SUPPORT_TIER_1),
        age: SignedDuration::from_mins(3),
        ..NewConversation::default()
    };
    app.sandbox().add_conversation(new).unwrap()
}

#[tokio::test]
async fn a_call_that_a_supervisor_listens_to_goes_by_the_leg_it_would_go_by_without() {
    let app = TestApp::start().await;
    let states = [SessionState::Connected, SessionState::Alerting];
    for listener in states.into_iter().flat_map(listening) {
        for purpose in [LegPurpose::Agent, LegPurpose::User, LegPurpose::Acd, LegPurpose::Ivr] {
            let leg = spec(purpose);
            for legs in [[&leg, &listener], [&listener, &leg]] {
                let call = call(&app, &legs);
                let answer = app.transfer(call, "Support Tier 2").await;
                let seen = (answer.status.as_u16(), answer.json()["previous"]["purpose"].clone());
                assert_eq!(seen, (201, json!(purpose.word())), "{listener:?}");
                let replaced = app.sandbox().moves().pop().unwrap().participant_id;
                assert_ne!(replaced, Some(SUPERVISOR), "{listener:?} beside {purpose:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_call_that_only_a_supervisor_is_on_is_not_transferable() {
    let app = TestApp::start().await;
    for state in [SessionState::Connected, SessionState::Alerting] {
        for listener in listening(state) {
            let answer = app.transfer(call(&app, &[&listener]), "Support Tier 2").await;
            app.assert_problem(&answer, 409, "conversation_not_transferable").await;
        }
    }
    assert_eq!(app.commands(), 0);
}

#[tokio::test]
async fn a_supervisor_who_barged_in_is_an_agent() {
    let app = TestApp::start().await;
    let barged = supervisor(SupervisorMode::BargeIn, SessionState::Connected);
    let both = call(&app, &[&spec(LegPurpose::Agent), &barged]);
    let answer = app.transfer(both, "Support Tier 2").await;
    assert_eq!(answer.outcome(), (409, "participant_ambiguous".to_owned()));
    let alone = call(&app, &[&barged]);
    let transfer = app.transfer(alone, "Support Tier 2").await.json();
    assert_eq!(transfer["participantId"], json!(SUPERVISOR));
}

#[tokio::test]
async fn candidates_are_agents_and_nobody_who_listens() {
    let app = TestApp::start().await;
    let [listener, _] = listening(SessionState::Connected);
    let call = call(&app, &[&spec(LegPurpose::Agent), &listener, &spec(LegPurpose::Agent)]);
    let ambiguous = app.transfer(call, "Support Tier 2").await.json();
    let ids: Vec<&Value> =
        ambiguous["candidates"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
    assert_eq!(ids.len(), 2, "{ambiguous}");
    assert!(!ids.contains(&&json!(SUPERVISOR)), "{ambiguous}");
}

#[tokio::test]
async fn a_listening_leg_that_is_named_is_pointed_at() {
    let app = TestApp::start().await;
    for listener in listening(SessionState::Connected) {
        let call = call(&app, &[&spec(LegPurpose::Agent), &listener]);
        let body = with(call, "Support Tier 2", &json!({"participantId": SUPERVISOR}));
        let answer = app.submit(body).await;
        app.assert_problem(&answer, 422, "invalid_request").await;
        assert_eq!(answer.json()["errors"][0]["pointer"], "/participantId");
    }
    assert_eq!(app.commands(), 0);
}

#[tokio::test]
async fn a_preview_shows_a_listening_leg_as_one_that_only_listens() {
    let app = TestApp::start().await;
    let call = app.call(Shape::Monitored, seed::SUPPORT_TIER_1);
    let view = app.get(&format!("/conversations/{call}")).await.json();
    assert_eq!(
        (&view["transferable"], &view["detail"]),
        (&json!(true), &json!("agent leg connected"))
    );
    let replaced: Vec<_> =
        view["legs"].as_array().unwrap().iter().map(|leg| leg["replaced"] == true).collect();
    assert_eq!(replaced, [false, false, false, true, false], "{view}");
    assert!(view["legs"][4]["why"].as_str().unwrap().contains("only listens"), "{view}");
}

#[tokio::test]
async fn a_drain_moves_calls_that_a_supervisor_listens_to() {
    let app = TestApp::start().await;
    app.sandbox().act(seed::WAITING_CALL, Act::HangUp).unwrap();
    let [connected, _] = listening(SessionState::Connected);
    let [_, rings] = listening(SessionState::Alerting);
    let calls = [&connected, &rings].map(|leg| call(&app, &[&spec(LegPurpose::Acd), leg]));

    let batch = app.carried_out(&drain(json!({}))).await;

    assert_eq!(moved(&batch), 2, "{batch}");
    let mut served = line(app.sandbox(), seed::SUPPORT_TIER_2);
    served.sort();
    assert_eq!(served, calls);
}

#[tokio::test]
async fn a_supervisor_who_joins_is_no_sign_that_a_lost_command_moved_the_call() {
    let app = TestApp::warm(&[BRIEF]).await;
    let call = app.fresh_call();
    app.command_is_lost();
    // The agent answers from the target queue already, so the supervisor's leg belongs to it, too.
    let body = plain(call, "Support Tier 1");
    let (answer, ()) = tokio::join!(app.submit(body), async {
        until(|| async { (app.commands() > 0).then_some(()) }).await;
        app.sandbox().act(call, Act::Monitor).unwrap();
    });
    assert_eq!(answer.outcome(), (504, "outcome_unknown".to_owned()));
    assert_eq!(app.transfer_of(call).await["status"], "unknown");
    assert_eq!(app.moves(), 0);
}
