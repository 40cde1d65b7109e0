//! `check-config --connect`: what an operator learns before the first call is moved.

use std::collections::{BTreeMap, BTreeSet};

use genesys_transfer::{
    app::{Surroundings, connect},
    config::{Args, Settings},
};

use crate::support::service::TestApp;

/// Settings of a second service that uses the first one's sandbox as its Genesys.
fn pointing_at(app: &TestApp, secret: &str) -> Settings {
    let url = app.sandbox().base_url();
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

async fn report(app: &TestApp, secret: &str) -> connect::Report {
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
