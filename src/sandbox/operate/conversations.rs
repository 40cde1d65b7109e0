//! `/sandbox/conversations`

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, de::IntoDeserializer};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Oops, Order, Outcome, Told};
use crate::sandbox::{
    state::State,
    wire::Stamp,
    world::{
        Act, Blocked, Conversation, LegSpec, Media, NewConversation, Refused, Shape,
        model::Disconnect,
    },
};

/// Conversations made by one request at most, and listed by one request at most.
const MAX_AT_ONCE: usize = 10_000;
/// Legs of one conversation to be made at most.
const MAX_LEGS: usize = 100;

fn view(conversation: &Conversation) -> Value {
    let legs: Vec<Value> = conversation
        .participants
        .iter()
        .map(|leg| {
            let session = leg.main_session();
            json!({
                "participantId": leg.id,
                "purpose": leg.purpose.word(),
                "state": session.map(|it| it.state.word(conversation.media)),
                "held": session.is_some_and(|it| it.held),
                "open": leg.is_open(),
                "disconnectType": session.and_then(|it| it.disconnect).map(Disconnect::word),
                "queueId": leg.queue.as_ref().map(|queue| queue.id),
                "queueName": leg.queue.as_ref().map(|queue| &queue.name),
                "since": Stamp(leg.started),
            })
        })
        .collect();
    let waiting = conversation.waiting_leg();
    let routing = conversation.routing();
    json!({
        "id": conversation.id,
        "media": conversation.media.word(),
        "state": conversation.summary(),
        "queueId": waiting.and_then(|leg| leg.queue.as_ref()).map(|queue| queue.id),
        "waitingSince": waiting.map(|leg| Stamp(leg.started)),
        "priority": routing.map(|routing| routing.priority),
        "skillIds": routing.map(|routing| &routing.skills),
        "languageId": routing.and_then(|routing| routing.language),
        "startedAt": Stamp(conversation.started),
        "endedAt": conversation.ended.map(Stamp),
        "transfers": conversation.transfers.len(),
        "legs": legs,
    })
}

pub(super) fn list(order: &Order<'_>) -> Outcome {
    let (limit, offset) =
        (order.number("limit", 100)?.min(MAX_AT_ONCE), order.number("offset", 0)?);
    let state_word = order.parameter("state");
    let queue = order.parameter("queueId").map(|text| super::id_of(&text)).transpose()?;
    Ok(order.shared.with(|state| {
        let mut found: Vec<&Conversation> = state
            .world
            .conversations()
            .filter(|it| state_word.as_deref().is_none_or(|word| it.summary() == word))
            .filter(|it| {
                queue.is_none_or(|id| {
                    let here = |leg: &&crate::sandbox::world::model::Participant| {
                        leg.is_open() && leg.queue.as_ref().is_some_and(|queue| queue.id == id)
                    };
                    it.participants.iter().any(|leg| here(&leg))
                })
            })
            .collect();
        found.sort_unstable_by_key(|it| (it.started, it.id));
        let items: Vec<Value> = found.iter().skip(offset).take(limit).map(|it| view(it)).collect();
        Told::ok(json!({"total": found.len(), "items": items}))
    }))
}

pub(super) fn show(order: &Order<'_>, id: Uuid) -> Outcome {
    order.shared.with(|state| shown(state, id)).map(Told::ok)
}

fn shown(state: &State, id: Uuid) -> Result<Value, Oops> {
    Ok(view(state.world.conversation(id).ok_or(Refused::UnknownConversation)?))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewBody {
    id: Option<Uuid>,
    #[serde(default)]
    shape: Shape,
    legs: Option<Vec<LegSpec>>,
    media: Option<Media>,
    queue_id: Option<Uuid>,
    queue_name: Option<String>,
    #[serde(default)]
    priority: i64,
    #[serde(default)]
    skill_ids: Vec<Uuid>,
    language_id: Option<Uuid>,
    since: Option<Timestamp>,
    #[serde(default)]
    since_seconds: u32,
    ani: Option<String>,
    dnis: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    count: Option<usize>,
}

impl NewBody {
    fn check(&self) -> Result<(), Oops> {
        if self.count.is_some_and(|count| !(1..=MAX_AT_ONCE).contains(&count)) {
            return Err(Oops::bad("count: 1 to 10000"));
        }
        if self.count.is_some_and(|count| count > 1) && self.id.is_some() {
            return Err(Oops::bad("id: for a single conversation only"));
        }
        if self.legs.as_ref().is_some_and(|legs| legs.is_empty() || legs.len() > MAX_LEGS) {
            return Err(Oops::bad("legs: 1 to 100"));
        }
        Ok(())
    }

    fn queue(&self, state: &State) -> Result<Option<Uuid>, Refused> {
        match (&self.queue_id, &self.queue_name) {
            (Some(id), _) => Ok(Some(*id)),
            (None, None) => Ok(None),
            (None, Some(name)) => {
                let mut named = state.world.queues_named(name);
                let first = named.next().ok_or(Refused::UnknownQueue)?;
                if named.next().is_some() {
                    return Err(Refused::AmbiguousQueue);
                }
                Ok(Some(first.id))
            }
        }
    }

    /// The `number`-th (from 0) of `count`; the first is the oldest, each next one second younger.
    fn conversation(&self, queue: Option<Uuid>, age: SignedDuration) -> NewConversation {
        NewConversation {
            id: self.id,
            shape: self.shape,
            legs: self.legs.clone(),
            leg_ids: Vec::new(),
            media: self.media.unwrap_or(Media::Voice),
            queue,
            priority: self.priority,
            skills: self.skill_ids.clone(),
            language: self.language_id,
            age,
            ani: self.ani.clone(),
            dnis: self.dnis.clone(),
            attributes: self.attributes.clone(),
        }
    }
}

pub(super) fn create(order: &Order<'_>) -> Outcome {
    let new: NewBody = order.body()?;
    new.check()?;
    let count = i64::try_from(new.count.unwrap_or(1)).unwrap_or(1);
    let now = order.shared.clock.now();
    let youngest = match new.since {
        Some(since) => now.duration_since(since),
        None => SignedDuration::from_secs(new.since_seconds.into()),
    };
    let made: Result<Vec<Uuid>, Oops> = order.shared.with(|state| {
        let queue = new.queue(state)?;
        let add = |number: i64| {
            let age = youngest.saturating_add(SignedDuration::from_secs(count - 1 - number));
            Ok(state.world.add_conversation(new.conversation(queue, age), now)?)
        };
        (0..count).map(add).collect()
    });
    match made?.as_slice() {
        [id] => order.shared.with(|state| shown(state, *id)).map(Told::created),
        ids => Ok(Told::created(json!({"ids": ids}))),
    }
}

pub(super) fn delete(order: &Order<'_>, id: Uuid) -> Outcome {
    order.shared.with(|state| state.world.remove_conversation(id))?;
    Ok(Told::ok(json!({"deleted": id})))
}

pub(super) fn act(order: &Order<'_>, id: Uuid, word: &str) -> Outcome {
    let plain: serde::de::value::StrDeserializer<'_, serde::de::value::Error> =
        word.into_deserializer();
    let act = Act::deserialize(plain).map_err(|_| {
        let known: Vec<Value> = Act::ALL.iter().map(|act| json!(act)).collect();
        Oops::bad(format!("{word}: one of {}", Value::Array(known)))
    })?;
    let now = order.shared.clock.now();
    order.shared.with(|state| {
        state.world.act(id, act, now)?;
        shown(state, id).map(Told::ok)
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BlockBody {
    state: Option<Blocked>,
}

pub(super) fn block(order: &Order<'_>, id: Uuid) -> Outcome {
    let body: BlockBody = order.body()?;
    let now = order.shared.clock.now();
    order.shared.with(|state| {
        state.world.block(id, body.state, now)?;
        shown(state, id).map(Told::ok)
    })
}
