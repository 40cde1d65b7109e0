//! What goes on in the queues a caller may see.

use std::{cmp::Reverse, time::Duration};

use tokio::time::Instant;

use super::{
    Transfers,
    caller::Caller,
    context,
    gateway::{CallContext, GatewayError, Lane, QueueActivity, QueueError},
    ids::QueueId,
    model::{Queue, QueueRef},
    problems,
};
use crate::problem::{Code, Problem};

/// Queues of one listing that Genesys is asked about at most: 5 requests.
const MOST: usize = 500;

/// How long a preview waits for it.
const PREVIEW: Duration = Duration::from_secs(2);

/// A queue, with what goes on in it as far as that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedQueue {
    /// The queue.
    pub queue: Queue,
    /// What goes on in it.
    pub activity: Option<QueueActivity>,
    /// How many seconds a new call would wait, when asked for and known.
    pub estimated_wait: Option<u64>,
}

/// The first 500 of `queues` with what goes on in them, the rest without; most waiting first, else
/// in their order.
pub(super) async fn board(
    transfers: &Transfers,
    queues: Vec<Queue>,
    by: Instant,
) -> Result<Vec<WatchedQueue>, Problem> {
    let ids: Vec<QueueId> = queues.iter().take(MOST).map(|queue| queue.id).collect();
    let activity = transfers.gateway.queue_activity(&context(by, Lane::Batch), &ids).await;
    let activity = activity.map_err(problems::from_gateway)?;
    let watched = |queue: Queue| {
        let activity = activity.get(&queue.id).copied();
        WatchedQueue { queue, activity, estimated_wait: None }
    };
    let mut board: Vec<WatchedQueue> = queues.into_iter().map(watched).collect();
    board.sort_by_key(|queue| Reverse(queue.activity.and_then(|activity| activity.waiting)));
    Ok(board)
}

/// One queue. To a caller who is limited to some queues, every other one is not there.
pub(super) async fn one(
    transfers: &Transfers,
    caller: &Caller,
    id: QueueId,
    by: Instant,
) -> Result<WatchedQueue, Problem> {
    let missing = || Problem::new(Code::NotFound, format!("There is no queue {id}."));
    let (single, batch) = (context(by, Lane::Single), context(by, Lane::Batch));
    let queue = match transfers.gateway.queue(&single, &QueueRef::Id(id)).await {
        Ok(queue) if caller.limits.covers(&queue.name) => queue,
        Ok(_) | Err(QueueError::NotFound { .. } | QueueError::Ambiguous(_)) => {
            return Err(missing());
        }
        Err(QueueError::Gateway(error)) => return Err(problems::from_gateway(error)),
    };
    let ids = [id];
    let (activity, estimated) = tokio::join!(
        transfers.gateway.queue_activity(&batch, &ids),
        transfers.gateway.estimated_wait(&batch, id),
    );
    let activity = activity.map_err(problems::from_gateway)?.get(&id).copied();
    let estimated_wait = match estimated {
        Ok(seconds) => seconds,
        Err(error @ GatewayError::PermissionMissing { .. }) => {
            return Err(problems::from_gateway(error));
        }
        Err(error) => {
            tracing::debug!(%error, "could not read the estimated wait of a queue");
            None
        }
    };
    Ok(WatchedQueue { queue, activity, estimated_wait })
}

/// What goes on in a queue, for a preview: `None` when it cannot be had soon.
pub(super) async fn glance(
    transfers: &Transfers,
    queue: &Queue,
    deadline: Instant,
) -> Option<QueueActivity> {
    let ctx = CallContext::new(deadline.min(Instant::now() + PREVIEW), Lane::Batch);
    match transfers.gateway.queue_activity(&ctx, &[queue.id]).await {
        Ok(activity) => activity.get(&queue.id).copied(),
        Err(error) => {
            tracing::debug!(%error, "could not read the activity of a queue");
            None
        }
    }
}
