//! Who waits in a queue, and who is there to answer.

use std::collections::HashSet;

use super::{
    call::Operation,
    upstream::Upstream,
    wire::{
        QueueMembers,
        observations::{Answer, Data, Filter, Group, Predicate, Query, Row},
        timestamp,
    },
};
use crate::transfer::{
    gateway::{CallContext, GatewayError, WaitingCall, WaitingCalls},
    ids::QueueId,
};

const PATH: [&str; 5] = ["api", "v2", "analytics", "queues", "observations"];
const WAITING: &str = "oWaiting";
const VOICE: &str = "voice";

/// The voice calls that wait in a queue, longest wait first. A row that names no conversation or no
/// time is left out, but counts. A queue that is not mentioned is empty.
pub(super) async fn waiting(
    upstream: &Upstream,
    ctx: &CallContext,
    queue: QueueId,
) -> Result<WaitingCalls, GatewayError> {
    let id = queue.to_string();
    let matches =
        |dimension, value| Predicate { r#type: "dimension", dimension, operator: "matches", value };
    let query = Query {
        filter: Filter {
            r#type: "and",
            predicates: [matches("queueId", id.as_str()), matches("mediaType", VOICE)],
        },
        metrics: [WAITING],
        detail_metrics: [WAITING],
    };
    let path = [PATH.as_slice(), &["query"]].concat();
    let answer = upstream.query(ctx, Operation::QueryWaiting, &path, &query).await;
    let (answer, clock) = answer.map_err(of_no_conversation)?;
    Ok(WaitingCalls { clock, ..view(&answer, queue) })
}

/// How many people can answer in a queue: those on queue, else all its members.
pub(super) async fn members(
    upstream: &Upstream,
    ctx: &CallContext,
    queue: QueueId,
) -> Result<Option<u64>, GatewayError> {
    let path = ["api", "v2", "routing", "queues", &queue.to_string()];
    let read = upstream.read::<QueueMembers>(ctx, Operation::GetQueue, &path, &[]).await;
    let members = read.map_err(of_no_conversation)?;
    Ok(members.joined_member_count.or(members.member_count))
}

/// "Not found" is said of conversations; here it is a host or a queue that is not there.
fn of_no_conversation(error: GatewayError) -> GatewayError {
    match error {
        GatewayError::NotFound(answer) => GatewayError::Failed(answer),
        other => other,
    }
}

fn view(answer: &Answer, queue: QueueId) -> WaitingCalls {
    let mut calls = WaitingCalls::default();
    let mut seen = HashSet::new();
    let mut unreadable = 0_usize;
    for group in answer.results.iter().filter(|group| is_about(group, queue)) {
        for data in data(group) {
            let rows = data.observations.as_deref().unwrap_or_default();
            let shown = u64::try_from(rows.len()).unwrap_or(u64::MAX);
            let counted = data.stats.as_ref().and_then(|stats| stats.count);
            let count = counted.unwrap_or(shown).max(shown);
            calls.count = calls.count.saturating_add(count);
            calls.truncated |= data.truncated.unwrap_or(count > shown);
            let before = calls.rows.len();
            calls.rows.extend(rows.iter().flatten().filter_map(call));
            unreadable += rows.len().saturating_sub(calls.rows.len().saturating_sub(before));
        }
    }
    if unreadable > 0 {
        tracing::warn!(queue_id = %queue, unreadable, "rows of waiting calls cannot be read");
    }
    calls.rows.sort_by_key(|row| (row.since, row.conversation_id));
    calls.rows.retain(|row| seen.insert(row.conversation_id));
    calls
}

/// A group that names another queue or medium than was asked for is not ours.
fn is_about(group: &Group, queue: QueueId) -> bool {
    let Some(key) = &group.group else { return true };
    let same_queue = key.queue_id.as_deref().is_none_or(|id| id.parse() == Ok(queue));
    let voice = key.media_type.as_deref().is_none_or(|media| media.eq_ignore_ascii_case(VOICE));
    same_queue && voice
}

/// What a group says of those who wait.
fn data(group: &Group) -> impl Iterator<Item = &Data> {
    let waiting = |data: &&Data| data.metric.as_deref().is_none_or(|metric| metric == WAITING);
    group.data.iter().flatten().flatten().filter(waiting)
}

fn call(row: &Row) -> Option<WaitingCall> {
    Some(WaitingCall {
        conversation_id: row.conversation_id.as_deref()?.parse().ok()?,
        since: timestamp(row.observation_date.as_deref()?)?,
        priority: row.routing_priority,
    })
}

#[cfg(test)]
mod tests;
