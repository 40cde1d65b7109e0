use futures_util::FutureExt;

use super::*;
use crate::sandbox::{
    faults::{Fault, Garbage, StatusAnswer, When},
    ledger::Effect,
};

const CALL: Uuid = seed::CONNECTED_CALL;
const REPLACE: &str = "/api/v2/conversations/*/replace/queue";
const QUEUES: &str = "/api/v2/routing/queues";

/// So long that it does not come to its end.
const HELD: Fault = Fault::Delay { ms: 3_600_000 };

/// Waits until a request was hit by a fault.
async fn hit(bench: &Bench) {
    bench.sandbox.until(|state| state.ledger.requests().any(|it| it.fault.is_some())).await;
}

async fn replaced_under(fault: Fault) -> (Bench, reqwest::Result<Response>) {
    let bench = Bench::new().await;
    bench.order(FaultOrder::next("POST", REPLACE, fault));
    let answer = bench.replace(CALL, 3).send().await;
    (bench, answer)
}

#[tokio::test]
async fn ordered_status_comes_with_genesys_body_and_does_nothing() {
    let (bench, answer) = replaced_under(Fault::Status(StatusAnswer::new(503))).await;

    assert_eq!(error(answer.unwrap()).await, (503, "service.unavailable".to_owned()));
    assert_eq!(bench.moved(), 0);
    let entry = bench.last_request();
    assert_eq!((entry.status, entry.fault, entry.effect), (Some(503), Some(1), Effect::None));
}

#[tokio::test]
async fn status_can_hide_that_it_was_done() {
    let fault = StatusAnswer { apply: true, ..StatusAnswer::new(500) };

    let (bench, answer) = replaced_under(Fault::Status(fault)).await;

    assert_eq!(answer.unwrap().status(), 500);
    assert_eq!(bench.moved(), 1);
}

#[tokio::test]
async fn status_brings_its_own_headers_and_body() {
    let headers = [("X-Odd".to_owned(), "yes".to_owned())].into();
    let (_, answer) = replaced_under(Fault::Status(StatusAnswer {
        retry_after: Some("Fri, 31 Dec 1999 23:59:59 GMT".to_owned()),
        text: Some("no JSON".to_owned()),
        headers,
        ..StatusAnswer::new(429)
    }))
    .await;
    let answer = answer.unwrap();

    assert_eq!(answer.headers()["retry-after"], "Fri, 31 Dec 1999 23:59:59 GMT");
    assert_eq!(answer.headers()["x-odd"], "yes");
    assert_eq!(answer.text().await.unwrap(), "no JSON");
}

#[tokio::test]
async fn connection_drops_before_the_effect() {
    for reset in [false, true] {
        let (bench, answer) = replaced_under(Fault::Drop { when: When::Before, reset }).await;

        assert!(answer.unwrap_err().is_request());
        assert_eq!(bench.moved(), 0);
        assert_eq!(bench.last_request().status, None);
    }
}

#[tokio::test]
async fn connection_drops_after_the_effect() {
    let fault = Fault::Drop { when: When::After, reset: false };

    let (bench, answer) = replaced_under(fault).await;

    assert!(answer.is_err());
    assert_eq!(bench.moved(), 1);
    assert_eq!(bench.last_request().effect, Effect::Applied);
}

#[tokio::test]
async fn connection_drops_now_and_the_effect_comes_late() {
    let fault = Fault::Drop { when: When::Late { ms: 3_600_000 }, reset: false };

    let (bench, answer) = replaced_under(fault).await;
    let at_once = bench.moved();
    bench.sandbox.with(|state| state.faults.clear());
    bench.sandbox.moves_reach(1).await;

    assert!(answer.is_err());
    assert_eq!(at_once, 0);
}

#[tokio::test]
async fn late_command_that_no_longer_fits_is_dropped() {
    let fault = Fault::Drop { when: When::Late { ms: 3_600_000 }, reset: false };
    let (bench, _) = replaced_under(fault).await;
    bench.sandbox.until(|state| state.ledger.requests().any(|it| it.effect != Effect::None)).await;
    let before = bench.last_request().effect;
    bench.replace(CALL, 3).send().await.unwrap();

    bench.sandbox.with(|state| state.faults.clear());

    let late = || bench.sandbox.commands()[0].effect;
    bench
        .sandbox
        .until(|state| state.ledger.requests().any(|request| request.effect == Effect::Dropped))
        .await;

    assert_eq!((before, late(), bench.moved()), (Effect::Pending, Effect::Dropped, 1));
}

#[tokio::test]
async fn delayed_command_is_carried_out_though_its_caller_gave_up() {
    let bench = Bench::new().await;
    bench.order(FaultOrder::next("POST", REPLACE, HELD));
    let caller = tokio::spawn(bench.replace(CALL, 3).send());
    hit(&bench).await;

    caller.abort();

    assert!(caller.await.unwrap_err().is_cancelled());
    bench.sandbox.with(|state| state.faults.clear());
    bench.sandbox.moves_reach(1).await;
}

#[tokio::test]
async fn delayed_command_goes_on_when_its_order_is_taken_back() {
    let bench = Bench::new().await;
    bench.order(FaultOrder::next("POST", REPLACE, HELD));
    let take_back = async {
        hit(&bench).await;
        let before = bench.moved();
        bench.sandbox.with(|state| state.faults.cancel(1));
        before
    };

    let request = bench.replace(CALL, 3).timeout(Duration::from_mins(1)).send();
    let (answer, before) = tokio::join!(request, take_back);

    assert_eq!((answer.unwrap().status().as_u16(), before, bench.moved()), (202, 0, 1));
}

#[tokio::test]
async fn hanging_request_is_never_answered() {
    let bench = Bench::new().await;
    bench.order(FaultOrder::next("POST", REPLACE, Fault::Hang { apply: true }));

    let mut answer = Box::pin(bench.replace(CALL, 3).send());
    tokio::select! {
        answer = &mut answer => panic!("answered: {answer:?}"),
        () = bench.sandbox.moves_reach(1) => {}
    }

    // One that came later has been answered by now.
    bench.get(QUEUES).await;
    assert!(answer.now_or_never().is_none());
    assert_eq!((bench.moved(), bench.sandbox.commands()[0].status), (1, None));
}

#[tokio::test]
async fn bytes_that_are_not_http_break_the_client() {
    for form in [Garbage::NotHttp, Garbage::ShortHead] {
        for apply in [false, true] {
            let (bench, answer) = replaced_under(Fault::Garbage { form, apply }).await;

            assert!(answer.is_err());
            assert_eq!(bench.moved(), usize::from(apply));
        }
    }
}

#[tokio::test]
async fn html_page_comes_with_status_200() {
    let fault = Fault::Garbage { form: Garbage::Html, apply: false };

    let (bench, answer) = replaced_under(fault).await;
    let answer = answer.unwrap();

    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (200, &"text/html".parse().unwrap())
    );
    assert_eq!(bench.moved(), 0);
}

async fn queues_under(fault: Fault) -> (Bench, Response) {
    let bench = Bench::new().await;
    bench.order(FaultOrder::next("GET", QUEUES, fault));
    let answer = bench.get(QUEUES).await;
    (bench, answer)
}

#[tokio::test]
async fn truncated_json_arrives_whole_but_is_half() {
    let fault = Fault::Garbage { form: Garbage::TruncatedJson, apply: false };

    let (_, answer) = queues_under(fault).await;
    let text = answer.text().await.unwrap();

    assert!(text.starts_with("{\"entities\""));
    assert!(serde_json::from_str::<Value>(&text).is_err());
}

#[tokio::test]
async fn short_body_breaks_off() {
    let fault = Fault::Garbage { form: Garbage::ShortBody, apply: false };

    let (_, answer) = queues_under(fault).await;

    assert_eq!(answer.status(), 200);
    assert!(answer.bytes().await.is_err());
}

#[tokio::test]
async fn slow_body_arrives_in_the_end() {
    let begun = tokio::time::Instant::now();
    let (_, answer) = queues_under(Fault::SlowBody { ms: 30 }).await;

    let page: Value = answer.json().await.unwrap();

    assert_eq!(page["total"], 7);
    assert!(begun.elapsed() >= Duration::from_millis(30), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn huge_body_has_the_size_that_was_ordered() {
    let (_, answer) = queues_under(Fault::HugeBody { bytes: Some(3_000_000) }).await;

    assert_eq!(answer.bytes().await.unwrap().len(), 3_000_000);
}

#[tokio::test]
async fn endless_body_goes_on() {
    let (_, mut answer) = queues_under(Fault::HugeBody { bytes: None }).await;
    let mut received = 0;
    while received < 20_000_000 {
        received += answer.chunk().await.unwrap().unwrap().len();
    }
}

#[tokio::test]
async fn revoking_hits_the_very_request() {
    let (bench, answer) = queues_under(Fault::RevokeTokens).await;

    assert_eq!(answer.status(), 401);
    assert_eq!(bench.sandbox.with(|state| state.access.live_tokens()), 0);
}

#[tokio::test]
async fn limit_changes_with_the_very_request() {
    let (_, answer) = queues_under(Fault::RateLimit { per_minute: 100 }).await;

    assert_eq!(answer.headers()["inin-ratelimit-allowed"], "100");
}

#[tokio::test]
async fn valid_token_can_be_refused_for_the_next_few_requests() {
    let bench = Bench::new().await;
    let refuse = Fault::Status(StatusAnswer::new(401));
    bench.order(FaultOrder::next("GET", "/api/*", refuse).times(2));

    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(bench.get(QUEUES).await.status().as_u16());
    }

    assert_eq!(statuses, [401, 401, 200]);
}

#[tokio::test]
async fn operating_interface_is_never_hit() {
    let bench = Bench::new().await;
    let down = Fault::Status(StatusAnswer::new(500));
    bench.order(FaultOrder { method: None, ..FaultOrder::next("", "*", down).forever() });

    assert_eq!(bench.get("/sandbox/ledger").await.status(), 200);
}

#[tokio::test]
async fn ordered_headers_take_the_place_of_the_answers_own() {
    let set = [("inin-ratelimit-allowed".to_owned(), "7".to_owned())].into();
    let (_, answer) = queues_under(Fault::Headers { set }).await;

    let all = answer.headers().get_all("inin-ratelimit-allowed").iter();
    let all: Vec<&[u8]> = all.map(reqwest::header::HeaderValue::as_bytes).collect();
    assert_eq!((all, answer.status().as_u16()), (vec![&b"7"[..]], 200));
}
