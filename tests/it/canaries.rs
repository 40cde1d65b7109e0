//! Secrets, and what is known of the people in a call, get out nowhere: not in the log at its most
//! talkative, not in answers, metrics or the printed configuration.

use std::fmt::Write as _;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use genesys_transfer::sandbox::{
    Options,
    faults::{Fault, FaultOrder, StatusAnswer},
    seed,
    world::NewConversation,
};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::process::Command;
use uuid::Uuid;

use crate::support::{
    process::{Process, Site},
    service::{CONVERSATION, REPLACE, plain},
    tls::Identity,
};

const CLIENT_SECRET: &str = "canary-client-secret";
const KEY: &str = "gxt_canary-key";
const WRONG_KEY: &str = "gxt_canary-wrong-key";
const WRONG_TOKEN: &str = "eyJhbGciOiJub25lIn0.canary-token.";
const ANI: &str = "+15550100199";
const DNIS: &str = "+15550100288";
const ATTRIBUTE: &str = "canary-attribute";

/// What must be found nowhere. All of the sandbox's tokens begin with `sandbox-`.
fn canaries() -> Vec<String> {
    let basic = BASE64_STANDARD.encode(format!("canary-client:{CLIENT_SECRET}"));
    [CLIENT_SECRET, KEY, WRONG_KEY, "canary-token", &ANI[1..], &DNIS[1..], ATTRIBUTE, "sandbox-"]
        .map(str::to_owned)
        .into_iter()
        .chain([basic])
        .collect()
}

#[track_caller]
fn is_clean(what: &str, text: &str) {
    for canary in canaries() {
        let at = text.find(&canary).map(|at| {
            let begin = text.floor_char_boundary(at.saturating_sub(300));
            &text[begin..text.ceil_char_boundary(at + 100)]
        });
        assert_eq!(at, None, "{canary} in {what}");
    }
}

/// A service that logs everything, over TLS, with one caller who may do everything.
struct Bench {
    site: Site,
    process: Process,
    identity: Identity,
    /// Heads and bodies of all answers.
    answers: String,
}

impl Bench {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap().keep();
        let client = Options {
            client_id: "canary-client".to_owned(),
            client_secret: CLIENT_SECRET.to_owned(),
            ..Options::default()
        };
        let url = format!("sqlite://{}", folder.join("transfers.db").display());
        let identity = Identity::new();
        let [cert, key] = identity.settings();
        let hash: Vec<_> = Sha256::digest(KEY).iter().map(|byte| format!("{byte:02x}")).collect();
        let callers =
            json!([{"caller": "ops", "sha256": [hash.concat()], "permissions": ["admin"]}]);
        let site = Site::with_client(&url, client)
            .await
            .set("TELEMETRY_LOG_FILTER", "trace")
            // Its client is one that knows certificates.
            .set("AUTH_OIDC_ISSUER", "https://127.0.0.1:1")
            .set("AUTH_OIDC_AUDIENCE", "transfer")
            .set("AUTH_MODE", "required")
            .set("AUTH_API_KEYS", &callers.to_string())
            .set(cert.0, &cert.1)
            .set(key.0, &key.1);
        let process = site.start().await;
        Self { site, process, identity, answers: String::new() }
    }

    fn call(&self) -> Uuid {
        let new = NewConversation {
            queue: Some(seed::SUPPORT_TIER_1),
            ani: Some(format!("tel:{ANI}")),
            dnis: Some(format!("tel:{DNIS}")),
            attributes: [("note".to_owned(), ATTRIBUTE.to_owned())].into(),
            ..NewConversation::default()
        };
        self.site.sandbox.add_conversation(new).unwrap()
    }

    fn clients(&self) -> [Client; 2] {
        [self.identity.client(), self.identity.client().http1_only()]
            .map(|client| client.build().unwrap())
    }

    /// Sends a request with the right key, over each version of HTTP; the last answer.
    async fn ask(&mut self, change: impl Fn(&Client, &str) -> RequestBuilder) -> (u16, Value) {
        let mut last = (0, Value::Null);
        for client in self.clients() {
            let base = format!("https://{}", self.process.address);
            let request = change(&client, &base).bearer_auth(KEY);
            let answer = self.site.ask(request).await.unwrap();
            let body = String::from_utf8(answer.body.clone()).unwrap();
            writeln!(self.answers, "{:?}\n{body}", answer.headers).unwrap();
            last = (answer.status.as_u16(), serde_json::from_str(&body).unwrap_or_default());
        }
        last
    }

    async fn get(&mut self, path: &str) -> (u16, Value) {
        self.ask(|client, base| client.get(format!("{base}{path}"))).await
    }

    async fn post(&mut self, path: &str, body: &Value) -> (u16, Value) {
        self.ask(|client, base| client.post(format!("{base}{path}")).json(body)).await
    }

    fn spoil(&self, method: &str, path: &str, answer: StatusAnswer) {
        let order = FaultOrder::next(method, path, Fault::Status(answer)).times(2);
        self.site.sandbox.order(order).unwrap();
    }
}

/// Calls that are moved, looked at and listed.
async fn good_work(bench: &mut Bench) {
    let calls = [bench.call(), bench.call()];
    let mut body = plain(calls[0], "Support Tier 2");
    body["priority"] = json!(7);
    let (status, _) = bench.post("/transfers", &body).await;
    assert_eq!(status, 201);
    for path in ["/transfers", "/queues", "/health/ready", "/metrics"] {
        bench.get(path).await;
    }
    bench.get(&format!("/conversations/{}?queueName=Sales", calls[1])).await;
    let (status, listed) = bench.get(&format!("/transfers?conversationId={}", calls[0])).await;
    assert_eq!(status, 200);
    let id = listed["items"][0]["id"].as_str().unwrap().to_owned();
    bench.get(&format!("/transfers/{id}")).await;
}

/// Requests that are refused, with canaries wherever a caller may put them.
async fn bad_requests(bench: &mut Bench) {
    for credential in [WRONG_KEY, WRONG_TOKEN] {
        for client in bench.clients() {
            let url = format!("https://{}/transfers", bench.process.address);
            let request = client.get(url).bearer_auth(credential);
            let answer = bench.site.ask(request).await.unwrap();
            assert_eq!(answer.status, 401);
            bench.answers += &String::from_utf8(answer.body).unwrap();
        }
    }
    for path in
        [format!("/nowhere/{ANI}"), format!("/transfers?ani={ANI}"), format!("/transfers/{ANI}")]
    {
        assert!(bench.get(&path).await.0 >= 400, "{path}");
    }
    for body in [
        json!({"conversationId": ANI, "queueName": "Sales", "priority": ANI}),
        json!({"conversationId": [ATTRIBUTE], "queueId": ATTRIBUTE}),
        json!(ANI),
    ] {
        assert_eq!(bench.post("/transfers", &body).await.0, 422, "{body}");
    }
    bench
        .ask(|client, base| {
            client
                .post(format!("{base}/transfers"))
                .header("content-type", "application/json")
                .header("cookie", ATTRIBUTE)
                .body(format!("{{\"ani\": \"{ANI}\" {ATTRIBUTE}"))
        })
        .await;
    bench
        .ask(|client, base| {
            client.request(Method::PUT, format!("{base}/queues")).header("x-canary", ATTRIBUTE)
        })
        .await;
}

/// Genesys answers with errors and rubbish that name the people in the call.
async fn bad_answers(bench: &mut Bench) {
    let message = format!("no route to tel:{ANI} or {}", &DNIS[1..]);
    let error = json!({"status": 400, "code": "bad.request", "message": message});
    let rubbish = format!("{{\"participants\": [{{\"ani\": \"{ANI}\", \"{ATTRIBUTE}\": ");
    let typed = json!({"id": ANI, "participants": {"attributes": ATTRIBUTE}});
    for (method, path, answer) in [
        ("POST", REPLACE, StatusAnswer { body: Some(error), ..StatusAnswer::new(400) }),
        ("GET", CONVERSATION, StatusAnswer { text: Some(rubbish), ..StatusAnswer::new(200) }),
        ("GET", CONVERSATION, StatusAnswer { body: Some(typed), ..StatusAnswer::new(200) }),
    ] {
        bench.spoil(method, path, answer);
        let call = bench.call();
        bench.post("/transfers", &plain(call, "Support Tier 2")).await;
    }
    bench.site.sandbox.with(|state| {
        state.faults.clear();
        state.access.revoke_all();
    });
    good_work(bench).await;
}

async fn printed_configuration(site: &Site) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_genesys-transfer"));
    command.env_clear().envs(site.settings()).args(["check-config", "--connect"]);
    let ended = command.output().await.unwrap();
    let said = String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap();
    assert!(said.contains("# ok       token"), "{said}");
    said
}

#[tokio::test]
async fn secrets_and_people_appear_in_no_log_answer_metric_or_printed_configuration() {
    let mut bench = Bench::start().await;
    good_work(&mut bench).await;
    bad_requests(&mut bench).await;
    bad_answers(&mut bench).await;
    let printed = printed_configuration(&bench.site).await;
    bench.process.signal("TERM").await;
    let log = bench.process.end().await.log;
    let log: Vec<Value> = log.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    for source in ["hyper", "reqwest", "h2::", "rustls", "genesys_transfer", "audit"] {
        let said = log.iter().any(|line| line["target"].as_str().unwrap().starts_with(source));
        assert!(said, "{source} says nothing: this test would show nothing");
    }
    let log: Vec<String> = log.iter().map(Value::to_string).collect();
    is_clean("the log", &log.join("\n"));
    is_clean("an answer", &bench.answers);
    is_clean("the printed configuration", &printed);
}
