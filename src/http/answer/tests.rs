use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::*;

async fn rendered(failure: Failure) -> (StatusCode, HeaderMap, Value) {
    let response = render(failure.into_response(), "req-1");
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    assert!(bytes.ends_with(b"\n"));
    (parts.status, parts.headers, serde_json::from_slice(&bytes).unwrap())
}

#[tokio::test]
async fn a_problem_has_the_shape_of_the_contract() {
    let problem = Problem::new(Code::QueueNotFound, "No queue is called \"Suport\".")
        .hint("Closest names: \"Support\".")
        .transfer(Uuid::from_u128(7))
        .upstream(Some(UpstreamAnswer { status: 404, ..UpstreamAnswer::default() }));

    let bytes = problem_answer(&problem, "req-1").body;

    assert_eq!(
        String::from_utf8(bytes).unwrap(),
        concat!(
            r#"{"type":"/problems/queue_not_found","title":"No queue has that name","status":422,"#,
            r#""code":"queue_not_found","detail":"No queue is called \"Suport\".","#,
            r#""hint":"Closest names: \"Support\".","retryable":false,"requestId":"req-1","#,
            r#""transferId":"00000000-0000-0000-0000-000000000007","upstream":{"status":404,"#,
            r#""code":null,"message":null,"correlationId":null}}"#,
            "\n"
        )
    );
}

#[tokio::test]
async fn every_code_becomes_its_status_and_says_what_to_do() {
    for code in Code::ALL {
        let (status, headers, body) = rendered(Failure::new(*code, "It happened.")).await;

        assert_eq!(status.as_u16(), code.status(), "{code:?}");
        assert_eq!(headers[header::CONTENT_TYPE], PROBLEM_JSON);
        assert_eq!(body["status"], code.status());
        assert_eq!(body["type"], format!("/problems/{}", code.as_str()));
        assert_eq!(body["transferId"], Value::Null);
        assert_eq!(body["requestId"], "req-1");
        assert!(body["hint"].as_str().is_some_and(|hint| !hint.is_empty()));
        for optional in ["upstream", "errors", "candidates", "reasons"] {
            assert!(body.get(optional).is_none(), "{optional}");
        }
        assert_eq!(headers.contains_key(header::WWW_AUTHENTICATE), status == 401);
        let must_say_when = status == 503
            || status == 429
            || matches!(code, Code::IdempotencyKeyInUse | Code::TransferInProgress);
        assert_eq!(headers.contains_key(header::RETRY_AFTER), must_say_when, "{code:?}");
    }
}

#[tokio::test]
async fn retry_after_is_rounded_up_and_never_zero() {
    for (wait, expected) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (59_999, "60")] {
        let problem = Problem::new(Code::GenesysRateLimited, "Wait.");
        let problem = problem.retry_after(Duration::from_millis(wait));

        let (_, headers, body) = rendered(problem.into()).await;

        assert_eq!(headers[header::RETRY_AFTER], expected, "{wait} ms");
        assert_eq!(body["retryAfterSeconds"].to_string(), expected, "{wait} ms");
    }
}

#[tokio::test]
async fn headers_of_the_mark_stay_and_its_length_does_not() {
    let mut response = Failure::new(Code::MethodNotAllowed, "No.").into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET"));
    response.headers_mut().insert(header::CONTENT_LENGTH, 0.into());

    let response = render(response, "req-1");

    assert_eq!(response.headers()[header::ALLOW], "GET");
    assert!(!response.headers().contains_key(header::CONTENT_LENGTH));
}

#[tokio::test]
async fn reasons_are_listed() {
    let failure = Failure::new(Code::NotReady, "a; b").reasons(vec!["a".into(), "b".into()]);

    let (_, _, body) = rendered(failure).await;

    assert_eq!(body["reasons"], json!(["a", "b"]));
}

#[test]
fn a_problem_leaves_its_code_and_transfer_for_the_log() {
    let problem = Problem::new(Code::TransferInProgress, "No.").transfer(Uuid::from_u128(7));

    let kept = send(problem_answer(&problem, "req-1"));
    let fresh = render(Failure::from(problem).into_response(), "req-1");

    assert_eq!(kept.extensions().get(), Some(&Code::TransferInProgress));
    assert_eq!(fresh.extensions().get(), Some(&Code::TransferInProgress));
    let told = fresh.extensions().get::<Told>().unwrap();
    assert_eq!(told.transfer_id, Some(Uuid::from_u128(7)));
}

#[test]
fn an_answer_of_the_domain_is_sent_byte_for_byte() {
    let answer = StoredResponse {
        status: 201,
        content_type: "application/json".to_owned(),
        location: Some("/transfers/1".to_owned()),
        retry_after: Some(3),
        body: b"{ }".to_vec(),
    };

    let response = send(answer);

    assert_eq!(response.status(), 201);
    assert_eq!(response.headers()[header::LOCATION], "/transfers/1");
    assert_eq!(response.headers()[header::RETRY_AFTER], "3");
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
}
