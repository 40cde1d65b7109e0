//! The file: made, kept to ourselves, not shared.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use genesys_transfer::{clock::Clock, store::OpenError, transfer::store::TransferFilter};
use tempfile::tempdir;

use crate::support::{
    records::transfer,
    store::{Fixture, open_with},
};

fn url(path: &Path) -> String {
    format!("sqlite://{}", path.display())
}

async fn refusal(url: &str) -> OpenError {
    let clock = Arc::clone(&Fixture::at("sqlite::memory:".to_owned()).await.clock);
    open_with(url, clock).await.err().expect("refused")
}

#[tokio::test]
async fn directory_and_file_are_made_for_our_eyes_only() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a/b/transfers.db");

    let fixture = Fixture::at(url(&path)).await;
    fixture.record(&transfer(fixture.clock.now())).await;

    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let path = dir.path().join(format!("a/b/transfers.db{suffix}"));
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn second_user_of_a_file_is_refused_by_any_name() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("transfers.db");
    let _first = Fixture::at(url(&path)).await;
    let link = dir.path().join("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();

    for name in [path, link] {
        let error = refusal(&url(&name)).await;
        let text = error.to_string();
        assert!(matches!(error, OpenError::InUse { .. }), "{text}");
        assert!(text.contains("transfers.db"), "{text}");
        assert!(text.contains(&format!("(pid {})", std::process::id())), "{text}");
    }
}

#[tokio::test]
async fn file_is_free_again_after_the_store_is_dropped() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("transfers.db");
    let first = Fixture::at(url(&path)).await;
    let row = transfer(first.clock.now());
    first.record(&row).await;
    drop(first);

    let second = Fixture::at(url(&path)).await;
    assert_eq!(second.store.get(row.id).await.unwrap(), Some(row));
}

#[tokio::test]
async fn a_file_of_something_else_is_refused() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("letter.txt");
    fs::write(&path, "Dear Sir or Madam, ".repeat(500)).unwrap();

    let error = refusal(&url(&path)).await;

    assert!(error.to_string().contains("not a database"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "Dear Sir or Madam, ".repeat(500));
}

#[tokio::test]
async fn a_path_that_cannot_be_made_is_refused() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();

    let error = refusal(&url(&dir.path().join("file/transfers.db"))).await;

    let text = error.to_string();
    assert!(matches!(error, OpenError::File { .. }), "{text}");
    assert!(text.contains("file/transfers.db") && !text.contains('\n'), "{text}");
}

#[tokio::test]
async fn urls_that_are_none_are_refused_without_quoting_them() {
    for url in
        ["", "mysql://u:secret@h/db", "postgres://u:secret@h:notaport/db", "sqlite://a?x=secret"]
    {
        let error = refusal(url).await;
        assert!(matches!(error, OpenError::Url(_)), "{url}: {error}");
        assert!(!error.to_string().contains("secret"), "{url}: {error}");
    }
}

#[tokio::test]
async fn memory_keeps_nothing_and_serves_all() {
    let fixture = Fixture::at("sqlite::memory:".to_owned()).await;
    let row = transfer(fixture.clock.now());
    fixture.record(&row).await;
    assert_eq!(fixture.store.list(&TransferFilter::default(), 10).await.unwrap(), [row]);

    let other = Fixture::at("sqlite::memory:".to_owned()).await;
    assert_eq!(other.store.unsettled().await.unwrap(), 0);
}
