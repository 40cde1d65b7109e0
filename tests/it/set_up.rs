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
    let note = "surrounding spaces or line ends are removed";
    let in_file = files.write("secret", " \tsandbox\u{a0}\r\n\n");
    let url = files.write("url", " sqlite::memory:\n");
    let toml = files.write("a.toml", "[genesys]\nclient_secret = ' sandbox'\n");
    for (name, value, place) in [
        ("GENESYS_CLIENT_SECRET", " sandbox\n", "GENESYS_CLIENT_SECRET in the environment"),
        ("GENESYS_CLIENT_SECRET_FILE", &in_file, "named by GENESYS_CLIENT_SECRET_FILE"),
        ("STORE_URL_FILE", &url, "named by STORE_URL_FILE"),
        ("CONFIG_FILE", &toml, "a.toml"),
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

#[tokio::test]
async fn a_password_that_breaks_its_url_is_refused_and_shown_nowhere() {
    for user in
        ["CANARYu:p@CANARYs/word", "CANARYu:1/CANARYw", "CANARYu:1?CANARYw", "CANARYu:1#CANARYw"]
    {
        for (variable, url) in [
            ("STORE_URL", format!("postgres://{user}@host/db")),
            ("GENESYS_API_URL", format!("https://{user}@host")),
            ("GENESYS_LOGIN_URL", format!("https://{user}@host/")),
            ("AUTH_OIDC_ISSUER", format!("https://{user}@host")),
            ("TELEMETRY_OTLP_ENDPOINT", format!("http://{user}@host:4318")),
        ] {
            for command in [&["check-config"][..], &[]] {
                let ended = output(program(command, &[(variable, &url)])).await;

                let said = said(&ended);
                assert_eq!(ended.status.code(), Some(78), "{variable} {url}: {said}");
                assert!(!said.contains("CANARY"), "{variable} {url}: {said}");
                let hint = "percent-encode @ / # ? in the password";
                assert_eq!(said.contains(hint), variable == "STORE_URL", "{variable}: {said}");
            }
        }
    }
}

#[tokio::test]
async fn nothing_of_a_urls_user_part_is_shown() {
    for url in [
        "postgres://CANARYu:CANARYp@127.0.0.1:1/db",
        "postgres://CANARYu:CANARY%2Fp@127.0.0.1:1",
        "postgres://CANARYu@127.0.0.1:1/db?password=CANARYp",
        "postgres://127.0.0.1:1/db?user=CANARYu&sslpassword=CANARYp&options=-cCANARY",
    ] {
        for command in ["check-config", "serve"] {
            let settings = [("STORE_URL", url), ("TELEMETRY_LOG_FILTER", "trace")];
            let ended = output(program(&[command], &settings)).await;

            let said = said(&ended);
            assert_eq!(ended.status.success(), command == "check-config", "{said}");
            assert!(said.contains("127.0.0.1:1") && !said.contains("CANARY"), "{url}: {said}");
        }
    }
    for (url, code, shown) in [
        ("http://CANARYu:CANARYp@127.0.0.1:1/health/ready", 1, "127.0.0.1:1"),
        ("http://CANARYu:p/CANARYp@127.0.0.1:1", 64, "expected a URL"),
        ("http://CANARYu:1/CANARYp@127.0.0.1:1", 64, "expected a URL"),
    ] {
        let ended = output(program(&["healthcheck", url], &[])).await;
        let said = said(&ended);
        assert_eq!(ended.status.code(), Some(code), "{said}");
        assert!(said.contains(shown) && !said.contains("CANARY"), "{said}");
    }
}

/// So a machine without CA certificates looks to the program.
const NO_CAS: (&str, &str) = ("SSL_CERT_FILE", "/nowhere/cas.pem");

/// What it says then, where it needs them.
const CAUSE: &str = "no CA certificates were found on this machine";

#[tokio::test]
async fn without_ca_certificates_everything_over_plain_http_works() {
    let store = tempfile::tempdir().unwrap();
    let settings = [
        NO_CAS,
        ("AUTH_MODE", "required"),
        ("AUTH_API_KEYS", &callers("key").to_string()),
        ("AUTH_OIDC_ISSUER", "http://127.0.0.1:1"),
        ("AUTH_OIDC_AUDIENCE", "transfer"),
        ("TELEMETRY_OTLP_ENDPOINT", "http://collector.invalid:4318"),
    ];

    let service = Child::start(None, &store, &settings).await;

    let request = service.request(Method::POST, "/transfers").bearer_auth("key");
    let answer = send(request.json(&plain(seed::CONNECTED_CALL, "Support Tier 2"))).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let url = format!("http://{}/health/ready", service.address());
    let ended = output(program(&["healthcheck", &url], &[NO_CAS])).await;
    assert_eq!(ended.status.code(), Some(0), "{}", said(&ended));
    let bind = service.address().to_string();
    let ended = output(program(&["healthcheck"], &[NO_CAS, ("SERVER_BIND", &bind)])).await;
    assert_eq!(ended.status.code(), Some(0), "{}", said(&ended));
    let ended = output(program(&["check-config", "--connect"], &[NO_CAS])).await;
    assert_eq!(ended.status.code(), Some(0), "{}", said(&ended));
}

#[tokio::test]
async fn without_ca_certificates_https_names_the_cause() {
    let genesys = [
        ("GENESYS_CLIENT_ID", "id"),
        ("GENESYS_CLIENT_SECRET", "secret"),
        ("GENESYS_API_URL", "https://api.invalid"),
        ("GENESYS_LOGIN_URL", "https://login.invalid"),
    ];
    let issuer = [
        ("AUTH_OIDC_ISSUER", "https://id.invalid"),
        ("AUTH_OIDC_AUDIENCE", "transfer"),
        ("AUTH_MODE", "required"),
    ];
    let collector = [("TELEMETRY_OTLP_ENDPOINT", "https://collector.invalid")];
    for (place, settings) in [
        ("genesys", &genesys[..]),
        ("auth.oidc_issuer", &issuer),
        ("telemetry.otlp_endpoint", &collector),
    ] {
        let settings = [&[NO_CAS, ("STORE_URL", "sqlite::memory:")], settings].concat();

        let said = said(&output(program(&[], &settings)).await);

        let line = said.lines().find(|line| line.starts_with(place));
        assert!(line.is_some_and(|line| line.contains(CAUSE)), "{place}: {said}");
    }
    let url = "https://127.0.0.1:1/health/ready";
    let said = said(&output(program(&["healthcheck", url], &[NO_CAS])).await);
    assert!(said.starts_with(url) && said.contains(CAUSE), "{said}");
}

#[tokio::test]
async fn a_healthcheck_says_in_words_what_is_wrong_with_a_certificate() {
    let store = tempfile::tempdir().unwrap();
    for (kind, identity, words) in [
        ("of a server", Identity::new(), "the certificate is self-signed, or its issuer is not"),
        (
            "of a CA, as openssl makes it",
            Identity::of_an_authority(),
            "the certificate is self-signed as a CA",
        ),
    ] {
        let [cert, key] = identity.settings();
        let service = Child::start(None, &store, &[(cert.0, &cert.1), (key.0, &key.1)]).await;
        let url = format!("https://{}/health/ready", service.address());

        let ended = output(program(&["healthcheck", &url], &[])).await;

        let said = said(&ended);
        assert_eq!(ended.status.code(), Some(1), "{kind}: {said}");
        assert!(said.starts_with(&url) && said.contains(words), "{kind}: {said}");
        assert_eq!(said.lines().count(), 1, "{kind}: {said}");
        service.kill().await;
    }
}

#[tokio::test]
async fn a_file_that_is_not_regular_is_refused_and_never_waited_for() {
    let files = Files::new();
    let pipe = files.0.path().join("pipe");
    let made = tokio::process::Command::new("mkfifo").arg(&pipe).status().await.unwrap();
    assert!(made.success());
    let pipe = pipe.to_str().unwrap();
    for (name, tls_key) in [
        "AUTH_API_KEYS_FILE",
        "GENESYS_CLIENT_SECRET_FILE",
        "STORE_URL_FILE",
        "CONFIG_FILE",
        "SERVER_TLS_CERT",
    ]
    .map(|name| (name, if name == "SERVER_TLS_CERT" { pipe } else { "" }))
    {
        let (code, said) = check_config(&[(name, pipe), ("SERVER_TLS_KEY", tls_key)]).await;
        assert_eq!(code, Some(78), "{name}: {said}");
        assert!(said.contains("is not a regular file"), "{name}: {said}");
    }
}

#[tokio::test]
async fn sighup_does_not_wait_for_a_pipe() {
    let files = Files::new();
    let settings = files.write("a.toml", "[server]\n");
    let site = Site::sqlite().await.set("CONFIG_FILE", &settings);
    let process = site.start().await;
    fs::remove_file(&settings).unwrap();
    let made = tokio::process::Command::new("mkfifo").arg(&settings).status().await.unwrap();
    assert!(made.success());

    process.signal("HUP").await;

    process.says("is not a regular file").await;
}
