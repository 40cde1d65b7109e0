//! The statement for one page of the history, written so that the database reads little more than
//! the page, however long the history is.
//!
//! Both planners would go astray if they were left the choice. SQLite's counts columns rather than
//! rows. PostgreSQL's assumes that matching rows lie evenly: for a queue with a fifth of all rows
//! it walks the newest rows of all queues, which is every row if that queue has long been idle.
//! So SQLite is told the index, and PostgreSQL is given conditions and an order that only one
//! index fits.
//!
//! Every index costs each transfer a page of the disk. SQLite has those of settled rows by status
//! only: where no status is asked for, the page is put together from the newest of each status and
//! from the rows that are not settled, which are few.

use std::{borrow::Cow, fmt::Write as _};

use super::super::{settled, unsettled};
use crate::{
    store::{
        encoding::{lowest_id, micros, storable},
        session::{Dialect, Param},
    },
    transfer::{
        model::{CallerName, Status},
        store::TransferFilter,
    },
};

/// SQLite's index of the rows that are not settled.
const OPEN_INDEX: &str = "transfers_unsettled";

/// The filters that one index serves; the others are checked row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lead {
    /// None: the ids in their order.
    Ids,
    Conversation,
    Batch,
    Reference,
    Caller,
    Queue,
    Status,
    CallerQueue,
    CallerStatus,
    QueueStatus,
    CallerQueueStatus,
    /// The transfers that are not settled. SQLite only; PostgreSQL takes the index of the status.
    Open,
}

/// A status that only transfers have that are not settled: they are few, and one index has them.
const fn is_open(status: Status) -> bool {
    matches!(status, Status::Pending | Status::Unknown)
}

impl Lead {
    /// A conversation, a batch and a reference have few rows; the others may have most.
    fn of(filter: &TransferFilter, dialect: Dialect) -> Self {
        if filter.conversation_id.is_some() {
            return Self::Conversation;
        }
        if filter.batch_id.is_some() {
            return Self::Batch;
        }
        if filter.reference.is_some() {
            return Self::Reference;
        }
        if dialect == Dialect::Sqlite && filter.status.is_some_and(is_open) {
            return Self::Open;
        }
        match (filter.caller.is_some(), filter.queue_id.is_some(), filter.status.is_some()) {
            (false, false, false) => Self::Ids,
            (true, false, false) => Self::Caller,
            (false, true, false) => Self::Queue,
            (false, false, true) => Self::Status,
            (true, true, false) => Self::CallerQueue,
            (true, false, true) => Self::CallerStatus,
            (false, true, true) => Self::QueueStatus,
            (true, true, true) => Self::CallerQueueStatus,
        }
    }

    /// Its index in SQLite.
    pub(super) const fn index(self) -> Option<&'static str> {
        match self {
            Self::Ids => None,
            Self::Conversation => Some("transfers_by_conversation"),
            Self::Batch => Some("transfers_by_batch"),
            Self::Reference => Some("transfers_by_reference"),
            Self::Status => Some("settled_by_status"),
            Self::Caller | Self::CallerStatus => Some("settled_by_caller_status"),
            Self::Queue | Self::QueueStatus => Some("settled_by_queue_status"),
            Self::CallerQueue | Self::CallerQueueStatus => Some("settled_by_caller_queue_status"),
            Self::Open => Some(OPEN_INDEX),
        }
    }

    /// Whether SQLite's index lacks a status that is not asked for.
    pub(super) const fn is_merged(self) -> bool {
        matches!(self, Self::Caller | Self::Queue | Self::CallerQueue)
    }

    /// What SQLite's index leaves out: the planner takes a partial index only for a statement that
    /// says the same.
    const fn part(self) -> Option<&'static str> {
        match self {
            Self::Open => Some(unsettled!()),
            Self::Ids | Self::Conversation | Self::Batch | Self::Reference => None,
            _ => Some(settled!()),
        }
    }

    /// What PostgreSQL's index is on, where it is more than a column.
    const fn joined(self) -> Option<&'static str> {
        match self {
            Self::CallerQueue => Some("caller || '/' || queue_id::text = $?"),
            Self::CallerStatus => Some("caller || '/' || status = $?"),
            Self::QueueStatus => Some("queue_id::text || '/' || status = $?"),
            Self::CallerQueueStatus => {
                Some("caller || '/' || queue_id::text || '/' || status = $?")
            }
            _ => None,
        }
    }
}

/// A condition: `$?` stands for its value's number.
type Condition<'a> = (&'static str, Option<Param<'a>>);

/// The newest of every settled status by `index`, and the newest of those that are not settled,
/// put in one order. `newest` is the end of each part: filters, order and limit, the value `$limit`.
fn merged(index: &str, settled: &str, newest: &str, limit: usize) -> String {
    let part = |index: &str, which: &str| {
        let rows = format!("SELECT id FROM transfers INDEXED BY {index} WHERE {which}{newest}");
        format!("SELECT id FROM ({rows}) UNION ALL ")
    };
    let statuses = Status::ALL.into_iter().filter(|status| !is_open(*status));
    let of_status =
        |status: Status| part(index, &format!("{settled} AND status = '{}'", status.as_str()));
    let mut ids: String = statuses.map(of_status).collect();
    ids.push_str(&part(OPEN_INDEX, unsettled!()));
    let ids = ids.trim_end_matches(" UNION ALL ");
    format!(
        "SELECT data FROM transfers WHERE id IN \
         (SELECT id FROM ({ids}) ORDER BY id DESC LIMIT ${limit}) ORDER BY id DESC"
    )
}

/// One page of the history; see the module.
pub(super) struct Page<'f> {
    dialect: Dialect,
    pub(super) lead: Lead,
    filter: &'f TransferFilter,
    limit: u32,
    caller: Option<Cow<'f, str>>,
    reference: Option<Cow<'f, str>>,
    /// Caller, queue and status in one, as [`Lead::joined`] joins them.
    joined: String,
}

impl<'f> Page<'f> {
    pub(super) fn new(filter: &'f TransferFilter, limit: u32, dialect: Dialect) -> Self {
        let caller = filter.caller.as_ref().map(CallerName::as_str).map(storable);
        let queue = filter.queue_id.map(|id| id.to_string());
        let parts = [caller.as_deref(), queue.as_deref(), filter.status.map(Status::as_str)];
        let joined = parts.into_iter().flatten().collect::<Vec<_>>().join("/");
        let reference = filter.reference.as_deref().map(storable);
        let lead = Lead::of(filter, dialect);
        Self { dialect, lead, filter, limit, caller, reference, joined }
    }

    /// The text is made of constants alone; every word of a caller is a value.
    pub(super) fn statement(&self) -> (String, Vec<Param<'_>>) {
        // In PostgreSQL, `position` is the id once more: no index has it alone, so that none but
        // the right one gives the rows in this order.
        let position = match (self.dialect, self.lead) {
            (Dialect::Sqlite, _) | (_, Lead::Ids) => "id",
            (Dialect::Postgres, _) => "position",
        };
        let (mut filters, mut values) = (String::new(), Vec::new());
        for (condition, value) in self.conditions() {
            let Some(value) = value else { continue };
            values.push(value);
            let condition = condition.replace("position", position);
            let condition = condition.replace("$?", &format!("${}", values.len()));
            let _ = write!(filters, " AND {condition}");
        }
        values.push(Param::Number(i64::from(self.limit)));
        let newest = format!("{filters} ORDER BY {position} DESC LIMIT ${}", values.len());
        let text = match (self.dialect, self.lead.index(), self.lead.part()) {
            (Dialect::Sqlite, Some(index), Some(part)) if self.lead.is_merged() => {
                merged(index, part, &newest, values.len())
            }
            (Dialect::Sqlite, Some(index), part) => {
                let part = part.unwrap_or("TRUE");
                format!("SELECT data FROM transfers INDEXED BY {index} WHERE {part}{newest}")
            }
            _ => format!("SELECT data FROM transfers WHERE TRUE{newest}"),
        };
        (text, values)
    }

    fn conditions(&self) -> Vec<Condition<'_>> {
        let filter = self.filter;
        let mut conditions = match (self.dialect, self.lead.joined()) {
            (Dialect::Postgres, Some(joined)) => vec![(joined, Some(Param::Text(&self.joined)))],
            _ => self.single_conditions(),
        };
        conditions.extend([
            ("position < $?", filter.before.map(|id| Param::Id(id.uuid()))),
            // The bound on the id ends the search, the exact time decides.
            ("position >= $?", filter.since.map(|time| Param::Id(lowest_id(time)))),
            ("created_at >= $?", filter.since.map(|time| Param::Number(micros(time)))),
        ]);
        conditions
    }

    /// One condition for each filter. In PostgreSQL all but the leading one are phrased so that no
    /// index fits them.
    fn single_conditions(&self) -> Vec<Condition<'_>> {
        let filter = self.filter;
        let leads = |lead| self.dialect == Dialect::Sqlite || self.lead == lead;
        let phrase = |lead, open, closed| if leads(lead) { open } else { closed };
        vec![
            ("conversation_id = $?", filter.conversation_id.map(|id| Param::Id(id.uuid()))),
            (
                phrase(Lead::Batch, "batch_id = $?", "batch_id::text = ($?::uuid)::text"),
                filter.batch_id.map(|id| Param::Id(id.uuid())),
            ),
            (
                phrase(Lead::Reference, "reference = $?", "reference || '' = $?"),
                self.reference.as_deref().map(Param::Text),
            ),
            (
                phrase(Lead::Caller, "caller = $?", "caller || '' = $?"),
                self.caller.as_deref().map(Param::Text),
            ),
            (
                phrase(Lead::Queue, "queue_id = $?", "queue_id::text = ($?::uuid)::text"),
                filter.queue_id.map(|id| Param::Id(id.uuid())),
            ),
            (
                phrase(Lead::Status, "status = $?", "status || '' = $?"),
                filter.status.map(Status::as_str).map(Param::Text),
            ),
        ]
    }
}
