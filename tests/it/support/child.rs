//! The service as the process that operators run.

use std::{net::SocketAddr, process::Stdio};

use genesys_transfer::sandbox::Sandbox;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child as Process, Command},
};

use crate::support::service::{soon, store_url};

/// A running process; killed when dropped.
pub(crate) struct Child {
    process: Process,
    address: String,
    scheme: &'static str,
    http: Client,
}

impl Child {
    /// Starts the built program on the store in `store`, beside `sandbox`, or with its own when
    /// there is none. Returns when it takes requests.
    pub(crate) async fn start(
        sandbox: Option<&Sandbox>,
        store: &TempDir,
        settings: &[(&str, &str)],
    ) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_genesys-transfer"));
        command
            .env_clear()
            .current_dir(store.path())
            .env("SERVER_BIND", "127.0.0.1:0")
            .env("SANDBOX_BIND", "127.0.0.1:0")
            .env("GENESYS_REQUESTS_PER_MINUTE", "1000000")
            .env("STORE_URL", store_url(store))
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if let Some(sandbox) = sandbox {
            command.env("GENESYS_API_URL", sandbox.base_url());
            command.env("GENESYS_LOGIN_URL", sandbox.base_url());
        }
        let mut process = command.spawn().unwrap();
        let address = soon("the process listens", listening(&mut process)).await;
        let tls = settings.iter().any(|(key, _)| *key == "SERVER_TLS_CERT");
        let scheme = if tls { "https" } else { "http" };
        let http = Client::builder().no_proxy().tls_danger_accept_invalid_certs(tls);
        let http = http.build().unwrap();
        Self { process, address, scheme, http }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.request_with(&self.http, method, path)
    }

    /// The same with a client of the test's own.
    pub(crate) fn request_with(&self, http: &Client, method: Method, path: &str) -> RequestBuilder {
        http.request(method, format!("{}://{}{path}", self.scheme, self.address))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address.parse().unwrap()
    }

    /// Ends it without warning, as the kernel or a power cut does.
    pub(crate) async fn kill(mut self) {
        self.process.kill().await.unwrap();
    }

    /// SIGTERM; the exit code.
    pub(crate) async fn terminate(mut self) -> Option<i32> {
        let id = self.process.id().unwrap().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().await.unwrap();
        assert!(sent.success());
        soon("the process ends", self.process.wait()).await.unwrap().code()
    }

    /// Resident memory in KiB, as the kernel counts it.
    pub(crate) fn resident_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.process.id().unwrap());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

/// Reads the log up to the line that says where the service listens; the rest is read and dropped,
/// so that the process does not block on a full pipe.
async fn listening(process: &mut Process) -> String {
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let mut said = String::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        let event: Value = serde_json::from_str(&line).unwrap_or_default();
        if event["message"] == "listening" {
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return event["address"].as_str().unwrap().to_owned();
        }
        said.push_str(&line);
    }
    panic!("the process ended: {said}");
}
