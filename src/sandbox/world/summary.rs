//! A whole conversation in one word.

use super::{Conversation, Purpose, model::Participant};

impl Conversation {
    /// The word the conversation-patch API has for it: `completed`, `busy`, `no-answer`,
    /// `declined`, `held`, `connected`, `ringing` or `queued`.
    #[must_use]
    pub fn summary(&self) -> &'static str {
        if self.ended.is_some() || !self.any(|leg| leg.purpose.is_outside() && leg.is_open()) {
            return "completed";
        }
        if let Some(blocked) = self.blocked {
            return blocked.word();
        }
        let talks = |leg: &Participant| leg.is_agent() && leg.is_connected();
        let held = |leg: &Participant| leg.main_session().is_some_and(|session| session.held);
        if self.any(talks) {
            return if self.any(|leg| talks(leg) && !held(leg)) { "connected" } else { "held" };
        }
        if self.is_ringing() {
            return "ringing";
        }
        let queued = self.any(|leg| leg.purpose == Purpose::Acd && leg.is_open());
        if queued { "queued" } else { "connected" }
    }

    fn any(&self, which: impl Fn(&Participant) -> bool) -> bool {
        self.participants.iter().any(which)
    }
}
