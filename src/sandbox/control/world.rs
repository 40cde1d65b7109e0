//! `/sandbox/queues` and `/sandbox/conversations`

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{ControlError, ControlResult, created, id, number, ok, page, read};
use crate::sandbox::{
    handler::Context,
    wire::time,
    world::{
        Act, Blocked, MediaType, NewConversation, Shape, World, WorldConversation, WorldError,
        WorldQueue, model::WorldLeg, only,
    },
};

/// Queues made by one request at most, and listed by one request at most.
const MAX_QUEUES_AT_ONCE: usize = 50_000;
/// Calls of a queue's line that are shown when no number is asked for.
const USUAL_NEXT: usize = 10;
/// Longest queue name, in characters.
const MAX_NAME: usize = 256;

fn queue_view(world: &World, queue: &WorldQueue) -> Value {
    let waiting =
        MediaType::ALL.into_iter().map(|media| (media, world.really_waiting(queue.id, media)));
    json!({
        "id": queue.id,
        "name": queue.name,
        "division": {"id": queue.division.id, "name": queue.division.name},
        "memberCount": queue.member_count,
        "joinedMemberCount": queue.joined_count,
        "waiting": waiting.filter(|(_, count)| *count > 0).collect::<BTreeMap<_, _>>(),
    })
}

pub fn list_queues(context: &mut Context<'_>, (): ()) -> ControlResult {
    let (limit, offset) = (number(context, "limit", 100)?, number(context, "offset", 0)?);
    let fragment = context.parameter("name").unwrap_or_default().to_lowercase();
    let world = &context.state.world;
    let fits = |queue: &&WorldQueue| queue.name.to_lowercase().contains(&fragment);
    let found: Vec<&WorldQueue> = world.queues().filter(fits).collect();
    let part = (offset, limit.min(MAX_QUEUES_AT_ONCE));
    page(&found, part, |queue| queue_view(world, queue))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewQueues {
    id: Option<Uuid>,
    name: Option<String>,
    division: Option<String>,
    #[serde(default)]
    member_count: u32,
    count: Option<usize>,
    prefix: Option<String>,
}

pub fn create_queues(context: &mut Context<'_>, (): ()) -> ControlResult {
    let new: NewQueues = read(context)?;
    let names: Vec<String> = match (&new.name, new.count) {
        (Some(name), None) => vec![checked(name)?.to_owned()],
        (None, Some(count)) if count <= MAX_QUEUES_AT_ONCE => {
            let prefix = checked(new.prefix.as_deref().unwrap_or("Queue "))?;
            (1..=count).map(|number| format!("{prefix}{number:05}")).collect()
        }
        _ => {
            let text = "the body: {\"name\"} or {\"count\" up to 50000, \"prefix\"}";
            return Err(ControlError::bad(text));
        }
    };
    if new.id.is_some() && names.len() > 1 {
        return Err(ControlError::bad("id: for a single queue only"));
    }
    let (world, now) = (&mut context.state.world, context.now);
    let division = world.division(new.division.as_deref(), now)?;
    let add =
        |name: &String| world.add_queue(new.id, name, division.clone(), new.member_count, now);
    let ids = names.iter().map(add).collect::<Result<Vec<Uuid>, _>>()?;
    match (ids.as_slice(), names.as_slice()) {
        ([id], [name]) => created(&json!({"id": id, "name": name})),
        _ => created(&json!({"count": ids.len()})),
    }
}

fn checked(name: &str) -> Result<&str, ControlError> {
    if name.is_empty() || name.chars().count() > MAX_NAME {
        return Err(ControlError::bad("name: 1 to 256 characters"));
    }
    Ok(name)
}

pub fn show_queue(context: &mut Context<'_>, id: Uuid) -> ControlResult {
    let next = number(context, "next", USUAL_NEXT)?.min(MAX_QUEUES_AT_ONCE);
    let world = &context.state.world;
    let queue = world.queue(id).ok_or(WorldError::UnknownQueue)?;
    let mut view = queue_view(world, queue);
    let line = world.served_next(id, MediaType::Voice);
    let served = line.iter().take(next).map(|served| {
        json!({
            "conversationId": served.conversation,
            "waitingSince": time(served.since),
            "priority": served.priority,
            "score": served.score,
        })
    });
    if let Some(view) = view.as_object_mut() {
        view.insert("next".to_owned(), served.collect());
    }
    ok(&view)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct QueueChange {
    name: Option<String>,
    joined_member_count: Option<u32>,
}

pub fn change_queue(context: &mut Context<'_>, id: Uuid) -> ControlResult {
    let body: QueueChange = read(context)?;
    let name = body.name.as_deref().map(checked).transpose()?;
    let world = &mut context.state.world;
    if let Some(name) = name {
        world.rename_queue(id, name, context.now)?;
    }
    if let Some(count) = body.joined_member_count {
        world.set_joined(id, count)?;
    }
    ok(&queue_view(world, world.queue(id).ok_or(WorldError::UnknownQueue)?))
}

/// Newcomers: how often one calls, and how many.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Newcomers {
    every_ms: u32,
    count: usize,
}

pub fn keep_calling(context: &mut Context<'_>, id: Uuid) -> ControlResult {
    let body: Newcomers = read(context)?;
    if body.every_ms == 0 || !(1..=MAX_AT_ONCE).contains(&body.count) {
        return Err(ControlError::bad("everyMs: at least 1; count: 1 to 10000"));
    }
    context.state.world.queue(id).ok_or(WorldError::UnknownQueue)?;
    let pace = (Duration::from_millis(body.every_ms.into()), body.count);
    context.core.repeat(context.state.epoch, pace, move |state, now| {
        let (shape, queue) = (Shape::Waiting, Some(id));
        let new = NewConversation { shape, queue, ..NewConversation::default() };
        // A queue that is deleted meanwhile gets no more calls.
        let _ = state.world.add_conversation(new, now);
    });
    created(&json!({"queueId": id, "count": body.count}))
}

pub fn delete_queue(context: &mut Context<'_>, id: Uuid) -> ControlResult {
    context.state.world.remove_queue(id)?;
    ok(&json!({"deleted": id}))
}

/// Conversations made by one request at most, and listed by one request at most.
const MAX_AT_ONCE: usize = 10_000;
/// Legs of one conversation to be made at most.
const MAX_LEGS: usize = 100;

fn view(conversation: &WorldConversation) -> Value {
    let legs = conversation.participants.iter().map(|leg| {
        let session = leg.main_session();
        json!({
            "participantId": leg.id,
            "purpose": leg.purpose,
            "state": session.map(|it| it.state.shown(conversation.media)),
            "held": session.is_some_and(|it| it.held),
            "open": leg.is_open(),
            "disconnectType": session.and_then(|it| it.disconnect),
            "queueId": leg.queue_id(),
            "queueName": leg.queue.as_ref().map(|queue| &queue.name),
            "since": time(leg.started),
        })
    });
    let waiting = conversation.waiting_leg();
    let routing = conversation.routing();
    json!({
        "id": conversation.id,
        "media": conversation.media,
        "state": conversation.summary(),
        "queueId": waiting.and_then(WorldLeg::queue_id),
        "waitingSince": waiting.map(|leg| time(leg.started)),
        "priority": routing.map(|routing| routing.priority),
        "skillIds": routing.map(|routing| &routing.skills),
        "languageId": routing.and_then(|routing| routing.language),
        "startedAt": time(conversation.started),
        "endedAt": conversation.ended.map(time),
        "transfers": conversation.transfers.len(),
        "legs": legs.collect::<Value>(),
    })
}

pub fn list_conversations(context: &mut Context<'_>, (): ()) -> ControlResult {
    let (limit, offset) = (number(context, "limit", 100)?, number(context, "offset", 0)?);
    let (state, queue) = (context.parameter("state"), id(context, "queueId")?);
    let fits = |it: &&WorldConversation| {
        state.as_deref().is_none_or(|word| it.summary() == word)
            && (queue.is_none() || it.any(|leg| leg.is_open() && leg.queue_id() == queue))
    };
    let mut found: Vec<_> = context.state.world.conversations().filter(fits).collect();
    found.sort_unstable_by_key(|it| (it.started, it.id));
    page(&found, (offset, limit.min(MAX_AT_ONCE)), |it| view(it))
}

fn shown(world: &World, id: Uuid) -> Result<Value, ControlError> {
    Ok(view(world.conversation(id).ok_or(WorldError::UnknownConversation)?))
}

pub fn show_conversation(context: &mut Context<'_>, id: Uuid) -> ControlResult {
    ok(&shown(&context.state.world, id)?)
}

/// What an order for conversations has besides a [`NewConversation`].
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreationOptions {
    queue_name: Option<String>,
    since: Option<Timestamp>,
    #[serde(default)]
    since_seconds: u32,
    count: Option<usize>,
}

fn part<T: DeserializeOwned>(members: Map<String, Value>) -> Result<T, ControlError> {
    serde_json::from_value(Value::Object(members))
        .map_err(|error| ControlError::bad(format!("the body: {error}")))
}

/// Makes conversations; the first is the oldest, each next one second younger.
pub fn create_conversations(context: &mut Context<'_>, (): ()) -> ControlResult {
    let mut body: Map<String, Value> = read(context)?;
    let names = ["queueName", "since", "sinceSeconds", "count"];
    let options = names.iter().filter_map(|name| body.remove_entry(*name)).collect();
    let (options, mut new): (CreationOptions, NewConversation) = (part(options)?, part(body)?);
    let count = options.count.unwrap_or(1);
    if !(1..=MAX_AT_ONCE).contains(&count) {
        return Err(ControlError::bad("count: 1 to 10000"));
    }
    if count > 1 && new.id.is_some() {
        return Err(ControlError::bad("id: for a single conversation only"));
    }
    if new.legs.as_ref().is_some_and(|legs| legs.is_empty() || legs.len() > MAX_LEGS) {
        return Err(ControlError::bad("legs: 1 to 100"));
    }
    let (world, now) = (&mut context.state.world, context.now);
    if let (None, Some(name)) = (new.queue, &options.queue_name) {
        new.queue = Some(only(world.queues_named(name))?);
    }
    let youngest = match options.since {
        Some(since) => now.duration_since(since),
        None => SignedDuration::from_secs(options.since_seconds.into()),
    };
    let add = |younger: usize| {
        let more = SignedDuration::from_secs(i64::try_from(younger).unwrap_or_default());
        let age = youngest.saturating_add(more);
        world.add_conversation(NewConversation { age, ..new.clone() }, now)
    };
    let made = (0..count).rev().map(add).collect::<Result<Vec<Uuid>, _>>()?;
    match made.as_slice() {
        [id] => created(&shown(world, *id)?),
        ids => created(&json!({"ids": ids})),
    }
}

pub fn delete_conversation(context: &mut Context<'_>, id: Uuid) -> ControlResult {
    context.state.world.remove_conversation(id)?;
    ok(&json!({"deleted": id}))
}

pub fn act(context: &mut Context<'_>, (id, word): (Uuid, String)) -> ControlResult {
    let act: Act = serde_json::from_value(json!(word))
        .map_err(|_| ControlError::bad(word + ": one of " + &json!(Act::ALL).to_string()))?;
    context.state.world.act(id, act, context.now)?;
    show_conversation(context, id)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BlockBody {
    state: Option<Blocked>,
}

pub fn block(context: &mut Context<'_>, id: Uuid) -> ControlResult {
    let body: BlockBody = read(context)?;
    context.state.world.block(id, body.state, context.now)?;
    show_conversation(context, id)
}
