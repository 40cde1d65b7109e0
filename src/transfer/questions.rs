//! What operators ask and decide: a preview of a transfer, the closing of an unknown one.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    audit,
    caller::Caller,
    engine::{self, Engine},
    gateway::{CallContext, Lane},
    ids::ConversationId,
    legs::{self, Chosen},
    model::{CallerName, Priority, Queue, QueueRef, Stage, Transfer, TransferRequest, Warning},
    plan, problems,
    service::{LegView, Preview, Verdict},
    store::{Durability, Expected, KeyChange, TransferFilter},
};
use crate::{
    problem::{Code, Problem},
    transfer::{conversation::Conversation, model::TransferType},
};

/// Records of a conversation among which one that is not settled is looked for.
const MOST_RECENT: u32 = 20;

/// Marks a transfer that an operator closed.
const SETTLED_BY_OPERATOR: &str = "settled_by_operator";

impl Engine {
    /// What a transfer would do.
    pub(super) async fn preview(
        &self,
        caller: &Caller,
        id: ConversationId,
        queue: Option<QueueRef>,
        deadline: Instant,
    ) -> Result<Preview, Problem> {
        let ctx = engine::context(deadline, Lane::Single).on_behalf_of(&caller.name);
        let target = match &queue {
            Some(asked) => Some(self.permitted_queue(&ctx, &caller.limits, asked).await?),
            None => None,
        };
        let conversation =
            self.gateway.conversation(&ctx, id).await.map_err(problems::from_gateway)?;
        let stripped = self.skills_stripped(&ctx, target.as_ref()).await;
        let mut preview = self.describe(&conversation, target, stripped);
        let target = preview.target.as_ref().map(|queue| queue.id);
        for LegView { leg, .. } in &mut preview.legs {
            let shown = |id: &_| Some(*id) == target || self.is_in_sight(&caller.limits, *id);
            leg.queue_id = leg.queue_id.filter(shown);
        }
        if preview.code.is_none() && self.is_in_progress(id).await? {
            let problem = problems::transfer_in_progress(id, None);
            preview.code = Some(problem.code);
            preview.detail = problem.detail;
        }
        Ok(preview)
    }

    /// Whether a transfer of the conversation is not settled, so that none other is begun.
    async fn is_in_progress(&self, id: ConversationId) -> Result<bool, Problem> {
        let filter = TransferFilter { conversation_id: Some(id), ..TransferFilter::default() };
        // Whatever was recorded while one is not settled is not about to move the call.
        let listed = self.records.store().list(&filter, MOST_RECENT).await;
        let listed = listed.map_err(|error| problems::from_store(&error))?;
        Ok(listed.iter().any(|transfer| transfer.stage.is_unsettled()))
    }

    async fn skills_stripped(&self, ctx: &CallContext, target: Option<&Queue>) -> Option<bool> {
        target?;
        match self.gateway.strips_skills(ctx).await {
            Ok(stripped) => Some(stripped),
            Err(error) => {
                tracing::warn!(?error, "the contact-centre settings could not be read");
                None
            }
        }
    }

    fn describe(
        &self,
        conversation: &Conversation,
        target: Option<Queue>,
        skills_will_be_stripped: Option<bool>,
    ) -> Preview {
        let choice = legs::choose(conversation, None);
        let refusal = match (&choice, &target) {
            (Err(problem), _) => Some((**problem).clone()),
            (Ok(_), Some(queue)) => self.refusal(conversation, queue),
            (Ok(_), None) => None,
        };
        let chosen = choice.ok();
        let leg = chosen.and_then(|Chosen { index, .. }| conversation.legs.get(index));
        let why = legs::explain(conversation, chosen);
        let legs = conversation.legs.iter().cloned().zip(why);
        Preview {
            conversation_id: conversation.id,
            detail: match (&refusal, leg) {
                (Some(problem), _) => problem.detail.clone(),
                (None, Some(leg)) => {
                    format!("{} leg {}", leg.purpose.as_str(), leg.state.as_str())
                }
                (None, None) => String::new(),
            },
            code: refusal.map(|problem| problem.code),
            legs: legs.map(|(leg, (replaced, why))| LegView { leg, replaced, why }).collect(),
            target,
            skills_will_be_stripped,
            waited_minutes: leg
                .map_or(0, |leg| plan::waited(leg, conversation.clock.theirs(self.clock.now()))),
            priority: leg.and_then(|leg| plan::current_priority(conversation, leg)),
        }
    }

    /// Why a plain transfer to `queue` would be refused.
    fn refusal(&self, conversation: &Conversation, queue: &Queue) -> Option<Problem> {
        let request = TransferRequest {
            conversation_id: conversation.id,
            queue: QueueRef::Id(queue.id),
            priority: None::<Priority>,
            skill_ids: None,
            language_id: None,
            keep_place: false,
            participant_id: None,
            transfer_type: TransferType::default(),
            reason: None,
            reference: None,
        };
        plan::plan(&request, queue, conversation, self.clock.now(), self.carrier())
            .err()
            .map(|problem| *problem)
    }

    /// Closes an unknown transfer by an operator's word.
    pub(super) async fn settle_by_hand(
        self: &Arc<Self>,
        operator: &CallerName,
        mut transfer: Transfer,
        verdict: Verdict,
        reason: Option<String>,
    ) -> Result<Transfer, Problem> {
        if transfer.stage != Stage::Unknown {
            return Err(not_unknown(&transfer));
        }
        let said = reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
        match verdict {
            Verdict::Moved => {
                transfer.stage = Stage::Confirmed;
                transfer.error = None;
                transfer.warnings.push(Warning {
                    code: SETTLED_BY_OPERATOR.to_owned(),
                    detail: format!("{operator} saw that the call had moved{said}"),
                });
            }
            Verdict::NotMoved => {
                transfer.stage = Stage::Failed;
                let detail = format!("{operator} saw that the call had not moved{said}");
                let problem = Problem::new(Code::GenesysError, detail);
                transfer.error = Some(problems::in_vain(&transfer, problem));
            }
        }
        transfer.updated_at = self.clock.now();
        let key = KeyChange::Settle(self.answers.answer(&transfer));
        let expected = Expected { stage: Stage::Unknown, owner: None };
        let store = self.records.store();
        match store.update(&transfer, &expected, key, Durability::Power).await {
            Ok(true) => {
                audit::settled_by_hand(&transfer, operator, reason.as_deref());
                self.count(&transfer);
                Ok(transfer)
            }
            Ok(false) => Err(not_unknown(&transfer)),
            Err(error) => Err(problems::from_store(&error)),
        }
    }
}

fn not_unknown(transfer: &Transfer) -> Problem {
    let mut problem = Problem::new(
        Code::Conflict,
        "Only a transfer whose status is \"unknown\" can be settled by hand.",
    )
    .hint(format!("GET /transfers/{} shows where it stands.", transfer.id))
    .transfer(transfer.uuid());
    problem.retryable = Some(false);
    problem
}
