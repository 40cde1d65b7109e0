//! `/sandbox/queues`

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Oops, Order, Outcome, Told};
use crate::sandbox::{
    state::State,
    wire::Stamp,
    world::{Media, Queue, Refused},
};

/// Queues made by one request at most, and listed by one request at most.
const MAX_AT_ONCE: usize = 50_000;
/// Calls of a queue's line that are shown when no number is asked for.
const USUAL_NEXT: usize = 10;
/// Longest queue name, in characters.
const MAX_NAME: usize = 256;

fn view(state: &State, queue: &Queue) -> Value {
    let waiting: serde_json::Map<String, Value> = Media::ALL
        .into_iter()
        .map(|media| (media, state.world.really_waiting(queue.id, media)))
        .filter(|(_, count)| *count > 0)
        .map(|(media, count)| (media.word().to_owned(), count.into()))
        .collect();
    json!({
        "id": queue.id,
        "name": queue.name,
        "division": {"id": queue.division.id, "name": queue.division.name},
        "memberCount": queue.member_count,
        "joinedMemberCount": queue.joined_count,
        "waiting": waiting,
    })
}

pub(super) fn list(order: &Order<'_>) -> Outcome {
    let (limit, offset) =
        (order.number("limit", 100)?.min(MAX_AT_ONCE), order.number("offset", 0)?);
    let fragment = order.parameter("name").unwrap_or_default().to_lowercase();
    Ok(order.shared.with(|state| {
        let fits = |queue: &&Queue| queue.name.to_lowercase().contains(&fragment);
        let items: Vec<Value> = state
            .world
            .queues()
            .filter(fits)
            .skip(offset)
            .take(limit)
            .map(|queue| view(state, queue))
            .collect();
        let total = state.world.queues().filter(fits).count();
        Told::ok(json!({"total": total, "items": items}))
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewQueue {
    id: Option<Uuid>,
    name: Option<String>,
    division: Option<String>,
    #[serde(default)]
    member_count: u32,
    count: Option<usize>,
    prefix: Option<String>,
}

pub(super) fn create(order: &Order<'_>) -> Outcome {
    let new: NewQueue = order.body()?;
    let names: Vec<String> = match (&new.name, new.count) {
        (Some(name), None) => vec![checked(name)?.to_owned()],
        (None, Some(count)) if count <= MAX_AT_ONCE => {
            let prefix = checked(new.prefix.as_deref().unwrap_or("Queue "))?;
            (1..=count).map(|number| format!("{prefix}{number:05}")).collect()
        }
        _ => {
            let text = "the body: {\"name\"} or {\"count\" up to 50000, \"prefix\"}";
            return Err(Oops::bad(text));
        }
    };
    if new.id.is_some() && names.len() > 1 {
        return Err(Oops::bad("id: for a single queue only"));
    }
    let now = order.shared.clock.now();
    let made: Result<Vec<Uuid>, Refused> = order.shared.with(|state| {
        let division = state.world.division(new.division.as_deref(), now)?;
        let add = |name: &String| {
            state.world.add_queue(new.id, name, division.clone(), new.member_count, now)
        };
        names.iter().map(add).collect()
    });
    let ids = made?;
    match (ids.as_slice(), names.as_slice()) {
        ([id], [name]) => Ok(Told::created(json!({"id": id, "name": name}))),
        _ => Ok(Told::created(json!({"count": ids.len()}))),
    }
}

fn checked(name: &str) -> Result<&str, Oops> {
    if name.is_empty() || name.chars().count() > MAX_NAME {
        return Err(Oops::bad("name: 1 to 256 characters"));
    }
    Ok(name)
}

pub(super) fn show(order: &Order<'_>, id: Uuid) -> Outcome {
    let next = order.number("next", USUAL_NEXT)?.min(MAX_AT_ONCE);
    order.shared.with(|state| {
        let queue = state.world.queue(id).ok_or(Refused::UnknownQueue)?;
        let mut view = view(state, queue);
        if let Some(view) = view.as_object_mut() {
            let line = state.world.served_next(id, Media::Voice);
            let served = line.iter().take(next).map(|served| {
                json!({
                    "conversationId": served.conversation,
                    "waitingSince": Stamp(served.since),
                    "priority": served.priority,
                    "score": served.score,
                })
            });
            view.insert("next".to_owned(), served.collect());
        }
        Ok(Told::ok(view))
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Change {
    name: Option<String>,
    joined_member_count: Option<u32>,
}

pub(super) fn change(order: &Order<'_>, id: Uuid) -> Outcome {
    let body: Change = order.body()?;
    let name = body.name.as_deref().map(checked).transpose()?;
    let now = order.shared.clock.now();
    order.shared.with(|state| {
        if let Some(name) = name {
            state.world.rename_queue(id, name, now)?;
        }
        if let Some(count) = body.joined_member_count {
            state.world.set_joined(id, count)?;
        }
        let queue = state.world.queue(id).ok_or(Refused::UnknownQueue)?;
        Ok(Told::ok(view(state, queue)))
    })
}

pub(super) fn delete(order: &Order<'_>, id: Uuid) -> Outcome {
    order.shared.with(|state| state.world.remove_queue(id))?;
    Ok(Told::ok(json!({"deleted": id})))
}
