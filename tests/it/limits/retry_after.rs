//! A 429 and its `Retry-After` in every form: never sent again too early, never a command twice.

use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use genesys_transfer::sandbox::{
    faults::{Fault, StatusAnswer},
    world::Act,
};
use jiff::{SignedDuration, Timestamp};

use crate::support::{
    frozen::Frozen,
    service::{CONVERSATION, REPLACE, TestApp, plain},
};

/// A 429 with these headers.
fn throttled(retry_after: Option<&str>, reset: Option<&str>) -> Fault {
    let reset = reset.map(|text| ("inin-ratelimit-reset".to_owned(), text.to_owned()));
    Fault::Status(StatusAnswer {
        retry_after: retry_after.map(str::to_owned),
        headers: reset.into_iter().collect(),
        ..StatusAnswer::new(429)
    })
}

/// `Retry-After`, `inin-ratelimit-reset`, and the least pause in seconds that they ask for.
const FORMS: [(Option<&str>, Option<&str>, i64); 12] = [
    (Some("1"), None, 1),
    (Some("2"), Some("1"), 2),
    (Some("0"), None, 0),
    (None, None, 0),
    (None, Some("1"), 1),
    (Some("-5"), None, 0),
    (Some("-5"), Some("1"), 1),
    (Some("soon"), None, 0),
    (Some("soon"), Some("2"), 2),
    (Some("1.5"), Some("1"), 1),
    (Some("99999999999999999999"), None, 0),
    (Some("Sun, 06 Nov 1994 08:49:37 GMT"), Some("1"), 1),
];

/// The time from the first request hit by a fault to the next request after it.
fn pause(app: &TestApp) -> SignedDuration {
    let requests = app.sandbox().requests();
    let hit = requests.iter().position(|request| request.fault.is_some()).unwrap();
    requests[hit + 1].time.duration_since(requests[hit].time)
}

/// Status, commands and moves of a transfer whose first request to `path` is answered with `fault`,
/// and the pause that followed.
async fn paused(method: &str, path: &str, fault: Fault) -> ((u16, usize, usize), SignedDuration) {
    let app = TestApp::start().await;
    app.get("/queues").await;
    app.fault(method, path, 1, fault);
    let answer = app.transfer(app.fresh_call(), "Support Tier 2").await;
    ((answer.status.as_u16(), app.commands(), app.moves()), pause(&app))
}

async fn check_forms(method: &str, path: &str, expected: (u16, usize, usize)) {
    let rows = FORMS.iter().map(async |(retry_after, reset, least)| {
        let (seen, pause) = paused(method, path, throttled(*retry_after, *reset)).await;
        let row = format!("{retry_after:?} {reset:?}: {seen:?} after {pause:?}");
        (seen == expected && pause >= SignedDuration::from_secs(*least), row)
    });
    let rows = join_all(rows).await;
    assert!(rows.iter().all(|(well, _)| *well), "{rows:#?}");
}

#[tokio::test]
async fn a_look_waits_at_least_as_long_as_a_429_asks() {
    check_forms("GET", CONVERSATION, (201, 1, 1)).await;
}

#[tokio::test]
async fn a_command_waits_at_least_as_long_as_a_429_asks_and_takes_effect_once() {
    check_forms("POST", REPLACE, (201, 2, 1)).await;
}

#[tokio::test]
async fn a_date_is_waited_for() {
    let app = TestApp::start().await;
    app.get("/queues").await;
    let date = Timestamp::from_second(app.sandbox().now().as_second() + 3).unwrap();
    let text = httpdate::fmt_http_date(SystemTime::from(date));
    app.fault("POST", REPLACE, 1, throttled(Some(&text), None));
    let answer = app.transfer(app.fresh_call(), "Support Tier 2").await;
    let commands = app.sandbox().commands();
    assert_eq!((answer.status.as_u16(), commands.len(), app.moves()), (201, 2, 1));
    assert!(commands[1].time >= date, "{} is before {date}", commands[1].time);
}

#[tokio::test]
async fn a_pause_longer_than_the_deadline_is_told_truly_and_at_once() {
    let rows = [
        ("GET", CONVERSATION, "60", "60", 0),
        ("GET", CONVERSATION, "7200", "3600", 0),
        ("POST", REPLACE, "60", "60", 1),
        ("POST", REPLACE, "86400", "3600", 1),
    ];
    let wrong = rows.map(async |(method, path, asked, told, commands)| {
        let app = TestApp::start().await;
        app.get("/queues").await;
        app.fault(method, path, 1, throttled(Some(asked), None));
        let answer = app.transfer(app.fresh_call(), "Support Tier 2").await;
        assert_eq!(answer.outcome(), (503, "genesys_rate_limited".to_owned()), "{path} {asked}");
        assert_eq!(answer.header("retry-after"), Some(told), "{path} {asked}");
        assert_eq!((app.commands(), app.moves()), (commands, 0), "{path} {asked}");
    });
    join_all(wrong).await;
}

#[tokio::test]
async fn during_a_pause_nothing_is_sent_and_callers_are_told_how_long_it_takes() {
    let app = TestApp::start().await;
    app.get("/queues").await;
    app.fault("GET", CONVERSATION, 1, throttled(Some("50"), None));
    let _clock = Frozen::now();
    app.transfer(app.fresh_call(), "Support Tier 2").await;
    let sent = app.sandbox().requests().len();
    let other = app.transfer(app.fresh_call(), "Support Tier 2").await;
    let told: u64 = other.header("retry-after").unwrap().parse().unwrap();
    assert_eq!(other.outcome(), (503, "genesys_rate_limited".to_owned()));
    assert!((50..=51).contains(&told), "{told}");
    assert_eq!(app.sandbox().requests().len(), sent);
}

#[tokio::test]
async fn a_call_that_ends_during_the_pause_is_not_moved_and_the_key_stays_free() {
    let app = TestApp::start().await;
    app.get("/queues").await;
    let call = app.fresh_call();
    app.fault("POST", REPLACE, 1, throttled(Some("1"), None));
    let before = app.sandbox().with(|state| state.ledger.totals().finished);
    let clock = Frozen::now();
    let hang_up = async {
        app.sandbox().ledger_reaches(|totals| totals.finished >= before + 2).await;
        app.sandbox().act(call, Act::HangUp).unwrap();
        clock.passes(Duration::from_secs(2)).await;
    };
    let body = plain(call, "Support Tier 2");
    let (answer, ()) = tokio::join!(app.submit_with(&body, "idempotency-key", "k"), hang_up);
    let again = app.submit_with(&body, "idempotency-key", "k").await;
    assert_eq!(answer.outcome(), (409, "conversation_ended".to_owned()));
    assert_eq!((again.header("idempotent-replayed"), app.commands()), (None, 1));
}
