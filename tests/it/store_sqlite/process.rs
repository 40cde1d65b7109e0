//! Another process on the same file, and one that is killed.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
};

use genesys_transfer::{
    clock::Clock,
    store::OpenError,
    transfer::{
        ids::TransferId,
        store::{Durability, KeyChange},
    },
};
use tempfile::tempdir;

use crate::support::{
    records::{claim, transfer},
    store::{Fixture, open_with},
};

const URL: &str = "STORE_CHILD_URL";

/// Not a test of its own: what the other process does. Records transfers for ever, alternately
/// against a loss of power and against its own death, and prints each id once it is recorded.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by the tests below as a process of its own"]
async fn child() {
    let Ok(url) = std::env::var(URL) else { return };
    let fixture = Fixture::at(url).await;
    fixture.store.heartbeat(fixture.owner, fixture.clock.now()).await.unwrap();
    for durability in [Durability::Power, Durability::Process].into_iter().cycle() {
        let row = transfer(fixture.clock.now());
        let claim = claim(&row.id.to_string(), 1);
        fixture.store.insert(&row, Some(&claim), fixture.owner, durability).await.unwrap();
        println!("recorded {}", row.id);
    }
}

struct Other(Child, BufReader<ChildStdout>);

impl Other {
    fn start(url: &str) -> Self {
        let name = "store_sqlite::process::child";
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", name])
            .env(URL, url)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self(child, lines)
    }

    /// The ids it recorded: `count` of them while it runs, the rest after it was killed.
    fn ids(&mut self, count: usize) -> Vec<TransferId> {
        let lines = self.1.by_ref().lines().map_while(Result::ok);
        let ids = lines.filter_map(|line| line.rsplit_once("recorded ")?.1.parse().ok());
        ids.take(count).collect()
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_use_by_another_process_is_refused() {
    let dir = tempdir().unwrap();
    let url = format!("sqlite://{}/transfers.db", dir.path().display());
    let mut other = Other::start(&url);
    other.ids(1);

    let clock = Arc::clone(&Fixture::at("sqlite::memory:".to_owned()).await.clock);
    let error = open_with(&url, clock).await.err().expect("refused");

    let OpenError::InUse { pid, .. } = error else { panic!("{error}") };
    assert_eq!(pid, Some(other.0.id()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_recorded_is_there_and_adopted_at_once() {
    let dir = tempdir().unwrap();
    let url = format!("sqlite://{}/transfers.db", dir.path().display());
    for round in 1..=3 {
        let mut other = Other::start(&url);
        let mut ids = other.ids(50 * round);
        other.kill();
        ids.extend(other.ids(usize::MAX));

        let fixture = Fixture::at(url.clone()).await;
        let adopted = fixture.store.adopt(fixture.owner, fixture.clock.now(), u32::MAX).await;
        let mut adopted = adopted.unwrap();
        for id in ids {
            assert!(adopted.iter().any(|row| row.id == id), "{id} was lost");
            let key = claim(&id.to_string(), 1);
            assert!(fixture.store.key(&key.scope).await.unwrap().is_some(), "{id} lost its key");
        }
        for row in &mut adopted {
            let failed = genesys_transfer::transfer::model::Stage::Failed;
            assert!(fixture.step(row, failed, KeyChange::Free).await.unwrap());
        }
    }
}
