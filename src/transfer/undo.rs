//! Putting a call back where it was: what is known of the move that is undone, whether the call
//! still waits where that move put it, and the place it gets. Pure.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    conversation::{Conversation, Leg, LegState, Purpose},
    ids::{ParticipantId, TransferId},
    legs,
    model::{Priority, QueueRef, Status, Transfer, TransferRequest, UndoTerms},
};
use crate::problem::{Code, Problem};

/// The request that puts the call of `moved` back.
///
/// # Errors
/// `undo_impossible`, boxed because it is large and rare.
pub(crate) fn request(moved: &Transfer) -> Result<TransferRequest, Box<Problem>> {
    match moved.stage.status() {
        Status::Accepted | Status::Confirmed => {}
        Status::Pending | Status::Unknown => return Err(impossible("is not settled yet")),
        Status::Failed | Status::Skipped => return Err(impossible("did not move the call")),
    }
    if moved.undoes().is_some() {
        return Err(impossible("is an undo itself"));
    }
    if moved.is_routing_only() {
        return Err(impossible("changed only priority, skills or language"));
    }
    let (Some(previous), Some(picture)) = (&moved.previous, &moved.picture) else {
        return Err(impossible("was sent without a look: where the call was is not known"));
    };
    let queue = previous.queue_id.filter(|queue| *queue != moved.queue.id);
    let Some(queue) = queue else {
        return Err(impossible("found the call in no other queue that it could go back to"));
    };
    let terms = UndoTerms {
        undoes: moved.id,
        from: moved.queue.id,
        moved_at: moved.created_at,
        participants: picture.participants.clone(),
        priority: previous.priority,
        waiting_since: previous.waiting_since,
    };
    Ok(TransferRequest {
        skill_ids: previous.skill_ids.clone(),
        language_id: previous.language_id,
        keep_place: true,
        undo: Some(Box::new(terms)),
        ..TransferRequest::plain(moved.request.conversation_id, QueueRef::Id(queue))
    })
}

fn impossible(why: &str) -> Box<Problem> {
    let detail = format!("The transfer cannot be undone: it {why}.");
    Box::new(Problem::new(Code::UndoImpossible, detail))
}

/// The configured Genesys API cannot give the call the priority it needs.
pub(crate) fn no_such_priority(priority: Priority) -> Box<Problem> {
    let detail = format!(
        "The transfer cannot be undone: the call would need the priority {}, which the configured \
         Genesys API cannot carry.",
        priority.get()
    );
    Box::new(Problem::new(Code::UndoImpossible, detail))
}

/// The transfer was undone before, by `by` if the caller may see that one.
pub(crate) fn undone_before(by: Option<TransferId>) -> Problem {
    let problem = Problem::new(Code::UndoImpossible, "The transfer was undone already.");
    match by {
        Some(id) => problem.transfer(id.uuid()).hint(format!("GET /transfers/{id} shows it.")),
        None => problem,
    }
}

/// The leg on which the call waits where the move put it.
///
/// # Errors
/// Why it cannot be put back.
pub(crate) fn waiting_leg<'a>(
    terms: &UndoTerms,
    conversation: &'a Conversation,
) -> Result<&'a Leg, Box<Problem>> {
    if !legs::is_over(conversation) && is_not_shown(terms, conversation) {
        return Err(not_shown());
    }
    let chosen = legs::choose(conversation, None).map_err(|problem| match problem.code {
        Code::ParticipantAmbiguous => answered(),
        Code::ConversationNotTransferable if conversation.blocked.is_none() => moved_on(),
        _ => problem,
    })?;
    let leg = conversation.legs.get(chosen.index).ok_or_else(moved_on)?;
    if matches!(leg.purpose, Purpose::Agent | Purpose::User) {
        return Err(answered());
    }
    // Whether it was there before the move. Where legs have no ids, the queue alone tells.
    let is_new = |leg: &&Leg| {
        let old = |id: ParticipantId| terms.participants.contains(&id);
        leg.queue_id == Some(terms.from)
            && leg.purpose == Purpose::Acd
            && !leg.participant_id.is_some_and(old)
    };
    // A second one came later: the call was answered or moved on before it came back.
    let only_ours = conversation.legs.iter().filter(is_new).count() == 1;
    if only_ours && is_new(&leg) && leg.state == LegState::Waiting {
        Ok(leg)
    } else {
        Err(moved_on())
    }
}

/// Whether all legs were there before the move: Genesys carries a command out a moment after it
/// took it.
pub(crate) fn is_not_shown(terms: &UndoTerms, conversation: &Conversation) -> bool {
    let mut legs = conversation.legs.iter();
    let is_old = |id| terms.participants.contains(&id);
    !terms.participants.is_empty() && legs.all(|leg| leg.participant_id.is_some_and(is_old))
}

fn not_shown() -> Box<Problem> {
    let detail = "Genesys took the transfer, but does not show yet that the call moved.";
    let problem = Problem::new(Code::UndoImpossible, detail).hint("Send the same request again.");
    let retry_after = Some(Duration::from_secs(2));
    Box::new(Problem { retryable: Some(true), retry_after, ..problem })
}

fn answered() -> Box<Problem> {
    let detail = "An agent has answered the call; it is left with that agent.";
    Box::new(Problem::new(Code::ConversationAnswered, detail))
}

fn moved_on() -> Box<Problem> {
    let problem = Problem::new(
        Code::ConversationMoved,
        "The call no longer waits where the transfer put it: it was answered or moved on since.",
    );
    Box::new(Problem { retryable: Some(false), ..problem })
}

/// The priority that gives the call back its place at `now` by our clock, with the minutes in it, at
/// most `most_minutes`; `None` when the one before the move is not known.
pub(crate) fn place(
    terms: &UndoTerms,
    (conversation, leg): (&Conversation, &Leg),
    now: Timestamp,
    most_minutes: i64,
) -> Option<(Priority, i64)> {
    let waited = match terms.waiting_since.or(leg.since) {
        Some(since) => conversation.clock.theirs(now).duration_since(since),
        None => now.duration_since(terms.moved_at),
    };
    let minutes = waited.as_mins().max(0).min(most_minutes);
    let priority = terms.priority?.saturating_add(minutes);
    Some((Priority::saturating(priority), minutes))
}

#[cfg(test)]
mod tests;
