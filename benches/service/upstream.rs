//! A stand-in for Genesys that does as little as can be: what it costs is not measured, so it must
//! not be felt. Every conversation exists and can be moved.

use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
    convert::Infallible,
    rc::Rc,
    time::Duration,
};

use http_body_util::Full;
use hyper::{
    Method, Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, task::LocalSet, time::Instant};

use super::Outcome;

/// The first word of the command line of this process.
pub(crate) const WORD: &str = "upstream";

/// The leg that every transfer replaces.
pub(crate) const LEG: &str = "b1000000-0000-4000-8000-000000000001";

/// The queue that every transfer goes to; it is the first of the list.
pub(crate) const QUEUE: &str = "Queue 0";

/// Genesys counts by the minute.
const WINDOW: Duration = Duration::from_mins(1);

struct State {
    queues: usize,
    limit: u32,
    window: Cell<Option<(Instant, u32)>>,
    commands: Cell<u64>,
    refused: Cell<u64>,
    held: Cell<u64>,
    hold: watch::Sender<bool>,
    /// Calls that were moved while commands were held: their answers were never seen.
    moved: RefCell<HashSet<String>>,
}

/// Serves until it is killed; prints its address first.
pub(crate) fn run(words: &[String]) -> Outcome {
    let [queues, limit] = words else { return Err("two numbers are needed".into()) };
    let state = Rc::new(State {
        queues: queues.parse()?,
        limit: limit.parse()?,
        window: Cell::new(None),
        commands: Cell::new(0),
        refused: Cell::new(0),
        held: Cell::new(0),
        hold: watch::Sender::new(false),
        moved: RefCell::default(),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let state = Rc::clone(&state);
            let service = service_fn(move |request| answer(Rc::clone(&state), request));
            tokio::task::spawn_local(
                http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    })
}

type Answer = Response<Full<Bytes>>;

async fn answer(state: Rc<State>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let path = request.uri().path().to_owned();
    let parts: Vec<&str> = path.trim_start_matches("/api/v2").split('/').skip(1).collect();
    Ok(match (request.method(), parts.as_slice()) {
        (&Method::POST, ["oauth", "token"]) => ok(&json!({
            "access_token": "token", "token_type": "bearer", "expires_in": 86_400,
        })),
        (&Method::POST, ["hold"]) => control(&state, true),
        (&Method::POST, ["release"]) => control(&state, false),
        (_, ["stats"]) => ok(&json!({
            "commands": state.commands.get(), "refused": state.refused.get(),
            "held": state.held.get(),
        })),
        _ if state.is_over_limit() => limited(&state),
        (&Method::POST, ["conversations", id, "participants", ..]) => {
            command(&state, (*id).to_owned()).await
        }
        (_, ["conversations", id]) => ok(&conversation(&state, id)),
        (_, ["routing", "queues"]) => ok(&page(&state, request.uri().query().unwrap_or_default())),
        (_, ["routing", "queues", id]) => {
            ok(&json!({"id": id, "memberCount": 9, "joinedMemberCount": 9}))
        }
        _ => status(404, Bytes::from_static(b"{}")),
    })
}

fn status(code: u16, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::from(body));
    *answer.status_mut() = code.try_into().unwrap_or_default();
    answer
}

fn ok(body: &Value) -> Answer {
    let mut answer = status(200, body.to_string().into());
    answer
        .headers_mut()
        .insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    answer
}

fn control(state: &State, hold: bool) -> Answer {
    state.hold.send_replace(hold);
    status(204, Bytes::new())
}

impl State {
    /// Counts a request in the minute that began with the first one after the last minute.
    fn is_over_limit(&self) -> bool {
        let now = Instant::now();
        let (begun, count) = match self.window.get() {
            Some((begun, count)) if now.duration_since(begun) < WINDOW => (begun, count),
            _ => (now, 0),
        };
        self.window.set(Some((begun, count.saturating_add(1))));
        count >= self.limit
    }
}

fn limited(state: &State) -> Answer {
    state.refused.set(state.refused.get() + 1);
    let left =
        state.window.get().map_or(WINDOW, |(begun, _)| WINDOW.saturating_sub(begun.elapsed()));
    let mut answer = status(429, Bytes::from_static(b"{\"code\":\"too.many.requests\"}"));
    answer.headers_mut().insert("retry-after", (left.as_secs() + 1).into());
    answer
}

/// Counts a command that waits for its answer, until it is answered or its connection is gone.
struct Held<'a>(&'a Cell<u64>);

impl<'a> Held<'a> {
    fn new(state: &'a State) -> Self {
        state.held.set(state.held.get() + 1);
        Self(&state.held)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

async fn command(state: &State, id: String) -> Answer {
    state.commands.set(state.commands.get() + 1);
    let mut hold = state.hold.subscribe();
    if *hold.borrow_and_update() {
        state.moved.borrow_mut().insert(id);
        let _held = Held::new(state);
        let _ = hold.wait_for(|held| !held).await;
    }
    status(202, Bytes::new())
}

fn conversation(state: &State, id: &str) -> Value {
    let moved = state.moved.borrow().contains(id);
    let (leg, purpose, queue) =
        if moved { ("b1000000-0000-4000-8000-000000000002", "acd", 0) } else { (LEG, "agent", 1) };
    json!({
        "id": id,
        "startTime": "2026-11-22T12:00:00.000Z",
        "participants": [
            {"id": "b1000000-0000-4000-8000-000000000000", "purpose": "customer",
             "calls": [{"id": "d1000000-0000-4000-8000-000000000000", "state": "connected"}]},
            {"id": leg, "purpose": purpose, "queueId": queue_id(queue),
             "calls": [{"id": "d1000000-0000-4000-8000-000000000001", "state": "connected"}]},
        ],
    })
}

fn queue_id(number: usize) -> String {
    format!("a1000000-0000-4000-8000-{number:012}")
}

fn page(state: &State, query: &str) -> Value {
    let read = |name: &str, default: usize| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let mut values = pairs.filter_map(|(key, value)| (key == name).then_some(value));
        values.next().and_then(|value| value.parse().ok()).unwrap_or(default).max(1)
    };
    let (size, number) = (read("pageSize", 25), read("pageNumber", 1));
    let first = (number - 1) * size;
    let entities: Vec<Value> = (first..state.queues.min(first + size))
        .map(|number| {
            json!({"id": queue_id(number), "name": format!("Queue {number}"),
            "division": {"id": "e1000000-0000-4000-8000-000000000000", "name": "Home"}})
        })
        .collect();
    json!({
        "entities": entities, "pageSize": size, "pageNumber": number, "total": state.queues,
        "pageCount": state.queues.div_ceil(size),
    })
}
