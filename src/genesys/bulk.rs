//! Looks at many calls in one request: all that wait in a queue, and the legs of a hundred. Genesys
//! does not promise to go on answering them, so each has the way of single looks behind it.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::json;
use tokio::time::Instant;

use super::{
    call::Operation,
    observations,
    upstream::{self, Upstream},
    wire::analytics::{
        ActivityPage, ActivityRow, DetailedCall, DetailedLeg, DetailedSegment, DetailedSession,
        Details,
    },
};
use crate::transfer::{
    clock_offset::ClockOffset,
    conversation::{Conversation, Leg, LegState, Purpose, Routing},
    gateway::{CallContext, GatewayError, WaitingCall, WaitingCalls},
    ids::{ConversationId, QueueId},
};

const WAITING: &str = "oWaiting";
const VOICE: &str = "voice";
/// Entries asked for at once; Genesys may cut a page shorter without saying so.
const PAGE: usize = 100;
/// Pages of one look at most: 12 000 calls.
const MAX_PAGES: usize = 120;
/// How long a query is left alone that was not answered as described.
const OFF: Duration = Duration::from_mins(10);
/// Segments in which a call waits or is spoken to; in others it rings, or is over.
const SETTLED: [&str; 5] = ["interact", "delay", "hold", "ivr", "system"];

/// Which bulk looks are made. Clones share it.
#[derive(Clone)]
pub(super) struct BulkSwitch {
    enabled: bool,
    waiting: Arc<QuerySwitch>,
    details: Arc<QuerySwitch>,
}

impl BulkSwitch {
    /// All of them, or none at all when not `enabled`.
    pub(super) fn new(enabled: bool) -> Self {
        let switch = |what| Arc::new(QuerySwitch { what, off: Mutex::default() });
        Self {
            enabled,
            waiting: switch("the activity query"),
            details: switch("the conversation details"),
        }
    }

    /// Whether one request shows the legs of many calls, as far as is known now.
    pub(super) fn looks(&self) -> bool {
        self.enabled && self.details.is_on()
    }

    /// The voice calls that wait in a queue: all of them, or those that the observations show.
    pub(super) async fn waiting(
        &self,
        upstream: &Upstream,
        ctx: &CallContext,
        queue: QueueId,
    ) -> Result<WaitingCalls, GatewayError> {
        if self.enabled && self.waiting.is_on() {
            match self.waiting.judge(all_waiting(upstream, ctx, queue).await) {
                Err(error) if is_unfit(&error) => {}
                came => return came,
            }
        }
        observations::waiting(upstream, ctx, queue).await
    }

    /// The plain calls among `ids`, see [`crate::transfer::gateway::CallGateway::bulk_look`].
    pub(super) async fn look(
        &self,
        upstream: &Upstream,
        ctx: &CallContext,
        queue: QueueId,
        ids: &[ConversationId],
    ) -> HashMap<ConversationId, Conversation> {
        let mut plain = HashMap::new();
        for ids in ids.chunks(PAGE) {
            if !self.enabled || !self.details.is_on() {
                break;
            }
            match self.details.judge(details(upstream, ctx, ids).await) {
                Ok((calls, clock)) => {
                    let asked: HashSet<&ConversationId> = ids.iter().collect();
                    let calls = calls.conversations.items.iter();
                    let calls = calls.filter(|call| asked.contains(&call.conversation_id));
                    let view = |call| view(call, queue, clock).or_else(|| gone(call, clock));
                    let calls = calls.filter_map(view);
                    plain.extend(calls.map(|call| (call.id, call)));
                }
                Err(error) => {
                    tracing::debug!(%error, "a look at many calls failed");
                    break;
                }
            }
        }
        plain
    }

    /// Makes each query once, whatever the switches say: what came of it.
    pub(super) async fn probe(
        &self,
        upstream: &Upstream,
        ctx: &CallContext,
        (queue, call): (QueueId, ConversationId),
    ) -> Option<[(&'static str, Result<(), GatewayError>); 2]> {
        if !self.enabled {
            return None;
        }
        let waiting = all_waiting(upstream, ctx, queue).await.map(drop);
        let details = details(upstream, ctx, &[call]).await.map(drop);
        Some([(self.waiting.what, waiting), (self.details.what, details)])
    }
}

/// Whether one query is made.
struct QuerySwitch {
    what: &'static str,
    /// Until when it is not; also kept after that, until it was answered as described.
    off: Mutex<Option<Instant>>,
}

impl QuerySwitch {
    fn is_on(&self) -> bool {
        let off = *self.off.lock().unwrap_or_else(PoisonError::into_inner);
        off.is_none_or(|until| until <= Instant::now())
    }

    fn judge<T>(&self, came: Result<T, GatewayError>) -> Result<T, GatewayError> {
        let mut off = self.off.lock().unwrap_or_else(PoisonError::into_inner);
        match &came {
            Ok(_) => *off = None,
            Err(error) if is_unfit(error) => {
                if off.replace(Instant::now() + OFF).is_none() {
                    tracing::warn!(
                        %error,
                        "{} does not work; calls are looked at one by one, and it is tried again \
                         every 10 minutes",
                        self.what
                    );
                }
            }
            Err(_) => {}
        }
        came
    }
}

/// Whether the query cannot be made here, or is not answered as described.
const fn is_unfit(error: &GatewayError) -> bool {
    matches!(
        error,
        GatewayError::PermissionMissing { .. }
            | GatewayError::NotFound(_)
            | GatewayError::Rejected(_)
            | GatewayError::Unreadable { .. }
    )
}

/// Everything that waits in a queue, longest wait first. Rows move up while others leave, so a row
/// can be missed; it is in the next look.
async fn all_waiting(
    upstream: &Upstream,
    ctx: &CallContext,
    queue: QueueId,
) -> Result<WaitingCalls, GatewayError> {
    let mut calls = WaitingCalls { truncated: true, ..WaitingCalls::default() };
    let (mut seen, mut largest, mut left_out) = (HashSet::new(), 0, 0);
    for number in 1..=MAX_PAGES {
        let (page, clock) = waiting_page(upstream, ctx, queue, number).await?;
        calls.clock = clock;
        let groups = page.results.items.len() as u64 + page.results.left_out;
        left_out += page.results.left_out;
        let known = seen.len();
        for group in &page.results.items {
            left_out += group.entities.left_out.max(u64::from(group.entities.items.is_empty()));
            let rows = group.entities.items.iter().filter(|row| is_about(row, queue));
            let rows = rows.filter(|row| seen.insert(row.conversation_id));
            calls.rows.extend(rows.map(call));
        }
        // A page shorter than one before it is the last one.
        if seen.len() == known || groups < largest {
            calls.truncated = false;
            break;
        }
        largest = groups;
    }
    if left_out > 0 && calls.rows.is_empty() {
        // If this were taken for an empty queue, all calls in it would be left behind.
        let detail = "the list of all waiting calls cannot be read".to_owned();
        return Err(GatewayError::Unreadable { detail, answer: None });
    }
    calls.rows.sort_by_key(|row| (row.since, row.conversation_id));
    calls.count = calls.rows.len() as u64;
    Ok(calls)
}

async fn waiting_page(
    upstream: &Upstream,
    ctx: &CallContext,
    queue: QueueId,
    number: usize,
) -> Result<(ActivityPage, ClockOffset), GatewayError> {
    let mut request = upstream.request(ctx, Operation::QueryActivity, &[]);
    let (size, number) = (PAGE.to_string(), number.to_string());
    request.url.query_pairs_mut().extend_pairs([("pageSize", size), ("pageNumber", number)]);
    request.body = upstream::json(&json!({
        "metrics": [{"metric": WAITING, "details": true}],
        "groupBy": ["conversationId", "queueId"],
        "order": "asc",
        "filter": {
            "type": "and",
            "clauses": [{
                "type": "or",
                "predicates": [{"dimension": "queueId", "value": queue.to_string()}],
            }],
            "predicates": [{"dimension": "mediaType", "value": VOICE}],
        },
    }))?;
    upstream.read(request, |text| serde_json::from_str(text)).await
}

/// A row that names another queue, medium or metric than was asked for is not ours.
fn is_about(row: &ActivityRow, queue: QueueId) -> bool {
    row.queue_id.as_deref().is_none_or(|id| id.parse() == Ok(queue))
        && row.media_type.as_deref().is_none_or(|media| media.eq_ignore_ascii_case(VOICE))
        && row.metric.as_deref().is_none_or(|metric| metric == WAITING)
}

fn call(row: &ActivityRow) -> WaitingCall {
    WaitingCall {
        conversation_id: row.conversation_id,
        since: row.activity_date,
        priority: row.routing_priority,
        skill_ids: row.requested_routing_skill_ids.clone(),
        language_id: row.requested_language_id,
    }
}

async fn details(
    upstream: &Upstream,
    ctx: &CallContext,
    ids: &[ConversationId],
) -> Result<(Details, ClockOffset), GatewayError> {
    let mut request = upstream.request(ctx, Operation::GetDetails, &[]);
    let list: Vec<String> = ids.iter().map(ToString::to_string).collect();
    // Not as a pair: commas stay as they are.
    request.url.set_query(Some(&format!("id={}", list.join(","))));
    upstream.read(request, |text| serde_json::from_str(text)).await
}

/// The call, if it is plain.
fn view(call: &DetailedCall, queue: QueueId, clock: ClockOffset) -> Option<Conversation> {
    if call.conversation_end.is_some() || call.participants.left_out > 0 {
        return None;
    }
    let legs = &call.participants.items;
    let legs = legs.iter().map(|it| leg(it, queue)).collect::<Option<Vec<Leg>>>()?;
    let count = |state| legs.iter().filter(|leg| leg.state == state).count();
    if count(LegState::Waiting) != 1 || count(LegState::Connected) != 1 {
        return None;
    }
    Some(Conversation {
        id: call.conversation_id,
        ended: false,
        blocked: None,
        legs,
        unread: false,
        clock,
        recent_transfers: Vec::new(),
        bulk: true,
    })
}

/// The call, if it is over, which it stays. One that an agent has may be back in the queue since: a
/// look at it alone decides.
fn gone(call: &DetailedCall, clock: ClockOffset) -> Option<Conversation> {
    call.conversation_end.is_some().then(|| Conversation {
        id: call.conversation_id,
        ended: true,
        blocked: None,
        legs: Vec::new(),
        unread: false,
        clock,
        recent_transfers: Vec::new(),
        bulk: true,
    })
}

/// A leg of a plain call: ended, the customer's, or the one that waits.
fn leg(read: &DetailedLeg, queue: QueueId) -> Option<Leg> {
    let sessions = &read.sessions;
    let unsure = |session: &DetailedSession| {
        session.segments.left_out > 0 || session.segments.items.is_empty()
    };
    if sessions.left_out > 0 || sessions.items.is_empty() || sessions.items.iter().any(unsure) {
        return None;
    }
    let purpose = Purpose::from(read.purpose.clone());
    let segments = || sessions.items.iter().flat_map(|session| &session.segments.items);
    let last = segments().max_by_key(|segment| segment.segment_start)?;
    let mut open = segments().filter(|segment| segment.segment_end.is_none());
    let state = match (open.next(), open.next(), &purpose) {
        (None, ..) => LegState::Ended,
        (Some(segment), None, Purpose::Acd) if std::ptr::eq(segment, last) => {
            let is_there = segment.queue_id.as_deref().and_then(|id| id.parse().ok());
            (is_there == Some(queue)).then_some(LegState::Waiting)?
        }
        (Some(segment), None, Purpose::Customer | Purpose::External)
            if std::ptr::eq(segment, last) =>
        {
            LegState::Connected
        }
        _ => return None,
    };
    if state != LegState::Ended && !is_voice(&sessions.items, last) {
        return None;
    }
    let ended = state == LegState::Ended;
    Some(Leg {
        participant_id: Some(read.participant_id),
        purpose,
        queue_id: last.queue_id.as_deref().and_then(|id| id.parse().ok()),
        since: segments().map(|segment| segment.segment_start).min(),
        disconnect_type: last.disconnect_type.clone().filter(|_| ended),
        state,
        supervision: None,
        routing: Routing {
            priority: None,
            skill_ids: last.requested_routing_skill_ids.clone(),
            language_id: last.requested_language_id,
        },
    })
}

/// Whether the open segment is of a call, and does not ring.
fn is_voice(sessions: &[DetailedSession], open: &DetailedSegment) -> bool {
    let settled = open
        .segment_type
        .as_deref()
        .is_none_or(|word| SETTLED.iter().any(|known| word.eq_ignore_ascii_case(known)));
    let of_it = |session: &&DetailedSession| {
        session.segments.items.iter().any(|segment| std::ptr::eq(segment, open))
    };
    let media = sessions.iter().find(of_it).and_then(|session| session.media_type.as_deref());
    settled && media.is_some_and(|media| media.eq_ignore_ascii_case(VOICE))
}

#[cfg(test)]
mod tests;
