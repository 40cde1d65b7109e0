use super::*;
use jiff::SignedDuration;

use crate::transfer::{
    clock_offset::ClockOffset,
    conversation::{Routing, samples::*},
    ids::QueueId,
    model::{QueueRef, TransferType},
};

const REPLACE: Carrier = Carrier { command_carries_routing: false };
const PATCH: Carrier = Carrier { command_carries_routing: true };

fn now() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

fn target(id: QueueId) -> Queue {
    Queue { id, name: "Support Tier 2".to_owned(), division: None }
}

fn request() -> TransferRequest {
    TransferRequest {
        conversation_id: conversation(vec![]).id,
        queue: QueueRef::Id(queue(9)),
        priority: None,
        skill_ids: None,
        language_id: None,
        keep_place: false,
        participant_id: None,
        transfer_type: TransferType::Unattended,
        reason: None,
        reference: None,
        undo: None,
    }
}

fn waiting_since(minutes: i64, priority: Option<i64>) -> Conversation {
    let since = now().checked_sub(jiff::SignedDuration::from_secs(60 * minutes + 59)).ok();
    let routing = Routing { priority, ..Routing::default() };
    conversation(vec![customer(), Leg { since, routing, ..waiting(2, queue(5)) }])
}

fn plan_of(request: &TransferRequest, conversation: &Conversation, c: Carrier) -> MovePlan {
    plan(request, &target(queue(9)), conversation, now(), c).unwrap()
}

fn code_of(request: &TransferRequest, conversation: &Conversation, c: Carrier) -> Code {
    plan(request, &target(queue(9)), conversation, now(), c).unwrap_err().code
}

#[test]
fn keep_place_adds_whole_minutes_to_the_present_priority() {
    let request = TransferRequest { keep_place: true, ..request() };
    let plan = plan_of(&request, &waiting_since(7, Some(3)), REPLACE);
    assert_eq!(plan.waited_minutes, Some(7));
    assert_eq!(plan.priority, Priority::new(10));
    assert_eq!(plan.routing.priority, Priority::new(10));
}

#[test]
fn keep_place_with_a_priority_starts_from_that() {
    let request = TransferRequest { keep_place: true, priority: Priority::new(100), ..request() };
    let plan = plan_of(&request, &waiting_since(7, Some(3)), REPLACE);
    assert_eq!(plan.priority, Priority::new(107));
}

#[test]
fn keep_place_of_a_call_that_did_not_wait_costs_no_request() {
    let mut talking = agent(2, LegState::Connected);
    talking.routing.priority = Some(4);
    let request = TransferRequest { keep_place: true, ..request() };
    let plan = plan_of(&request, &conversation(vec![customer(), talking]), REPLACE);
    assert_eq!((plan.waited_minutes, plan.priority), (Some(0), Priority::new(4)));
    assert!(plan.routing.is_empty());
}

#[test]
fn keep_place_never_leaves_the_range_of_priorities() {
    let request =
        TransferRequest { keep_place: true, priority: Priority::new(25_000_000), ..request() };
    let plan = plan_of(&request, &waiting_since(7, None), REPLACE);
    assert_eq!(plan.priority, Priority::new(25_000_000));
}

#[test]
fn a_clock_that_runs_behind_genesys_gives_no_negative_wait() {
    assert_eq!(waited(&waiting_since(-5, None).legs[1], now()), 0);
}

#[test]
fn waiting_in_the_target_already_is_refused_unless_values_are_given() {
    let here = conversation(vec![customer(), waiting(2, queue(9))]);
    let plain = request();
    let keep = TransferRequest { keep_place: true, ..request() };
    let clear = TransferRequest { skill_ids: Some(vec![]), ..request() };
    assert_eq!(code_of(&plain, &here, REPLACE), Code::AlreadyInQueue);
    assert_eq!(code_of(&keep, &here, REPLACE), Code::AlreadyInQueue);
    assert_eq!(plan_of(&clear, &here, REPLACE).action, PlannedAction::RoutingOnly);
}

#[test]
fn values_set_in_the_target_queue_add_no_waited_minutes() {
    let mut here = waiting_since(30, Some(1));
    here.legs[1].queue_id = Some(queue(9));
    let request = TransferRequest { keep_place: true, priority: Priority::new(5), ..request() };
    let plan = plan_of(&request, &here, REPLACE);
    assert_eq!((plan.waited_minutes, plan.priority), (Some(0), Priority::new(5)));
}

#[test]
fn an_agent_who_answered_from_the_target_queue_can_send_the_call_back_there() {
    let answered = Leg { queue_id: Some(queue(9)), ..agent(2, LegState::Connected) };
    let plan = plan_of(&request(), &conversation(vec![customer(), answered]), REPLACE);
    assert_eq!(plan.action, PlannedAction::Move);
}

#[test]
fn without_a_start_time_the_place_cannot_be_kept() {
    let mut unknown = waiting_since(7, Some(3));
    unknown.legs[1].since = None;
    let request = TransferRequest { keep_place: true, ..request() };
    assert_eq!(code_of(&request, &unknown, PATCH), Code::InvalidRequest);
    assert_eq!(code_of(&request, &unknown, REPLACE), Code::InvalidRequest);
}

#[test]
fn the_patch_command_carries_the_skills_the_conversation_has() {
    let skill = "00000000-0000-4000-8000-000000000aaa".parse().unwrap();
    let mut skilled = waiting_since(0, None);
    skilled.legs[1].routing.skill_ids = Some(vec![skill]);
    assert_eq!(plan_of(&request(), &skilled, PATCH).routing.skill_ids, Some(vec![skill]));
    assert_eq!(plan_of(&request(), &skilled, REPLACE).routing.skill_ids, None);
}

#[test]
fn the_patch_command_keeps_the_priority_of_a_call_that_stays_where_it_waits() {
    let mut here = waiting_since(0, Some(7));
    let clear = TransferRequest { skill_ids: Some(vec![]), ..request() };
    assert_eq!(plan_of(&clear, &here, PATCH).routing.priority, None);
    here.legs[1].queue_id = Some(queue(9));
    let plan = plan_of(&clear, &here, PATCH);
    assert_eq!((plan.routing.priority, plan.priority), (Priority::new(7), None));
}

#[test]
fn without_a_look_only_a_named_leg_can_be_planned() {
    assert_eq!(blind(&request()), None);
    let named = TransferRequest { participant_id: Some(participant(2)), ..request() };
    assert_eq!(blind(&named).unwrap().participant_id, Some(participant(2)));
    let keep = TransferRequest { keep_place: true, ..named };
    assert_eq!(blind(&keep), None);
}

#[test]
fn minutes_are_those_of_genesys_clock() {
    let request = TransferRequest { keep_place: true, ..request() };
    for behind in [-600, 0, 600] {
        let date = now() - SignedDuration::from_secs(behind);
        let clock = ClockOffset::of(date, now(), SignedDuration::ZERO);
        let mut waits = waiting_since(3, Some(0));
        waits.legs[1].since = Some(date - SignedDuration::from_secs(210));
        let waits = Conversation { clock, ..waits };
        let plan = plan(&request, &target(queue(9)), &waits, now(), REPLACE).unwrap();
        assert_eq!(plan.waited_minutes, Some(3), "{behind} s behind");
    }
}
