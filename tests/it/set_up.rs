//! What people meet who set the service up: files that editors wrote, passwords in URLs, machines
//! without CA certificates.

use std::{fmt::Write as _, fs, path::PathBuf, process::Output};

use genesys_transfer::sandbox::seed;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::{
    command_line::{output, program},
    support::{
        child::Child,
        process::Site,
        service::{TestApp, plain, send},
        tls::Identity,
    },
};

/// What Windows' editors put before a text in UTF-8.
const BOM: &str = "\u{feff}";

fn said(ended: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    text(&ended.stdout) + &text(&ended.stderr)
}

async fn check_config(settings: &[(&str, &str)]) -> (Option<i32>, String) {
    let ended = output(program(&["check-config"], settings)).await;
    (ended.status.code(), said(&ended))
}

/// Files in a folder of their own.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path: PathBuf = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

/// A list of callers with one admin, whose key is `key`.
fn callers(key: &str) -> Value {
    let hash = Sha256::digest(key).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    json!([{"caller": "ops", "sha256": [hash], "permissions": ["admin"]}])
}

#[tokio::test]
async fn a_byte_order_mark_is_skipped_in_every_file_that_is_read() {
    let (files, identity) = (Files::new(), Identity::new());
    let marked = |name, text: &str| files.write(name, &format!("{BOM}{text}"));
    let key = fs::read_to_string(identity.key()).unwrap();
    // Two certificates put together, each with its mark.
    let cert = marked("tls.crt", &format!("{}{BOM}{}", identity.pem, identity.pem));
    let settings = [
        ("CONFIG_FILE", marked("settings.toml", "[server]\ndeadline = '17s'\n")),
        ("GENESYS_CLIENT_ID", "sandbox".to_owned()),
        ("GENESYS_CLIENT_SECRET_FILE", marked("secret", "sandbox\r\n")),
        ("AUTH_MODE", "required".to_owned()),
        ("AUTH_API_KEYS_FILE", marked("callers.json", &callers("key").to_string())),
        ("SERVER_TLS_CERT", cert),
        ("SERVER_TLS_KEY", marked("tls.key", &key)),
    ];
    let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));

    let app = TestApp::with(&settings).await;

    let client = identity.client().build().unwrap();
    let move_it = client.post(app.url("/transfers")).bearer_auth("key");
    let answer = send(move_it.json(&plain(seed::CONNECTED_CALL, "Support Tier 2"))).await;
    assert_eq!((answer.status.as_u16(), app.moves()), (201, 1), "{answer:?}");
    let (_, shown) = check_config(&settings).await;
    assert!(shown.contains("deadline = \"17s\""), "{shown}");
}

#[tokio::test]
async fn blanks_around_a_secret_are_left_out_and_check_config_says_so() {
    let files = Files::new();
    let note = "blanks or line ends around it are left out";
    let in_file = files.write("secret", " \tsandbox\u{a0}\r\n\n");
    let url = files.write("url", " sqlite::memory:\n");
    let toml = files.write("a.toml", "[genesys]\nclient_secret = ' sandbox'\n");
    for (name, value, place) in [
        ("GENESYS_CLIENT_SECRET", " sandbox\n", "GENESYS_CLIENT_SECRET in the environment"),
        ("GENESYS_CLIENT_SECRET_FILE", &in_file, "named by GENESYS_CLIENT_SECRET_FILE"),
        ("STORE_URL_FILE", &url, "named by STORE_URL_FILE"),
        ("CONFIG_FILE", &toml, "a.toml:2"),
    ] {
        let settings = [("GENESYS_CLIENT_ID", "sandbox"), (name, value)];
        let settings = if name == "STORE_URL_FILE" { &settings[1..] } else { &settings };

        let (code, shown) = check_config(settings).await;

        assert_eq!(code, Some(0), "{shown}");
        let expected = format!("{place}; {note}");
        assert!(shown.lines().any(|line| line.ends_with(&expected)), "{name}: {shown}");
        let others = shown.lines().filter(|line| line.contains(note)).count();
        assert_eq!(others, 1, "{name}: {shown}");
    }
    let app = TestApp::with(&[
        ("GENESYS_CLIENT_ID", "sandbox"),
        ("GENESYS_CLIENT_SECRET_FILE", &in_file),
    ])
    .await;
    let answer = app.transfer(seed::CONNECTED_CALL, "Support Tier 2").await;
    assert_eq!(answer.status, 201, "{answer:?}");
}
