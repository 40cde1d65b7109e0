//! How the place of a waiting conversation in its queue is set.

use jiff::Timestamp;
use uuid::Uuid;

use super::{Refused, World, model::Routing};

/// Absolute values of a routing change; `None` leaves a value alone, an inner `None` clears it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoutingEdit {
    /// Priority; 0 resets it.
    pub priority: Option<i64>,
    /// Skills; an empty list clears them.
    pub skills: Option<Vec<Uuid>>,
    /// Language.
    pub language: Option<Option<Uuid>>,
    /// Label.
    pub label: Option<Option<Uuid>>,
    /// Skill expression.
    pub skill_expression: Option<Option<String>>,
}

impl World {
    /// Sets absolute routing values on a conversation that waits, and answers what now holds.
    ///
    /// # Errors
    /// [`Refused::UnknownConversation`], [`Refused::ConversationEnded`], [`Refused::NotWaiting`].
    pub fn set_routing(
        &mut self,
        conversation: Uuid,
        edit: RoutingEdit,
        now: Timestamp,
    ) -> Result<Routing, Refused> {
        self.edit(conversation, now, |conversation, _| {
            if conversation.ended.is_some() {
                return Err(Refused::ConversationEnded);
            }
            let waiting =
                conversation.waiting_leg().map(|leg| leg.id).ok_or(Refused::NotWaiting)?;
            let leg = conversation
                .participants
                .iter_mut()
                .find(|leg| leg.id == waiting)
                .ok_or(Refused::NotWaiting)?;
            let routing = leg.routing.get_or_insert_default();
            routing.priority = edit.priority.unwrap_or(routing.priority);
            if let Some(skills) = edit.skills {
                routing.skills = skills;
            }
            if let Some(language) = edit.language {
                routing.language = language;
            }
            if let Some(label) = edit.label {
                routing.label = label;
            }
            if let Some(expression) = edit.skill_expression {
                routing.skill_expression = expression;
            }
            Ok(routing.clone())
        })
    }
}
