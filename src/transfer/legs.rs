//! Which leg of a conversation a transfer replaces, and why the others not. Pure.

use super::{
    conversation::{Conversation, Leg, LegState, Purpose},
    ids::ParticipantId,
};
use crate::problem::{Candidate, Code, FieldError, Problem};

/// The leg that is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chosen {
    /// Its place in [`Conversation::legs`].
    pub index: usize,
    /// Why it is this one.
    pub why: &'static str,
}

/// Chooses the leg: the one named, else the one connected (or held) agent, else the waiting ACD
/// leg, else the connected menu. The customer's leg is never chosen, nor one that only listens.
/// What cannot be read of the conversation does not count, unless only that can be the leg.
///
/// # Errors
/// The problem a transfer is refused with, boxed because it is large and rare.
pub fn choose(
    conversation: &Conversation,
    wanted: Option<ParticipantId>,
) -> Result<Chosen, Box<Problem>> {
    let choice = choose_readable(conversation, wanted);
    let may_be_unread = match &choice {
        Ok(chosen) => {
            conversation.legs.get(chosen.index).is_some_and(|leg| leg.participant_id.is_none())
        }
        Err(problem) => {
            matches!(problem.code, Code::ParticipantNotFound | Code::ConversationNotTransferable)
        }
    };
    if conversation.unread && may_be_unread {
        return Err(refuse(
            Code::GenesysError,
            "Genesys' answer about the conversation cannot be read where it tells of the leg to \
             replace.",
        ));
    }
    choice
}

fn choose_readable(
    conversation: &Conversation,
    wanted: Option<ParticipantId>,
) -> Result<Chosen, Box<Problem>> {
    if let Some(state) = &conversation.blocked {
        return Err(refuse(
            Code::ConversationNotTransferable,
            format!("The conversation's state is \"{state}\"."),
        ));
    }
    if is_over(conversation) {
        return Err(refuse(
            Code::ConversationEnded,
            "The conversation has ended, or its customer left.",
        ));
    }
    match wanted {
        Some(id) => choose_named(conversation, id),
        None => choose_usual(conversation),
    }
}

/// Whether the conversation is over, or all participants on the customer's side have left.
#[must_use]
pub fn is_over(conversation: &Conversation) -> bool {
    if conversation.ended {
        return true;
    }
    let mut customers = conversation.legs.iter().filter(|leg| is_customer(conversation, leg));
    match customers.next() {
        Some(first) => first.is_ended() && customers.all(Leg::is_ended),
        None if conversation.unread => false,
        None => conversation.legs.iter().all(|leg| leg.is_ended() || leg.listens()),
    }
}

/// Whether the leg is the customer's: `customer`, or `external` where there is no `customer`
/// (outbound calls).
fn is_customer(conversation: &Conversation, leg: &Leg) -> bool {
    match leg.purpose {
        Purpose::Customer => true,
        Purpose::External => {
            !conversation.legs.iter().any(|other| other.purpose == Purpose::Customer)
        }
        _ => false,
    }
}

fn choose_named(conversation: &Conversation, id: ParticipantId) -> Result<Chosen, Box<Problem>> {
    let open = conversation
        .legs
        .iter()
        .enumerate()
        .find(|(_, leg)| leg.participant_id == Some(id) && !leg.is_ended());
    let Some((index, leg)) = open else {
        return Err(Box::new(
            Problem::new(
                Code::ParticipantNotFound,
                format!("Participant {id} is not in the conversation, or has left it."),
            )
            .hint(format!("GET /conversations/{} lists its legs.", conversation.id)),
        ));
    };
    if is_customer(conversation, leg) {
        return Err(Box::new(Problem::invalid(vec![FieldError {
            pointer: "/participantId".to_owned(),
            detail: "This is the customer's leg, which is never replaced.".to_owned(),
        }])));
    }
    if leg.listens() {
        return Err(Box::new(Problem::invalid(vec![FieldError {
            pointer: "/participantId".to_owned(),
            detail:
                "This leg only listens (a supervisor monitors or coaches) and is never replaced."
                    .to_owned(),
        }])));
    }
    if rings_unanswered(conversation) {
        return Err(ringing());
    }
    match leg.state {
        LegState::Connected | LegState::Held | LegState::Waiting => {
            Ok(Chosen { index, why: "named by the request" })
        }
        LegState::Ringing => Err(ringing()),
        LegState::Ended | LegState::Other(_) => Err(refuse(
            Code::ConversationNotTransferable,
            format!("The state of the named leg is \"{}\".", leg.state.as_str()),
        )),
    }
}

fn choose_usual(conversation: &Conversation) -> Result<Chosen, Box<Problem>> {
    let legs = || conversation.legs.iter().enumerate().filter(|(_, leg)| !leg.listens());
    let mut agents = legs().filter(|(_, leg)| is_talking_agent(leg));
    match (agents.next(), agents.next()) {
        (Some(_), Some(_)) => return Err(ambiguous(conversation)),
        (Some((index, leg)), None) => {
            let why = if leg.state == LegState::Held {
                "the only agent, on hold"
            } else {
                "the only connected agent"
            };
            return Ok(Chosen { index, why });
        }
        (None, _) => {}
    }
    if rings_unanswered(conversation) {
        return Err(ringing());
    }
    // A conversation that went through several queues keeps its old ACD legs; the newest counts.
    if let Some((index, _)) = legs().rfind(|(_, leg)| is_waiting(leg)) {
        return Ok(Chosen { index, why: "waits in its queue" });
    }
    if let Some((index, _)) = legs().rfind(|(_, leg)| is_in_menu(leg)) {
        return Ok(Chosen { index, why: "is in the menu" });
    }
    Err(refuse(
        Code::ConversationNotTransferable,
        "No leg can be replaced: no agent is connected, nothing waits in a queue, no menu is \
         running.",
    ))
}

fn is_talking_agent(leg: &Leg) -> bool {
    matches!(leg.purpose, Purpose::Agent | Purpose::User)
        && matches!(leg.state, LegState::Connected | LegState::Held)
        && !leg.listens()
}

/// Whether it is just being offered and no agent talks to the customer
/// yet. Replacing any leg then, a named one too, would pull it away.
fn rings_unanswered(conversation: &Conversation) -> bool {
    let rings = |leg: &Leg| leg.state == LegState::Ringing && !leg.listens();
    let rings = conversation.legs.iter().any(rings);
    rings && !conversation.legs.iter().any(is_talking_agent)
}

fn is_waiting(leg: &Leg) -> bool {
    leg.purpose == Purpose::Acd && leg.state == LegState::Waiting
}

fn is_in_menu(leg: &Leg) -> bool {
    matches!(leg.purpose, Purpose::Ivr | Purpose::Workflow | Purpose::Botflow)
        && matches!(leg.state, LegState::Connected | LegState::Held)
}

fn refuse(code: Code, detail: impl Into<String>) -> Box<Problem> {
    Box::new(Problem::new(code, detail))
}

fn ringing() -> Box<Problem> {
    Box::new(
        Problem::new(
            Code::ConversationRinging,
            "The conversation is ringing at an agent; moving it now would take it away from that \
             agent.",
        )
        .hint("Try again once it is answered or stops ringing, usually within seconds."),
    )
}

fn ambiguous(conversation: &Conversation) -> Box<Problem> {
    let candidates = conversation
        .legs
        .iter()
        .filter(|leg| is_talking_agent(leg))
        .filter_map(|leg| {
            Some(Candidate::Participant {
                id: leg.participant_id?.to_string(),
                purpose: leg.purpose.as_str().to_owned(),
                state: leg.state.as_str().to_owned(),
            })
        })
        .collect();
    let mut problem = Problem::new(Code::ParticipantAmbiguous, "Several agents are connected.")
        .hint("Name one of the candidates in participantId.");
    problem.candidates = candidates;
    Box::new(problem)
}

/// Says of each leg, in order, why it would not be replaced, given the one that would.
#[must_use]
pub fn explain(conversation: &Conversation, chosen: Option<Chosen>) -> Vec<(bool, String)> {
    conversation
        .legs
        .iter()
        .enumerate()
        .map(|(index, leg)| match chosen {
            Some(chosen) if chosen.index == index => (true, chosen.why.to_owned()),
            _ => (false, why_not(conversation, leg).to_owned()),
        })
        .collect()
}

fn why_not(conversation: &Conversation, leg: &Leg) -> &'static str {
    if leg.is_ended() {
        "has ended"
    } else if is_customer(conversation, leg) {
        "the customer's leg is never replaced"
    } else if leg.listens() {
        "only listens: a supervisor who monitors or coaches"
    } else if leg.state == LegState::Ringing {
        "is ringing"
    } else if is_talking_agent(leg) {
        "one of several connected agents"
    } else if is_waiting(leg) || is_in_menu(leg) {
        "another leg comes first"
    } else {
        "not a leg that can be replaced"
    }
}

#[cfg(test)]
mod tests;
