//! Holds what the service says against what the sandbox's ledger shows.

use std::collections::{BTreeMap, BTreeSet};

use genesys_transfer::sandbox::{
    Sandbox,
    ledger::{Effect, Request},
};
use serde_json::Value;
use uuid::Uuid;

use super::process::until;

/// Waits until Genesys is done: every request answered or cut off, every effect there or dropped.
pub(crate) async fn quiet(sandbox: &Sandbox) {
    sandbox.ledger_reaches(|totals| totals.finished == totals.requests).await;
    let is_pending = |one: &Request| one.effect == Effect::Pending;
    until(|| async { (!sandbox.commands().iter().any(is_pending)).then_some(()) }).await;
}

/// Everything that breaks one of the promises, a line each; empty when they are kept.
/// `transfers` are all the service knows, `named` the ids that its answers named.
pub(crate) fn broken_promises(
    sandbox: &Sandbox,
    transfers: &[Value],
    named: &BTreeSet<Uuid>,
) -> Vec<String> {
    let mut broken = Vec::new();
    let commands = commands_by_conversation(sandbox);
    let mut moves: BTreeMap<Uuid, usize> = BTreeMap::new();
    for entry in sandbox.moves() {
        *moves.entry(entry.conversation_id).or_default() += 1;
    }
    let mut told: BTreeMap<Uuid, Vec<&str>> = BTreeMap::new();
    for transfer in transfers {
        let conversation = uuid(&transfer["conversationId"]);
        told.entry(conversation).or_default().push(transfer["status"].as_str().unwrap());
    }
    let known: BTreeSet<Uuid> = transfers.iter().map(|transfer| uuid(&transfer["id"])).collect();
    for id in named.difference(&known) {
        broken.push(format!("lost: {id} was named in an answer"));
    }
    for (conversation, commands) in &commands {
        if let Some(line) = asked_twice(commands) {
            broken.push(format!("duplicate: {conversation} {line}"));
        }
        if !told.contains_key(conversation) {
            broken.push(format!("lost: {conversation} was asked for without a record"));
        }
    }
    for (conversation, statuses) in &told {
        let count = |wanted: &[&str]| statuses.iter().filter(|s| wanted.contains(s)).count();
        let moved = moves.get(conversation).copied().unwrap_or_default();
        let (happened, open) = (count(&["accepted", "confirmed"]), count(&["unknown", "pending"]));
        if happened > moved || moved > happened + open {
            broken.push(format!("false: {conversation} moved {moved} times, told {statuses:?}"));
        }
    }
    broken
}

/// The commands the sandbox got, by conversation and in order.
pub(crate) fn commands_by_conversation(sandbox: &Sandbox) -> BTreeMap<Uuid, Vec<Request>> {
    let mut all: BTreeMap<Uuid, Vec<Request>> = BTreeMap::new();
    for command in sandbox.commands() {
        let conversation = command.path.split('/').nth(4).unwrap().parse().unwrap();
        all.entry(conversation).or_default().push(command);
    }
    all
}

/// Whether Genesys refused it because its leg had ended, and no other names that leg: a picture of
/// many calls may be old.
pub(crate) fn is_late(one: &Request, all: &[Request]) -> bool {
    let refused = matches!(one.status, Some(404 | 409)) && one.effect == Effect::None;
    let same = || all.iter().filter(|other| other.path == one.path);
    refused && (same().count() == 1 || same().any(|other| other.effect != Effect::None))
}

/// Another command may follow only one that was certainly not carried out (401, 429), and once one
/// that Genesys finished without effect (500, 503).
fn asked_twice(commands: &[Request]) -> Option<String> {
    let commands: Vec<&Request> = commands.iter().filter(|one| !is_late(one, commands)).collect();
    let (_, earlier) = commands.split_last()?;
    let finished = |one: &&&Request| matches!(one.status, Some(500 | 503));
    let harmless = |one: &&Request| {
        one.effect == Effect::None && matches!(one.status, Some(401 | 429 | 500 | 503))
    };
    let wrong = !earlier.iter().all(harmless) || earlier.iter().filter(finished).count() > 1;
    wrong.then(|| {
        let seen: Vec<_> = commands.iter().map(|one| (one.status, one.effect)).collect();
        format!("{seen:?}")
    })
}

/// The id in a JSON string.
pub(crate) fn uuid(value: &Value) -> Uuid {
    value.as_str().unwrap().parse().unwrap()
}
