//! How conversations come into being, in each shape an operator may want to see.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::{
    Conversation, LegSpec, Media, Purpose, QueueRef, Refused, Shape, World, before,
    model::{Disconnect, Participant, Routing, Session, SessionState},
};

/// A conversation to be made. May hold a number, so it has no `Debug`.
#[derive(Clone)]
pub struct NewConversation {
    /// Its id; one is made when absent.
    pub id: Option<Uuid>,
    /// Its legs.
    pub shape: Shape,
    /// Legs instead of the shape's.
    pub legs: Option<Vec<LegSpec>>,
    /// Ids for the shape's legs, by position; used by the seed.
    pub leg_ids: Vec<Uuid>,
    /// Its medium.
    pub media: Media,
    /// Its queue.
    pub queue: Option<Uuid>,
    /// Priority in the queue.
    pub priority: i64,
    /// Skills asked for.
    pub skills: Vec<Uuid>,
    /// Language asked for.
    pub language: Option<Uuid>,
    /// How long it is in its present state already.
    pub age: SignedDuration,
    /// The customer's number; a fictitious one when absent.
    pub ani: Option<String>,
    /// The number called; a fictitious one when absent.
    pub dnis: Option<String>,
    /// Free-form data on the customer's leg.
    pub attributes: BTreeMap<String, String>,
}

impl Default for NewConversation {
    fn default() -> Self {
        Self {
            id: None,
            shape: Shape::default(),
            legs: None,
            leg_ids: Vec::new(),
            media: Media::Voice,
            queue: None,
            priority: 0,
            skills: Vec::new(),
            language: None,
            age: SignedDuration::from_secs(60),
            ani: None,
            dnis: None,
            attributes: BTreeMap::new(),
        }
    }
}

/// How long before its present state a made conversation began, and entered the queue it left.
const MENU: SignedDuration = SignedDuration::from_secs(30);
const QUEUE: SignedDuration = SignedDuration::from_secs(15);

/// When the parts of a made conversation happened.
struct Times {
    began: Timestamp,
    menu_left: Timestamp,
    queued: Timestamp,
    since: Timestamp,
    now: Timestamp,
}

impl Times {
    fn new(age: SignedDuration, specs: &[LegSpec], now: Timestamp) -> Self {
        let since = before(now, age);
        let queued = before(since, QUEUE);
        let queue_left = specs.iter().any(|leg| leg.purpose == Purpose::Acd && leg.ended);
        let menu_left = if queue_left { queued } else { since };
        Self { began: before(since, MENU), menu_left, queued, since, now }
    }

    fn start(&self, spec: &LegSpec) -> Timestamp {
        match spec.purpose {
            Purpose::Customer | Purpose::External | Purpose::Ivr => self.began,
            Purpose::Acd if spec.ended => self.queued,
            _ => self.since,
        }
    }

    fn end(&self, spec: &LegSpec) -> Timestamp {
        if spec.purpose == Purpose::Ivr { self.menu_left } else { self.since }
    }
}

impl World {
    /// Makes a conversation.
    ///
    /// # Errors
    /// An unknown queue, a queue missing, an id taken, a world that is full.
    pub fn add_conversation(
        &mut self,
        new: NewConversation,
        now: Timestamp,
    ) -> Result<Uuid, Refused> {
        let needs_queue = new.legs.is_none() && new.shape.needs_queue();
        let queue = new.queue.map(|id| self.queue_ref(id)).transpose()?;
        if needs_queue && queue.is_none() {
            return Err(Refused::DoesNotFit("this shape needs a queue"));
        }
        let division = queue
            .as_ref()
            .and_then(|queue| self.queue(queue.id))
            .map_or_else(|| self.home.clone(), |queue| queue.division.clone());
        let specs = new.legs.clone().unwrap_or_else(|| new.shape.legs());
        let times = Times::new(new.age, &specs, now);
        let mut participants = Vec::with_capacity(specs.len());
        for (position, spec) in specs.iter().enumerate() {
            let id = spec.id.or_else(|| new.leg_ids.get(position).copied());
            participants.push(self.leg(&new, spec, id, queue.as_ref(), &times)?);
        }
        let over = participants.iter().all(|leg| leg.ended.is_some());
        let id = new.id.unwrap_or_else(|| self.new_id(now));
        let (ani, dnis) = addresses(new.media, id);
        self.insert(Conversation {
            id,
            media: new.media,
            started: times.began,
            ended: over.then_some(times.since),
            ani: new.ani.unwrap_or(ani),
            dnis: new.dnis.unwrap_or(dnis),
            participants,
            transfers: VecDeque::new(),
            blocked: None,
            division,
        })
    }

    fn leg(
        &self,
        new: &NewConversation,
        spec: &LegSpec,
        id: Option<Uuid>,
        queue: Option<&QueueRef>,
        times: &Times,
    ) -> Result<Participant, Refused> {
        let (started, now) = (times.start(spec), times.now);
        let through_queue = matches!(spec.purpose, Purpose::Acd | Purpose::Agent);
        let queue = match spec.queue_id {
            Some(id) => Some(self.queue_ref(id)?),
            None => queue.filter(|_| through_queue).cloned(),
        };
        let routing = (through_queue && queue.is_some()).then(|| Routing {
            priority: new.priority,
            skills: new.skills.clone(),
            language: new.language,
            ..Routing::default()
        });
        let mut first = session(self.new_id(now), spec.state, started);
        first.held = spec.held;
        first.held_since = spec.held.then_some(times.since);
        let mut sessions = vec![first];
        sessions
            .extend(spec.second_call.map(|state| session(self.new_id(now), state, times.since)));
        let outside = spec.purpose.is_outside();
        let mut leg = Participant {
            id: id.unwrap_or_else(|| self.new_id(now)),
            purpose: spec.purpose,
            name: name_of(spec.purpose, queue.as_ref()),
            queue,
            user: spec.purpose.is_staff().then(|| self.new_id(now)),
            supervision: spec.supervision,
            started,
            ended: None,
            sessions,
            routing,
            attributes: if outside { new.attributes.clone() } else { BTreeMap::new() },
        };
        if spec.ended {
            let how = match spec.purpose {
                _ if outside => Disconnect::Endpoint,
                Purpose::Agent | Purpose::User => Disconnect::Peer,
                _ => Disconnect::Transfer,
            };
            super::moves::end_leg(&mut leg, how, times.end(spec));
        }
        Ok(leg)
    }
}

/// A session in that state since `at`.
pub(super) fn session(id: Uuid, state: SessionState, at: Timestamp) -> Session {
    Session {
        id,
        state,
        held: false,
        disconnect: state.is_over().then_some(Disconnect::Client),
        alerting: state.is_ringing().then_some(at),
        connected: (state == SessionState::Connected).then_some(at),
        held_since: None,
        disconnected: state.is_over().then_some(at),
    }
}

/// The display name of a leg.
pub(super) fn name_of(purpose: Purpose, queue: Option<&QueueRef>) -> Option<String> {
    match purpose {
        Purpose::Customer | Purpose::External => Some("Sample Customer".to_owned()),
        Purpose::Agent | Purpose::User => Some("Sample Agent".to_owned()),
        Purpose::Acd => queue.map(|queue| queue.name.clone()),
        Purpose::Ivr => Some("Main Menu".to_owned()),
        _ => None,
    }
}

/// Fictitious addresses (numbers of the 555-01xx block, domains of RFC 2606).
fn addresses(media: Media, id: Uuid) -> (String, String) {
    let last = id.as_bytes().last().copied().unwrap_or_default() % 100;
    match media {
        Media::Voice | Media::Callback => {
            (format!("tel:+1317555{:04}", 100 + u32::from(last)), "tel:+13175550100".to_owned())
        }
        Media::Email => (format!("customer{last}@example.com"), "support@example.org".to_owned()),
        Media::Chat | Media::Message => (format!("visitor-{last}"), "web".to_owned()),
    }
}
