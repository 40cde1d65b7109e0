use h2::Reason;
use tokio::net::TcpListener;

use super::*;

const BACKOFF: Duration = Duration::from_millis(70);
const PAUSE: Duration = Duration::from_secs(2);

fn status(status: u16, complete: bool) -> Attempt<()> {
    let answer = UpstreamAnswer { status, ..UpstreamAnswer::default() };
    if matches!(status, 200..=299) {
        return Attempt::Done { value: (), answer, clock: ClockOffset::default() };
    }
    Attempt::Status { answer, complete, throttle: None, fresh_token: false }
}

fn throttled() -> Attempt<()> {
    let throttle = Some(Throttle { pause: PAUSE, retry_after: PAUSE });
    let answer = UpstreamAnswer { status: 429, ..UpstreamAnswer::default() };
    Attempt::Status { answer, complete: true, throttle, fresh_token: false }
}

fn unauthorized(fresh_token: bool) -> Attempt<()> {
    let answer = UpstreamAnswer { status: 401, ..UpstreamAnswer::default() };
    Attempt::Status { answer, complete: true, throttle: None, fresh_token }
}

fn unreadable() -> Attempt<()> {
    let answer = UpstreamAnswer { status: 200, ..UpstreamAnswer::default() };
    Attempt::Unreadable { detail: "x".to_owned(), answer }
}

fn unanswered() -> [Attempt<()>; 3] {
    let text = || "x".to_owned();
    [Attempt::Broken(text()), Attempt::Late(text()), Attempt::Garbled(text())]
}

#[test]
fn every_status_of_a_command_is_told_as_its_class() {
    for code in 100..=999 {
        let trace = Trace::Answered { status: code, complete: true, genuine: true };
        let tried = status(code, true).sent(Operation::ReplaceWithQueue, BACKOFF);
        assert_eq!(tried.sent.class(), Class::of(trace), "{code}");
    }
}

#[test]
fn an_error_answer_that_broke_off_is_not_a_finished_one() {
    for code in [500, 503] {
        let tried = status(code, false).sent(Operation::ReplaceWithQueue, BACKOFF);
        assert!(matches!(tried.sent, Sent::Uncertain { .. }), "{code}");
    }
}

#[test]
fn failures_of_a_command_have_their_class() {
    let operation = Operation::PatchCommunication;
    let nothing: Attempt<()> = Attempt::NothingLeft("x".to_owned());
    let sent = nothing.sent(operation, BACKOFF).sent;
    assert!(matches!(sent, Sent::NotSent(GatewayError::Unavailable { .. })));
    let held: Attempt<()> = Attempt::HeldBack(GatewayError::ShuttingDown);
    assert_eq!(held.sent(operation, BACKOFF).sent, Sent::NotSent(GatewayError::ShuttingDown));
    for attempt in unanswered().into_iter().chain([unreadable()]) {
        assert!(matches!(attempt.sent(operation, BACKOFF).sent, Sent::Uncertain { .. }));
    }
}

#[test]
fn a_command_is_repeated_only_when_it_was_certainly_not_carried_out() {
    let repeat = |attempt: Attempt<()>| attempt.repeat(CallKind::Command, BACKOFF);
    assert_eq!(repeat(Attempt::NothingLeft("x".to_owned())), Repeat::After(BACKOFF));
    assert_eq!(repeat(throttled()), Repeat::Throttled(PAUSE));
    assert_eq!(repeat(unauthorized(true)), Repeat::FreshToken);
    let never = unanswered().into_iter().chain([
        unauthorized(false),
        unreadable(),
        Attempt::HeldBack(GatewayError::ShuttingDown),
    ]);
    for attempt in never.chain((100..=999).map(|code| status(code, true))) {
        assert_eq!(attempt.repeat(CallKind::Command, BACKOFF), Repeat::Never, "{attempt:?}");
    }
}

#[test]
fn reads_tokens_and_patches_are_repeated_on_passing_failures_only() {
    for kind in [CallKind::Token, CallKind::Read, CallKind::RoutingPatch] {
        let failures = unanswered().into_iter().chain([unreadable()]);
        for attempt in failures.chain([Attempt::NothingLeft("x".to_owned())]) {
            assert_eq!(attempt.repeat(kind, BACKOFF), Repeat::After(BACKOFF), "{attempt:?}");
        }
        for code in 200..=599 {
            let passing = code == 408 || code >= 500;
            let expected = if passing { Repeat::After(BACKOFF) } else { Repeat::Never };
            assert_eq!(status(code, true).repeat(kind, BACKOFF), expected, "{kind:?} {code}");
        }
        assert_eq!(throttled().repeat(kind, BACKOFF), Repeat::Throttled(PAUSE), "{kind:?}");
    }
}

#[test]
fn refused_credentials_are_final_for_the_token_call() {
    assert_eq!(unauthorized(true).repeat(CallKind::Token, BACKOFF), Repeat::Never);
}

/// What the client makes of an HTTP/2 server that resets the stream for `reason`.
async fn reset_with(reason: Reason) -> Attempt<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            respond.send_reset(reason);
        }
    });
    let client = reqwest::Client::builder()
        .http2_prior_knowledge()
        .retry(reqwest::retry::never())
        .no_proxy()
        .build()
        .unwrap();
    Attempt::failed(client.post(url).body("x").send().await.unwrap_err())
}

#[tokio::test]
async fn a_refused_stream_left_nothing() {
    let attempt = reset_with(Reason::REFUSED_STREAM).await;
    assert!(matches!(attempt, Attempt::NothingLeft(_)), "{attempt:?}");
}

#[tokio::test]
async fn any_other_reset_leaves_it_open() {
    for reason in [Reason::INTERNAL_ERROR, Reason::CANCEL, Reason::NO_ERROR] {
        let attempt = reset_with(reason).await;
        assert!(matches!(attempt, Attempt::Broken(_)), "{reason:?}: {attempt:?}");
    }
}
