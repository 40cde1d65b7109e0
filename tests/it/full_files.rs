//! A limit on the size of files (`ulimit -f`) is a disk that is full, not the end of the process.

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::support::{
    process::{Process, Site, until},
    service::plain,
};

/// No file of the process may grow beyond so many bytes from now on.
fn limit_files(process: &Process, bytes: Option<u64>) {
    let id = Pid::from_raw(process.id().try_into().unwrap());
    prlimit(id, Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}

#[tokio::test]
async fn a_file_that_may_not_grow_is_503_with_nothing_sent_and_heals_when_it_may() {
    let site = Site::sqlite().await;
    let process = site.start().await;
    let body = plain(site.call(), "Support Tier 2");
    limit_files(&process, Some(1));

    let refused = process.submit(&body, &[]).await.expect("the process lives");

    assert_eq!(refused.outcome(), (503, "store_unavailable".to_owned()));
    assert_eq!(refused.json()["retryable"], true);
    assert_eq!(process.get("/health/ready").await.status, 503);
    assert_eq!(site.sandbox.commands().len(), 0);
    limit_files(&process, None);
    let moved = process.submit(&body, &[]).await.unwrap();
    assert_eq!((moved.status.as_u16(), site.sandbox.commands().len()), (201, 1));
    until(|| async { (process.get("/health/ready").await.status == 200).then_some(()) }).await;
    process.signal("TERM").await;
    assert_eq!(process.end().await.status.code(), Some(0));
}
