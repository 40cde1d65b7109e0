//! The program as a process: how it ends, and what it prints.

use std::process::{Output, Stdio};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::{TcpListener, TcpSocket},
    process::{Child, Command},
};

use crate::support::{child::Child as Service, service::soon, tls::Identity};

/// The program with these arguments and settings and nothing else in its environment.
pub(crate) fn program(arguments: &[&str], settings: &[(&str, &str)]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_genesys-transfer"))
        .args(arguments)
        .env_clear()
        .env("SERVER_BIND", "127.0.0.1:0")
        .env("SANDBOX_BIND", "127.0.0.1:0")
        .envs(settings.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

pub(crate) async fn output(child: Child) -> Output {
    soon("the process ends", child.wait_with_output()).await.unwrap()
}

#[tokio::test]
async fn sigterm_ends_a_service_that_still_waits_for_its_store() {
    // A database that takes connections and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://user:password@{}/db", silent.local_addr().unwrap());
    let child = program(&[], &[("STORE_URL", &url)]);
    let _held = soon("the connection", silent.accept()).await.unwrap();

    let id = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());

    let ended = output(child).await;
    let log = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(0), "{log}");
    assert!(log.contains("stopped before it was ready"), "{log}");
}

#[tokio::test]
async fn a_healthcheck_that_fails_says_why() {
    // A port that is ours and has no listener.
    let nobody = TcpSocket::new_v4().unwrap();
    nobody.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}/health/ready", nobody.local_addr().unwrap());

    let ended = output(program(&["healthcheck", &url], &[])).await;

    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.starts_with(&url) && said.contains("refused"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[tokio::test]
async fn half_of_tls_refuses_to_start_and_says_which_half_is_missing() {
    let identity = Identity::new();
    let [(name, cert), _] = identity.settings();

    let ended = output(program(&[], &[(name, cert.as_str())])).await;

    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(78), "{said}");
    let expected = "server.tls_key (not set): missing; expected the path of a PEM file";
    assert!(said.starts_with(expected) && said.lines().count() == 1, "{said}");
}

#[tokio::test]
async fn a_healthcheck_finds_its_own_service_over_tls_and_at_a_wildcard_address() {
    let (identity, store) = (Identity::new(), tempfile::tempdir().unwrap());
    let [cert, key] = identity.settings();
    let tls = [(cert.0, cert.1.as_str()), (key.0, key.1.as_str())];
    let service = Service::start(None, &store, &tls).await;
    // The service goes on with the certificate it has.
    std::fs::write(identity.cert(), "broken").unwrap();
    let port = service.address().port();
    for bind in [format!("127.0.0.1:{port}"), format!("0.0.0.0:{port}")] {
        let settings = [tls[0], tls[1], ("SERVER_BIND", bind.as_str())];
        let ended = output(program(&["healthcheck"], &settings)).await;
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!((ended.status.code(), said.as_str()), (Some(0), ""), "{bind}");
    }
}

#[tokio::test]
async fn a_healthcheck_of_another_service_verifies_its_certificate() {
    let (identity, store) = (Identity::new(), tempfile::tempdir().unwrap());
    let [cert, key] = identity.settings();
    let service = Service::start(None, &store, &[(cert.0, &cert.1), (key.0, &key.1)]).await;
    let url = format!("https://{}/health/ready", service.address());

    let ended = output(program(&["healthcheck", &url], &[])).await;

    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("certificate"), "{said}");
}

/// The first `count` lines of its standard output.
async fn first_lines(child: &mut Child, count: usize) -> String {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = String::new();
    while said.lines().count() < count {
        let line = soon("a line", lines.next_line()).await.unwrap();
        said += &line.expect("it goes on");
        said.push('\n');
    }
    said
}

#[tokio::test]
async fn the_welcome_names_the_scheme_that_is_spoken() {
    let (identity, folder) = (Identity::new(), tempfile::tempdir().unwrap());
    let [cert, key] = identity.settings();
    let store = format!("sqlite://{}/t.db", folder.path().display());
    let tls = [(cert.0, cert.1.as_str()), (key.0, key.1.as_str()), ("STORE_URL", store.as_str())];
    let mut child = program(&[], &tls);

    let said = first_lines(&mut child, 8).await;

    for place in ["Service   https://127.0.0.1:", "Page      https://127.0.0.1:"] {
        assert!(said.contains(place), "{said}");
    }
    assert!(said.contains("curl -sS -k https://127.0.0.1:"), "{said}");
}

#[tokio::test]
async fn the_sandbox_runs_beside_a_service_with_a_real_region() {
    let settings = [
        ("GENESYS_REGION", "eu-central-1"),
        ("GENESYS_CLIENT_ID", "id"),
        ("GENESYS_CLIENT_SECRET", "secret"),
        ("GENESYS_API_URL", "http://127.0.0.1:8081"),
    ];
    let mut child = program(&["sandbox"], &settings);

    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();

    let said = soon("a line", log.next_line()).await.unwrap().expect("it says something");
    assert!(said.contains("sandbox ready"), "{said}");
}
