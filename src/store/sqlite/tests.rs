use super::*;
use crate::{
    metrics::StoreOperation,
    store::{
        fault::DbError,
        operations::{Count, Heartbeat},
        session::{DbRow, DbSession, Param},
    },
};

/// Says a `PRAGMA` on the writer's connection; what it answers.
struct Pragma(&'static str);

impl DbOperation for Pragma {
    const NAME: StoreOperation = StoreOperation::Probe;

    type Output = i64;

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<i64, DbError> {
        Ok(session.row(self.0, &[], |row| row.number(0)).await?.unwrap_or_default())
    }
}

async fn in_file() -> (Sqlite, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/transfers.db", dir.path().display());
    (Sqlite::open(&url).await.unwrap(), dir)
}

fn heartbeat(n: u128) -> Heartbeat {
    Heartbeat { owner: uuid::Uuid::from_u128(n), now: 0 }
}

#[tokio::test]
async fn full_file_fails_writes_and_heals() {
    let (store, _dir) = in_file().await;
    let pages = store.write(Pragma("PRAGMA page_count"), Durability::Power).await.unwrap();
    // SQLite allows at least as many pages as there are.
    store.write(Pragma("PRAGMA max_page_count = 1"), Durability::Power).await.unwrap();

    let mut written = 0;
    let trouble = loop {
        match store.write(heartbeat(written), Durability::Power).await {
            Ok(_) => written += 1,
            Err(trouble) => break trouble,
        }
    };
    assert!(trouble.certain && trouble.cause.contains("full"), "{trouble:?}");
    assert_eq!(store.read(Count).await.unwrap(), 0);

    store.write(Pragma("PRAGMA max_page_count = 1000000"), Durability::Power).await.unwrap();
    store.write(heartbeat(written), Durability::Power).await.unwrap();
    let after = store.write(Pragma("PRAGMA page_count"), Durability::Power).await.unwrap();
    assert!(after > pages);
}

#[tokio::test]
async fn a_lost_transaction_costs_the_connection_and_nothing_else() {
    let (store, _dir) = in_file().await;
    store.write(heartbeat(1), Durability::Power).await.unwrap();
    for round in 0..3 {
        // Ends the writer's transaction under it, as a full disk may do.
        store.write(Pragma("ROLLBACK"), Durability::Power).await.unwrap_err();
        store.write(heartbeat(2 + round), Durability::Power).await.unwrap();
    }
    let count = Pragma("SELECT COUNT(*) FROM instances");
    assert_eq!(store.read(count).await.unwrap(), 4);
}

#[tokio::test]
async fn only_a_write_against_loss_of_power_waits_for_the_disk() {
    let (store, _dir) = in_file().await;
    for (durability, expected) in
        [(Durability::Process, 1), (Durability::Power, 2), (Durability::Process, 1)]
    {
        let level = store.write(Pragma("PRAGMA synchronous"), durability).await.unwrap();
        assert_eq!(level, expected, "{durability:?}");
    }
}

#[tokio::test]
async fn foreign_keys_hold_and_the_log_is_bounded() {
    let (store, _dir) = in_file().await;
    for (pragma, expected) in [
        ("PRAGMA foreign_keys", 1),
        ("PRAGMA wal_autocheckpoint", 4000),
        ("PRAGMA journal_size_limit", 67_108_864),
    ] {
        let value = store.write(Pragma(pragma), Durability::Power).await.unwrap();
        assert_eq!(value, expected, "{pragma}");
    }
}

/// Says that it is being carried out, then waits to be let go.
struct Held {
    begun: mpsc::UnboundedSender<()>,
    go_on: Mutex<std::sync::mpsc::Receiver<()>>,
}

impl DbOperation for Held {
    const NAME: StoreOperation = StoreOperation::Probe;

    type Output = ();

    async fn apply<S: DbSession>(&self, _: &mut S) -> Result<(), DbError> {
        self.begun.send(()).unwrap();
        self.go_on.lock().unwrap().recv().unwrap();
        Ok(())
    }
}

#[tokio::test]
async fn a_write_nothing_waits_for_any_more_is_not_begun() {
    let (store, _dir) = in_file().await;
    let (begun, mut has_begun) = mpsc::unbounded_channel();
    let (go_on, goes_on) = std::sync::mpsc::channel();
    let held = Held { begun, go_on: Mutex::new(goes_on) };
    let free = async {
        has_begun.recv().await;
        // Queued behind the held one, polled once and dropped.
        let dropped = store.write(heartbeat(1), Durability::Power);
        assert!(futures_util::poll!(std::pin::pin!(dropped)).is_pending());
        go_on.send(()).unwrap();
    };
    let (held, ()) = tokio::join!(store.write(held, Durability::Power), free);
    held.unwrap();

    let count = Pragma("SELECT COUNT(*) FROM instances");
    assert_eq!(store.write(count, Durability::Power).await.unwrap(), 0);
}

/// Names its values in another order than they come, one of them twice.
struct Crossed;

impl DbOperation for Crossed {
    const NAME: StoreOperation = StoreOperation::Probe;

    type Output = (i64, String, Option<i64>);

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<Self::Output, DbError> {
        let values = [Param::Number(1), Param::MaybeNumber(None), Param::Text("three")];
        let text = "SELECT $1, $3, $2 WHERE $3 = 'three' AND $1 = 1";
        let read =
            |row: &dyn DbRow| Ok((row.number(0)?, row.text(1)?.to_owned(), row.maybe_number(2)?));
        session.row(text, &values, read).await?.ok_or(DbError::Race)
    }
}

#[tokio::test]
async fn values_are_bound_by_their_numbers() {
    let (store, _dir) = in_file().await;
    let row = store.write(Crossed, Durability::Process).await.unwrap();
    assert_eq!(row, (1, "three".to_owned(), None));
}

#[test]
fn a_url_names_a_file_or_memory() {
    for (url, path) in [
        ("sqlite://data/transfers.db", Some("data/transfers.db")),
        ("sqlite:///var/lib/transfers.db", Some("/var/lib/transfers.db")),
        ("sqlite:transfers.db?mode=rwc", Some("transfers.db")),
        ("sqlite://a%20b%2525%zz%2", Some("a b%25%zz%2")),
        ("sqlite::memory:", None),
        ("sqlite://x?mode=memory&cache=shared", None),
    ] {
        assert_eq!(path_in(url).unwrap(), path.map(PathBuf::from), "{url}");
    }
}
