//! The values labels may have.

/// A label's value: one of few, all known beforehand.
pub trait Label: Copy + 'static {
    /// All there are.
    const ALL: &'static [Self];

    /// The value in the exposition: lower case, words joined by `_`.
    fn label(self) -> &'static str;
}

/// Writes an enum whose variants are labels.
macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl Label for $name {
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            fn label(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}

labels! {
    /// A request's method. Callers may make up names, so the ones no route knows are one.
    Method {
        /// `GET`
        Get = "GET",
        /// `HEAD`
        Head = "HEAD",
        /// `POST`
        Post = "POST",
        /// `PUT`
        Put = "PUT",
        /// `PATCH`
        Patch = "PATCH",
        /// `DELETE`
        Delete = "DELETE",
        /// `OPTIONS`
        Options = "OPTIONS",
        /// Any other.
        Other = "other",
    }
}

impl Method {
    /// The method called `name`; names are case-sensitive (RFC 9110, section 9.1).
    #[must_use]
    pub fn named(name: &str) -> Self {
        let known = Self::ALL.iter().find(|method| method.label() == name);
        known.copied().unwrap_or(Self::Other)
    }
}

labels! {
    /// What one HTTP request to Genesys came to.
    Attempt {
        /// 2xx.
        Success = "success",
        /// 429.
        RateLimited = "rate_limited",
        /// 401.
        Unauthorized = "unauthorized",
        /// Any other status below 500.
        ClientError = "client_error",
        /// 5xx.
        ServerError = "server_error",
        /// No status line in time.
        TimedOut = "timeout",
        /// No connection, or one that broke.
        Broken = "connection_error",
    }
}

impl Attempt {
    /// What an answer with `status` is.
    #[must_use]
    pub const fn answered(status: u16) -> Self {
        match status {
            200..=299 => Self::Success,
            401 => Self::Unauthorized,
            429 => Self::RateLimited,
            500.. => Self::ServerError,
            _ => Self::ClientError,
        }
    }
}

labels! {
    /// What an attempt to get a token or the queue map came to.
    Fetched {
        /// It is there.
        Success = "success",
        /// Refused: credentials or permission; it will be refused again.
        Refused = "refused",
        /// It failed in a way that may pass.
        Failed = "failure",
    }
}

labels! {
    /// A host of Genesys.
    Host {
        /// Where calls are moved.
        Api = "api",
        /// Where tokens come from.
        Login = "login",
    }
}

labels! {
    /// Whether calls to a host are let through.
    BreakerState {
        /// They are.
        Closed = "closed",
        /// One is, to see whether the host is back.
        HalfOpen = "half_open",
        /// They are not.
        Open = "open",
    }
}

labels! {
    /// What is done to the record.
    StoreOperation {
        /// A process takes over what a dead one left.
        Adopt = "adopt",
        /// Found calls join a batch.
        BatchAddItems = "batch_add_items",
        /// A process takes over the batches that a dead one left.
        BatchAdopt = "batch_adopt",
        /// A batch is stopped.
        BatchCancel = "batch_cancel",
        /// What changed in a batch is read, for its watchers.
        BatchChanged = "batch_changed",
        /// The calls that a batch knows are read.
        BatchConversations = "batch_conversations",
        /// A batch is recorded.
        BatchCreate = "batch_create",
        /// The drains that run are read.
        BatchDrains = "batch_drains",
        /// An idempotency key of a batch is looked up.
        BatchFindKey = "batch_find_key",
        /// The batch that undoes another is looked up.
        BatchUndoOf = "batch_undo_of",
        /// One batch is read.
        BatchGet = "batch_get",
        /// Batches are listed.
        BatchList = "batch_list",
        /// What a batch still has to do is read.
        BatchOpenItems = "batch_open_items",
        /// A transfer of a batch was not sent and is an item again.
        BatchReopenItem = "batch_reopen_item",
        /// What a dead process recorded of a batch and did not send is items again.
        BatchReopenUnsent = "batch_reopen_unsent",
        /// An item of a batch becomes a transfer.
        BatchTakeItem = "batch_take_item",
        /// The transfers of a batch are counted.
        BatchTally = "batch_tally",
        /// A step of a batch is recorded.
        BatchUpdate = "batch_update",
        /// Unsettled transfers are counted.
        Count = "count",
        /// An idempotency key is looked up.
        FindKey = "find_key",
        /// One transfer is read.
        Get = "get",
        /// The process says that it is alive.
        Heartbeat = "heartbeat",
        /// A transfer is recorded.
        Insert = "insert",
        /// A standing drain asks for leave to look at its queue.
        LookClaim = "look_claim",
        /// What a look at all standing drains' queues saw is shared.
        LookShare = "look_share",
        /// Transfers are listed.
        List = "list",
        /// The list of a dry run is read.
        PlanGet = "plan_get",
        /// The list of a dry run is kept.
        PlanKeep = "plan_keep",
        /// Whether the store can be written.
        Probe = "probe",
        /// Old records are deleted.
        Reap = "reap",
        /// The process signs off.
        Retire = "retire",
        /// Replicas tell each other what they use of the rate limit.
        ShareRate = "share_rate",
        /// An insert of uncertain outcome is given up.
        Undo = "undo",
        /// A step of a transfer is recorded.
        Update = "update",
    }
}
