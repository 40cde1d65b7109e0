//! What exactly a transfer will do, decided from one look at the conversation. Pure.

use jiff::Timestamp;

use super::{
    conversation::{Conversation, Leg, LegState, Picture, Purpose},
    evidence,
    gateway::RoutingChange,
    ids::ParticipantId,
    legs,
    model::{Previous, Priority, Queue, Transfer, TransferRequest},
    undo,
};
use crate::problem::{Code, FieldError, Problem};

/// What the configured Genesys API can carry, as far as planning depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carrier {
    /// Whether the command itself carries priority and skills.
    pub command_carries_routing: bool,
}

/// What has to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlannedAction {
    /// The leg is replaced by the queue.
    Move,
    /// The call waits in the target queue already; only priority, skills or language are set.
    RoutingOnly,
}

/// A transfer, worked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovePlan {
    /// Move or only set.
    pub action: PlannedAction,
    /// The leg that is replaced; `None` where the API has no legs.
    pub participant_id: Option<ParticipantId>,
    /// That leg as it stands; `None` when it was not looked at.
    pub previous: Option<Previous>,
    /// What is kept to tell later what changed; `None` when it was not looked at.
    pub picture: Option<Picture>,
    /// What is set beside the queue.
    pub routing: RoutingChange,
    /// The priority the answer shows.
    pub priority: Option<Priority>,
    /// The addend the answer shows, with `keepPlace`.
    pub waited_minutes: Option<i64>,
}

/// Plans a transfer without a look, for `transfers.verify = false`: possible only when the leg is
/// named and nothing depends on how the conversation stands.
#[must_use]
pub fn blind(request: &TransferRequest) -> Option<MovePlan> {
    let participant_id = request.participant_id?;
    (!request.keep_place).then(|| MovePlan {
        action: PlannedAction::Move,
        participant_id: Some(participant_id),
        previous: None,
        picture: None,
        routing: asked_routing(request),
        priority: request.priority,
        waited_minutes: None,
    })
}

/// Plans a transfer from a look at the conversation, at `now` by our clock.
///
/// # Errors
/// The problem it is refused with.
pub fn plan(
    request: &TransferRequest,
    queue: &Queue,
    conversation: &Conversation,
    now: Timestamp,
    carrier: Carrier,
) -> Result<MovePlan, Box<Problem>> {
    plan_at_most(request, queue, conversation, Moment { now, most_minutes: i64::MAX }, carrier)
}

/// When a transfer is planned for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The time by our clock.
    pub now: Timestamp,
    /// Most minutes that `keepPlace` may add then.
    pub most_minutes: i64,
}

/// As [`plan`], where a call may not get ahead of others.
///
/// # Errors
/// The problem it is refused with.
pub fn plan_at_most(
    request: &TransferRequest,
    queue: &Queue,
    conversation: &Conversation,
    Moment { now, most_minutes }: Moment,
    carrier: Carrier,
) -> Result<MovePlan, Box<Problem>> {
    let leg = leg(request, conversation)?;
    let action = action(request, queue, leg)?;
    let mut routing = asked_routing(request);
    let mut waited_minutes = None;
    if let Some(terms) = &request.undo {
        let place = undo::place(terms, (conversation, leg), now, most_minutes);
        (routing.priority, waited_minutes) = place.unzip();
        put_back_skills(&mut routing, leg);
    } else if request.keep_place {
        let waited = match action {
            PlannedAction::Move => waited_minutes_of(leg, conversation.clock.theirs(now), carrier)?,
            PlannedAction::RoutingOnly => 0,
        };
        let waited = waited.min(most_minutes);
        let current = current_priority(conversation, leg);
        let base = keep_place_base(request, current, carrier)?;
        let sum = Priority::saturating(base.saturating_add(waited));
        waited_minutes = Some(waited);
        routing.priority = Some(sum);
    }
    let priority = routing.priority;
    if carrier.command_carries_routing {
        keep_skills(&mut routing, leg);
        let stays = action == PlannedAction::RoutingOnly || request.undo.is_some();
        if stays && routing.priority.is_none() {
            // Left out, it would be sent as the API's usual one: where the call waits already,
            // nothing changes but what was asked for.
            routing.priority = current_priority(conversation, leg).map(Priority::saturating);
        }
    } else if priority_stays(request, conversation, leg, priority) {
        // A move keeps the priority: setting the same one again would waste a request.
        routing.priority = None;
    }
    Ok(MovePlan {
        action,
        participant_id: leg.participant_id,
        previous: Some(previous(conversation, leg, carrier)),
        picture: Some(evidence::picture(conversation, queue.id)),
        routing,
        priority,
        waited_minutes,
    })
}

/// The leg before the command, with what an undo has to give back.
fn previous(conversation: &Conversation, leg: &Leg, carrier: Carrier) -> Previous {
    // The newest legs know best. Genesys leaves out what was never set; the command of
    // `conversation-patch` sets what it leaves out.
    let nothing_set = !carrier.command_carries_routing;
    let with_skills = |leg: &Leg| leg.routing.skill_ids.clone();
    let mut others = conversation.legs.iter().rev().filter(|leg| !leg.listens());
    let skill_ids = with_skills(leg).or_else(|| others.find_map(with_skills));
    Previous {
        purpose: leg.purpose.clone(),
        state: leg.state.clone(),
        queue_id: leg.queue_id,
        priority: current_priority(conversation, leg).or(nothing_set.then_some(0)),
        skill_ids: skill_ids.or_else(|| nothing_set.then(Vec::new)),
        language_id: leg.routing.language_id,
        waiting_since: leg.since.filter(|_| leg.state == LegState::Waiting),
    }
}

/// The leg that is replaced.
fn leg<'a>(
    request: &TransferRequest,
    conversation: &'a Conversation,
) -> Result<&'a Leg, Box<Problem>> {
    if let Some(terms) = &request.undo {
        return undo::waiting_leg(terms, conversation);
    }
    let chosen = legs::choose(conversation, request.participant_id)?;
    let leg = conversation.legs.get(chosen.index);
    leg.ok_or_else(|| Box::new(Problem::new(Code::InternalError, "The chosen leg is not there.")))
}

/// Leaves out what need not be set, and takes away a language that was not there before.
fn put_back_skills(routing: &mut RoutingChange, leg: &Leg) {
    let Some(skills) = &routing.skill_ids else { return };
    routing.clears_language = routing.language_id.is_none() && leg.routing.language_id.is_some();
    // A move may take skills away, so that those that were there are set again.
    if skills.is_empty() && leg.routing.skill_ids.as_ref().is_none_or(Vec::is_empty) {
        routing.skill_ids = None;
    }
}

fn asked_routing(request: &TransferRequest) -> RoutingChange {
    RoutingChange {
        priority: request.priority,
        skill_ids: request.skill_ids.clone(),
        language_id: request.language_id,
        clears_language: false,
    }
}

fn action(
    request: &TransferRequest,
    queue: &Queue,
    leg: &Leg,
) -> Result<PlannedAction, Box<Problem>> {
    let waits_in_target = leg.purpose == Purpose::Acd
        && leg.state == LegState::Waiting
        && leg.queue_id == Some(queue.id);
    if !waits_in_target {
        return Ok(PlannedAction::Move);
    }
    // `keepPlace` alone asks for nothing here: the clock is not restarted.
    if asked_routing(request).is_empty() {
        return Err(Box::new(
            Problem::new(
                Code::AlreadyInQueue,
                format!("The conversation already waits in \"{}\".", queue.name),
            )
            .hint("Send priority, skillIds or languageId to change these while it waits."),
        ));
    }
    Ok(PlannedAction::RoutingOnly)
}

/// Whole minutes the leg has waited in its queue at `now` by Genesys' clock; 0 when it does not
/// wait.
#[must_use]
pub fn waited(leg: &Leg, now: Timestamp) -> i64 {
    match (&leg.state, leg.since) {
        (LegState::Waiting, Some(since)) => now.duration_since(since).as_mins().max(0),
        _ => 0,
    }
}

fn waited_minutes_of(leg: &Leg, now: Timestamp, carrier: Carrier) -> Result<i64, Box<Problem>> {
    // Moving it all the same would put it last: the caller asked for the place above all.
    let queue_is_needed = carrier.command_carries_routing;
    let is_unknown = leg.since.is_none() || (queue_is_needed && leg.queue_id.is_none());
    if leg.state == LegState::Waiting && is_unknown {
        return Err(cannot_keep_place("Genesys does not say how long the conversation has waited"));
    }
    Ok(waited(leg, now))
}

/// The priority the conversation has now: the leg's, else that of the newest leg that has one.
#[must_use]
pub fn current_priority(conversation: &Conversation, leg: &Leg) -> Option<i64> {
    leg.routing.priority.or_else(|| {
        let mut counting = conversation.legs.iter().rev().filter(|leg| !leg.listens());
        counting.find_map(|leg| leg.routing.priority)
    })
}

fn keep_place_base(
    request: &TransferRequest,
    current: Option<i64>,
    carrier: Carrier,
) -> Result<i64, Box<Problem>> {
    match (request.priority, current) {
        (Some(given), _) => Ok(i64::from(given.get())),
        (None, Some(current)) => Ok(current),
        // Genesys leaves the member out of a conversation that never had a priority: it is 0.
        (None, None) if !carrier.command_carries_routing => Ok(0),
        (None, None) => Err(cannot_keep_place("Genesys does not say its current priority")),
    }
}

fn cannot_keep_place(why: &str) -> Box<Problem> {
    Box::new(Problem::invalid(vec![FieldError {
        pointer: "/keepPlace".to_owned(),
        detail: format!("The place cannot be kept: {why}."),
    }]))
}

/// The command of `conversation-patch` always carries skills: those asked for, else the ones the
/// conversation has.
fn keep_skills(routing: &mut RoutingChange, leg: &Leg) {
    if routing.skill_ids.is_none() {
        routing.skill_ids.clone_from(&leg.routing.skill_ids);
    }
}

fn priority_stays(
    request: &TransferRequest,
    conversation: &Conversation,
    leg: &Leg,
    priority: Option<Priority>,
) -> bool {
    let current = current_priority(conversation, leg);
    request.priority.is_none()
        && current.is_some()
        && priority.map(|p| i64::from(p.get())) == current
}

/// Whether a fresh look before the command is repeated shows the same leg as the one to replace, in
/// the same place.
///
/// # Errors
/// Why the command no longer fits.
pub fn still_fits(transfer: &Transfer, now: &Conversation) -> Result<(), Box<Problem>> {
    if let Some(terms) = &transfer.request.undo {
        return undo::waiting_leg(terms, now).map(drop);
    }
    let chosen = legs::choose(now, transfer.participant_id)?;
    let same_queue = match (now.legs.get(chosen.index), &transfer.previous) {
        (Some(leg), Some(previous)) => leg.queue_id == previous.queue_id,
        _ => true,
    };
    if same_queue {
        return Ok(());
    }
    Err(Box::new(Problem::new(
        Code::ConversationMoved,
        "Another party moved the conversation while the service waited to send.",
    )))
}

#[cfg(test)]
mod tests;
