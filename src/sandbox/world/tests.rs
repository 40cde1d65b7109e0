use std::time::Duration;

use proptest::prelude::*;

use super::{model::Disconnect, *};
use crate::sandbox::seed::{self, leg};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn seeded() -> World {
    seed::world(at(0)).unwrap()
}

fn plan(world: &World, conversation: Uuid, position: u8) -> Result<ReplaceOrder, WorldError> {
    let target = QueueChoice::Id(seed::SUPPORT_TIER_2);
    let leg = leg(conversation, position);
    world.plan_replace(conversation, leg, &target, TransferKind::Unattended, at(1))
}

fn moved(world: &mut World, conversation: Uuid, position: u8) -> Move {
    let order = plan(world, conversation, position).unwrap();
    world.carry_out(&order, false, at(2)).unwrap()
}

fn waiting_in(world: &World, queue: Uuid) -> Vec<Uuid> {
    world.waiting_ids(queue, MediaType::Voice)
}

#[test]
fn replaced_leg_ends_by_transfer_and_the_queue_joins() {
    let mut world = seeded();

    let moved = moved(&mut world, seed::CONNECTED_CALL, 3);

    let call = world.conversation(seed::CONNECTED_CALL).unwrap();
    let agent = call.participant(leg(seed::CONNECTED_CALL, 3)).unwrap();
    assert_eq!(agent.ended, Some(at(2)));
    assert_eq!(agent.main_session().unwrap().disconnect, Some(Disconnect::Transfer));
    let joined = call.waiting_leg().unwrap();
    assert_eq!((joined.id, joined.started), (moved.new_participant_id, at(2)));
    assert_eq!(joined.queue.as_ref().unwrap().id, seed::SUPPORT_TIER_2);
    assert_eq!(
        (moved.from_queue_id, moved.to_queue_id),
        (Some(seed::SUPPORT_TIER_1), seed::SUPPORT_TIER_2)
    );
    assert_eq!(call.transfers[0].issued, at(1));
}

#[test]
fn priority_and_skills_survive_a_move_unless_the_skills_are_stripped() {
    for strip in [false, true] {
        let mut world = seeded();
        let order = plan(&world, seed::WAITING_CALL, 2).unwrap();

        world.carry_out(&order, strip, at(2)).unwrap();

        let call = world.conversation(seed::WAITING_CALL).unwrap();
        let routing = call.waiting_leg().unwrap().routing.as_ref().unwrap();
        assert_eq!(routing.priority, 5);
        assert_eq!(routing.skills.is_empty(), strip);
    }
}

#[test]
fn waiting_call_changes_lines_and_starts_waiting_anew() {
    let mut world = seeded();

    moved(&mut world, seed::WAITING_CALL, 2);

    assert!(waiting_in(&world, seed::SUPPORT_TIER_1).is_empty());
    assert_eq!(waiting_in(&world, seed::SUPPORT_TIER_2), [seed::WAITING_CALL]);
    let rows = world.waiting(seed::SUPPORT_TIER_2, MediaType::Voice, 100, at(3));
    assert_eq!(rows.rows[0].since, at(2));
}

#[test]
fn moving_a_ringing_call_stops_the_ringing() {
    let mut world = seeded();

    moved(&mut world, seed::RINGING_CALL, 2);

    let call = world.conversation(seed::RINGING_CALL).unwrap();
    assert!(!call.is_ringing());
    assert!(call.waiting_leg().is_some());
}

#[test]
fn legs_that_cannot_be_replaced_are_refused_each_for_its_reason() {
    let world = seeded();
    let unknown = Uuid::from_u128(1);
    let target = QueueChoice::Id(seed::SALES);
    let kind = TransferKind::Unattended;

    for (conversation, position, refused) in [
        (seed::CONNECTED_CALL, 0, WorldError::CustomerLeg),
        (seed::CONNECTED_CALL, 1, WorldError::LegEnded),
        (seed::CONNECTED_CALL, 200, WorldError::UnknownParticipant),
        (seed::ENDED_CALL, 3, WorldError::ConversationEnded),
        (unknown, 3, WorldError::UnknownConversation),
    ] {
        assert_eq!(plan(&world, conversation, position).unwrap_err(), refused);
    }
    let (call, agent) = (seed::CONNECTED_CALL, leg(seed::CONNECTED_CALL, 3));
    let nowhere = world.plan_replace(call, agent, &QueueChoice::Id(unknown), kind, at(1));
    assert_eq!(nowhere.unwrap_err(), WorldError::UnknownQueue);
    let twice = QueueChoice::Name("Billing".to_owned());
    let ambiguous = world.plan_replace(call, agent, &twice, kind, at(1));
    assert_eq!(ambiguous.unwrap_err(), WorldError::AmbiguousQueue);
    let named = QueueChoice::Name("Sales".to_owned());
    let by_name = world.plan_replace(call, agent, &named, kind, at(1)).unwrap();
    let by_id = world.plan_replace(call, agent, &target, kind, at(1)).unwrap();
    assert_eq!(by_name.queue, by_id.queue);
}

#[test]
fn order_is_dropped_when_the_leg_left_before_its_effect() {
    let mut world = seeded();
    let order = plan(&world, seed::CONNECTED_CALL, 3).unwrap();
    world.carry_out(&order, false, at(2)).unwrap();

    let again = world.carry_out(&order, false, at(3));

    assert_eq!(again.unwrap_err(), WorldError::LegEnded);
    let call = world.conversation(seed::CONNECTED_CALL).unwrap();
    assert_eq!(call.transfers.len(), 1);
}

#[test]
fn routing_can_be_set_only_while_it_waits() {
    let mut world = seeded();
    let edit = RoutingEdit { priority: Some(9), ..RoutingEdit::default() };

    let set = world.set_routing(seed::WAITING_CALL, edit.clone(), at(1)).unwrap();
    let ringing = world.set_routing(seed::RINGING_CALL, edit.clone(), at(1));
    let connected = world.set_routing(seed::CONNECTED_CALL, edit.clone(), at(1));
    let ended = world.set_routing(seed::ENDED_CALL, edit, at(1));

    assert_eq!((set.priority, set.skills), (9, vec![seed::SKILL]));
    assert_eq!(ringing.unwrap_err(), WorldError::NotWaiting);
    assert_eq!(connected.unwrap_err(), WorldError::NotWaiting);
    assert_eq!(ended.unwrap_err(), WorldError::ConversationEnded);
}

#[test]
fn answered_call_leaves_the_line_without_a_recent_transfer() {
    let mut world = seeded();

    world.act(seed::WAITING_CALL, Act::Answer, at(1)).unwrap();

    let call = world.conversation(seed::WAITING_CALL).unwrap();
    assert_eq!(call.summary(), "connected");
    assert!(waiting_in(&world, seed::SUPPORT_TIER_1).is_empty());
    assert!(call.transfers.is_empty());
}

#[test]
fn unanswered_ringing_puts_the_call_back_where_it_stood() {
    let mut world = seeded();
    let before = world.waiting(seed::SUPPORT_TIER_1, MediaType::Voice, 100, at(0));
    world.act(seed::WAITING_CALL, Act::Ring, at(1)).unwrap();
    assert_eq!(world.really_waiting(seed::SUPPORT_TIER_1, MediaType::Voice), 0);

    world.act(seed::WAITING_CALL, Act::RingOut, at(2)).unwrap();

    assert_eq!(world.waiting(seed::SUPPORT_TIER_1, MediaType::Voice, 100, at(2)), before);
}

#[test]
fn seeded_calls_stand_as_their_names_say() {
    let world = seeded();
    for (id, summary) in [
        (seed::CONNECTED_CALL, "connected"),
        (seed::HELD_CALL, "held"),
        (seed::WAITING_CALL, "queued"),
        (seed::RINGING_CALL, "ringing"),
        (seed::RINGING_DIRECT_CALL, "ringing"),
        (seed::IVR_CALL, "connected"),
        (seed::ENDED_CALL, "completed"),
        (seed::CONFERENCE_CALL, "connected"),
        (seed::CONSULT_CALL, "held"),
        (seed::CUSTOMER_GONE_CALL, "completed"),
        (seed::MESSAGE, "connected"),
        (seed::EMAIL, "queued"),
        (seed::CALLBACK, "connected"),
    ] {
        assert_eq!(world.conversation(id).unwrap().summary(), summary, "{id}");
    }
}

#[test]
fn patch_moves_what_waits_or_talks_and_refuses_the_rest() {
    let mut world = seeded();
    let mut patch = |call| world.patch_move(call, seed::SALES, 50, Vec::new(), at(1));

    assert_eq!(patch(seed::CONNECTED_CALL).unwrap().to_queue_id, seed::SALES);
    assert_eq!(patch(seed::WAITING_CALL).unwrap().from_queue_id, Some(seed::SUPPORT_TIER_1));
    assert_eq!(patch(seed::WAITING_CALL).unwrap_err(), WorldError::AlreadyThere);
    assert_eq!(patch(seed::RINGING_CALL).unwrap_err(), WorldError::Ringing);
    assert_eq!(patch(seed::ENDED_CALL).unwrap_err(), WorldError::ConversationEnded);
}

#[test]
fn blocked_conversation_cannot_be_patched() {
    let mut world = seeded();
    world.block(seed::CONNECTED_CALL, Some(Blocked::Busy), at(1)).unwrap();

    let refused = world.patch_move(seed::CONNECTED_CALL, seed::SALES, 50, Vec::new(), at(1));

    assert_eq!(refused.unwrap_err(), WorldError::Blocked);
}

fn many_waiting(world: &mut World, count: i64) {
    for number in 0..count {
        let new = NewConversation {
            shape: Shape::Waiting,
            queue: Some(seed::RETENTION),
            age: SignedDuration::from_secs(number),
            ..NewConversation::default()
        };
        world.add_conversation(new, at(0)).unwrap();
    }
}

#[test]
fn more_rows_than_fit_show_the_oldest_and_the_newest_half() {
    let mut world = seeded();
    many_waiting(&mut world, 300);

    let rows = world.waiting(seed::RETENTION, MediaType::Voice, 100, at(0));

    let ages: Vec<i64> = rows.rows.iter().map(|row| (at(0) - row.since).get_seconds()).collect();
    let expected: Vec<i64> = (250..300).rev().chain((0..50).rev()).collect();
    assert_eq!((rows.count, rows.truncated), (300, true));
    assert_eq!(ages, expected);
}

#[test]
fn exactly_as_many_rows_as_fit_are_not_truncated() {
    let mut world = seeded();
    many_waiting(&mut world, 100);

    let rows = world.waiting(seed::RETENTION, MediaType::Voice, 100, at(0));

    assert_eq!((rows.rows.len(), rows.truncated), (100, false));
}

#[test]
fn stale_rows_go_away_after_the_lag_and_ghosts_never_do() {
    let mut world = seeded();
    many_waiting(&mut world, 2);
    world.staleness = Staleness { lag: Duration::from_secs(10), ghost_every: 2 };
    for id in waiting_in(&world, seed::RETENTION) {
        world.act(id, Act::HangUp, at(1)).unwrap();
    }
    let shown = |second| world.waiting(seed::RETENTION, MediaType::Voice, 100, at(second)).count;

    assert_eq!((shown(2), shown(10), shown(11), shown(1_000_000)), (2, 2, 1, 1));
    assert_eq!(world.really_waiting(seed::RETENTION, MediaType::Voice), 0);
}

#[test]
fn renamed_queue_is_found_by_its_new_name_only() {
    let mut world = seeded();

    world.rename_queue(seed::SALES, "Verkauf", at(1)).unwrap();

    assert_eq!(world.queues_named("sales").count(), 0);
    assert_eq!(world.queues_named("VERKAUF").next().unwrap().id, seed::SALES);
}

#[test]
fn queues_are_sorted_by_name_whatever_the_case() {
    let mut world = seeded();
    let home = world.division(None, at(0)).unwrap();
    world.add_queue(None, "aardvark", home, 0, at(0)).unwrap();

    let names: Vec<&str> = world.queues().map(|queue| queue.name.as_str()).collect();

    assert_eq!(names[..4], ["aardvark", "After Hours", "Billing", "Billing"]);
}

#[test]
fn name_filter_takes_stars_at_both_ends() {
    assert!(name_fits("support tier 1", "Support Tier 1"));
    assert!(!name_fits("support", "Support Tier 1"));
    assert!(name_fits("Support*", "Support Tier 1"));
    assert!(name_fits("*tier 1", "Support Tier 1"));
    assert!(name_fits("*TIER*", "Support Tier 1"));
    assert!(name_fits("*", "Support Tier 1"));
}

fn acts() -> impl Strategy<Value = Vec<(usize, usize)>> {
    prop::collection::vec((0..14_usize, 0..Act::ALL.len() + 2), 0..60)
}

proptest! {
    /// Whatever happens, the lines hold exactly the conversations that wait, each once.
    #[test]
    fn lines_agree_with_the_conversations(acts in acts()) {
        let mut world = seeded();
        let mut ids: Vec<Uuid> = world.conversations().map(|it| it.id).collect();
        ids.sort();
        for (step, (which, act)) in acts.into_iter().enumerate() {
            let (id, now) = (ids[which], at(1 + i64::try_from(step).unwrap()));
            match Act::ALL.get(act) {
                Some(act) => drop(world.act(id, *act, now)),
                None if act == Act::ALL.len() => {
                    let open = world.conversation(id).unwrap().participants.iter().rev()
                        .find(|leg| leg.is_open()).map(|leg| leg.id);
                    let target = QueueChoice::Id(seed::SALES);
                    let kind = TransferKind::Unattended;
                    if let Some(Ok(order)) =
                        open.map(|leg| world.plan_replace(id, leg, &target, kind, now))
                    {
                        world.carry_out(&order, false, now).unwrap();
                    }
                }
                None => drop(world.patch_move(id, seed::RETENTION, 1, Vec::new(), now)),
            }
        }
        let mut expected: Vec<(Uuid, MediaType, Uuid)> = world.conversations()
            .filter_map(|it| Some((it.waiting_leg()?.queue.as_ref()?.id, it.media, it.id)))
            .collect();
        let mut listed = Vec::new();
        for queue in world.queues() {
            for media in MediaType::ALL {
                let ids = world.waiting_ids(queue.id, media);
                listed.extend(ids.into_iter().map(|id| (queue.id, media, id)));
            }
        }
        expected.sort();
        listed.sort();
        prop_assert_eq!(listed, expected);
    }
}
