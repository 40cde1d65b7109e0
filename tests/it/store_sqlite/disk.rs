//! A disk that is full, a file that is locked or gone: an error in time, and work again after.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use genesys_transfer::{
    clock::Clock,
    transfer::store::{Durability, Inserted},
};
use tempfile::{TempDir, tempdir};

use crate::support::{
    records::{claim, fresh_id, transfer},
    sqlite::client,
    store::Fixture,
};

/// A small disk of our own, which only root can make.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let dir = tempdir().unwrap();
        let options = ["-t", "tmpfs", "-o", "size=2m", "tmpfs"];
        let mounted = Command::new("mount").args(options).arg(dir.path()).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.path()).status());
    }
}

/// Records transfers until one fails; how many did not.
async fn fill(fixture: &Fixture) -> usize {
    for count in 0.. {
        let mut row = transfer(fixture.clock.now());
        row.request.reason = Some("x".repeat(3000));
        if fixture.insert(&row, None).await.is_err() {
            return count;
        }
        assert!(count < 10_000, "the disk never fills");
    }
    unreachable!()
}

#[tokio::test(flavor = "multi_thread")]
async fn full_disk_fails_writes_and_heals() {
    let Some(disk) = SmallDisk::mount() else {
        // The unit test with a bound on the file's pages covers the same path without root.
        eprintln!("no disk can be mounted here: skipped");
        return;
    };
    let ballast = disk.path().join("ballast");
    let fixture = Fixture::at(format!("sqlite://{}/transfers.db", disk.path().display())).await;
    let first = transfer(fixture.clock.now());
    fixture.record(&first).await;
    fs::write(&ballast, vec![0; 512 * 1024]).unwrap();

    let count = fill(&fixture).await;

    assert!(fixture.insert(&transfer(fixture.clock.now()), Some(&claim("k", 1))).await.is_err());
    assert_eq!(fixture.store.get(first.id).await.unwrap().as_ref(), Some(&first));

    fs::remove_file(&ballast).unwrap();
    let last = fixture.insert(&transfer(fixture.clock.now()), Some(&claim("k", 1))).await;
    assert_eq!(last.unwrap(), Inserted::Done);
    fixture.store.check().await.unwrap();
    assert_eq!(fixture.store.unsettled().await.unwrap(), count as u64 + 2);
}

fn database(dir: &TempDir) -> (PathBuf, String) {
    let path = dir.path().join("transfers.db");
    let url = format!("sqlite://{}", path.display());
    (path, url)
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_lock_fails_writes_in_time_and_leaves_reads() {
    let dir = tempdir().unwrap();
    let (_, url) = database(&dir);
    let fixture = Fixture::at(url.clone()).await;
    let row = transfer(fixture.clock.now());
    fixture.record(&row).await;
    let shell = client(&url);
    shell.execute_batch("BEGIN IMMEDIATE").unwrap();

    let late = transfer(fixture.clock.now());
    let error = fixture.insert(&late, None).await.unwrap_err();
    assert!(error.cause.contains("locked"), "{error}");
    assert_eq!(fixture.store.get(row.id).await.unwrap(), Some(row));

    shell.execute_batch("ROLLBACK").unwrap();
    fixture.record(&late).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn removed_file_is_noticed_and_welcome_back() {
    for suffix in ["", "-wal"] {
        let dir = tempdir().unwrap();
        let (_, url) = database(&dir);
        let fixture = Fixture::at(url).await;
        fixture.record(&transfer(fixture.clock.now())).await;
        let file = dir.path().join(format!("transfers.db{suffix}"));
        let away = dir.path().join("away");
        fs::rename(&file, &away).unwrap();

        // Readiness looks each time; from then on no write is tried.
        let error = fixture.store.check().await.unwrap_err();
        assert!(error.cause.contains("removed or replaced"), "{error}");
        let error = fixture.insert(&transfer(fixture.clock.now()), None).await.unwrap_err();
        assert!(error.cause.contains("removed or replaced"), "{error}");

        fs::rename(&away, &file).unwrap();
        fixture.record(&transfer(fixture.clock.now())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_write_does_not_fail_its_neighbours() {
    let dir = tempdir().unwrap();
    let fixture = Fixture::at(database(&dir).1).await;
    let mut settled = transfer(fixture.clock.now());
    settled.stage = genesys_transfer::transfer::model::Stage::Skipped;
    fixture.record(&settled).await;

    // The same id again, of another conversation: the primary key refuses it.
    let writes = (0..60).map(|n| {
        let mut row = transfer(fixture.clock.now());
        if n % 3 == 0 {
            row.id = settled.id;
        }
        let store = std::sync::Arc::clone(&fixture.store);
        tokio::spawn(async move {
            let owner = fresh_id(row.created_at);
            store.insert(&row, None, owner, Durability::Power).await
        })
    });
    let outcomes = futures_util::future::join_all(writes.collect::<Vec<_>>()).await;

    for (n, outcome) in outcomes.into_iter().enumerate() {
        assert_eq!(outcome.unwrap().is_err(), n % 3 == 0, "{n}");
    }
    assert_eq!(fixture.store.unsettled().await.unwrap(), 40);
}
