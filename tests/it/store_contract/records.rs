//! A record is kept as it is, and changes only as allowed.

use genesys_transfer::{
    clock::Clock,
    problem::{Candidate, Code, FieldError, Problem, UpstreamAnswer},
    transfer::{
        conversation::{LegState, Picture, Purpose},
        ids::{BatchId, LanguageId, ParticipantId, QueueId, SkillId},
        model::{
            CallerName, Previous, Priority, Queue, QueueName, QueueRef, Stage, Transfer,
            TransferType, UpstreamUse, Warning,
        },
        store::{Durability, Expected, Inserted, KeyChange},
    },
};
use jiff::SignedDuration;
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use uuid::Uuid;

use super::on_both_stores;
use crate::support::{
    records::{claim, fresh_id, transfer},
    store::Fixture,
};

on_both_stores!(
    unknown_id_is_nothing,
    every_field_comes_back,
    odd_text_comes_back,
    update_changes_the_whole_record,
    wrong_stage_changes_nothing,
    wrong_owner_changes_nothing,
    missing_row_changes_nothing,
    any_owner_when_an_operator_settles,
    same_stage_may_be_saved_again,
    repeated_update_is_true_again,
    repeated_dispatch_is_not,
    settled_stages_are_final,
    forbidden_steps_are_refused,
    settling_frees_the_conversation,
    unknown_holds_the_conversation,
    settled_row_needs_no_place,
    repeated_insert_is_done,
    process_durability_writes_the_same,
);

async fn unknown_id_is_nothing(fixture: Fixture) {
    let absent = transfer(fixture.clock.now());
    assert_eq!(fixture.store.get(absent.id).await.unwrap(), None);
}

/// A transfer with every field set to something of its own.
fn full(now: jiff::Timestamp, text: &str) -> Transfer {
    let mut row = transfer(now);
    let id = || fresh_id(now);
    row.request.queue =
        QueueName::parse(text).map_or(QueueRef::Id(QueueId::new(id())), QueueRef::Name);
    row.request.priority = Priority::new(-25_000_000);
    row.request.skill_ids = Some(vec![SkillId::new(id()), SkillId::new(id())]);
    row.request.language_id = Some(LanguageId::new(id()));
    row.request.keep_place = true;
    row.request.participant_id = Some(ParticipantId::new(id()));
    row.request.transfer_type = TransferType::Attended;
    row.request.reason = Some(text.repeat(3));
    row.request.reference = Some(text.to_owned());
    row.queue = Queue { name: text.to_owned(), division: Some(text.to_owned()), ..row.queue };
    row.requested_by = CallerName::new(text);
    row.request_id = text.to_owned();
    row.batch_id = Some(BatchId::new(id()));
    row.participant_id = row.request.participant_id;
    row.previous = Some(Previous {
        purpose: Purpose::Other(format!("x{text}")),
        state: LegState::Held,
        queue_id: Some(QueueId::new(id())),
        priority: Some(-3),
        skill_ids: Some(vec![SkillId::new(id())]),
        language_id: Some(LanguageId::new(id())),
        waiting_since: Some(jiff::Timestamp::UNIX_EPOCH),
    });
    row.picture = Some(Picture {
        participants: vec![ParticipantId::new(id())],
        in_target: true,
        waited_in_target: true,
        recent_transfers: vec![text.to_owned()],
        unread: true,
        bulk: true,
    });
    row.priority = Priority::new(25_000_000);
    row.waited_minutes = Some(i64::MIN);
    row.warnings = vec![Warning { code: "code".to_owned(), detail: text.to_owned() }];
    row.error = Some(full_problem(text, id()));
    row.upstream = UpstreamUse {
        calls: 1,
        attempts: u32::MAX,
        waited_ms: u64::MAX,
        correlation_id: Some(text.to_owned()),
    };
    row.updated_at = now + SignedDuration::new(1, 987_654_321);
    row
}

fn full_problem(text: &str, id: Uuid) -> Problem {
    let text = || text.to_owned();
    Problem {
        code: Code::QueueAmbiguous,
        detail: text(),
        hint: Some(text()),
        retryable: Some(true),
        retry_after: Some(std::time::Duration::new(3, 7)),
        transfer_id: Some(id),
        batch_id: Some(id),
        upstream: Some(UpstreamAnswer {
            status: 409,
            code: Some(text()),
            message: Some(text()),
            correlation_id: Some(text()),
        }),
        errors: vec![FieldError { pointer: text(), detail: text() }],
        candidates: vec![
            Candidate::Queue { id: text(), name: text(), division: Some(text()) },
            Candidate::Participant { id: text(), purpose: text(), state: text() },
        ],
    }
}

async fn every_field_comes_back(fixture: Fixture) {
    let row = full(fixture.clock.now(), "Support");
    fixture.record(&row).await;
    assert_eq!(fixture.store.get(row.id).await.unwrap(), Some(row));
}

async fn odd_text_comes_back(fixture: Fixture) {
    let mut runner = TestRunner::deterministic();
    let any = proptest::collection::vec(any::<char>(), 0..200).prop_map(String::from_iter);
    let drawn = (0..50).map(|_| any.new_tree(&mut runner).unwrap().current());
    let odd = ["", "\0", "a\0b", "\\0", "'\"`--;", "😀👩‍👩‍👧", "\u{feff}\u{202e}", "%_", "\r\n\t"];
    let long = ["é".repeat(500), "\0".repeat(128), "\u{10ffff}".repeat(128)];
    for text in odd.into_iter().map(str::to_owned).chain(long).chain(drawn) {
        let row = full(fixture.clock.now(), &text);
        fixture.record(&row).await;

        assert_eq!(fixture.store.get(row.id).await.unwrap().as_ref(), Some(&row), "{text:?}");
        let filter = genesys_transfer::transfer::store::TransferFilter {
            reference: Some(text.clone()),
            caller: Some(CallerName::new(&text)),
            ..Default::default()
        };
        assert_eq!(fixture.store.list(&filter, 9).await.unwrap(), [row], "{text:?}");
    }
}

async fn update_changes_the_whole_record(fixture: Fixture) {
    let row = transfer(fixture.clock.now());
    fixture.record(&row).await;

    let mut changed = full(fixture.clock.now(), "later");
    changed.id = row.id;
    assert!(fixture.step(&mut changed, Stage::Prepared, KeyChange::Keep).await.unwrap());

    assert_eq!(fixture.store.get(row.id).await.unwrap(), Some(changed));
}

async fn wrong_stage_changes_nothing(fixture: Fixture) {
    let row = transfer(fixture.clock.now());
    fixture.insert(&row, Some(&claim("k", 1))).await.unwrap();

    let mut late = row.clone();
    late.stage = Stage::Prepared;
    assert!(!fixture.step(&mut late, Stage::Failed, KeyChange::Free).await.unwrap());

    assert_eq!(fixture.store.get(row.id).await.unwrap(), Some(row));
    assert!(fixture.store.key(&claim("k", 1).scope).await.unwrap().is_some());
}

async fn wrong_owner_changes_nothing(fixture: Fixture) {
    let mut row = transfer(fixture.clock.now());
    fixture.record(&row).await;

    let expected = Expected { stage: Stage::Received, owner: Some(Uuid::nil()) };
    row.stage = Stage::Prepared;
    let update = fixture.store.update(&row, &expected, KeyChange::Keep, Durability::Power);
    assert!(!update.await.unwrap());

    let kept = fixture.store.get(row.id).await.unwrap().unwrap();
    assert_eq!(kept.stage, Stage::Received);
}

async fn missing_row_changes_nothing(fixture: Fixture) {
    let mut row = transfer(fixture.clock.now());
    assert!(!fixture.step(&mut row, Stage::Prepared, KeyChange::Keep).await.unwrap());
    assert_eq!(fixture.store.get(row.id).await.unwrap(), None);
}

async fn any_owner_when_an_operator_settles(fixture: Fixture) {
    let mut row = transfer(fixture.clock.now());
    fixture.record(&row).await;
    fixture.settle(&mut row, Stage::Unknown).await;

    let expected = Expected { stage: Stage::Unknown, owner: None };
    row.stage = Stage::Confirmed;
    let update = fixture.store.update(&row, &expected, KeyChange::Keep, Durability::Power);
    assert!(update.await.unwrap());
}

async fn same_stage_may_be_saved_again(fixture: Fixture) {
    let mut row = transfer(fixture.clock.now());
    fixture.record(&row).await;
    fixture.settle(&mut row, Stage::Accepted).await;

    row.warnings.push(Warning { code: "late".to_owned(), detail: String::new() });
    assert!(fixture.step(&mut row, Stage::Accepted, KeyChange::Keep).await.unwrap());

    assert_eq!(fixture.store.get(row.id).await.unwrap(), Some(row));
}

async fn repeated_update_is_true_again(fixture: Fixture) {
    let row = transfer(fixture.clock.now());
    fixture.record(&row).await;
    for _ in 0..2 {
        let mut again = row.clone();
        assert!(fixture.step(&mut again, Stage::Prepared, KeyChange::Keep).await.unwrap());
    }
}

async fn repeated_dispatch_is_not(fixture: Fixture) {
    let mut row = transfer(fixture.clock.now());
    fixture.record(&row).await;
    fixture.step(&mut row, Stage::Prepared, KeyChange::Keep).await.unwrap();

    let mut again = row.clone();
    assert!(fixture.step(&mut row, Stage::Dispatching, KeyChange::Keep).await.unwrap());
    assert!(!fixture.step(&mut again, Stage::Dispatching, KeyChange::Keep).await.unwrap());
}

async fn settled_stages_are_final(fixture: Fixture) {
    for settled in [Stage::Confirmed, Stage::Failed, Stage::Skipped] {
        let mut row = transfer(fixture.clock.now());
        fixture.record(&row).await;
        fixture.settle(&mut row, settled).await;
        for stage in Stage::ALL.into_iter().filter(|&stage| stage != settled) {
            let mut moved = row.clone();
            let step = fixture.step(&mut moved, stage, KeyChange::Keep).await;
            assert!(step.is_err(), "{settled:?} became {stage:?}");
        }
        assert_eq!(fixture.store.get(row.id).await.unwrap(), Some(row));
    }
}

async fn forbidden_steps_are_refused(fixture: Fixture) {
    let row = transfer(fixture.clock.now());
    fixture.record(&row).await;
    for stage in [Stage::Accepted, Stage::Confirmed, Stage::Unknown] {
        let mut moved = row.clone();
        assert!(fixture.step(&mut moved, stage, KeyChange::Keep).await.is_err(), "{stage:?}");
    }
    assert_eq!(fixture.store.get(row.id).await.unwrap(), Some(row));
}

async fn settling_frees_the_conversation(fixture: Fixture) {
    for stage in [Stage::Accepted, Stage::Confirmed, Stage::Failed, Stage::Skipped] {
        let mut first = transfer(fixture.clock.now());
        fixture.record(&first).await;
        fixture.settle(&mut first, stage).await;

        let mut second = transfer(fixture.clock.now());
        second.request.conversation_id = first.request.conversation_id;
        assert_eq!(fixture.insert(&second, None).await.unwrap(), Inserted::Done, "{stage:?}");
    }
}

async fn unknown_holds_the_conversation(fixture: Fixture) {
    let mut first = transfer(fixture.clock.now());
    fixture.record(&first).await;
    fixture.settle(&mut first, Stage::Unknown).await;

    let mut second = transfer(fixture.clock.now());
    second.request.conversation_id = first.request.conversation_id;
    let inserted = fixture.insert(&second, None).await.unwrap();

    let caller = first.requested_by;
    assert_eq!(inserted, Inserted::ConversationTaken { transfer_id: first.id, caller });
}

async fn settled_row_needs_no_place(fixture: Fixture) {
    let first = transfer(fixture.clock.now());
    fixture.record(&first).await;

    let mut skipped = transfer(fixture.clock.now());
    skipped.stage = Stage::Skipped;
    skipped.request.conversation_id = first.request.conversation_id;
    assert_eq!(fixture.insert(&skipped, None).await.unwrap(), Inserted::Done);
}

async fn repeated_insert_is_done(fixture: Fixture) {
    for claim in [None, Some(claim("k", 1))] {
        let row = transfer(fixture.clock.now());
        for _ in 0..2 {
            assert_eq!(fixture.insert(&row, claim.as_ref()).await.unwrap(), Inserted::Done);
        }
    }
    assert_eq!(fixture.store.unsettled().await.unwrap(), 2);
}

async fn process_durability_writes_the_same(fixture: Fixture) {
    let mut row = transfer(fixture.clock.now());
    let (store, owner) = (&fixture.store, fixture.owner);
    store.insert(&row, Some(&claim("k", 1)), owner, Durability::Process).await.unwrap();

    let expected = Expected { stage: row.stage, owner: Some(owner) };
    row.stage = Stage::Failed;
    let update = store.update(&row, &expected, KeyChange::Free, Durability::Process);
    assert!(update.await.unwrap());

    assert_eq!(store.get(row.id).await.unwrap(), Some(row));
    assert_eq!(store.key(&claim("k", 1).scope).await.unwrap(), None);
}
