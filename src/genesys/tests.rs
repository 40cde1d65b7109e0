//! The gateway over real sockets, against a scripted stand-in.

use std::sync::Mutex;

use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::TcpSocket;

use self::scripted::{Act, Scripted, Seen};
use super::*;
use crate::{
    clock::{FixedRandom, ManualClock},
    transfer::{
        gateway::Repeat,
        ids::ParticipantId,
        model::{QueueName, TransferType},
    },
};

mod commands;
mod queues;
mod reads;
mod scripted;
mod tokens;

const CONVERSATION: &str = "11111111-1111-4111-8111-111111111111";
const PARTICIPANT: &str = "22222222-2222-4222-8222-222222222222";
const QUEUE: &str = "33333333-3333-4333-8333-333333333333";

/// How long an answer is waited for that never comes.
const HASTY: Duration = Duration::from_millis(500);

/// Settings under which nothing is given up that comes, however slow the machine is.
pub(super) fn settings() -> config::Genesys {
    config::Genesys {
        region: config::Region::Sandbox,
        client_id: Some("client-1".to_owned()),
        client_secret: Some(SecretString::from("secret-1")),
        private_key: None,
        api_url: None,
        login_url: None,
        transfer_api: TransferApi::ParticipantReplace,
        bulk_looks: config::BulkLooks::Auto,
        queue_cache_ttl: Duration::from_mins(5),
        requests_per_minute: 100_000,
        connect_timeout: Duration::from_secs(2),
        token_timeout: Duration::from_secs(5),
        read_timeout: Duration::from_secs(20),
        command_timeout: Duration::from_secs(20),
        patch_timeout: Duration::from_secs(20),
    }
}

/// Settings for an upstream that acts so: what hangs is given up soon.
fn settings_for(acts: &[Act]) -> config::Genesys {
    if !acts.iter().any(|act| matches!(act, Act::Hang)) {
        return settings();
    }
    config::Genesys {
        read_timeout: HASTY,
        command_timeout: HASTY,
        patch_timeout: HASTY,
        ..settings()
    }
}

/// An address of ours without a listener, while the socket lives.
fn nobody() -> (TcpSocket, Url) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = Url::parse(&format!("http://{}/", socket.local_addr().unwrap())).unwrap();
    (socket, url)
}

fn gateway_with(upstream: &Scripted, settings: &config::Genesys) -> Gateway {
    let hosts = Hosts { api: upstream.url.clone(), login: upstream.url.clone() };
    gateway_at(&hosts, settings)
}

fn gateway_at(hosts: &Hosts, settings: &config::Genesys) -> Gateway {
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    // The smallest jitter, so that tests are quick.
    let random = Arc::new(FixedRandom(0.01));
    let (shutdown, tracker) = (CancellationToken::new(), TaskTracker::new());
    let over = CancellationToken::new();
    let metrics = Arc::default();
    Gateway::new(settings, 30, hosts, clock, random, shutdown, &over, tracker, &metrics).unwrap()
}

fn gateway(upstream: &Scripted) -> Gateway {
    gateway_with(upstream, &settings())
}

fn ctx() -> CallContext {
    CallContext::new(Instant::now() + Duration::from_secs(20), Lane::Single)
}

fn conversation_id() -> ConversationId {
    CONVERSATION.parse().unwrap()
}

fn command() -> MoveCommand {
    let participant: ParticipantId = PARTICIPANT.parse().unwrap();
    MoveCommand {
        conversation_id: conversation_id(),
        participant_id: Some(participant),
        queue: Queue { id: QUEUE.parse().unwrap(), name: "Sales".to_owned(), division: None },
        transfer_type: TransferType::Unattended,
        routing: RoutingChange::default(),
    }
}

/// Sends the command as the domain does, less its looks and pauses: as often as it may be.
async fn send(gateway: &Gateway, ctx: &CallContext, command: &MoveCommand) -> Sent {
    for attempt in 1.. {
        let Tried { sent, repeat } = gateway.send(ctx, command, attempt).await;
        if repeat == Repeat::Never || attempt == 4 {
            return sent;
        }
    }
    unreachable!("the fourth is the last")
}

fn conversation() -> Value {
    json!({"id": CONVERSATION, "participants": [
        {"id": PARTICIPANT, "purpose": "agent", "calls": [{"state": "connected"}]},
    ]})
}

/// What a healthy Genesys would answer.
fn healthy(seen: &Seen) -> Act {
    match (seen.method.as_str(), seen.path.as_str()) {
        ("POST", "/oauth/token") => Act::json(200, &token("t", 86_400)),
        ("GET", path) if path.starts_with("/api/v2/conversations/") => {
            Act::json(200, &conversation())
        }
        ("POST", path) if path.ends_with("/replace/queue") => Act::empty(202),
        ("PATCH", _) => Act::json(200, &json!({})),
        _ => Act::json(404, &json!({"code": "not.found", "message": "Not found", "status": 404})),
    }
}

fn token(token: &str, seconds: u64) -> Value {
    json!({"access_token": token, "token_type": "bearer", "expires_in": seconds})
}

async fn upstream(script: impl Fn(&Seen) -> Option<Act> + Send + Sync + 'static) -> Scripted {
    Scripted::start(move |seen| script(seen).unwrap_or_else(|| healthy(seen))).await
}
