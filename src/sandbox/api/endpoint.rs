//! Which paths the API has, and which permission each asks for.

use axum::http::{Method, StatusCode};
use uuid::Uuid;

use super::{Answer, ApiError, Call, conversations, observations, patch, queues, routing};

/// A path and method of the API, with the ids in its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    Queues,
    Queue(Uuid),
    ContactCenterSettings,
    Conversation(Uuid),
    CallsConversation(Uuid),
    ReplaceWithQueue(Uuid, Uuid),
    RoutingConversation(Uuid),
    QueueObservations,
    ReadCommunication(Uuid),
    MoveCommunication(Uuid),
}

impl Endpoint {
    /// Finds the endpoint behind method and path.
    pub(super) fn find(method: &Method, path: &str) -> Result<Self, ApiError> {
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let (allow, endpoint) = match segments.as_slice() {
            ["api", "v2", rest @ ..] => match rest {
                ["routing", "queues"] => ("GET", Ok(Self::Queues)),
                ["routing", "queues", id] => ("GET", uuid(id).map(Self::Queue)),
                ["routing", "settings", "contactcenter"] => {
                    ("GET", Ok(Self::ContactCenterSettings))
                }
                ["routing", "conversations", id] => {
                    ("PATCH", uuid(id).map(Self::RoutingConversation))
                }
                ["conversations", "calls", id] => ("GET", uuid(id).map(Self::CallsConversation)),
                ["conversations", id] => ("GET", uuid(id).map(Self::Conversation)),
                ["conversations", id, "participants", leg, "replace", "queue"] => {
                    ("POST", uuid(id).and_then(|id| Ok(Self::ReplaceWithQueue(id, uuid(leg)?))))
                }
                ["analytics", "queues", "observations", "query"] => {
                    ("POST", Ok(Self::QueueObservations))
                }
                ["communications", "conversations", id] if method == Method::PATCH => {
                    ("PATCH", uuid(id).map(Self::MoveCommunication))
                }
                ["communications", "conversations", id] => {
                    ("GET, PATCH", uuid(id).map(Self::ReadCommunication))
                }
                _ => return Err(no_such_path()),
            },
            _ => return Err(no_such_path()),
        };
        if !allow.split(", ").any(|allowed| allowed == method.as_str()) {
            return Err(ApiError::not_allowed(allow));
        }
        endpoint
    }

    /// The permissions of which one is needed; none are when the list is empty.
    pub(super) fn permissions(self) -> &'static [&'static str] {
        match self {
            Self::Queues | Self::Queue(_) => &["routing:queue:view"],
            Self::Conversation(_) => &["conversation:communication:view"],
            Self::ReplaceWithQueue(..) => &[
                "conversation:communication:blindTransfer",
                "conversation:communication:blindTransferQueue",
            ],
            Self::RoutingConversation(_) => &["routing:conversation:edit"],
            Self::QueueObservations => &["analytics:queueObservation:view"],
            Self::ReadCommunication(_) => &["conversation:view"],
            Self::MoveCommunication(_) => &["conversation:update"],
            Self::ContactCenterSettings | Self::CallsConversation(_) => &[],
        }
    }

    pub(super) fn answer(self, call: &mut Call<'_>) -> Result<Answer, ApiError> {
        match self {
            Self::Queues => queues::page(call),
            Self::Queue(id) => queues::one(call, id),
            Self::ContactCenterSettings => Ok(queues::contact_center(call)),
            Self::Conversation(id) => conversations::whole(call, id),
            Self::CallsConversation(id) => conversations::calls(call, id),
            Self::ReplaceWithQueue(id, leg) => conversations::replace(call, id, leg),
            Self::RoutingConversation(id) => routing::patch(call, id),
            Self::QueueObservations => observations::query(call),
            Self::ReadCommunication(id) => patch::read(call, id),
            Self::MoveCommunication(id) => patch::apply(call, id),
        }
    }
}

/// Every permission an endpoint asks for.
pub(in crate::sandbox) const PERMISSIONS: [&str; 8] = [
    "analytics:queueObservation:view",
    "conversation:communication:blindTransfer",
    "conversation:communication:blindTransferQueue",
    "conversation:communication:view",
    "conversation:update",
    "conversation:view",
    "routing:conversation:edit",
    "routing:queue:view",
];

fn no_such_path() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "not.found", "The requested path was not found.")
}

fn uuid(text: &str) -> Result<Uuid, ApiError> {
    let strict = text.len() == uuid::fmt::Hyphenated::LENGTH;
    strict
        .then(|| Uuid::try_parse(text).ok())
        .flatten()
        .ok_or_else(|| ApiError::bad("invalid.id", "An id in the path is not a UUID."))
}
