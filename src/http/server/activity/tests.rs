use std::net::Ipv4Addr;

use super::*;

const HEAD: Duration = Duration::from_secs(10);
const HTTP1: bool = false;
const HTTP2: bool = true;

fn connection() -> (Arc<Activity>, Instant) {
    let now = Instant::now();
    (Activity::new(Ipv4Addr::LOCALHOST.into(), HEAD, now), now)
}

/// One that has asked something.
fn used(is_http2: bool) -> (Arc<Activity>, Instant) {
    let (activity, start) = connection();
    drop(activity.begin(is_http2, false));
    (activity, start)
}

/// Why it must end at `now`.
fn verdict(activity: &Activity, now: Instant) -> Option<CloseReason> {
    activity.state().used_up(HEAD, now)
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_asks_nothing_is_late() {
    let (activity, start) = connection();

    assert_eq!(verdict(&activity, start + HEAD), Some(CloseReason::Cut), "nothing to answer");
    activity.read(start);
    assert_eq!(verdict(&activity, start + HEAD - Duration::from_millis(1)), None);
    assert_eq!(verdict(&activity, start + HEAD), Some(CloseReason::HeadLate));
    activity.wrote(start);
    assert_eq!(verdict(&activity, start + HEAD), Some(CloseReason::Cut), "it speaks HTTP/2");
}

#[tokio::test(start_paused = true)]
async fn a_request_in_hand_has_no_limit_here() {
    let (activity, start) = connection();

    let _ticket = activity.begin(HTTP1, false);

    assert_eq!(verdict(&activity, start + IDLE * 100), None);
}

#[tokio::test(start_paused = true)]
async fn between_requests_a_connection_may_idle() {
    let (activity, start) = used(HTTP1);

    assert_eq!(verdict(&activity, start + HEAD), None);
    assert_eq!(verdict(&activity, start + IDLE), Some(CloseReason::Idle));
    assert_eq!(verdict(&activity, start + IDLE + CLOSING), Some(CloseReason::Cut));
}

#[tokio::test(start_paused = true)]
async fn the_first_byte_of_the_next_head_starts_its_time() {
    let (activity, start) = used(HTTP1);
    let byte = start + Duration::from_mins(1);

    activity.read(byte);
    activity.read(byte + Duration::from_secs(9));

    assert_eq!(verdict(&activity, byte + HEAD - Duration::from_millis(1)), None);
    assert_eq!(verdict(&activity, byte + HEAD), Some(CloseReason::HeadLate));
}

#[tokio::test(start_paused = true)]
async fn what_is_still_being_sent_is_not_idle() {
    let (activity, start) = used(HTTP1);

    activity.wrote(start + Duration::from_secs(70));

    assert_eq!(verdict(&activity, start + IDLE), None);
}

#[tokio::test(start_paused = true)]
async fn pings_of_http2_are_no_requests() {
    let (activity, start) = used(HTTP2);

    activity.read(start + Duration::from_secs(5));
    activity.wrote(start + Duration::from_secs(70));

    assert_eq!(verdict(&activity, start + IDLE), Some(CloseReason::Idle));
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_not_taken_end_the_connection() {
    let (activity, start) = connection();
    let (mut untaken, busy) = (activity.begin(HTTP2, false).unwrap(), activity.begin(HTTP2, false));

    untaken.answers(start);

    assert_eq!(verdict(&activity, start + UNTAKEN), None, "another one is worked on");
    drop(busy);
    assert_eq!(verdict(&activity, start + UNTAKEN), Some(CloseReason::Cut));
    drop(untaken);
    assert_eq!(verdict(&activity, start + HEAD), None);
}

#[tokio::test(start_paused = true)]
async fn only_an_idle_connection_gives_way_and_answers_nothing_afterwards() {
    let (activity, start) = connection();
    assert_eq!(activity.idle_since(), Some(start));
    let busy = activity.begin(HTTP1, false);

    let gave_way = activity.give_way();

    assert_eq!((gave_way, activity.idle_since()), (false, None));
    tokio::time::advance(HEAD).await;
    drop(busy);
    assert_eq!(activity.idle_since(), Some(start + HEAD));
    assert!(activity.give_way());
    activity.must_close().await;
    assert!(activity.begin(HTTP1, false).is_none(), "a request that comes too late");
}

#[tokio::test(start_paused = true)]
async fn what_follows_a_request_with_a_body_is_not_certainly_a_head() {
    let (activity, start) = used(HTTP1);
    assert!(activity.read(start), "a head begins");
    drop(activity.begin(HTTP1, true));

    assert!(!activity.read(start));
    assert_eq!(verdict(&activity, start + HEAD), Some(CloseReason::HeadLate), "it has its time");
}
