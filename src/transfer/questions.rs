//! What operators ask and decide: a preview of a transfer, the closing of an unknown one.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    Transfers, audit, boards,
    caller::Caller,
    context,
    conversation::{Conversation, Leg},
    gateway::{CallContext, Lane, QueueActivity},
    ids::ConversationId,
    legs::{self, Chosen},
    model::{CallerName, Queue, QueueRef, Stage, Transfer, TransferRequest, Warning},
    permission, plan, problems,
    store::{Durability, Expected, KeyChange, TransferFilter},
};
use crate::problem::{Code, Problem};

/// Records of a conversation among which one that is not settled is looked for.
const MOST_RECENT: u32 = 20;

/// Marks a transfer that an operator closed.
const SETTLED_BY_OPERATOR: &str = "settled_by_operator";

/// How an operator closes an unknown transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The operator saw that it happened.
    Moved,
    /// The operator saw that it did not.
    NotMoved,
}

/// A leg with the rules' opinion of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegView {
    /// The leg.
    pub leg: Leg,
    /// Whether a transfer would replace it.
    pub replaced: bool,
    /// Why it would, or why not.
    pub why: String,
}

/// What a transfer would do; nothing is moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// `None` when it can move, else the code a transfer would be refused with.
    pub code: Option<Code>,
    /// In a sentence.
    pub detail: String,
    /// All legs.
    pub legs: Vec<LegView>,
    /// The target queue, when one was asked about.
    pub target: Option<Queue>,
    /// What goes on in it, when that could be had.
    pub activity: Option<QueueActivity>,
    /// Whether the organisation strips skills from blind transfers; `None` when no target was
    /// asked about or it could not be found out.
    pub skills_will_be_stripped: Option<bool>,
    /// Whole minutes waited in the queue it would leave.
    pub waited_minutes: i64,
    /// The priority it has now, when known.
    pub priority: Option<i64>,
}

/// What a transfer would do.
pub(super) async fn preview(
    transfers: &Transfers,
    caller: &Caller,
    id: ConversationId,
    queue: Option<QueueRef>,
    deadline: Instant,
) -> Result<Preview, Problem> {
    let ctx = context(deadline, Lane::Single).on_behalf_of(&caller.name);
    let target = match &queue {
        Some(asked) => {
            Some(permission::permitted_queue(transfers, &ctx, &caller.limits, asked).await?)
        }
        None => None,
    };
    let glance = async {
        match &target {
            Some(queue) => boards::glance(transfers, queue, ctx.deadline).await,
            None => None,
        }
    };
    let (conversation, activity) = tokio::join!(transfers.gateway.conversation(&ctx, id), glance);
    let conversation = conversation.map_err(problems::from_gateway)?;
    let stripped = skills_stripped(transfers, &ctx, target.as_ref()).await;
    let described = describe(transfers, &conversation, target, stripped);
    let mut preview = Preview { activity, ..described };
    let target = preview.target.as_ref().map(|queue| queue.id);
    for LegView { leg, .. } in &mut preview.legs {
        let shown =
            |id: &_| Some(*id) == target || permission::is_in_sight(transfers, &caller.limits, *id);
        leg.queue_id = leg.queue_id.filter(shown);
    }
    if preview.code.is_none() && is_in_progress(transfers, id).await? {
        let problem = problems::transfer_in_progress(id, None);
        preview.code = Some(problem.code);
        preview.detail = problem.detail;
    }
    Ok(preview)
}

/// Whether a transfer of the conversation is not settled, so that none other is begun.
async fn is_in_progress(transfers: &Transfers, id: ConversationId) -> Result<bool, Problem> {
    let filter = TransferFilter { conversation_id: Some(id), ..TransferFilter::default() };
    // Whatever was recorded while one is not settled is not about to move the call.
    let listed = transfers.records.store().list(&filter, MOST_RECENT).await?;
    Ok(listed.iter().any(|transfer| transfer.stage.is_unsettled()))
}

async fn skills_stripped(
    transfers: &Transfers,
    ctx: &CallContext,
    target: Option<&Queue>,
) -> Option<bool> {
    target?;
    match transfers.gateway.strips_skills(ctx).await {
        Ok(stripped) => Some(stripped),
        Err(error) => {
            tracing::warn!(?error, "could not read the contact-centre settings");
            None
        }
    }
}

fn describe(
    transfers: &Transfers,
    conversation: &Conversation,
    target: Option<Queue>,
    skills_will_be_stripped: Option<bool>,
) -> Preview {
    let choice = legs::choose(conversation, None);
    let refusal = match (&choice, &target) {
        (Err(problem), _) => Some((**problem).clone()),
        (Ok(_), Some(queue)) => refusal(transfers, conversation, queue),
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
        activity: None,
        skills_will_be_stripped,
        waited_minutes: leg
            .map_or(0, |leg| plan::waited(leg, conversation.clock.theirs(transfers.clock.now()))),
        priority: leg.and_then(|leg| plan::current_priority(conversation, leg)),
    }
}

/// Why a plain transfer to `queue` would be refused.
fn refusal(transfers: &Transfers, conversation: &Conversation, queue: &Queue) -> Option<Problem> {
    let request = TransferRequest::plain(conversation.id, QueueRef::Id(queue.id));
    plan::plan(&request, queue, conversation, transfers.clock.now(), transfers.carrier())
        .err()
        .map(|problem| *problem)
}

/// Closes an unknown transfer by an operator's word.
pub(super) async fn settle_by_hand(
    transfers: Arc<Transfers>,
    operator: CallerName,
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
    transfer.updated_at = transfers.clock.now();
    let key = KeyChange::Settle((transfers.render)(&transfer));
    let expected = Expected { stage: Stage::Unknown, owner: None };
    let store = transfers.records.store();
    match store.update(&transfer, &expected, key, Durability::Power).await {
        Ok(true) => {
            audit::settled_by_hand(&transfer, &operator, reason.as_deref());
            transfers.count(&transfer);
            Ok(transfer)
        }
        Ok(false) => Err(not_unknown(&transfer)),
        Err(error) => Err(problems::from_store(&error)),
    }
}

fn not_unknown(transfer: &Transfer) -> Problem {
    let mut problem = Problem::new(
        Code::Conflict,
        "Only a transfer with the status \"unknown\" can be settled by an operator.",
    )
    .hint(format!("GET /transfers/{} shows its status.", transfer.id))
    .transfer(transfer.uuid());
    problem.retryable = Some(false);
    problem
}
