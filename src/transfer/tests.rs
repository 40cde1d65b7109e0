use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use tokio::time::Instant;

use super::*;
use crate::problem::UpstreamAnswer;
use crate::transfer::{
    gateway::{GatewayError, Sent},
    model::{Priority, Stage, Status},
    testing::*,
};

fn answer(status: u16) -> UpstreamAnswer {
    UpstreamAnswer { status, ..UpstreamAnswer::default() }
}

fn uncertain() -> Sent {
    Sent::Uncertain { detail: "the connection broke".to_owned(), answer: None }
}

const SOON: Effect = Effect::After(Duration::from_millis(50));

#[tokio::test(start_paused = true)]
async fn a_taken_command_is_accepted() {
    let bench = Bench::new().await;
    bench.gateway.next(Sent::Taken(answer(202)), SOON);
    assert_eq!(bench.outcome().await, (201, "accepted".to_owned()));
    assert_eq!(bench.gateway.commands(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_row_is_in_dispatching_before_the_command_leaves() {
    let bench = Bench::new().await;
    *bench.gateway.latency.lock().unwrap() = Duration::from_secs(1);
    bench.gateway.next(Sent::Taken(answer(202)), SOON);
    let meanwhile = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        (bench.gateway.commands(), bench.only_transfer().await.stage)
    };
    let (outcome, seen) = tokio::join!(bench.outcome(), meanwhile);
    assert_eq!(seen, (1, Stage::Dispatching));
    assert_eq!(outcome, (201, "accepted".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn applied_then_dropped_is_seen_and_never_sent_again() {
    let bench = Bench::new().await;
    bench.gateway.next(uncertain(), SOON);
    assert_eq!(bench.outcome().await, (201, "accepted".to_owned()));
    assert_eq!(bench.gateway.commands(), 1);
}

#[tokio::test(start_paused = true)]
async fn dropped_then_applied_six_seconds_late_is_seen_within_the_request() {
    let bench = Bench::new().await;
    bench.gateway.next(uncertain(), Effect::After(Duration::from_secs(6)));
    let start = Instant::now();
    assert_eq!(bench.outcome().await, (201, "accepted".to_owned()));
    assert!(start.elapsed() < Duration::from_secs(9));
    assert_eq!(bench.gateway.commands(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_command_never_seen_to_work_is_unknown_by_the_deadline_and_never_sent_again() {
    let bench = Bench::new().await;
    bench.gateway.next(uncertain(), Effect::Never);
    let start = Instant::now();
    assert_eq!(bench.outcome().await, (504, "unknown outcome_unknown".to_owned()));
    assert!(start.elapsed() <= DEADLINE);
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert_eq!(bench.gateway.commands(), 1);
    assert_eq!(bench.only_transfer().await.stage, Stage::Unknown);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_transfer_is_settled_in_the_background() {
    let bench = Bench::new().await;
    bench.gateway.next(uncertain(), Effect::After(Duration::from_mins(1)));
    assert_eq!(bench.outcome().await.0, 504);
    tokio::time::sleep(Duration::from_mins(2)).await;
    assert_eq!(bench.only_transfer().await.stage, Stage::Accepted);
}

/// The hint of the one transfer.
async fn hint(bench: &Bench) -> String {
    bench.only_transfer().await.error.unwrap().hint.unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_stays_unknown_after_the_settle_window_says_so_and_names_settle() {
    let bench = Bench::new().await;
    bench.gateway.next(uncertain(), Effect::HangUpAfter(Duration::from_mins(30)));
    bench.submit(Some("k"), Wait::Outcome).await.unwrap();
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert!(!hint(&bench).await.contains("/settle"), "{}", hint(&bench).await);
    tokio::time::sleep(Duration::from_secs(61)).await;
    let told = bench.only_transfer().await;
    let path = format!("POST /transfers/{}/settle", told.id);
    assert!(hint(&bench).await.contains(&path), "{}", hint(&bench).await);
    assert!(told.error.as_ref().unwrap().detail.contains("120 s"), "{told:?}");
    assert_eq!(told.stage, Stage::Unknown);

    bench.stop.cancel();
    let next = Bench::with(bench.gateway.clone(), bench.store.clone(), true).await;
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert_eq!(next.only_transfer().await, told);
    tokio::time::sleep(Duration::from_mins(30)).await;
    assert_eq!(next.only_transfer().await.error.unwrap().code, Code::ConversationEnded);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_conversation_settles_an_unknown_transfer_as_failed_even_late() {
    let bench = Bench::new().await;
    bench.gateway.next(uncertain(), Effect::HangUpAfter(Duration::from_mins(30)));
    assert_eq!(bench.outcome().await.0, 504);
    tokio::time::sleep(Duration::from_hours(1)).await;
    let transfer = bench.only_transfer().await;
    assert_eq!(transfer.stage, Stage::Failed);
    assert_eq!(transfer.error.unwrap().code, Code::ConversationEnded);
}

#[tokio::test(start_paused = true)]
async fn moved_elsewhere_meanwhile_is_a_failure_of_ours() {
    let bench = Bench::new().await;
    bench.gateway.next(uncertain(), Effect::ElsewhereAfter(Duration::from_millis(50)));
    assert_eq!(bench.outcome().await, (409, "failed conversation_moved".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_5xx_that_had_its_effect_is_accepted_with_one_command() {
    let bench = Bench::new().await;
    bench.gateway.next(Sent::Finished(answer(500)), SOON);
    assert_eq!(bench.outcome().await, (201, "accepted".to_owned()));
    assert_eq!(bench.gateway.commands(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_5xx_seen_to_have_no_effect_is_sent_once_more() {
    let bench = Bench::new().await;
    bench.gateway.next(Sent::Finished(answer(503)), Effect::Never);
    bench.gateway.next(Sent::Taken(answer(202)), SOON);
    assert_eq!(bench.outcome().await, (201, "accepted".to_owned()));
    assert_eq!(bench.gateway.commands(), 2);
}

#[tokio::test(start_paused = true)]
async fn two_5xx_without_effect_are_a_certain_failure() {
    let bench = Bench::new().await;
    for _ in 0..2 {
        bench.gateway.next(Sent::Finished(answer(503)), Effect::Never);
    }
    assert_eq!(bench.outcome().await, (502, "failed genesys_error".to_owned()));
    assert_eq!(bench.gateway.commands(), 2);
}

#[tokio::test(start_paused = true)]
async fn sending_again_after_a_5xx_can_be_switched_off() {
    let bench = Bench::with(Arc::default(), Arc::default(), false).await;
    bench.gateway.next(Sent::Finished(answer(503)), Effect::Never);
    assert_eq!(bench.outcome().await, (502, "failed genesys_error".to_owned()));
    assert_eq!(bench.gateway.commands(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_failed_look_after_a_5xx_forbids_sending_again() {
    let bench = Bench::new().await;
    bench.gateway.next(Sent::Finished(answer(503)), Effect::Never);
    let submitting = bench.submit(None, Wait::Outcome);
    let failing = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let error = GatewayError::Failed(answer(500));
        bench.gateway.failing_reads.lock().unwrap().push_back(error);
    };
    let (reply, ()) = tokio::join!(submitting, failing);
    assert_eq!(reply.unwrap().response.status, 504);
    assert_eq!(bench.gateway.commands(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_command_certainly_not_carried_out_leaves_the_key_free() {
    let bench = Bench::new().await;
    let limited = GatewayError::RateLimited { retry_after: Duration::from_secs(9), answer: None };
    bench.gateway.next(Sent::NotSent(limited), Effect::Never);
    bench.gateway.next(Sent::Taken(answer(202)), SOON);
    let first = bench.submit(Some("k"), Wait::Outcome).await.unwrap();
    let second = bench.submit(Some("k"), Wait::Outcome).await.unwrap();
    assert_eq!((first.response.status, second.response.status), (503, 201));
    assert!(!second.replayed);
}

#[tokio::test(start_paused = true)]
async fn a_refused_command_uses_the_key_up() {
    let bench = Bench::new().await;
    bench.gateway.next(Sent::Refused(GatewayError::Rejected(answer(400))), Effect::Never);
    let first = bench.submit(Some("k"), Wait::Outcome).await.unwrap();
    let second = bench.submit(Some("k"), Wait::Outcome).await.unwrap();
    assert_eq!(first.response.status, 422);
    assert!(second.replayed);
    assert_eq!(first.response, second.response);
    assert_eq!(bench.gateway.commands(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_same_key_replays_the_first_answer_byte_for_byte() {
    let bench = Bench::new().await;
    bench.gateway.next(Sent::Taken(answer(202)), SOON);
    let first = bench.submit(Some("k"), Wait::Outcome).await.unwrap();
    let second = bench.submit(Some("k"), Wait::Outcome).await.unwrap();
    assert_eq!(first.response, second.response);
    assert_eq!((first.replayed, second.replayed), (false, true));
}

#[tokio::test(start_paused = true)]
async fn the_same_key_for_another_request_is_refused() {
    let bench = Bench::new().await;
    bench.gateway.next(Sent::Taken(answer(202)), SOON);
    bench.submit(Some("k"), Wait::Outcome).await.unwrap();
    let mut other = submission(Some("k"), Wait::Outcome);
    other.request.priority = Priority::new(7);
    let problem = bench.transfers.submit(other).await.unwrap_err();
    assert_eq!(problem.code, Code::IdempotencyKeyReused);
}

#[tokio::test(start_paused = true)]
async fn while_unknown_the_same_key_tells_the_truth_and_sends_nothing() {
    let bench = Bench::new().await;
    bench.gateway.next(uncertain(), Effect::After(Duration::from_mins(1)));
    let first = bench.submit(Some("k"), Wait::Outcome).await.unwrap();
    let during = bench.submit(Some("k"), Wait::Outcome).await.unwrap();
    tokio::time::sleep(Duration::from_mins(3)).await;
    let after = bench.submit(Some("k"), Wait::Outcome).await.unwrap();
    let statuses = [first, during, after].map(|reply| reply.response.status);
    assert_eq!(statuses, [504, 504, 201]);
    assert_eq!(bench.gateway.commands(), 1);
}

#[tokio::test(start_paused = true)]
async fn fifty_at_once_with_one_key_send_one_command() {
    let bench = Arc::new(Bench::new().await);
    bench.gateway.next(Sent::Taken(answer(202)), SOON);
    let tries = (0..50).map(|_| {
        let bench = Arc::clone(&bench);
        tokio::spawn(async move { bench.submit(Some("k"), Wait::Outcome).await })
    });
    let mut fresh = 0;
    for reply in futures_util::future::join_all(tries).await {
        match reply.unwrap() {
            Ok(reply) => fresh += u32::from(!reply.replayed),
            Err(problem) => assert_eq!(problem.code, Code::IdempotencyKeyInUse),
        }
    }
    assert_eq!((fresh, bench.gateway.commands()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn another_request_for_a_conversation_in_hand_is_refused_with_its_transfer() {
    let bench = Bench::new().await;
    bench.gateway.next(uncertain(), Effect::Never);
    let first = bench.submit(None, Wait::Outcome).await.unwrap();
    let problem = bench.submit(None, Wait::Outcome).await.unwrap_err();
    assert_eq!(problem.code, Code::TransferInProgress);
    assert_eq!(problem.transfer_id, first.transfer_id.map(TransferId::uuid));
}

#[tokio::test(start_paused = true)]
async fn what_an_answer_names_survives_a_loss_of_power() {
    let bench = Bench::new().await;
    bench.gateway.next(Sent::Taken(answer(202)), SOON);
    let moved = bench.submit(None, Wait::Outcome).await.unwrap().transfer_id.unwrap();
    bench.transfers.get(&caller(), moved).await.unwrap();
    let settled = bench.store.secured.load(Ordering::SeqCst);
    let call = bench.transfers.get(&caller(), moved).await.unwrap().request.conversation_id;
    bench.store.back_to_received(call);

    bench.transfers.get(&caller(), moved).await.unwrap();
    bench.transfers.list(&caller(), TransferFilter::default(), 10).await.unwrap();

    assert_eq!((settled, bench.store.secured.load(Ordering::SeqCst)), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_write_stops_the_command() {
    let bench = Bench::new().await;
    bench.store.broken.store(true, Ordering::SeqCst);
    let problem = bench.submit(None, Wait::Outcome).await.unwrap_err();
    assert_eq!(problem.code, Code::StoreUnavailable);
    assert_eq!(bench.gateway.commands(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_cannot_be_written_is_answered_kept_and_written_later() {
    let bench = Bench::new().await;
    bench.gateway.next(Sent::Taken(answer(202)), SOON);
    *bench.gateway.latency.lock().unwrap() = Duration::from_secs(1);
    let breaking = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        bench.store.broken.store(true, Ordering::SeqCst);
    };
    let (reply, ()) = tokio::join!(bench.submit(Some("k"), Wait::Outcome), breaking);
    let reply = reply.unwrap();
    assert_eq!(reply.response.status, 201);
    let shown = bench.transfers.get(&caller(), reply.transfer_id.unwrap()).await.unwrap();
    assert_eq!(shown.stage, Stage::Accepted);
    assert!(!bench.transfers.readiness().await.ready);
    let again = bench.submit(Some("k"), Wait::Outcome).await.unwrap();
    assert_eq!((again.response, again.replayed), (reply.response, true));
    bench.store.broken.store(false, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.only_transfer().await.stage, Stage::Accepted);
    assert!(bench.transfers.readiness().await.ready);
    assert!(bench.submit(Some("k"), Wait::Outcome).await.unwrap().replayed);
}

#[tokio::test(start_paused = true)]
async fn wait_confirms_a_call_seen_in_its_queue() {
    let bench = Bench::new().await;
    bench.gateway.next(Sent::Taken(answer(202)), Effect::After(Duration::from_secs(2)));
    let wait = Wait::Confirmation(Duration::from_secs(10));
    let start = Instant::now();
    let reply = bench.submit(None, wait).await.unwrap();
    assert!(reply.response.body.starts_with(b"confirmed"));
    assert!(start.elapsed() <= Duration::from_secs(4), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn wait_that_sees_nothing_in_time_leaves_it_accepted() {
    let bench = Bench::new().await;
    bench.gateway.next(Sent::Taken(answer(202)), Effect::After(Duration::from_secs(20)));
    let start = Instant::now();
    let reply = bench.submit(None, Wait::Confirmation(Duration::from_secs(3))).await.unwrap();
    assert!(reply.response.body.starts_with(b"accepted"));
    assert!((2_800..=3_000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn wait_looks_until_its_very_end() {
    let bench = Bench::new().await;
    // A call that arrives late makes the first look at later ones late.
    bench.gateway.next(Sent::Taken(answer(202)), Effect::After(Duration::from_millis(1_300)));
    bench.gateway.failing_routing.lock().unwrap().push_back(GatewayError::NotFound(answer(404)));
    with_priority(&bench).await;
    bench.gateway.happens(Effect::Never);
    bench.gateway.next(Sent::Taken(answer(202)), Effect::After(Duration::from_millis(700)));
    let reply = bench.submit(None, Wait::Confirmation(Duration::from_secs(1))).await.unwrap();
    assert_eq!(reply.response.body.get(..9), Some(&b"confirmed"[..]));
}

#[tokio::test(start_paused = true)]
async fn respond_async_answers_before_the_command_and_goes_on() {
    let bench = Bench::new().await;
    bench.gateway.next(Sent::Taken(answer(202)), SOON);
    let reply = bench.submit(None, Wait::Nothing).await.unwrap();
    assert_eq!(reply.response.status, 202);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.only_transfer().await.stage, Stage::Accepted);
}

#[tokio::test(start_paused = true)]
async fn work_goes_on_when_the_caller_hangs_up() {
    let bench = Bench::new().await;
    *bench.gateway.latency.lock().unwrap() = Duration::from_secs(2);
    bench.gateway.next(Sent::Taken(answer(202)), SOON);
    let hang_up = tokio::time::timeout(Duration::from_secs(1), bench.submit(None, Wait::Outcome));
    assert!(hang_up.await.is_err());
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(bench.only_transfer().await.stage, Stage::Accepted);
}

async fn with_priority(bench: &Bench) -> Reply {
    let mut asked = submission(None, Wait::Outcome);
    asked.request.priority = Priority::new(10);
    bench.transfers.submit(asked).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_priority_is_set_as_soon_as_the_call_is_in_the_queue() {
    let bench = Bench::new().await;
    bench.gateway.next(Sent::Taken(answer(202)), SOON);
    for _ in 0..2 {
        bench
            .gateway
            .failing_routing
            .lock()
            .unwrap()
            .push_back(GatewayError::NotFound(answer(404)));
    }
    let reply = with_priority(&bench).await;
    assert_eq!(reply.response.status, 201);
    assert_eq!(bench.gateway.routing_set.lock().unwrap()[0].priority, Priority::new(10));
    assert!(bench.only_transfer().await.warnings.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_priority_that_cannot_be_set_is_a_warning_not_a_failure() {
    let bench = Bench::new().await;
    bench.gateway.next(Sent::Taken(answer(202)), SOON);
    let refused = GatewayError::PermissionMissing {
        answer: answer(403),
        permission: "routing:conversation:edit",
    };
    bench.gateway.failing_routing.lock().unwrap().push_back(refused);
    let reply = with_priority(&bench).await;
    assert_eq!(reply.response.status, 201);
    assert_eq!(bench.only_transfer().await.warnings[0].code, "routing_attributes_not_applied");
}

#[tokio::test(start_paused = true)]
async fn an_operator_settles_an_unknown_transfer_and_frees_the_conversation() {
    let bench = Bench::new().await;
    bench.gateway.next(uncertain(), Effect::Never);
    bench.gateway.next(Sent::Taken(answer(202)), SOON);
    let id = bench.submit(None, Wait::Outcome).await.unwrap().transfer_id.unwrap();
    let settled =
        bench.transfers.settle(&caller(), id, Verdict::NotMoved, None, None).await.unwrap();
    assert_eq!(settled.stage.status(), Status::Failed);
    assert_eq!(bench.outcome().await.0, 201);
}

#[tokio::test(start_paused = true)]
async fn only_an_unknown_transfer_can_be_settled_by_hand() {
    let bench = Bench::new().await;
    bench.gateway.next(Sent::Taken(answer(202)), SOON);
    let id = bench.submit(None, Wait::Outcome).await.unwrap().transfer_id.unwrap();
    let problem =
        bench.transfers.settle(&caller(), id, Verdict::Moved, None, None).await.unwrap_err();
    assert_eq!(problem.code, Code::Conflict);
}

/// What a process that died in `stage` leaves, and what the next one makes of it.
async fn after_a_crash_in(stage: Stage, effect: Effect) -> (Bench, Transfer) {
    let before = Bench::new().await;
    before.gateway.next(uncertain(), Effect::Never);
    before.submit(None, Wait::Nothing).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut row = before.only_transfer().await;
    before.stop.cancel();
    row.stage = stage;
    let gateway = Arc::new(ScriptedGateway::default());
    gateway.happens(effect);
    gateway.next(Sent::Taken(answer(202)), SOON);
    let store = Arc::new(MemoryStore::default());
    store.left_behind(row);
    let bench = Bench::with(gateway, store, true).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let row = bench.only_transfer().await;
    (bench, row)
}

#[tokio::test(start_paused = true)]
async fn a_young_transfer_not_yet_begun_goes_on_after_a_crash() {
    let (bench, row) = after_a_crash_in(Stage::Received, Effect::Never).await;
    assert_eq!((row.stage, bench.gateway.commands()), (Stage::Accepted, 1));
}

#[tokio::test(start_paused = true)]
async fn a_dispatched_transfer_is_only_looked_at_after_a_crash() {
    let (bench, row) = after_a_crash_in(Stage::Dispatching, Effect::Never).await;
    assert_eq!((row.stage, bench.gateway.commands()), (Stage::Unknown, 0));
}

#[tokio::test(start_paused = true)]
async fn a_dispatched_transfer_that_worked_is_accepted_after_a_crash() {
    let (bench, row) = after_a_crash_in(Stage::Dispatching, SOON).await;
    assert_eq!((row.stage, bench.gateway.commands()), (Stage::Accepted, 0));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_transfer_is_settled_on_after_a_crash() {
    let (bench, row) = after_a_crash_in(Stage::Unknown, SOON).await;
    assert_eq!((row.stage, bench.gateway.commands()), (Stage::Accepted, 0));
}

#[tokio::test(start_paused = true)]
async fn stopping_leaves_an_uncertain_transfer_unknown_at_once() {
    let bench = Bench::new().await;
    bench.gateway.next(uncertain(), Effect::Never);
    let stopping = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        bench.stop.cancel();
    };
    let start = Instant::now();
    let (reply, ()) = tokio::join!(bench.submit(None, Wait::Outcome), stopping);
    assert_eq!(reply.unwrap().response.status, 504);
    assert!(start.elapsed() < Duration::from_secs(2));
    bench.tracker.close();
    bench.tracker.wait().await;
    assert_eq!(bench.only_transfer().await.stage, Stage::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_stopping_service_takes_nothing_new() {
    let bench = Bench::new().await;
    bench.stop.cancel();
    let problem = bench.submit(None, Wait::Outcome).await.unwrap_err();
    assert_eq!(problem.code, Code::ShuttingDown);
}

#[tokio::test(start_paused = true)]
async fn every_request_to_genesys_is_made_on_behalf_of_its_caller() {
    let bench = Bench::new().await;
    bench.gateway.next(uncertain(), Effect::After(Duration::from_mins(1)));
    assert_eq!(bench.outcome().await.0, 504);
    tokio::time::sleep(Duration::from_mins(2)).await;
    let id = request().conversation_id;
    let by = Instant::now() + DEADLINE;
    bench.transfers.preview(&caller(), id, None, by).await.unwrap();
    assert_eq!(bench.gateway.callers.names(), [Some("crm".to_owned())]);
}
