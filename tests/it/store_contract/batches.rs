//! Batches: recorded whole or not at all, one key, one plan, no circles.

use genesys_transfer::{
    batch::{
        Batch, BatchStatus, Item, Plan, PlannedCall,
        store::{BatchFilter, Created, LookClaim, NewBatch, QueueLook},
    },
    clock::Clock,
    transfer::{
        ids::{ConversationId, PlanId, QueueId},
        model::CallerName,
        store::KeyClaim,
    },
};
use jiff::SignedDuration;

use super::on_both_stores;
use crate::support::{
    records::{answer, batch, claim, fresh_id, items},
    store::Fixture,
};

mod runners;
mod taking;
mod upkeep;
mod views;

on_both_stores!(
    batch_comes_back_as_it_was,
    the_largest_batch_is_recorded_in_one_step,
    recording_again_changes_nothing,
    key_gives_its_first_answer_and_makes_one_batch,
    key_counts_until_it_is_reaped_whatever_the_clock_says,
    keys_of_callers_and_routes_do_not_meet,
    of_many_with_one_key_one_is_recorded,
    plan_comes_back_and_is_used_up,
    of_many_with_one_plan_one_is_recorded,
    plans_long_expired_are_forgotten,
    drain_that_closes_a_circle_is_refused_and_leaves_nothing,
    circle_over_several_queues_is_seen,
    drain_that_does_not_run_closes_no_circle,
    of_two_drains_at_one_moment_one_is_refused,
    looks_of_standing_drains_are_few_and_shared,
);

/// `batch` with `items` and nothing else.
pub(super) fn new(batch: &Batch, items: Vec<Item>) -> NewBatch {
    NewBatch { batch: batch.clone(), items, key: None, plan: None }
}

impl Fixture {
    /// Records `batch`, which must work; `self.owner` is its runner.
    pub(crate) async fn begin(&self, batch: &Batch, items: &[Item]) {
        let created = self.batches.create_batch(&new(batch, items.to_vec()), self.owner).await;
        assert_eq!(created.unwrap(), Created::Done);
    }

    /// A recorded batch with `count` items.
    pub(super) async fn begun(&self, count: u32) -> (Batch, Vec<Item>) {
        let batch = batch(self.clock.now(), count);
        let items = items(&batch, 0, count);
        self.begin(&batch, &items).await;
        (batch, items)
    }
}

async fn looks_of_standing_drains_are_few_and_shared(fixture: Fixture) {
    let start = fixture.clock.now();
    let claim = |seconds: i64, shared: Option<i64>| {
        let now = start + SignedDuration::from_secs(seconds);
        let shared = shared.map(SignedDuration::from_secs);
        let (store, look) = (fixture.batches.clone(), fresh_id(now));
        async move { (look, store.claim_look(look, now, 3, shared).await.unwrap()) }
    };
    let (first, granted) = claim(0, Some(9)).await;
    assert_eq!(granted, LookClaim::Granted);
    let again = fixture.batches.claim_look(first, start, 3, Some(SignedDuration::from_secs(9)));
    assert_eq!(again.await.unwrap(), LookClaim::Granted);
    let queue = QueueId::new(fresh_id(start));
    let seen = [QueueLook { queue, waiting: Some(3), on_queue: None }];
    fixture.batches.share_look(first, &seen).await.unwrap();
    assert_eq!(claim(5, Some(9)).await.1, LookClaim::Seen(seen.to_vec()));
    for (seconds, shared) in [(6, None), (10, Some(9))] {
        assert_eq!(claim(seconds, shared).await.1, LookClaim::Granted);
    }
    let free = start + SignedDuration::from_secs(60);
    let LookClaim::NotBefore(at) = claim(59, None).await.1 else { panic!("no room") };
    assert_eq!(at.as_microsecond(), free.as_microsecond());
    assert_eq!(claim(61, None).await.1, LookClaim::Granted);
}

async fn batch_comes_back_as_it_was(fixture: Fixture) {
    let (batch, items) = fixture.begun(5).await;

    assert_eq!(fixture.batches.batch(batch.id).await.unwrap().as_ref(), Some(&batch));
    assert_eq!(fixture.batches.open_items(batch.id, 0, 100).await.unwrap(), items);
    assert_eq!(fixture.batches.open_items(batch.id, 1, 3).await.unwrap(), items[1..4]);
    let mut known = fixture.batches.known_conversations(batch.id).await.unwrap();
    known.sort_unstable();
    let all: Vec<_> = items.iter().map(|item| item.request.conversation_id).collect();
    assert_eq!(known, all);
}

async fn the_largest_batch_is_recorded_in_one_step(fixture: Fixture) {
    let (batch, _) = fixture.begun(10_000).await;
    let last = fixture.batches.open_items(batch.id, 9_999, 10).await.unwrap();
    assert_eq!(last.len(), 1);
}

async fn recording_again_changes_nothing(fixture: Fixture) {
    let (batch, items) = fixture.begun(2).await;
    fixture.batches.cancel_batch(batch.id, fixture.clock.now()).await.unwrap();
    fixture.begin(&batch, &items).await;
    let found = fixture.batches.batch(batch.id).await.unwrap().unwrap();
    assert_eq!(found.status, BatchStatus::Cancelled);
}

fn with_key(batch: &Batch, key: KeyClaim) -> NewBatch {
    NewBatch { key: Some((key, answer())), ..new(batch, Vec::new()) }
}

async fn key_gives_its_first_answer_and_makes_one_batch(fixture: Fixture) {
    let (first, second) = (batch(fixture.clock.now(), 1), batch(fixture.clock.now(), 1));
    let store = &fixture.batches;
    let done = store.create_batch(&with_key(&first, claim("k", 1)), fixture.owner).await;
    assert_eq!(done.unwrap(), Created::Done);

    let again = store.create_batch(&with_key(&second, claim("k", 2)), fixture.owner).await;

    let record = store.batch_key(&claim("k", 1).scope).await.unwrap().unwrap();
    assert_eq!(record.batch_id, first.id);
    assert_eq!((record.fingerprint, &record.answer), ([1; 32], &answer()));
    assert_eq!(again.unwrap(), Created::KeyTaken(record));
    assert_eq!(store.batch(second.id).await.unwrap(), None);
}

async fn key_counts_until_it_is_reaped_whatever_the_clock_says(fixture: Fixture) {
    let store = &fixture.batches;
    let first = batch(fixture.clock.now(), 1);
    store.create_batch(&with_key(&first, claim("k", 1)), fixture.owner).await.unwrap();
    fixture.clock.advance(SignedDuration::from_hours(24 * 365));
    let second = batch(fixture.clock.now(), 1);
    let early = store.create_batch(&with_key(&second, claim("k", 1)), fixture.owner).await;
    assert!(matches!(early.unwrap(), Created::KeyTaken(_)));
    fixture.reap(first.created_at, fixture.clock.now(), 100).await;

    let created = store.create_batch(&with_key(&second, claim("k", 2)), fixture.owner).await;

    assert_eq!(created.unwrap(), Created::Done);
    let record = store.batch_key(&claim("k", 2).scope).await.unwrap().unwrap();
    assert_eq!(record.batch_id, second.id);
}

async fn keys_of_callers_and_routes_do_not_meet(fixture: Fixture) {
    let mut other = claim("k", 1);
    other.scope.caller = CallerName::new("erp");
    let mut elsewhere = claim("k", 1);
    elsewhere.scope.route = "POST /batches";
    for claim in [claim("k", 1), other, elsewhere] {
        let batch = batch(fixture.clock.now(), 1);
        let created = fixture.batches.create_batch(&with_key(&batch, claim), fixture.owner).await;
        assert_eq!(created.unwrap(), Created::Done);
    }
}

/// Records all at the same time, half of them by another replica; how many were recorded.
async fn race(fixture: &Fixture, all: Vec<NewBatch>) -> usize {
    let replica = fixture.batches_replica().await;
    let racers = all.into_iter().enumerate().map(|(n, new)| {
        let store = if n % 2 == 0 { fixture.batches.clone() } else { replica.clone() };
        let runner = fixture.owner;
        tokio::spawn(async move { store.create_batch(&new, runner).await.unwrap() })
    });
    let created = futures_util::future::join_all(racers).await;
    created.into_iter().filter(|created| *created.as_ref().unwrap() == Created::Done).count()
}

async fn of_many_with_one_key_one_is_recorded(fixture: Fixture) {
    let now = fixture.clock.now();
    let all: Vec<_> = (0..10).map(|_| with_key(&batch(now, 1), claim("k", 1))).collect();
    assert_eq!(race(&fixture, all).await, 1);
    let filter = BatchFilter::default();
    assert_eq!(fixture.batches.batches(&filter, 100).await.unwrap().len(), 1);
}

fn plan(fixture: &Fixture) -> Plan {
    let now = fixture.clock.now();
    Plan {
        id: PlanId::new(fresh_id(now)),
        requested_by: CallerName::new("crm"),
        drain: batch(now, 1).drain,
        undo: None,
        total: 1,
        items: vec![PlannedCall {
            conversation_id: ConversationId::new(fresh_id(now)),
            waiting_since: now,
            priority: Some(-3),
            skill_ids: None,
            language_id: None,
            new_priority: None,
        }],
        activity: None,
        estimated_wait_seconds: None,
        requests: 0,
        eta_seconds: None,
        warnings: Vec::new(),
        reason: Some("\0".to_owned()),
        reference: None,
        created_at: now,
        expires_at: now + SignedDuration::from_mins(2),
    }
}

fn planned(fixture: &Fixture, plan: &Plan) -> NewBatch {
    NewBatch { plan: Some(plan.id), ..new(&batch(fixture.clock.now(), 1), Vec::new()) }
}

async fn plan_comes_back_and_is_used_up(fixture: Fixture) {
    let plan = plan(&fixture);
    fixture.batches.keep_plan(&plan).await.unwrap();
    assert_eq!(fixture.batches.plan(plan.id).await.unwrap().as_ref(), Some(&plan));

    let (first, second) = (planned(&fixture, &plan), planned(&fixture, &plan));
    let used = fixture.batches.create_batch(&first, fixture.owner).await.unwrap();
    let again = fixture.batches.create_batch(&second, fixture.owner).await.unwrap();

    assert_eq!((used, again), (Created::Done, Created::PlanGone));
    assert_eq!(fixture.batches.plan(plan.id).await.unwrap(), None);
    assert_eq!(fixture.batches.batch(second.batch.id).await.unwrap(), None);
}

async fn of_many_with_one_plan_one_is_recorded(fixture: Fixture) {
    let plan = plan(&fixture);
    fixture.batches.keep_plan(&plan).await.unwrap();
    let all: Vec<_> = (0..10).map(|_| planned(&fixture, &plan)).collect();
    assert_eq!(race(&fixture, all).await, 1);
}

async fn plans_long_expired_are_forgotten(fixture: Fixture) {
    let old = plan(&fixture);
    fixture.batches.keep_plan(&old).await.unwrap();
    fixture.clock.advance(SignedDuration::from_mins(2));
    fixture.batches.keep_plan(&plan(&fixture)).await.unwrap();
    assert!(fixture.batches.plan(old.id).await.unwrap().is_some(), "only just expired");

    fixture.clock.advance(SignedDuration::from_mins(2));
    fixture.batches.keep_plan(&plan(&fixture)).await.unwrap();
    assert_eq!(fixture.batches.plan(old.id).await.unwrap(), None);
}

/// A drain that begins where `before` ends.
fn after(fixture: &Fixture, before: &Batch) -> Batch {
    let mut next = batch(fixture.clock.now(), 1);
    next.drain.as_mut().unwrap().from = before.drain.clone().unwrap().to;
    next
}

/// A drain from where `last` ends to where `first` began.
fn back(fixture: &Fixture, last: &Batch, first: &Batch) -> Batch {
    let mut back = after(fixture, last);
    back.drain.as_mut().unwrap().to = first.drain.clone().unwrap().from;
    back
}

async fn drain_that_closes_a_circle_is_refused_and_leaves_nothing(fixture: Fixture) {
    let (there, _) = fixture.begun(1).await;
    let back = back(&fixture, &there, &there);
    let plan = plan(&fixture);
    fixture.batches.keep_plan(&plan).await.unwrap();
    let asked = NewBatch { plan: Some(plan.id), ..with_key(&back, claim("k", 1)) };

    let refused = fixture.batches.create_batch(&asked, fixture.owner).await.unwrap();

    assert_eq!(refused, Created::Loop(there.id));
    assert_eq!(fixture.batches.batch(back.id).await.unwrap(), None);
    assert_eq!(fixture.batches.batch_key(&claim("k", 1).scope).await.unwrap(), None);
    assert!(fixture.batches.plan(plan.id).await.unwrap().is_some());
}

async fn circle_over_several_queues_is_seen(fixture: Fixture) {
    let (first, _) = fixture.begun(1).await;
    let second = after(&fixture, &first);
    let third = after(&fixture, &second);
    fixture.begin(&second, &[]).await;
    fixture.begin(&third, &[]).await;
    assert_eq!(fixture.batches.running_drains().await.unwrap().len(), 3);

    let back = new(&back(&fixture, &third, &first), Vec::new());
    let refused = fixture.batches.create_batch(&back, fixture.owner).await.unwrap();
    assert_eq!(refused, Created::Loop(first.id));
}

async fn drain_that_does_not_run_closes_no_circle(fixture: Fixture) {
    let (mut there, _) = fixture.begun(1).await;
    let (stopped, _) = fixture.begun(1).await;
    there.status = BatchStatus::Completed;
    there.finished_at = Some(fixture.clock.now());
    assert!(fixture.batches.update_batch(&there, fixture.owner).await.unwrap());
    fixture.batches.cancel_batch(stopped.id, fixture.clock.now()).await.unwrap();

    for ended in [there, stopped] {
        fixture.begin(&back(&fixture, &ended, &ended), &[]).await;
    }
    assert_eq!(fixture.batches.running_drains().await.unwrap().len(), 2);
}

async fn of_two_drains_at_one_moment_one_is_refused(fixture: Fixture) {
    // With items, so that it takes a while to record them.
    let whole = |batch: &Batch| new(batch, items(batch, 0, 400));
    let pairs = (0..6).map(|_| {
        let there = batch(fixture.clock.now(), 400);
        let back = back(&fixture, &there, &there);
        race(&fixture, vec![whole(&there), whole(&back)])
    });
    let recorded = futures_util::future::join_all(pairs).await;
    assert_eq!(recorded, [1; 6]);
}
