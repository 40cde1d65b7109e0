use std::{
    future::pending,
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

use super::*;
use crate::{
    clock::ManualClock,
    problem::Code,
    store::{samples::transfer, sqlite::Sqlite},
    transfer::model::{CallerName, Stage},
};

const SOUND: u8 = 0;
/// Carried out, but the end is not seen.
const END_UNSEEN: u8 = 1;
/// Carried out, but nothing ever comes back.
const HANGS: u8 = 2;
/// Not carried out.
const DOWN: u8 = 3;

/// A database whose commits can be lost sight of.
struct Shaky(Sqlite, AtomicU8);

impl Backend for Shaky {
    const SHARED: bool = false;

    async fn write<O: DbOperation>(
        &self,
        operation: O,
        durability: Durability,
    ) -> Result<O::Output, OperationError> {
        let mood = self.1.load(Ordering::Relaxed);
        if mood == DOWN {
            return Err(OperationError::certain("down"));
        }
        let output = self.0.write(operation, durability).await?;
        match mood {
            END_UNSEEN => Err(OperationError::uncertain("connection lost")),
            HANGS => pending().await,
            _ => Ok(output),
        }
    }

    async fn read<O: DbOperation>(&self, operation: O) -> Result<O::Output, OperationError> {
        self.0.read(operation).await
    }
}

async fn shaky() -> RecordStore<Shaky> {
    let database = Sqlite::open("sqlite::memory:").await.unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    RecordStore::new(Shaky(database, AtomicU8::new(SOUND)), clock, Arc::default())
}

fn set(store: &RecordStore<Shaky>, mood: u8) {
    store.backend.1.store(mood, Ordering::Relaxed);
}

const OWNER: Uuid = Uuid::from_u128(77);

async fn insert(store: &RecordStore<Shaky>) -> Result<Inserted, StoreError> {
    store.insert(&transfer(), None, OWNER, Durability::Power).await
}

#[tokio::test]
async fn insert_whose_end_was_not_seen_is_taken_back() {
    let store = shaky().await;
    set(&store, END_UNSEEN);
    assert!(insert(&store).await.is_err());
    assert_eq!(store.unsettled().await.unwrap(), 1);

    set(&store, SOUND);
    store.heartbeat(OWNER, Timestamp::UNIX_EPOCH).await.unwrap();

    assert_eq!(store.unsettled().await.unwrap(), 0);
}

#[tokio::test]
async fn insert_taken_back_can_still_be_looked_up_and_its_key_is_free() {
    let store = shaky().await;
    let scope =
        KeyScope { caller: CallerName::new("crm"), route: "POST /transfers", key: "k".to_owned() };
    let claim = KeyClaim { scope: scope.clone(), fingerprint: [1; 32] };
    set(&store, END_UNSEEN);
    assert!(store.insert(&transfer(), Some(&claim), OWNER, Durability::Power).await.is_err());
    set(&store, SOUND);
    assert!(store.key(&scope).await.unwrap().is_some());

    store.heartbeat(OWNER, Timestamp::UNIX_EPOCH).await.unwrap();

    let found = store.get(transfer().id).await.unwrap().unwrap();
    assert_eq!(found.stage, Stage::Failed);
    assert_eq!(found.error.unwrap().code, Code::StoreUnavailable);
    assert!(store.key(&scope).await.unwrap().is_none());
}

#[tokio::test]
async fn insert_that_was_abandoned_half_way_is_taken_back() {
    let store = shaky().await;
    set(&store, HANGS);
    let abandoned = tokio::time::timeout(Duration::from_millis(200), insert(&store)).await;
    assert!(abandoned.is_err());

    set(&store, SOUND);
    store.heartbeat(OWNER, Timestamp::UNIX_EPOCH).await.unwrap();

    assert_eq!(store.unsettled().await.unwrap(), 0);
}

#[tokio::test]
async fn taking_back_goes_on_when_the_database_does() {
    let store = shaky().await;
    set(&store, END_UNSEEN);
    assert!(insert(&store).await.is_err());
    set(&store, DOWN);
    store.take_back_doubtful().await;

    set(&store, SOUND);
    store.take_back_doubtful().await;

    assert_eq!(store.unsettled().await.unwrap(), 0);
}

#[tokio::test]
async fn insert_tried_again_with_success_is_left_alone() {
    let store = shaky().await;
    set(&store, END_UNSEEN);
    assert!(insert(&store).await.is_err());
    set(&store, SOUND);

    assert_eq!(insert(&store).await.unwrap(), Inserted::Done);
    store.heartbeat(OWNER, Timestamp::UNIX_EPOCH).await.unwrap();

    assert_eq!(store.unsettled().await.unwrap(), 1);
}

#[tokio::test]
async fn transfer_that_moved_on_is_not_taken_back() {
    let store = shaky().await;
    set(&store, END_UNSEEN);
    assert!(insert(&store).await.is_err());
    set(&store, SOUND);
    let expected = Expected { stage: Stage::Received, owner: Some(OWNER) };
    let moved = Transfer { stage: Stage::Prepared, ..transfer() };
    let update = store.update(&moved, &expected, KeyChange::Keep, Durability::Power).await;
    assert!(update.unwrap());

    store.heartbeat(OWNER, Timestamp::UNIX_EPOCH).await.unwrap();

    assert_eq!(store.unsettled().await.unwrap(), 1);
}

#[tokio::test]
async fn certain_failure_leaves_nothing_to_take_back() {
    let store = shaky().await;
    set(&store, DOWN);
    assert!(insert(&store).await.is_err());
    assert_eq!(store.doubtful.take(), []);
}
