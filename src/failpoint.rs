//! Named places in the life of a transfer where a test may end or hold the process. Compiled in
//! only with the feature `failpoints`; without it [`failpoint!`](crate::failpoint!) is nothing.
//!
//! The environment variable `FAILPOINTS` says what happens where:
//! `after_insert=abort,before_send=pause@2` ends the process, as a kill would, the first time it
//! comes to `after_insert`, and holds for ever whatever comes second to `before_send`. `stop` stops
//! the whole process there, as SIGSTOP does, until it gets SIGCONT.

use std::{
    collections::HashMap,
    process::Command,
    sync::{LazyLock, Mutex, PoisonError},
};

/// The variable that orders failures.
pub const VARIABLE: &str = "FAILPOINTS";

/// Declares the places with the names they have in [`VARIABLE`].
macro_rules! points {
    ($($(#[$doc:meta])+ $point:ident = $name:literal,)+) => {
        /// A place between two steps of a transfer.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Point { $($(#[$doc])+ $point,)+ }

        impl Point {
            /// All places.
            pub const ALL: &[Self] = &[$(Self::$point,)+];

            /// The name it is ordered by.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$point => $name,)+ }
            }
        }
    };
}

points! {
    /// `Prefer: respond-async`: the request is valid, its queue is known; nothing is recorded.
    BeforeInsert = "before_insert",
    /// It is recorded, in `received`; no answer named it.
    AfterInsert = "after_insert",
    /// 202 was given to a caller who does not wait; the work begins.
    AfterAnswer = "after_answer",
    /// The conversation was looked at, and the leg is chosen.
    AfterLook = "after_look",
    /// Right before the intention becomes durable, which for a synchronous request is its first
    /// record.
    BeforeDispatching = "before_dispatching",
    /// Right after it became durable.
    AfterDispatching = "after_dispatching",
    /// The last place before the command is handed to the gateway.
    BeforeSend = "before_send",
    /// Genesys' answer, or its absence, is known; nothing of it is recorded.
    AfterSend = "after_send",
    /// A look after an unclear answer settled nothing.
    AfterVainLook = "after_vain_look",
    /// The looks after a complete 500 or 503 allow a second command, which is not recorded.
    BeforeSendAgain = "before_send_again",
    /// The second command is about to leave.
    AfterSendAgainRecorded = "after_send_again_recorded",
    /// The call moved; its priority and skills are not set.
    BeforeRouting = "before_routing",
    /// They are set.
    AfterRouting = "after_routing",
    /// An outcome is known and not recorded.
    BeforeOutcome = "before_outcome",
    /// An outcome is recorded; the caller is not answered yet.
    AfterOutcome = "after_outcome",
    /// `accepted` is recorded; the wait for `confirmed` begins.
    BeforeConfirming = "before_confirming",
    /// It was seen to arrive; that is not recorded.
    BeforeConfirmed = "before_confirmed",
    /// The rows of a dead process are ours; nothing was done with them.
    AfterAdopting = "after_adopting",
    /// A batch is worked out; nothing of it is recorded.
    BeforeBatch = "before_batch",
    /// It is recorded; no runner works through it yet.
    AfterBatch = "after_batch",
    /// A call of a batch may go next; its transfer is not recorded.
    BeforeItem = "before_item",
    /// Its transfer is recorded, in `received`.
    AfterItem = "after_item",
    /// Nothing of a batch is left to do; that is not recorded.
    BeforeBatchEnd = "before_batch_end",
    /// A row found in `dispatching` is `unknown` now; the conversation was not read yet.
    AfterUnknown = "after_unknown",
    /// What became of an `unknown` transfer is known and not recorded.
    BeforeSettling = "before_settling",
    /// It is recorded.
    AfterSettling = "after_settling",
}

enum Action {
    Abort,
    Pause,
    Stop,
}

/// What is ordered for a place, and how many visits are still to come until then.
struct Order {
    action: Action,
    visits_left: u32,
}

static ORDERS: LazyLock<Mutex<HashMap<String, Order>>> = LazyLock::new(|| {
    let text = std::env::var(VARIABLE).unwrap_or_default();
    Mutex::new(text.split(',').filter_map(parse).collect())
});

/// `name=action` or `name=action@n`. A word that is not understood would make a test pass for
/// nothing, so it ends the process.
fn parse(text: &str) -> Option<(String, Order)> {
    if text.is_empty() {
        return None;
    }
    let understood = || {
        let (name, order) = text.split_once('=')?;
        let known = Point::ALL.iter().any(|point| point.name() == name);
        let (action, visits) = order.split_once('@').unwrap_or((order, "1"));
        let action = match action {
            "abort" => Action::Abort,
            "pause" => Action::Pause,
            "stop" => Action::Stop,
            _ => return None,
        };
        let order = Order { action, visits_left: visits.parse().ok()? };
        known.then(|| (name.to_owned(), order))
    };
    let order = understood();
    if order.is_none() {
        tracing::error!(order = text, "{VARIABLE} is not understood");
        std::process::abort();
    }
    order
}

/// Comes to `point`; what is ordered for it happens.
pub async fn reach(point: Point) {
    let action = {
        let mut orders = ORDERS.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(order) = orders.get_mut(point.name()) else { return };
        order.visits_left = order.visits_left.saturating_sub(1);
        if order.visits_left > 0 {
            return;
        }
        orders.remove(point.name())
    };
    match action.map(|order| order.action) {
        Some(Action::Abort) => std::process::abort(),
        Some(Action::Pause) => {
            tracing::warn!(point = point.name(), "held at a failpoint");
            std::future::pending::<()>().await;
        }
        Some(Action::Stop) => {
            let (id, name) = (std::process::id(), point.name());
            // The signal stops one thread first, which on a busy machine may take a while. The shell
            // ends when it sees the whole process stopped, so that nothing runs on before. It says so
            // itself: a test that saw it earlier could let the process go on before the shell looks,
            // and the shell would wait for ever.
            let kill = format!(
                "kill -STOP {id}; while [ -e /proc/{id} ] && ! grep -q '^State:.T' /proc/{id}/status; \
                 do :; done; echo 'stopped at a failpoint: {name}' >&2"
            );
            // Comes back when the process goes on; without a shell the test sees it run on.
            drop(Command::new("sh").args(["-c", &kill]).status());
        }
        None => {}
    }
}
