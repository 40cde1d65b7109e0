//! Ready-made situations to rehearse.

use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;

use super::{
    faults::{Fault, FaultOrder, StatusAnswer, When},
    seed,
    state::{SandboxCore, State},
    world::{Act, MediaType, NewConversation, Shape, WorldError},
};

/// A situation; [`Scenario::about`] says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    Reset,
    QueueOutage,
    LostAnswers,
    Unsteady,
    Throttled,
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

    /// Its name in the operating interface, and what it does, in a sentence.
    fn described(self) -> (&'static str, &'static str) {
        match self {
            Self::Reset => {
                ("reset", "back to the seed; faults, ledger and settings too, tokens stay")
            }
            Self::QueueOutage => (
                "queue-outage",
                "reset, then 300 calls wait in Support Tier 1 at 180 requests a minute; for five \
                 minutes some hang up, some are answered, some ring, some join; the two agents that are \
                 left go off queue after one minute and are back after three",
            ),
            Self::LostAnswers => {
                ("lost-answers", "reset, then every other transfer works but its answer is lost")
            }
            Self::Unsteady => {
                ("unsteady", "reset, then every third request of the next 300 is answered 503")
            }
            Self::Throttled => ("throttled", "reset, then 30 requests a minute"),
            Self::LoginOutage => {
                ("login-outage", "reset, then all tokens are revoked and the login answers 503")
            }
        }
    }

    /// Its name in the operating interface.
    pub fn name(self) -> &'static str {
        self.described().0
    }

    /// What it does, in a sentence.
    pub fn about(self) -> &'static str {
        self.described().1
    }
}

const OUTAGE_CALLS: i64 = 300;
const OUTAGE_LIMIT: u32 = 180;
/// The few agents left.
const OUTAGE_AGENTS: u32 = 2;
/// How often something happens during an outage, and how many times.
const OUTAGE_BEAT: Duration = Duration::from_millis(750);
const OUTAGE_BEATS: usize = 400;
/// The beats at which the agents leave and are back.
const OUTAGE_ALONE: std::ops::Range<usize> = 80..240;
/// Every so many beats a supervisor begins to listen to a call.
const OUTAGE_MONITOR: usize = 20;

/// Brings a situation about; what ran before ends. After a reset there is room for every situation.
pub(super) fn play(
    core: &Arc<SandboxCore>,
    state: &mut State,
    scenario: Scenario,
) -> Result<(), WorldError> {
    let (run, now) = (core.next_scenario(), core.clock.now());
    state.reset(core.options.fresh(now));
    match scenario {
        Scenario::Reset => {}
        Scenario::QueueOutage => {
            queue_outage(state, now)?;
            let core = Arc::clone(core);
            core.tasks.clone().spawn(async move {
                run.run_until_cancelled(life_goes_on(&core)).await;
            });
        }
        Scenario::LostAnswers => {
            let lost = Fault::Drop { when: When::After, reset: false };
            place(state, FaultOrder::next("POST", "*/replace/queue", lost).every(2).forever());
        }
        Scenario::Unsteady => {
            let down = Fault::Status(StatusAnswer::new(503));
            let order = FaultOrder { method: None, ..FaultOrder::next("", "*", down) };
            place(state, order.every(3).times(100));
        }
        Scenario::Throttled => state.behaviour.requests_per_minute = 30,
        Scenario::LoginOutage => {
            state.access.revoke_all();
            let down = Fault::Status(StatusAnswer::new(503));
            place(state, FaultOrder::next("POST", "/oauth/token", down).forever());
        }
    }
    Ok(())
}

/// The orders above are well formed, so placing them cannot fail.
fn place(state: &mut State, order: FaultOrder) {
    let placed = state.faults.place(order);
    debug_assert!(placed.is_ok(), "{placed:?}");
}

fn queue_outage(state: &mut State, now: jiff::Timestamp) -> Result<(), WorldError> {
    state.behaviour.requests_per_minute = OUTAGE_LIMIT;
    if state.world.queue(seed::SUPPORT_TIER_1).is_none() {
        state.world = seed::world(now)?;
    }
    state.world.set_joined(seed::SUPPORT_TIER_1, OUTAGE_AGENTS)?;
    for number in 0..OUTAGE_CALLS {
        let priority = if number % 10 == 0 { 10 } else { 0 };
        join(state, priority, SignedDuration::from_secs(40 * 60 - number * 8), now)?;
    }
    Ok(())
}

/// Callers and the few agents left do what they do, in a fixed order.
async fn life_goes_on(core: &SandboxCore) {
    for beat in 0..OUTAGE_BEATS {
        tokio::time::sleep(OUTAGE_BEAT).await;
        let now = core.clock.now();
        core.with(|state| {
            let waiting = state.world.waiting_ids(seed::SUPPORT_TIER_1, MediaType::Voice);
            let at = |part: usize| waiting.get(waiting.len().saturating_mul(part) / 4).copied();
            // An act may no longer fit by the time it comes; then nothing happens.
            let _ = match beat % 8 {
                0 | 4 => at(0).map(|id| state.world.act(id, Act::Answer, now)),
                1 | 5 => at(2).map(|id| state.world.act(id, Act::HangUp, now)),
                2 => at(1).map(|id| state.world.act(id, Act::Ring, now)),
                6 => ringing(state).map(|id| state.world.act(id, Act::RingOut, now)),
                _ => Some(join(state, 0, SignedDuration::ZERO, now)),
            };
            let agents = if OUTAGE_ALONE.contains(&beat) { 0 } else { OUTAGE_AGENTS };
            let _ = state.world.set_joined(seed::SUPPORT_TIER_1, agents);
            if beat % OUTAGE_MONITOR == 0 {
                let _ = at(3).map(|id| state.world.act(id, Act::Monitor, now));
            }
        });
    }
}

fn ringing(state: &State) -> Option<uuid::Uuid> {
    let mut all = state.world.conversations();
    let rings = all.find(|it| {
        it.ended.is_none()
            && it.is_ringing()
            && it.queue_leg().is_some()
            && it.id != seed::RINGING_CALL
    });
    rings.map(|conversation| conversation.id)
}

fn join(
    state: &mut State,
    priority: i64,
    age: SignedDuration,
    now: jiff::Timestamp,
) -> Result<(), WorldError> {
    let (shape, queue) = (Shape::Waiting, Some(seed::SUPPORT_TIER_1));
    let new = NewConversation { shape, queue, priority, age, ..NewConversation::default() };
    state.world.add_conversation(new, now).map(|_| ())
}
