//! A standard stream that is not read: the service goes on, and ends.

use std::process::Stdio;

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines},
    process::{Child, ChildStderr, Command},
};

use crate::support::{
    exposition::samples,
    service::{plain, soon, store_url},
};

/// The program, as `script` starts it, with what it logs on a pipe.
struct Service {
    process: Child,
    log: Lines<BufReader<ChildStderr>>,
    address: String,
    _store: tempfile::TempDir,
}

impl Service {
    /// Reads the log up to the line that says where it listens, and no further.
    async fn start(script: &str, filter: &str) -> Self {
        let store = tempfile::tempdir().unwrap();
        let mut process = Command::new("sh")
            .args(["-c", script, env!("CARGO_BIN_EXE_genesys-transfer")])
            .env_clear()
            .envs(std::env::var("PATH").map(|path| ("PATH", path)))
            .env("SERVER_BIND", "127.0.0.1:0")
            .env("SANDBOX_BIND", "127.0.0.1:0")
            .env("STORE_URL", store_url(&store))
            .env("TELEMETRY_LOG_FILTER", filter)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = soon("it is ready", async {
            loop {
                let line = log.next_line().await.unwrap().expect("it does not end");
                let line: Value = serde_json::from_str(&line).unwrap_or_default();
                if line["message"] == "ready" {
                    return line["address"].as_str().unwrap().to_owned();
                }
            }
        });
        Self { address: address.await, process, log, _store: store }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Lines of the log that were dropped so far, those of the audit log apart.
    async fn dropped(&self, http: &reqwest::Client) -> (f64, f64) {
        let text = http.get(self.url("/metrics")).send().await.unwrap().text().await.unwrap();
        let samples = samples(&text);
        let of = |kind: &str| {
            samples[&format!("genesys_transfer_log_lines_dropped_total{{kind=\"{kind}\"}}")]
        };
        (of("other"), of("audit"))
    }
}

/// SIGTERM; the exit code.
async fn terminate(process: &mut Child) -> Option<i32> {
    let id = process.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
    soon("it ends", process.wait()).await.unwrap().code()
}

/// Asks until lines are dropped.
async fn fill_the_log(service: &Service, http: &reqwest::Client) {
    let full = async {
        while service.dropped(http).await.0 < 1.0 {
            for _ in 0..50 {
                let live = http.get(service.url("/health/live")).send().await.unwrap();
                assert_eq!(live.status(), 200);
            }
        }
    };
    soon("lines that do not fit", full).await;
}

#[tokio::test]
async fn a_service_whose_log_is_not_read_goes_on_and_tells_of_it_later() {
    let mut service = Service::start("exec \"$0\"", "trace").await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    fill_the_log(&service, &http).await;

    let body = plain(genesys_transfer::sandbox::seed::CONNECTED_CALL, "Support Tier 2");
    let moved = http.post(service.url("/transfers")).json(&body).send().await.unwrap();

    assert_eq!(moved.status(), 201);
    let (other, audit) = service.dropped(&http).await;
    assert!(other >= 1.0 && audit == 0.0, "{other} {audit}");
    // Now it is read again: the line of the audit log, and one that tells of those that are missing.
    let (mut audited, mut told) = (false, false);
    soon("the lines", async {
        while !(audited && told) {
            let line = service.log.next_line().await.unwrap().expect("it lives");
            let line: Value = serde_json::from_str(&line).unwrap();
            audited |= line["target"] == "audit";
            told |= line["dropped"].as_f64().is_some_and(|dropped| dropped >= 1.0);
        }
    })
    .await;
    let mut rest = String::new();
    let Service { mut process, mut log, .. } = service;
    let reading = log.get_mut().read_to_string(&mut rest);
    let (code, read) = tokio::join!(terminate(&mut process), reading);
    assert_eq!((code, read.is_ok()), (Some(0), true));
    assert!(rest.contains("\"stopped\""), "{rest}");
}

#[tokio::test]
async fn a_service_whose_log_is_not_read_ends_when_it_is_told_to() {
    let mut service = Service::start("exec \"$0\"", "trace").await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    fill_the_log(&service, &http).await;

    assert_eq!(terminate(&mut service.process).await, Some(0));
}

#[tokio::test]
async fn a_standard_output_that_is_not_read_holds_up_nothing() {
    // A pipe holds 64 KiB: what greets a newcomer does not fit any more.
    let mut service = Service::start("head -c 65536 /dev/zero; exec \"$0\"", "info").await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();

    let live = http.get(service.url("/health/live")).send().await.unwrap();

    assert_eq!(live.status(), 200);
    assert_eq!(terminate(&mut service.process).await, Some(0));
}
