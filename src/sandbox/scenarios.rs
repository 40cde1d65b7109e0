//! Ready-made situations to rehearse.

use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;

use super::{
    faults::{Fault, FaultOrder, StatusAnswer, When},
    seed,
    state::{Shared, State},
    world::{Act, Media, NewConversation, Refused, Shape},
};

/// A situation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// Back to the start.
    Reset,
    /// 300 callers in one queue whose agents are gone, and a low limit.
    QueueOutage,
    /// Every other transfer is carried out, but its answer is lost.
    LostAnswers,
    /// Genesys answers 503 to every third request.
    Unsteady,
    /// The limit is 30 requests a minute.
    Throttled,
    /// Nobody gets a token, and those that were out are revoked.
    LoginOutage,
}

impl Scenario {
    /// Every situation there is.
    pub const ALL: [Self; 6] = [
        Self::Reset,
        Self::QueueOutage,
        Self::LostAnswers,
        Self::Unsteady,
        Self::Throttled,
        Self::LoginOutage,
    ];

    /// Its name in the operating interface.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::QueueOutage => "queue-outage",
            Self::LostAnswers => "lost-answers",
            Self::Unsteady => "unsteady",
            Self::Throttled => "throttled",
            Self::LoginOutage => "login-outage",
        }
    }

    /// What it does, in a sentence.
    #[must_use]
    pub fn about(self) -> &'static str {
        match self {
            Self::Reset => "back to the seed; faults, ledger and settings too, tokens stay",
            Self::QueueOutage => {
                "reset, then 300 calls wait in Support Tier 1 at 180 requests a minute; for five \
                 minutes some hang up, some are answered, some ring, some join"
            }
            Self::LostAnswers => "reset, then every other transfer works but its answer is lost",
            Self::Unsteady => "reset, then every third request of the next 300 is answered 503",
            Self::Throttled => "reset, then 30 requests a minute",
            Self::LoginOutage => "reset, then all tokens are revoked and the login answers 503",
        }
    }
}

const OUTAGE_CALLS: i64 = 300;
const OUTAGE_LIMIT: u32 = 180;
/// The few agents left.
const OUTAGE_AGENTS: u32 = 2;
/// How often something happens during an outage, and how many times.
const OUTAGE_BEAT: Duration = Duration::from_millis(750);
const OUTAGE_BEATS: usize = 400;

/// Brings a situation about; whatever ran before ends.
///
/// # Errors
/// None in fact: after a reset there is room for every situation.
pub(super) fn play(shared: &Arc<Shared>, scenario: Scenario) -> Result<(), Refused> {
    let run = shared.next_scenario();
    let now = shared.clock.now();
    let fresh = (shared.fresh)(now);
    shared.with(|state| {
        state.reset(fresh);
        match scenario {
            Scenario::Reset => Ok(()),
            Scenario::QueueOutage => queue_outage(state, now),
            Scenario::LostAnswers => {
                let lost = Fault::Drop { when: When::After, reset: false };
                place(state, FaultOrder::next("POST", "*/replace/queue", lost).every(2).forever());
                Ok(())
            }
            Scenario::Unsteady => {
                let down = Fault::Status(StatusAnswer::new(503));
                let order = FaultOrder { method: None, ..FaultOrder::next("", "*", down) };
                place(state, order.every(3).times(100));
                Ok(())
            }
            Scenario::Throttled => {
                state.behaviour.requests_per_minute = 30;
                Ok(())
            }
            Scenario::LoginOutage => {
                state.access.revoke_all();
                let down = Fault::Status(StatusAnswer::new(503));
                place(state, FaultOrder::next("POST", "/oauth/token", down).forever());
                Ok(())
            }
        }
    })?;
    if scenario == Scenario::QueueOutage {
        let shared = Arc::clone(shared);
        shared.tasks.clone().spawn(async move {
            tokio::select! {
                () = run.cancelled() => {}
                () = life_goes_on(&shared) => {}
            }
        });
    }
    Ok(())
}

/// The orders above are well formed, so placing them cannot fail.
fn place(state: &mut State, order: FaultOrder) {
    let placed = state.faults.place(order);
    debug_assert!(placed.is_ok(), "{placed:?}");
}

fn queue_outage(state: &mut State, now: jiff::Timestamp) -> Result<(), Refused> {
    state.behaviour.requests_per_minute = OUTAGE_LIMIT;
    if state.world.queue(seed::SUPPORT_TIER_1).is_none() {
        state.world = seed::world(now)?;
    }
    state.world.set_joined(seed::SUPPORT_TIER_1, OUTAGE_AGENTS)?;
    for number in 0..OUTAGE_CALLS {
        state.world.add_conversation(
            NewConversation {
                shape: Shape::Waiting,
                queue: Some(seed::SUPPORT_TIER_1),
                priority: if number % 10 == 0 { 10 } else { 0 },
                age: SignedDuration::from_secs(40 * 60 - number * 8),
                ..NewConversation::default()
            },
            now,
        )?;
    }
    Ok(())
}

/// Callers and the few agents left do what they do, in a fixed order.
async fn life_goes_on(shared: &Shared) {
    for beat in 0..OUTAGE_BEATS {
        tokio::time::sleep(OUTAGE_BEAT).await;
        let now = shared.clock.now();
        shared.with(|state| {
            let waiting = state.world.waiting_ids(seed::SUPPORT_TIER_1, Media::Voice);
            let at = |part: usize| waiting.get(waiting.len().saturating_mul(part) / 4).copied();
            // An act may no longer fit by the time it comes; then nothing happens.
            let _ = match beat % 8 {
                0 | 4 => at(0).map(|id| state.world.act(id, Act::Answer, now)),
                1 | 5 => at(2).map(|id| state.world.act(id, Act::HangUp, now)),
                2 => at(1).map(|id| state.world.act(id, Act::Ring, now)),
                6 => ringing(state).map(|id| state.world.act(id, Act::RingOut, now)),
                _ => Some(join(state, now)),
            };
        });
    }
}

fn ringing(state: &State) -> Option<uuid::Uuid> {
    let mut all = state.world.conversations();
    all.find(|conversation| {
        conversation.ended.is_none()
            && conversation.is_ringing()
            && conversation.queue_leg().is_some()
            && conversation.id != seed::RINGING_CALL
    })
    .map(|conversation| conversation.id)
}

fn join(state: &mut State, now: jiff::Timestamp) -> Result<(), Refused> {
    let new = NewConversation {
        shape: Shape::Waiting,
        queue: Some(seed::SUPPORT_TIER_1),
        age: SignedDuration::ZERO,
        ..NewConversation::default()
    };
    state.world.add_conversation(new, now).map(|_| ())
}
