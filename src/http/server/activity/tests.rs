use super::*;

const HEAD: Duration = Duration::from_secs(10);

fn connection(protocol: Protocol) -> (Arc<Activity>, Instant) {
    let now = Instant::now();
    let activity = Activity::new(HEAD, now);
    activity.speaks(protocol);
    (activity, now)
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_asks_nothing_is_late() {
    let (activity, start) = connection(Protocol::Http1);

    assert_eq!(activity.due(), Some(start + HEAD));
    assert_eq!(activity.verdict(start + HEAD - Duration::from_millis(1)), None);
    assert_eq!(activity.verdict(start + HEAD), Some(CloseReason::HeadLate));
}

#[tokio::test(start_paused = true)]
async fn a_request_in_hand_has_no_limit_here() {
    let (activity, start) = connection(Protocol::Http1);

    let _ticket = activity.begin(false);

    assert_eq!(activity.due(), None);
    assert_eq!(activity.verdict(start + IDLE * 100), None);
}

#[tokio::test(start_paused = true)]
async fn between_requests_a_connection_may_idle() {
    let (activity, start) = connection(Protocol::Http1);

    drop(activity.begin(false));

    assert_eq!(activity.verdict(start + HEAD), None);
    assert_eq!(activity.verdict(start + IDLE), Some(CloseReason::Idle));
}

#[tokio::test(start_paused = true)]
async fn the_first_byte_of_the_next_head_starts_its_time() {
    let (activity, start) = connection(Protocol::Http1);
    drop(activity.begin(false));
    let byte = start + Duration::from_mins(1);

    activity.read(byte);
    activity.read(byte + Duration::from_secs(9));

    assert_eq!(activity.due(), Some(byte + HEAD));
    assert_eq!(activity.verdict(byte + HEAD), Some(CloseReason::HeadLate));
}

#[tokio::test(start_paused = true)]
async fn what_is_still_being_sent_is_not_idle() {
    let (activity, start) = connection(Protocol::Http1);
    drop(activity.begin(false));

    activity.wrote(start + Duration::from_secs(70));

    assert_eq!(activity.verdict(start + IDLE), None);
}

#[tokio::test(start_paused = true)]
async fn pings_of_http2_are_no_requests() {
    let (activity, start) = connection(Protocol::Http2);
    drop(activity.begin(false));

    activity.read(start + Duration::from_secs(5));
    activity.wrote(start + Duration::from_secs(70));

    assert_eq!(activity.due(), Some(start + IDLE));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_read_ends_the_connection() {
    let (activity, start) = connection(Protocol::Http2);
    let (unread, _busy) = (activity.begin(false).unwrap(), activity.begin(false).unwrap());

    unread.handed_over(start);

    assert_eq!(activity.due(), Some(start + STALL));
    assert_eq!(activity.verdict(start + STALL), Some(CloseReason::Stalled));
    unread.taken_up();
    assert_eq!(activity.due(), None);
}

#[tokio::test(start_paused = true)]
async fn only_an_idle_connection_gives_way_and_answers_nothing_afterwards() {
    let (activity, start) = connection(Protocol::Http1);
    assert_eq!(activity.idle_since(), Some(start));
    let busy = activity.begin(false);

    let gave_way = activity.give_way();

    assert_eq!((gave_way, activity.idle_since()), (false, None));
    tokio::time::advance(HEAD).await;
    drop(busy);
    assert_eq!(activity.idle_since(), Some(start + HEAD));
    assert!(activity.give_way());
    activity.must_give_way().await;
    assert!(activity.begin(false).is_none(), "a request that comes too late");
}

#[tokio::test(start_paused = true)]
async fn what_follows_a_request_with_a_body_is_not_certainly_a_head() {
    let (activity, start) = connection(Protocol::Http1);
    drop(activity.begin(false));
    assert!(activity.read(start), "a head begins");
    drop(activity.begin(true));

    assert!(!activity.read(start));
    assert_eq!(activity.due(), Some(start + HEAD), "it has its time all the same");
}
