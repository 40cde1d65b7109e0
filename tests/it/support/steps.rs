//! Steps that tests of single transfers share: what the call looks like afterwards, what was
//! sent, how every problem must look.

use std::{sync::Arc, time::Duration};

use genesys_transfer::{
    app::Surroundings,
    clock::FixedRandom,
    sandbox::{
        faults::{Fault, When},
        ledger::Request,
        world::{NewConversation, Shape, model::LegRouting},
    },
};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    frozen::Frozen,
    service::{Answer, CONVERSATION, REPLACE, TestApp, plain, send, soon},
};

/// A request with further fields beside the smallest one's.
pub(crate) fn with(conversation: Uuid, queue: &str, more: &Value) -> Value {
    let mut body = plain(conversation, queue);
    let fields = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(fields);
    body
}

impl TestApp {
    /// A service whose repeated requests follow at once, and which has asked Genesys for all that it
    /// wants of its own accord; its sandbox has seen nothing.
    pub(crate) async fn steady(settings: &[(&str, &str)]) -> Self {
        let random = Arc::new(FixedRandom(0.0));
        let app = Self::around(settings, Surroundings { random, ..Surroundings::default() }).await;
        assert_eq!(app.get("/queues").await.status, 200);
        soon("readiness", async { while app.get("/health/ready").await.status != 200 {} }).await;
        app.sandbox().with(|state| state.ledger.clear());
        app
    }

    /// Five looks at Genesys fail in a row; from then on no time passes. For a service that is
    /// [`TestApp::steady`].
    pub(crate) async fn breaker_opens(&self, fault: Fault) -> Frozen {
        let clock = Frozen::now();
        self.fault("GET", CONVERSATION, 5, fault);
        for _ in 0..2 {
            let vain = self.transfer(self.fresh_call(), "Support Tier 2");
            // Even a repeat that follows at once takes a moment.
            clock.passes_until(Duration::ZERO, vain).await;
        }
        assert_eq!(self.sandbox().requests().len(), 5, "looks that failed");
        clock
    }

    /// A service that holds its token and its queue map, and a sandbox that has seen nothing.
    pub(crate) async fn warm(settings: &[(&str, &str)]) -> Self {
        let app = Self::with(settings).await;
        assert_eq!(app.get("/queues").await.status, 200);
        app.sandbox().with(|state| state.ledger.clear());
        app
    }

    /// The queue the call waits in and what routing knows about it there.
    pub(crate) fn waits(&self, conversation: Uuid) -> Option<(Uuid, LegRouting)> {
        self.sandbox().with(|state| {
            let leg = state.world.conversation(conversation)?.waiting_leg()?;
            Some((leg.queue.as_ref()?.id, leg.routing.clone()?))
        })
    }

    /// What routing knows about the call, which waits.
    pub(crate) fn routing(&self, conversation: Uuid) -> LegRouting {
        self.waits(conversation).unwrap().1
    }

    /// The ids of the call's legs, in order.
    pub(crate) fn legs(&self, conversation: Uuid) -> Vec<Uuid> {
        self.sandbox().with(|state| {
            let found = state.world.conversation(conversation).unwrap();
            found.participants.iter().map(|leg| leg.id).collect()
        })
    }

    /// A new call of that shape in that queue.
    pub(crate) fn call(&self, shape: Shape, queue: Uuid) -> Uuid {
        let new = NewConversation { shape, queue: Some(queue), ..NewConversation::default() };
        self.sandbox().add_conversation(new).unwrap()
    }

    /// The body of the last command the sandbox saw.
    pub(crate) fn last_command(&self) -> Value {
        self.sandbox().commands().last().unwrap().body.clone().unwrap()
    }

    /// The methods of all requests the sandbox saw, in order.
    pub(crate) fn methods(&self) -> Vec<String> {
        self.sandbox().requests().into_iter().map(|Request { method, .. }| method).collect()
    }

    /// The next command is lost: it never arrives, and its connection closes.
    pub(crate) fn command_is_lost(&self) {
        self.fault("POST", REPLACE, 1, Fault::Drop { when: When::Before, reset: false });
    }

    /// Moves the call with a lost command, so that its outcome is unknown; the answer
    /// comes at its deadline.
    pub(crate) async fn transfer_into_the_unknown(&self, conversation: Uuid) -> Answer {
        self.command_is_lost();
        let answer = self.at_the_deadline(self.transfer(conversation, "Support Tier 2")).await;
        assert_eq!(answer.outcome(), (504, "outcome_unknown".to_owned()));
        answer
    }

    /// `POST /transfers` with an idempotency key.
    pub(crate) async fn keyed(&self, key: &str, body: &Value) -> Answer {
        self.submit_with(body, "Idempotency-Key", key).await
    }

    /// Waits until the sandbox saw that many requests.
    pub(crate) async fn sandbox_sees(&self, requests: u64) {
        soon("requests arrive at the sandbox", self.sandbox().requests_reach(requests)).await;
    }

    /// `POST /transfers/{id}/settle`.
    pub(crate) async fn settle(&self, id: &Value, outcome: &str) -> Answer {
        let path = format!("/transfers/{}/settle", id.as_str().unwrap());
        self.post(&path, &json!({"outcome": outcome, "reason": "looked at the call"})).await
    }

    /// The items of `GET /transfers` with that query.
    pub(crate) async fn listed(&self, query: &str) -> Vec<Value> {
        let answer = self.get(&format!("/transfers{query}")).await;
        answer.json()["items"].as_array().unwrap().clone()
    }

    /// Any request with one header.
    pub(crate) async fn ask(&self, method: Method, path: &str, header: (&str, &str)) -> Answer {
        send(self.request(method, path).header(header.0, header.1)).await
    }

    /// Asserts all that holds for every problem: media type, status, request id, a `type` that
    /// explains itself, `Retry-After` with every 503, and a transfer in the history if it names one.
    pub(crate) async fn assert_problem(&self, answer: &Answer, status: u16, code: &str) {
        assert_eq!(answer.outcome(), (status, code.to_owned()));
        let problem = answer.json();
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(problem["status"], status);
        assert_eq!(problem["requestId"].as_str(), answer.header("x-request-id"));
        assert!(problem["retryable"].is_boolean() && problem["detail"].is_string());
        assert!(!problem["hint"].as_str().unwrap().is_empty());
        assert_eq!(problem["type"], format!("/problems/{code}"));
        let explained = self.get(problem["type"].as_str().unwrap()).await.json();
        for member in ["type", "code", "title", "status"] {
            assert_eq!(explained[member], problem[member], "{member}");
        }
        let seconds = answer.header("retry-after").map(|text| text.parse::<u64>().unwrap());
        assert!(status != 503 || seconds.is_some_and(|seconds| seconds > 0), "{seconds:?}");
        assert_eq!(problem["retryAfterSeconds"].as_u64(), seconds);
        if let Some(id) = problem["transferId"].as_str() {
            assert_eq!(self.get(&format!("/transfers/{id}")).await.status, 200);
        }
    }
}
