//! Loads the queue list: all pages or nothing.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::{Instant, sleep_until};

use crate::{
    genesys::{
        call::Operation,
        upstream::Upstream,
        wire::{QueueEntity, QueuePage},
    },
    support::SlidingWindow,
    transfer::{
        gateway::{CallContext, GatewayError, Lane},
        ids::QueueId,
        model::{Queue, QueueName},
    },
};

/// The largest page that may be asked for; Genesys may cut it silently.
pub(super) const LARGE_PAGE: u64 = 500;
/// A page that Genesys always gives.
pub(super) const SAFE_PAGE: u64 = 100;
/// Longest one page may take, pacing included.
const PAGE_DEADLINE: Duration = Duration::from_mins(3);
/// The time over which requests are limited.
const MINUTE: Duration = Duration::from_mins(1);
/// Pages fetched at once. Few, so that a load does not fill the line of waiting requests.
const AT_ONCE: usize = 4;
/// More pages than this are no queue list.
const MOST_PAGES: u64 = 2_000;
/// Pages of a search by name that are read.
const MOST_FOUND_PAGES: u64 = 3;

/// Limits how many pages are requested in any minute, over all loads.
#[derive(Debug)]
pub(super) struct PageRate(Mutex<SlidingWindow<121>>);

impl PageRate {
    /// None requested yet.
    pub(super) fn new() -> Self {
        Self(Mutex::new(SlidingWindow::new(MINUTE / 120, Instant::now())))
    }

    /// Waits until one more page may be requested, with `most` (at least one) in any minute.
    async fn admit(&self, most: u64) {
        while let Some(then) = self.try_admit(most.max(1)) {
            sleep_until(then).await;
        }
    }

    /// Admits one more page now (`None`), or says when to try again.
    fn try_admit(&self, most: u64) -> Option<Instant> {
        let now = Instant::now();
        let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let too_many = (sent.sum(now) + 1).saturating_sub(most);
        if too_many == 0 {
            sent.add(now);
            return None;
        }
        sent.when_forgotten(now, too_many)
    }
}

/// How a load requests its pages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paging {
    /// The priority of its requests.
    pub lane: Lane,
    /// Queues per page, unless Genesys cuts the page.
    pub page_size: u64,
    /// Pages per minute at most.
    pub per_minute: u64,
}

/// All queues visible to this client.
///
/// # Errors
/// When any page cannot be had, or the pages together are not the whole list.
pub(super) async fn all(
    upstream: &Upstream,
    rate: &PageRate,
    paging: Paging,
) -> Result<Vec<Queue>, GatewayError> {
    let fetch = |number, size| async move {
        rate.admit(paging.per_minute).await;
        let ctx = CallContext::new(Instant::now() + PAGE_DEADLINE, paging.lane);
        page(upstream, &ctx, number, size, None).await
    };
    let first = fetch(1, paging.page_size).await?;
    let first_total = first.total;
    let mut read = PagesRead::begin(paging.page_size, &first);
    let size = read.page_size;
    let mut pages = read.add(first)?;
    let mut next = 2;
    // The list may grow while it is read: go on until the last page count is reached.
    while next <= pages {
        let batch: Vec<QueuePage> = stream::iter(next..=pages)
            .map(|number| fetch(number, size))
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
    let first = page(upstream, ctx, 1, LARGE_PAGE, Some(name)).await?;
    let mut read = PagesRead::begin(LARGE_PAGE, &first);
    let mut pages = read.add(first)?;
    let mut next = 2;
    while next <= pages.min(MOST_FOUND_PAGES) {
        pages = read.add(page(upstream, ctx, next, read.page_size, Some(name)).await?)?;
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
    let request = upstream.request(ctx, Operation::GetQueue, &[id.uuid()]);
    match upstream.read(request, |text| serde_json::from_str(text)).await {
        Ok((entity, _)) => Ok(Some(queue(entity)).filter(|queue| queue.id == id)),
        Err(GatewayError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn page(
    upstream: &Upstream,
    ctx: &CallContext,
    number: u64,
    size: u64,
    name: Option<&QueueName>,
) -> Result<QueuePage, GatewayError> {
    let (number, size) = (number.to_string(), size.to_string());
    let mut query =
        vec![("pageNumber", number.as_str()), ("pageSize", size.as_str()), ("sortOrder", "asc")];
    query.extend(name.map(|name| ("name", name.as_str())));
    let mut request = upstream.request(ctx, Operation::ListQueues, &[]);
    request.url.query_pairs_mut().extend_pairs(query);
    let page = upstream.read(request, |text| serde_json::from_str(text)).await;
    page.map(|(page, _)| page).map_err(|error| match error {
        // The list always exists: a host without it is the wrong one, and nothing of the caller's
        // was not found.
        GatewayError::NotFound(answer) => GatewayError::Failed(answer),
        other => other,
    })
}

/// What was read so far.
struct PagesRead {
    /// Queues on a page: as many as were asked for, or as few as Genesys says it gave.
    page_size: u64,
    queues: Vec<Queue>,
    ids: HashSet<QueueId>,
    /// Entries that cannot be read, or name a queue that was read before.
    other: u64,
    total: Option<u64>,
}

impl PagesRead {
    /// Nothing, of a list whose first page this is.
    fn begin(asked: u64, first: &QueuePage) -> Self {
        // Asked for in pages of another size, the rest would not begin where this one ends.
        let page_size = first.page_size.filter(|size| (1..asked).contains(size)).unwrap_or(asked);
        Self { page_size, queues: Vec::new(), ids: HashSet::new(), other: 0, total: None }
    }

    /// Adds a page; how many pages it says there are.
    fn add(&mut self, page: QueuePage) -> Result<u64, GatewayError> {
        self.other += page.entities.left_out;
        for queue in page.entities.items.into_iter().map(queue) {
            self.other += u64::from(!self.ids.insert(queue.id));
            self.queues.push(queue);
        }
        self.total = page.total.or(self.total);
        // A count that goes by the size asked for would leave out what was cut.
        let needed = page.total.map_or(1, |total| total.div_ceil(self.page_size));
        let pages = page.page_count.unwrap_or(1).max(needed);
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

fn queue(entity: QueueEntity) -> Queue {
    let division = entity.division.and_then(|division| division.name);
    Queue { id: entity.id, name: entity.name, division }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_minute_has_more_pages_than_allowed() {
        for most in [1, 3, 20] {
            let (rate, began) = (PageRate::new(), Instant::now());
            let mut admitted = Vec::new();
            for number in 0..most * 5 {
                // Some time passes between pages now and then.
                tokio::time::advance(Duration::from_secs(u64::from(number % 4 == 3))).await;
                rate.admit(most).await;
                admitted.push(Instant::now());
            }
            for (index, at) in admitted.iter().enumerate() {
                let within =
                    admitted.iter().skip(index).take_while(|it| **it < *at + MINUTE).count();
                assert!(
                    u64::try_from(within).unwrap() <= most,
                    "{most}: {within} from {:?} on",
                    *at - began
                );
            }
            assert!(began.elapsed() < MINUTE * 5, "{most}: none waits longer than it must");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_of_zero_admits_one_page_a_minute() {
        let (rate, began) = (PageRate::new(), Instant::now());
        for number in 0..3 {
            rate.admit(0).await;
            let (passed, least) = (began.elapsed(), MINUTE * number);
            assert!(passed >= least && passed < least + MINUTE / 60 * (number + 1), "{passed:?}");
        }
    }
}
