//! One call to Genesys: which operation, how it must be treated, what travels with it.

use std::{
    ops::{Index, IndexMut},
    time::Duration,
};

use hyper::body::Bytes;
use reqwest::{Method, header::HeaderValue};
use tokio::time::Instant;
use url::Url;
use uuid::Uuid;

use crate::{metrics::Label, transfer::gateway::CallContext};

/// What a repeat of a call would mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallKind {
    /// Asks for a token: harmless to repeat, final when the credentials are refused.
    Token,
    /// Changes nothing.
    Read,
    /// Moves a call: repeated only when the earlier try was certainly not carried out.
    Command,
    /// Sets absolute values: harmless to repeat.
    RoutingPatch,
}

impl CallKind {
    /// Most tries of one call; a command's repeats are the domain's.
    pub(super) const fn max_attempts(self) -> u32 {
        match self {
            Self::Command => 1,
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

/// Declares the operations with all that is fixed about them: name, method, path with `{}` for each
/// id, kind, longest body in bytes after decoding, and the permission or scope it needs (SDK
/// 269.0.0, API documentation).
macro_rules! operations {
    ($($variant:ident = $name:literal: $method:ident $path:literal, $kind:ident, $limit:expr,
       $permission:literal;)+) => {
        /// The operations this gateway uses.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(super) enum Operation {
            $(#[doc = $path] $variant,)+
        }

        impl Label for Operation {
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            fn label(self) -> &'static str {
                self.name()
            }
        }

        impl Operation {
            fn endpoint(self) -> OperationSpec {
                match self {
                    $(Self::$variant => OperationSpec {
                        name: $name,
                        path: $path,
                        method: Method::$method,
                        kind: CallKind::$kind,
                        body_limit: $limit,
                        permission: $permission,
                    },)+
                }
            }
        }
    };
}

const MIB: usize = 1024 * 1024;
const SMALL: usize = 64 * 1024;

operations! {
    Token = "token": POST "/oauth/token", Token, SMALL,
        "an OAuth client with the client credentials grant";
    ListQueues = "list_queues": GET "/api/v2/routing/queues", Read, 10 * MIB,
        "routing:queue:view";
    GetQueue = "get_queue": GET "/api/v2/routing/queues/{}", Read, SMALL,
        "routing:queue:view";
    GetConversation = "get_conversation": GET "/api/v2/conversations/{}", Read, 4 * MIB,
        "conversation:communication:view";
    ReplaceWithQueue = "replace_with_queue":
        POST "/api/v2/conversations/{}/participants/{}/replace/queue", Command, SMALL,
        "conversation:communication:blindTransfer or \
         conversation:communication:blindTransferQueue";
    SetRouting = "set_routing": PATCH "/api/v2/routing/conversations/{}", RoutingPatch, SMALL,
        "routing:conversation:edit";
    // A hundred rows of about a kilobyte.
    QueryWaiting = "query_waiting": POST "/api/v2/analytics/queues/observations/query", Read,
        2 * MIB, "analytics:queueObservation:view";
    // A hundred groups of about a kilobyte.
    QueryActivity = "query_activity": POST "/api/v2/analytics/conversations/activity/query", Read,
        2 * MIB, "analytics:queueObservation:view";
    // A hundred calls with all their legs.
    GetDetails = "get_details": GET "/api/v2/analytics/conversations/details", Read, 16 * MIB,
        "analytics:conversationDetail:view";
    GetWaitEstimate = "get_wait_estimate":
        GET "/api/v2/routing/queues/{}/mediatypes/call/estimatedwaittime", Read, SMALL,
        "routing:queue:view";
    GetLimits = "get_limits": GET "/api/v2/organizations/limits/namespaces/platform.api", Read,
        MIB, "none beyond a valid token";
    GetSettings = "get_settings": GET "/api/v2/routing/settings/contactcenter", Read, SMALL,
        "none beyond a valid token";
    GetCommunication = "get_communication": GET "/api/v2/communications/conversations/{}", Read,
        4 * MIB, "conversation:view";
    PatchCommunication = "patch_communication":
        PATCH "/api/v2/communications/conversations/{}", Command, SMALL, "conversation:update";
}

struct OperationSpec {
    name: &'static str,
    path: &'static str,
    method: Method,
    kind: CallKind,
    body_limit: usize,
    permission: &'static str,
}

impl Operation {
    const COUNT: usize = <Self as Label>::ALL.len();

    /// The name in logs, metrics and traces.
    pub(super) fn name(self) -> &'static str {
        self.endpoint().name
    }

    /// How it must be treated.
    pub(super) fn kind(self) -> CallKind {
        self.endpoint().kind
    }

    /// Its HTTP method.
    pub(super) fn method(self) -> Method {
        self.endpoint().method
    }

    /// The permission or scope it needs (SDK 269.0.0, API documentation).
    pub(super) fn permission(self) -> &'static str {
        self.endpoint().permission
    }

    /// Longest answer body taken, in bytes after decoding.
    pub(super) fn body_limit(self) -> usize {
        self.endpoint().body_limit
    }

    /// Its path below `base`, which has no slash at its end, with `ids` in their places.
    pub(super) fn path(self, base: &str, ids: &[Uuid]) -> String {
        let mut path = String::with_capacity(base.len() + 128);
        path.push_str(base);
        let mut ids = ids.iter();
        for (index, part) in self.endpoint().path.split("{}").enumerate() {
            if let Some(id) = (index > 0).then(|| ids.next()).flatten() {
                path.push_str(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
            }
            path.push_str(part);
        }
        path
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

/// A request as it goes out, whatever the number of tries. No `Debug`: it carries credentials.
pub(super) struct UpstreamRequest<'a> {
    /// Which operation.
    pub operation: Operation,
    /// Where to.
    pub url: Url,
    /// Media type and bytes of its body.
    pub body: Option<(&'static str, Bytes)>,
    /// `Authorization` of a token request; others carry the token.
    pub authorization: Option<HeaderValue>,
    /// Deadline, lane and cost.
    pub ctx: &'a CallContext,
}

impl UpstreamRequest<'_> {
    /// How it must be treated.
    pub(super) fn kind(&self) -> CallKind {
        self.operation.kind()
    }

    /// Whether it does something to a conversation.
    pub(super) fn changes(&self) -> bool {
        matches!(self.kind(), CallKind::Command | CallKind::RoutingPatch)
    }

    /// The last moment at which a try may begin.
    pub(super) fn start_by(&self) -> Instant {
        start_by(self.ctx, self.kind())
    }
}

/// The last moment at which a call of `kind` may begin.
pub(super) fn start_by(ctx: &CallContext, kind: CallKind) -> Instant {
    // An instant before the clock's zero cannot be made; "now" is then early enough.
    ctx.deadline.checked_sub(kind.needs()).unwrap_or_else(Instant::now)
}
