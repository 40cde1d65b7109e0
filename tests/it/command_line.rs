//! The program as a process: how it ends, and what it tells whoever started it.

use std::process::{Output, Stdio};

use tokio::{
    net::TcpListener,
    process::{Child, Command},
};

use crate::support::service::soon;

/// The program with these arguments and settings and nothing else in its environment.
fn program(arguments: &[&str], settings: &[(&str, &str)]) -> Child {
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

async fn output(child: Child) -> Output {
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
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/health/ready", nobody.local_addr().unwrap());
    drop(nobody);

    let ended = output(program(&["healthcheck", &url], &[])).await;

    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.starts_with(&url) && said.contains("refused"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}
