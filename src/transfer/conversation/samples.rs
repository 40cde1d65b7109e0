//! Conversations for the tests of the pure rules.

use super::*;

pub(crate) fn conversation(legs: Vec<Leg>) -> Conversation {
    Conversation {
        id: "00000000-0000-4000-8000-00000000c0de".parse().unwrap(),
        ended: false,
        blocked: None,
        legs,
        unread: false,
        clock: ClockOffset::default(),
        recent_transfers: Vec::new(),
        bulk: false,
    }
}

pub(crate) fn participant(n: u32) -> ParticipantId {
    format!("00000000-0000-4000-8000-0000000{n:05}").parse().unwrap()
}

pub(crate) fn queue(n: u32) -> QueueId {
    format!("00000000-0000-4000-9000-0000000{n:05}").parse().unwrap()
}

/// Participant `n` with a purpose and a state, without a queue.
pub(crate) fn leg(n: u32, purpose: Purpose, state: LegState) -> Leg {
    Leg {
        participant_id: Some(participant(n)),
        purpose,
        state,
        supervision: None,
        queue_id: None,
        since: None,
        disconnect_type: None,
        routing: Routing::default(),
    }
}

pub(crate) fn customer() -> Leg {
    leg(1, Purpose::Customer, LegState::Connected)
}

pub(crate) fn agent(n: u32, state: LegState) -> Leg {
    leg(n, Purpose::Agent, state)
}

pub(crate) fn waiting(n: u32, in_queue: QueueId) -> Leg {
    Leg { queue_id: Some(in_queue), ..leg(n, Purpose::Acd, LegState::Waiting) }
}

pub(crate) fn ended(leg: Leg) -> Leg {
    Leg { state: LegState::Ended, ..leg }
}
