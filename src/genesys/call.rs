//! One call to Genesys: which operation, how it must be treated, what travels with it.

use std::{
    any::Any,
    ops::{Index, IndexMut},
    sync::Arc,
    time::Duration,
};

use reqwest::{Method, header::HeaderValue};
use tokio::time::Instant;
use url::Url;

use super::recheck::Recheck;
use crate::{metrics::Label, transfer::gateway::CallContext};

/// What a repeat of a call would mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Asks for a token: harmless to repeat, final when the credentials are refused.
    Token,
    /// Changes nothing.
    Read,
    /// Moves a call: repeated only when the earlier try was certainly not carried out.
    Command,
    /// Sets absolute values: harmless to repeat.
    RoutingPatch,
}

impl Kind {
    /// Most tries of one call.
    pub(super) const fn max_attempts(self) -> u32 {
        match self {
            Self::Command => 4,
            Self::Token | Self::Read | Self::RoutingPatch => 3,
        }
    }

    /// Time that must be left before the deadline to begin a try: one that cannot be finished is
    /// not begun.
    pub(super) const fn needs(self) -> Duration {
        match self {
            Self::Command => Duration::from_secs(3),
            Self::Token | Self::Read | Self::RoutingPatch => Duration::from_millis(100),
        }
    }
}

/// The operations this gateway uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Operation {
    /// `POST {login}/oauth/token`
    Token,
    /// `GET /api/v2/routing/queues`
    ListQueues,
    /// `GET /api/v2/routing/queues/{id}`
    GetQueue,
    /// `GET /api/v2/conversations/{id}`
    GetConversation,
    /// `POST /api/v2/conversations/{id}/participants/{id}/replace/queue`
    ReplaceWithQueue,
    /// `PATCH /api/v2/routing/conversations/{id}`
    SetRouting,
    /// `POST /api/v2/analytics/queues/observations/query`
    QueryWaiting,
    /// `GET /api/v2/routing/settings/contactcenter`
    GetSettings,
    /// `GET /api/v2/communications/conversations/{id}`
    GetCommunication,
    /// `PATCH /api/v2/communications/conversations/{id}`
    PatchCommunication,
}

impl Label for Operation {
    const ALL: &'static [Self] = &[
        Self::Token,
        Self::ListQueues,
        Self::GetQueue,
        Self::GetConversation,
        Self::ReplaceWithQueue,
        Self::SetRouting,
        Self::QueryWaiting,
        Self::GetSettings,
        Self::GetCommunication,
        Self::PatchCommunication,
    ];

    fn label(self) -> &'static str {
        self.name()
    }
}

impl Operation {
    const COUNT: usize = <Self as Label>::ALL.len();

    /// The name in logs, metrics and traces.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::ListQueues => "list_queues",
            Self::GetQueue => "get_queue",
            Self::GetConversation => "get_conversation",
            Self::ReplaceWithQueue => "replace_with_queue",
            Self::SetRouting => "set_routing",
            Self::QueryWaiting => "query_waiting",
            Self::GetSettings => "get_settings",
            Self::GetCommunication => "get_communication",
            Self::PatchCommunication => "patch_communication",
        }
    }

    /// How it must be treated.
    pub(super) const fn kind(self) -> Kind {
        match self {
            Self::Token => Kind::Token,
            Self::ReplaceWithQueue | Self::PatchCommunication => Kind::Command,
            Self::SetRouting => Kind::RoutingPatch,
            Self::ListQueues
            | Self::GetQueue
            | Self::GetConversation
            | Self::QueryWaiting
            | Self::GetSettings
            | Self::GetCommunication => Kind::Read,
        }
    }

    /// Its HTTP method.
    pub(super) const fn method(self) -> Method {
        match self {
            Self::Token | Self::ReplaceWithQueue | Self::QueryWaiting => Method::POST,
            Self::SetRouting | Self::PatchCommunication => Method::PATCH,
            Self::ListQueues
            | Self::GetQueue
            | Self::GetConversation
            | Self::GetSettings
            | Self::GetCommunication => Method::GET,
        }
    }

    /// The permission or scope it needs (SDK 269.0.0, API documentation).
    pub(super) const fn permission(self) -> &'static str {
        match self {
            Self::Token => "an OAuth client with the client credentials grant",
            Self::ListQueues | Self::GetQueue => "routing:queue:view",
            Self::GetConversation => "conversation:communication:view",
            Self::ReplaceWithQueue => {
                "conversation:communication:blindTransfer or \
                 conversation:communication:blindTransferQueue"
            }
            Self::SetRouting => "routing:conversation:edit",
            Self::QueryWaiting => "analytics:queueObservation:view",
            Self::GetSettings => "none beyond a valid token",
            Self::GetCommunication => "conversation:view",
            Self::PatchCommunication => "conversation:update",
        }
    }

    /// Longest answer body taken, in bytes after decoding.
    pub(super) const fn body_limit(self) -> usize {
        match self {
            Self::ListQueues => 10 * 1024 * 1024,
            Self::GetConversation | Self::GetCommunication => 4 * 1024 * 1024,
            // A hundred rows of about a kilobyte.
            Self::QueryWaiting => 2 * 1024 * 1024,
            Self::Token
            | Self::GetQueue
            | Self::ReplaceWithQueue
            | Self::SetRouting
            | Self::GetSettings
            | Self::PatchCommunication => 64 * 1024,
        }
    }
}

/// A set of operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Operations(u16);

const _: () = assert!(Operation::COUNT <= u16::BITS as usize, "a bit for each operation");

impl Operations {
    /// All there are.
    pub(super) const ALL: Self = Self(u16::MAX);

    /// That one alone.
    pub(super) const fn of(operation: Operation) -> Self {
        Self(1 << operation as u16)
    }

    /// Those of either set.
    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those of both sets.
    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// How many there are.
    pub(super) fn count(self) -> u64 {
        u64::from(self.0.count_ones())
    }

    /// Each of them, in the order in which they are declared.
    pub(super) fn iter(self) -> impl Iterator<Item = Operation> {
        let all = Operation::ALL.iter().copied();
        all.filter(move |operation| self.and(Self::of(*operation)).0 != 0)
    }

    /// Takes out `wanted`, or if it is not in the set another one; which.
    pub(super) fn take(&mut self, wanted: Operation) -> Option<Operation> {
        let first = self.iter().next()?;
        let taken = if self.and(Self::of(wanted)).0 == 0 { first } else { wanted };
        self.0 &= !Self::of(taken).0;
        Some(taken)
    }
}

impl FromIterator<Operation> for Operations {
    fn from_iter<I: IntoIterator<Item = Operation>>(operations: I) -> Self {
        operations.into_iter().fold(Self(0), |all, one| all.or(Self::of(one)))
    }
}

/// A value for each operation.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PerOperation<T>([T; Operation::COUNT]);

impl<T> Index<Operation> for PerOperation<T> {
    type Output = T;

    #[expect(clippy::indexing_slicing, reason = "there is a place for each operation")]
    fn index(&self, operation: Operation) -> &T {
        &self.0[operation as usize]
    }
}

impl<T> IndexMut<Operation> for PerOperation<T> {
    #[expect(clippy::indexing_slicing, reason = "there is a place for each operation")]
    fn index_mut(&mut self, operation: Operation) -> &mut T {
        &mut self.0[operation as usize]
    }
}

/// A request body, cheap to clone for a repeat.
#[derive(Clone)]
pub(super) enum Payload {
    /// No body.
    None,
    /// JSON text.
    Json(Arc<[u8]>),
    /// `application/x-www-form-urlencoded` text; holds credentials.
    Form(Arc<[u8]>),
}

/// What an answer was read into; the sender of the call knows the type.
pub(super) type Decoded = Box<dyn Any + Send + Sync>;

/// Reads an answer body, and counts the entries of its lists that cannot be read; the error says what
/// was wrong with it.
pub(super) type Decode = fn(&[u8]) -> Result<(Decoded, u64), String>;

/// One call on its way down the stack. Cloned for each try; `Debug` is left out because it
/// carries credentials.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "facts about one call, each of its own")]
pub(super) struct Call {
    /// Which operation.
    pub operation: Operation,
    /// Where to.
    pub url: Url,
    /// What is sent.
    pub payload: Payload,
    /// `Authorization`; set beforehand for the token call, by the auth layer for the others.
    pub authorization: Option<HeaderValue>,
    /// Deadline, lane and cost.
    pub ctx: CallContext,
    /// How a good answer is read; `None` when its body does not matter.
    pub decode: Option<Decode>,
    /// The look before a repeat; only commands have one.
    pub recheck: Option<Arc<Recheck>>,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// Whether this try follows a pause.
    pub paused: bool,
    /// Whether an earlier try was answered 429.
    pub throttled: bool,
    /// Whether an earlier try was answered 401.
    pub reauthorized: bool,
    /// Whether an earlier try may have been carried out, though nothing said so.
    pub unclear: bool,
}

impl Call {
    /// A call that was not tried yet.
    pub(super) fn new(operation: Operation, url: Url, payload: Payload, ctx: CallContext) -> Self {
        Self {
            operation,
            url,
            payload,
            authorization: None,
            ctx,
            decode: None,
            recheck: None,
            attempt: 1,
            paused: false,
            throttled: false,
            reauthorized: false,
            unclear: false,
        }
    }

    /// How it must be treated.
    pub(super) const fn kind(&self) -> Kind {
        self.operation.kind()
    }

    /// Whether it does something to a conversation.
    pub(super) const fn changes(&self) -> bool {
        matches!(self.kind(), Kind::Command | Kind::RoutingPatch)
    }

    /// The last moment at which a try may begin.
    pub(super) fn start_by(&self) -> Instant {
        start_by(&self.ctx, self.kind())
    }
}

/// The last moment at which a call of `kind` may begin.
pub(super) fn start_by(ctx: &CallContext, kind: Kind) -> Instant {
    // An instant before the clock's zero cannot be made; "now" is then early enough.
    ctx.deadline.checked_sub(kind.needs()).unwrap_or_else(Instant::now)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The compiler does not see that a list lacks something, so the source is asked.
    #[test]
    fn every_operation_is_counted_from_the_start() {
        let (_, source) = include_str!("call.rs").split_once("enum Operation {").unwrap();
        let (source, _) = source.split_once("\n}").unwrap();
        let lines = source.lines().map(str::trim).filter(|line| !line.starts_with("//"));
        let declared: Vec<_> = lines.filter_map(|line| line.strip_suffix(',')).collect();
        let listed: Vec<_> = Operation::ALL.iter().map(|one| format!("{one:?}")).collect();
        assert_eq!(listed, declared);
    }
}
