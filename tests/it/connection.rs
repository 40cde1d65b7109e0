//! `check-config --connect`: what an operator learns before the first call is moved.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use genesys_transfer::{
    app::{Surroundings, connect},
    config::{Args, Settings},
};

use crate::support::{
    child::Child,
    postgres,
    service::{TestApp, lone_sandbox, store_url},
};

/// Settings of a second service that uses the first one's sandbox as its Genesys.
fn pointing_at(app: &TestApp, secret: &str) -> Settings {
    pointing_to(app.sandbox().base_url(), secret)
}

fn pointing_to(url: &str, secret: &str) -> Settings {
    let settings: BTreeMap<String, String> = [
        ("GENESYS_REGION", "eu-central-1"),
        ("GENESYS_API_URL", url),
        ("GENESYS_LOGIN_URL", url),
        ("GENESYS_CLIENT_ID", "sandbox"),
        ("GENESYS_CLIENT_SECRET", secret),
        ("AUTH_MODE", "none"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    Settings::load(&Args::default(), &settings).unwrap()
}

async fn report(app: &TestApp, secret: &str) -> connect::ConnectionReport {
    connect::check(&pointing_at(app, secret), Surroundings::default()).await
}

#[tokio::test]
async fn a_client_with_all_permissions_is_told_so_and_nothing_moves() {
    let app = TestApp::start().await;
    let report = report(&app, "sandbox").await;
    assert!(report.all_well, "{}", report.text);
    assert_eq!(app.moves(), 0);
}

#[tokio::test]
async fn each_missing_permission_is_named() {
    for permission in [
        "routing:queue:view",
        "conversation:communication:view",
        "conversation:communication:blindTransferQueue",
        "routing:conversation:edit",
        "analytics:queueObservation:view",
    ] {
        let app = TestApp::start().await;
        let mut denied = BTreeSet::from([permission.to_owned()]);
        if permission.ends_with("blindTransferQueue") {
            denied.insert("conversation:communication:blindTransfer".to_owned());
        }
        app.sandbox().with(|state| state.access.deny("sandbox", denied));
        let report = report(&app, "sandbox").await;
        let missing = format!("# MISSING  {permission}");
        assert!(!report.all_well && report.text.contains(&missing), "{}", report.text);
    }
}

#[tokio::test]
async fn wrong_credentials_are_told_without_showing_them() {
    let app = TestApp::start().await;
    let report = report(&app, "canary-secret").await;
    assert!(!report.all_well && report.text.contains("rejected"), "{}", report.text);
    assert!(!report.text.contains("canary-secret"));
}

/// The lines of the report about the store.
fn about_the_store(report: &connect::ConnectionReport) -> String {
    let lines = report.text.lines().filter(|line| line.contains("store.url"));
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn the_store_is_looked_at_and_not_made() {
    let (app, folder) = (TestApp::start().await, tempfile::tempdir().unwrap());
    let file = folder.path().join("data").join("transfers.db");
    let at = |path: &Path| {
        let mut settings = pointing_at(&app, "sandbox");
        settings.store.url = format!("sqlite://{}", path.display()).into();
        settings
    };
    let absent = connect::check(&at(&file), Surroundings::default()).await;
    assert!(absent.all_well && !file.parent().unwrap().exists(), "{}", absent.text);
    assert!(about_the_store(&absent).contains("the first start creates it"), "{}", absent.text);

    let broken = folder.path().join("broken.db");
    std::fs::write(&broken, "no database, but longer than the head of one is".repeat(100)).unwrap();
    for path in [broken.as_path(), &broken.join("transfers.db")] {
        let report = connect::check(&at(path), Surroundings::default()).await;
        let said = about_the_store(&report);
        assert!(!report.all_well && said.starts_with("# FAILED   store.url: "), "{said}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing was made");
}

#[tokio::test]
async fn a_store_is_read_and_its_version_told_whether_it_is_in_use_or_not() {
    let (sandbox, store) = (lone_sandbox().await, tempfile::tempdir().unwrap());
    let service = Child::start(Some(&sandbox), &store, &[]).await;
    let mut settings = pointing_to(sandbox.base_url(), "sandbox");
    settings.store.url = store_url(&store).into();

    let running = connect::check(&settings, Surroundings::default()).await;

    let said = about_the_store(&running);
    assert!(said.contains("schema version") && said.contains("another process"), "{said}");
    assert_eq!(service.terminate().await, Some(0));
    let before = std::fs::read_dir(store.path()).unwrap().count();
    let stopped = connect::check(&settings, Surroundings::default()).await;
    let said = about_the_store(&stopped);
    assert!(said.contains("schema version") && !said.contains("another process"), "{said}");
    assert_eq!(std::fs::read_dir(store.path()).unwrap().count(), before, "nothing was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_server_is_connected_to_and_no_schema_is_made() {
    let app = TestApp::start().await;
    let url = postgres::database().await;
    let mut settings = pointing_at(&app, "sandbox");
    settings.store.url = url.clone().into();

    for _ in 0..2 {
        let report = connect::check(&settings, Surroundings::default()).await;
        let said = about_the_store(&report);
        assert!(report.all_well && said.contains("it is empty"), "{said}");
    }
    let _service = TestApp::beside(&lone_sandbox().await, &[("STORE_URL", &url)]).await;
    let report = connect::check(&settings, Surroundings::default()).await;
    let said = about_the_store(&report);
    assert!(report.all_well && said.contains("schema version"), "{said}");
}
