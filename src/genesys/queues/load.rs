//! Loads the queue list: all pages or nothing.

use std::collections::HashSet;

use futures_util::{StreamExt, TryStreamExt, stream};

use crate::{
    genesys::{
        call::Operation,
        upstream::Upstream,
        wire::{QueueEntity, QueuePage},
    },
    transfer::{
        gateway::{CallContext, GatewayError},
        ids::QueueId,
        model::{Queue, QueueName},
    },
};

/// Asked for; Genesys may cut it, so paging goes by `pageCount`.
const PAGE_SIZE: &str = "100";
/// Pages fetched at once. Few, so that a load does not fill the line of waiting requests.
const AT_ONCE: usize = 4;
/// More pages than this are no queue list.
const MOST_PAGES: u64 = 2_000;
/// Pages of a search by name that are read.
const MOST_FOUND_PAGES: u64 = 3;

/// All queues visible to this client.
///
/// # Errors
/// When any page cannot be had, or the pages together are not the whole list.
pub(super) async fn all(
    upstream: &Upstream,
    ctx: &CallContext,
) -> Result<Vec<Queue>, GatewayError> {
    let first = page(upstream, ctx, 1, None).await?;
    let first_total = first.total;
    let mut read = Read::default();
    let mut pages = read.add(first)?;
    let mut next = 2;
    // The list may grow while it is read: go on until the last page count is reached.
    while next <= pages {
        let batch: Vec<QueuePage> = stream::iter(next..=pages)
            .map(|number| page(upstream, ctx, number, None))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        next = pages + 1;
        for page in batch {
            pages = pages.max(read.add(page)?);
        }
    }
    read.whole(first_total)
}

/// The queues that Genesys' own search finds for a name. A search, not a look-up: the caller
/// compares.
///
/// # Errors
/// When a page cannot be had.
pub(super) async fn named(
    upstream: &Upstream,
    ctx: &CallContext,
    name: &QueueName,
) -> Result<Vec<Queue>, GatewayError> {
    let mut read = Read::default();
    let mut pages = 1;
    let mut next = 1;
    while next <= pages {
        pages = read.add(page(upstream, ctx, next, Some(name)).await?)?.min(MOST_FOUND_PAGES);
        next += 1;
    }
    Ok(read.queues)
}

/// One queue by its id; `None` when there is none.
///
/// # Errors
/// When it cannot be found out.
pub(super) async fn one(
    upstream: &Upstream,
    ctx: &CallContext,
    id: QueueId,
) -> Result<Option<Queue>, GatewayError> {
    let path = ["api", "v2", "routing", "queues", &id.to_string()];
    let entity = upstream.read::<QueueEntity>(ctx, Operation::GetQueue, &path, &[]).await;
    match entity {
        Ok(entity) => Ok(queue(entity).filter(|queue| queue.id == id)),
        Err(GatewayError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn page(
    upstream: &Upstream,
    ctx: &CallContext,
    number: u64,
    name: Option<&QueueName>,
) -> Result<QueuePage, GatewayError> {
    let number = number.to_string();
    let mut query =
        vec![("pageNumber", number.as_str()), ("pageSize", PAGE_SIZE), ("sortOrder", "asc")];
    query.extend(name.map(|name| ("name", name.as_str())));
    let path = ["api", "v2", "routing", "queues"];
    let page = upstream.read(ctx, Operation::ListQueues, &path, &query).await;
    page.map_err(|error| match error {
        // The list always exists: a host without it is the wrong one, and nothing of the caller's
        // was not found.
        GatewayError::NotFound(answer) => GatewayError::Failed(answer),
        other => other,
    })
}

/// What was read so far.
#[derive(Default)]
struct Read {
    queues: Vec<Queue>,
    ids: HashSet<QueueId>,
    /// Entries that name no usable queue, or one that was read before.
    other: u64,
    total: Option<u64>,
}

impl Read {
    /// Adds a page; how many pages it says there are.
    fn add(&mut self, page: QueuePage) -> Result<u64, GatewayError> {
        for queue in page.entities.into_iter().map(queue) {
            match queue {
                Some(queue) => {
                    self.other += u64::from(!self.ids.insert(queue.id));
                    self.queues.push(queue);
                }
                None => self.other += 1,
            }
        }
        self.total = page.total.or(self.total);
        let pages = page.page_count.unwrap_or(1);
        if pages > MOST_PAGES {
            return Err(unreadable(format!("the queue list claims to have {pages} pages")));
        }
        Ok(pages)
    }

    /// The list, if it is all of it. What came and went while it was read may be missing; more
    /// may not, or a page that was served empty by mistake would make queues disappear.
    fn whole(self, first_total: Option<u64>) -> Result<Vec<Queue>, GatewayError> {
        let unique = u64::try_from(self.ids.len()).unwrap_or(u64::MAX);
        if let (Some(first), Some(last)) = (first_total, self.total) {
            let explained = unique + self.other + first.abs_diff(last);
            if explained < first.min(last) {
                return Err(unreadable(format!(
                    "the queue list has {last} queues but its pages hold {unique}"
                )));
            }
        }
        Ok(self.queues)
    }
}

fn unreadable(detail: String) -> GatewayError {
    GatewayError::Unreadable { detail, answer: None }
}

/// An entry without a usable id or a name is no queue.
fn queue(entity: QueueEntity) -> Option<Queue> {
    let id = entity.id?.parse().ok()?;
    let division = entity.division.and_then(|division| division.name);
    Some(Queue { id, name: entity.name?, division })
}
