//! Batches as tests ask for them, watch them and close their books.

use std::collections::{BTreeMap, BTreeSet};

use genesys_transfer::sandbox::{
    Sandbox,
    ledger::Request,
    seed,
    world::{MediaType, NewConversation, Shape},
};
use jiff::SignedDuration;
use reqwest::{Method, Response, header};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    books::{commands_by_conversation, is_late},
    document::{assert_described, assert_is_a},
    process::until,
    service::{Answer, TestApp, send},
};

/// No call.
pub(crate) const NOBODY: [Uuid; 0] = [];

/// A drain from Support Tier 1 to Support Tier 2, with more fields.
pub(crate) fn drain(more: Value) -> Value {
    let mut body = json!({"fromQueueName": "Support Tier 1", "toQueueName": "Support Tier 2"});
    let Value::Object(more) = more else { panic!("an object") };
    body.as_object_mut().unwrap().extend(more);
    body
}

/// A call that has waited in Support Tier 1 for so many seconds.
pub(crate) fn waiting(sandbox: &Sandbox, seconds: i64) -> Uuid {
    waiting_with(sandbox, seconds, 0)
}

/// The same with a priority.
pub(crate) fn waiting_with(sandbox: &Sandbox, seconds: i64, priority: i64) -> Uuid {
    let new = NewConversation {
        shape: Shape::Waiting,
        queue: Some(seed::SUPPORT_TIER_1),
        priority,
        age: SignedDuration::from_secs(seconds),
        ..NewConversation::default()
    };
    sandbox.add_conversation(new).unwrap()
}

/// So many calls, 7 s apart; the longest waiting first. The seeded one hangs up.
pub(crate) fn crowd(sandbox: &Sandbox, count: i64) -> Vec<Uuid> {
    sandbox.act(seed::WAITING_CALL, genesys_transfer::sandbox::world::Act::HangUp).unwrap();
    (0..count).map(|n| waiting(sandbox, 60 + (count - n) * 7)).collect()
}

/// The calls that wait in a queue, in the order they are served.
pub(crate) fn line(sandbox: &Sandbox, queue: Uuid) -> Vec<Uuid> {
    sandbox.with(|state| {
        let served = state.world.served_next(queue, MediaType::Voice);
        served.into_iter().map(|served| served.conversation).collect()
    })
}

/// The number at `pointer`.
pub(crate) fn number(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}

/// How many calls of a batch moved.
pub(crate) fn moved(batch: &Value) -> u64 {
    number(batch, "/counts/accepted") + number(batch, "/counts/confirmed")
}

/// Fails unless the counts add up to the total, and the reasons to what did not move.
#[track_caller]
pub(crate) fn assert_closed(batch: &Value) {
    let sum = |members: &Value| -> u64 {
        members.as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum()
    };
    assert_eq!(sum(&batch["counts"]), batch["total"].as_u64().unwrap(), "{batch}");
    let unmoved = number(batch, "/counts/failed") + number(batch, "/counts/skipped");
    assert_eq!(sum(&batch["reasons"]), unmoved, "{batch}");
}

/// Conversations that more than one command was carried out for, or asked for without cause.
pub(crate) fn moved_twice(sandbox: &Sandbox) -> Vec<Uuid> {
    let mut moves: BTreeMap<Uuid, usize> = BTreeMap::new();
    for entry in sandbox.moves() {
        *moves.entry(entry.conversation_id).or_default() += 1;
    }
    let twice = moves.into_iter().filter(|(_, count)| *count > 1).map(|(id, _)| id);
    let asked = commands_by_conversation(sandbox).into_iter().filter(|(_, commands)| {
        let counts =
            |one: &&Request| !matches!(one.status, Some(401 | 429)) && !is_late(one, commands);
        commands.iter().filter(counts).count() > 1
    });
    let both: BTreeSet<Uuid> = twice.chain(asked.map(|(id, _)| id)).collect();
    both.into_iter().collect()
}

/// One server-sent event.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub name: String,
    pub id: String,
    pub data: Value,
}

/// A stream of events, and the comments between them.
pub(crate) struct Events {
    response: Response,
    text: String,
    pub comments: Vec<String>,
}

impl Events {
    pub(crate) const fn of(response: Response) -> Self {
        Self { response, text: String::new(), comments: Vec::new() }
    }

    /// The next event; `None` when the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                if let Some(event) = self.read(&block) {
                    return Some(event);
                }
            }
            let part = self.response.chunk().await.ok()??;
            self.text.push_str(std::str::from_utf8(&part).unwrap());
        }
    }

    /// All events up to the end.
    pub(crate) async fn all(mut self) -> (Vec<Event>, Vec<String>) {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        (events, self.comments)
    }

    fn read(&mut self, block: &str) -> Option<Event> {
        let mut fields: BTreeMap<&str, &str> = BTreeMap::new();
        for line in block.lines() {
            match line.split_once(": ") {
                Some(("", comment)) => self.comments.push(comment.to_owned()),
                Some((name, value)) => assert_eq!(fields.insert(name, value), None, "{line}"),
                None => panic!("no field: {line}"),
            }
        }
        let data = serde_json::from_str(fields.get("data")?).unwrap();
        assert_is_a("BatchEvent", &json!(fields));
        Some(Event { name: fields["event"].to_owned(), id: fields["id"].to_owned(), data })
    }
}

impl TestApp {
    /// `POST /batches`, which must begin one; its id.
    pub(crate) async fn begin(&self, body: &Value) -> String {
        let answer = self.post("/batches", body).await;
        assert_eq!(answer.status, 202, "{}", answer.json());
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// `POST /batches` with a key.
    pub(crate) async fn begin_with(&self, body: &Value, key: &str) -> Answer {
        let request = self.request(Method::POST, "/batches").json(body);
        send(request.header("idempotency-key", key)).await
    }

    /// The batch as it stands.
    pub(crate) async fn batch(&self, id: &str) -> Value {
        self.get(&format!("/batches/{id}")).await.json()
    }

    /// The batch once nothing of it is left to do, with its books closed.
    pub(crate) async fn finished(&self, id: &str) -> Value {
        let batch = until(|| async {
            let batch = self.batch(id).await;
            (!batch["finishedAt"].is_null()).then_some(batch)
        })
        .await;
        assert_closed(&batch);
        assert_eq!(number(&batch, "/counts/pending"), 0, "{batch}");
        batch
    }

    /// Begins a batch and waits for its end.
    pub(crate) async fn carried_out(&self, body: &Value) -> Value {
        let id = self.begin(body).await;
        self.finished(&id).await
    }

    /// All transfers of a batch, newest first, three to a page.
    pub(crate) async fn transfers_of_batch(&self, id: &str, limit: u32) -> Vec<Value> {
        let mut all = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/batches/{id}/transfers?limit={limit}{cursor}");
            let mut page = self.get(&path).await.json();
            all.append(page["items"].as_array_mut().unwrap());
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return all,
            }
        }
    }

    /// Watches a batch.
    pub(crate) async fn watch(&self, id: &str) -> Events {
        let path = format!("/batches/{id}/events");
        let request = self.request(Method::GET, &path);
        let response = request.header(header::ACCEPT, "text/event-stream").send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_described((&Method::GET, &path), 200, response.headers(), b"");
        Events::of(response)
    }
}
