//! Everything Genesys can do wrong, on each call: what the caller is told, what the record says,
//! whether the key is used up, and how often the command left.

use std::time::Duration;

use genesys_transfer::sandbox::{
    State,
    faults::{Fault, Garbage, StatusAnswer, When},
};
use uuid::Uuid;

use crate::support::{
    frozen::Frozen,
    service::{Answer, TestApp, plain, soon},
};

mod command;
mod late;
mod queue_list;
mod reads;
mod routing;
mod token;

/// What became of the idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    /// The same request runs again.
    Free,
    /// The first answer comes again, byte for byte.
    Used,
    /// What is known comes again, and nothing is sent.
    Open,
    /// A replay that differs from the first answer, or one that sends something.
    Broken,
}

/// `POST /transfers` with the key that all rows use.
async fn submit(app: &TestApp, call: Uuid) -> Answer {
    app.submit_with(&plain(call, "Support Tier 2"), "Idempotency-Key", "row").await
}

/// Sends the same request with the same key again, the faults being gone.
async fn key_after(app: &TestApp, call: Uuid, first: &Answer) -> Key {
    app.sandbox().with(|state| state.faults.clear());
    let commands = app.commands();
    let again = submit(app, call).await;
    let sent = app.commands() > commands;
    let same = (&again.body, again.status) == (&first.body, first.status);
    match again.header("idempotent-replayed") {
        Some(_) if same && !sent => Key::Used,
        None if again.outcome().1 == "outcome_unknown" && !sent => Key::Open,
        None if again.outcome().1 != "outcome_unknown" => Key::Free,
        _ => Key::Broken,
    }
}

/// Genesys' usual error of that status; the request is not carried out.
fn status(status: u16) -> Fault {
    Fault::Status(StatusAnswer::new(status))
}

/// The same, but the request is carried out.
fn done_but(status: u16) -> Fault {
    Fault::Status(StatusAnswer { apply: true, ..StatusAnswer::new(status) })
}

/// 429 with `Retry-After`.
fn throttled(retry_after: &str) -> Fault {
    let retry_after = Some(retry_after.to_owned());
    Fault::Status(StatusAnswer { retry_after, ..StatusAnswer::new(429) })
}

/// A status with an address to go to, which must not be followed.
fn redirect(status: u16) -> Fault {
    let location = ("location".to_owned(), "/api/v2/elsewhere".to_owned());
    Fault::Status(StatusAnswer { headers: [location].into(), ..StatusAnswer::new(status) })
}

fn garbage(form: Garbage, apply: bool) -> Fault {
    Fault::Garbage { form, apply }
}

fn drops(when: When, reset: bool) -> Fault {
    Fault::Drop { when, reset }
}

fn hang(apply: bool) -> Fault {
    Fault::Hang { apply }
}

/// The answer to `request`, of which `tries` requests to Genesys are hit by a fault and not answered
/// in time: as soon as each is there, `limit` passes.
async fn given_up(
    app: &TestApp,
    tries: usize,
    limit: Duration,
    request: impl Future<Output = Answer>,
) -> Answer {
    let clock = Frozen::now();
    let time = async {
        for number in 1..=tries {
            let hit = |state: &State| {
                state.ledger.requests().filter(|it| it.fault.is_some()).count() >= number
            };
            let hit = soon("a request that is not answered", app.sandbox().until(hit));
            clock.passes_until(MOMENT, hit).await;
            clock.passes(limit).await;
        }
        clock.passes_until(MOMENT, std::future::pending::<Never>()).await
    };
    tokio::select! {
        answer = request => answer,
        never = time => match never {},
    }
}

/// A pause before a repeat takes some of these.
const MOMENT: Duration = Duration::from_millis(10);

/// What does not come.
enum Never {}

/// Fails with all rows that went another way than the table says.
fn assert_all_well(wrong: impl IntoIterator<Item = Option<String>>) {
    let wrong: Vec<String> = wrong.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A line about a row that went another way, `None` for one that did not.
fn compare<T: PartialEq + std::fmt::Debug>(
    fault: &Fault,
    seen: &T,
    expected: &T,
) -> Option<String> {
    (seen != expected).then(|| format!("{fault:?}:\n  saw      {seen:?}\n  expected {expected:?}"))
}
