//! Who waits in a queue, and who is there to answer.

use std::collections::HashSet;

use super::{
    call::Operation,
    upstream::{Upstream, json},
    wire::{
        QueueMembers,
        observations::{Data, Filter, Group, Observations, Predicate, Row, WaitingQuery},
    },
};
use crate::transfer::{
    gateway::{CallContext, GatewayError, WaitingCall, WaitingCalls},
    ids::QueueId,
};

const WAITING: &str = "oWaiting";
const VOICE: &str = "voice";

/// The voice calls that wait in a queue, longest wait first. A row that names no conversation or no
/// time is left out, but counts where nothing else does. A queue that is not mentioned is empty.
pub(super) async fn waiting(
    upstream: &Upstream,
    ctx: &CallContext,
    queue: QueueId,
) -> Result<WaitingCalls, GatewayError> {
    let id = queue.to_string();
    let matches =
        |dimension, value| Predicate { r#type: "dimension", dimension, operator: "matches", value };
    let query = WaitingQuery {
        filter: Filter {
            r#type: "and",
            predicates: [matches("queueId", id.as_str()), matches("mediaType", VOICE)],
        },
        metrics: [WAITING],
        detail_metrics: [WAITING],
    };
    let mut request = upstream.request(ctx, Operation::QueryWaiting, &[]);
    request.body = json(&query)?;
    let answer = upstream.read(request, |text| serde_json::from_str(text)).await;
    let (answer, clock) = answer.map_err(GatewayError::of_no_conversation)?;
    Ok(WaitingCalls { clock, ..view(&answer, queue)? })
}

/// How many people can answer in a queue: those on queue, else all its members.
pub(super) async fn members(
    upstream: &Upstream,
    ctx: &CallContext,
    queue: QueueId,
) -> Result<Option<u64>, GatewayError> {
    let request = upstream.request(ctx, Operation::GetQueue, &[queue.uuid()]);
    let read = upstream.read(request, |text| serde_json::from_str::<QueueMembers>(text)).await;
    let (members, _) = read.map_err(GatewayError::of_no_conversation)?;
    Ok(members.joined_member_count.or(members.member_count))
}

fn view(answer: &Observations, queue: QueueId) -> Result<WaitingCalls, GatewayError> {
    let mut calls = WaitingCalls::default();
    let mut seen = HashSet::new();
    let mut is_told = false;
    let mut left_out = answer.results.left_out;
    for group in answer.results.items.iter().filter(|group| is_about(group, queue)) {
        let Some(data) = &group.data else {
            is_told = true;
            continue;
        };
        left_out += data.left_out;
        for data in data.items.iter().filter(|data| is_about_waiting(data)) {
            is_told = true;
            let rows = &data.observations;
            let read = u64::try_from(rows.items.len()).unwrap_or(u64::MAX);
            let shown = read.saturating_add(rows.left_out);
            let counted = data.stats.as_ref().and_then(|stats| stats.count);
            let count = counted.map_or(shown, |count| count.max(read));
            calls.count = calls.count.saturating_add(count);
            calls.truncated |= data.truncated.unwrap_or(count > shown);
            calls.rows.extend(rows.items.iter().map(call));
        }
    }
    if left_out > 0 && !is_told {
        // If this were taken for an empty queue, all calls in it would be left behind.
        let detail = "the list of calls waiting in the queue cannot be read".to_owned();
        return Err(GatewayError::Unreadable { detail, answer: None });
    }
    calls.rows.sort_by_key(|row| (row.since, row.conversation_id));
    calls.rows.retain(|row| seen.insert(row.conversation_id));
    Ok(calls)
}

/// A group that names another queue or medium than was asked for is not ours.
fn is_about(group: &Group, queue: QueueId) -> bool {
    let Some(key) = &group.group else { return true };
    let same_queue = key.queue_id.as_deref().is_none_or(|id| id.parse() == Ok(queue));
    let voice = key.media_type.as_deref().is_none_or(|media| media.eq_ignore_ascii_case(VOICE));
    same_queue && voice
}

fn is_about_waiting(data: &Data) -> bool {
    data.metric.as_deref().is_none_or(|metric| metric == WAITING)
}

fn call(row: &Row) -> WaitingCall {
    WaitingCall {
        conversation_id: row.conversation_id,
        since: row.observation_date,
        priority: row.routing_priority,
        skill_ids: None,
        language_id: None,
    }
}

#[cfg(test)]
mod tests;
