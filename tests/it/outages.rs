//! The store goes away under load and comes back: nothing is sent twice, nothing is forgotten, and
//! nothing is restarted.

use std::{collections::BTreeSet, fs, path::Path, process::Command, sync::Arc};

use tempfile::{TempDir, tempdir};
use tokio::sync::watch;
use uuid::Uuid;

use crate::support::{
    books::{broken_promises, quiet},
    caller::{fixed, insist},
    postgres::Server,
    process::{Process, Site, until},
    service::plain,
};

/// Moves one call after the other until told to stop; every transfer that was named.
async fn load(
    site: Arc<Site>,
    process: Arc<Process>,
    stopped: watch::Receiver<bool>,
) -> BTreeSet<Uuid> {
    let mut named = BTreeSet::new();
    let mut place = fixed(process.address);
    while !*stopped.borrow() {
        let call = site.call();
        let key = call.to_string();
        let body = plain(call, "Support Tier 2");
        let headers = [("Idempotency-Key", key.as_str())];
        let heard = insist(&site, &mut place, &body, &headers, u32::MAX).await;
        assert_eq!(heard.last.unwrap().status, 201);
        named.extend(heard.named);
    }
    named
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgresql_that_crashes_under_load_costs_no_promise_and_no_restart() {
    let mut server = Server::start();
    let site = Arc::new(Site::at(&server.database().await).await);
    let process = Arc::new(site.start().await);
    let (stop, stopped) = watch::channel(false);
    let callers: Vec<_> = (0..8)
        .map(|_| tokio::spawn(load(Arc::clone(&site), Arc::clone(&process), stopped.clone())))
        .collect();
    for crash in 1..=3 {
        site.sandbox.moves_reach(crash * 25).await;
        server.crash();
        server.restart();
    }
    site.sandbox.moves_reach(100).await;
    stop.send_replace(true);
    let mut named = BTreeSet::new();
    for caller in callers {
        named.extend(caller.await.unwrap());
    }
    quiet(&site.sandbox).await;
    until(|| async { (process.get("/health/ready").await.status == 200).then_some(()) }).await;
    let transfers = process.transfers().await;
    assert_eq!(broken_promises(&site.sandbox, &transfers, &named), Vec::<String>::new());
    assert!(transfers.iter().all(|one| one["status"] == "accepted" || one["status"] == "failed"));
}

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

    /// Takes all the room there is.
    fn fill(&self) {
        let blocks = [vec![0; 65_536], vec![0; 4_096], vec![0; 1]];
        for (number, block) in blocks.iter().enumerate() {
            let mut file = fs::File::create(self.path().join(format!("ballast-{number}"))).unwrap();
            while std::io::Write::write_all(&mut file, block).is_ok() {}
        }
    }

    fn free(&self) {
        for number in 0..3 {
            fs::remove_file(self.path().join(format!("ballast-{number}"))).unwrap();
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.path()).status());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_503_with_nothing_sent_and_heals_when_there_is_room() {
    let Some(disk) = SmallDisk::mount() else {
        // A full disk is made by root only; a store that cannot write is tested everywhere.
        eprintln!("no disk can be mounted here: skipped");
        return;
    };
    let site = Site::at(&format!("sqlite://{}/transfers.db", disk.path().display())).await;
    let process = site.start().await;
    let body = plain(site.call(), "Support Tier 2");
    disk.fill();
    let refused = until(|| async {
        // The log may still have a few pages to spare.
        let spare = process.submit(&plain(site.call(), "Sales"), &[]).await?;
        (spare.status != 201).then_some(spare)
    })
    .await;
    assert_eq!(refused.outcome(), (503, "store_unavailable".to_owned()));
    assert!(refused.header("retry-after").is_some());
    let sent = site.sandbox.commands().len();
    assert_eq!(process.submit(&body, &[]).await.unwrap().status, 503);
    assert_eq!(process.get("/health/ready").await.status, 503);
    assert_eq!(site.sandbox.commands().len(), sent);
    disk.free();
    let answer = process.submit(&body, &[]).await.unwrap();
    assert_eq!((answer.status.as_u16(), site.sandbox.commands().len()), (201, sent + 1));
    until(|| async { (process.get("/health/ready").await.status == 200).then_some(()) }).await;
    quiet(&site.sandbox).await;
    let transfers = process.transfers().await;
    assert_eq!(broken_promises(&site.sandbox, &transfers, &BTreeSet::new()), Vec::<String>::new());
    process.signal("TERM").await;
    assert_eq!(process.end().await.status.code(), Some(0));
}
