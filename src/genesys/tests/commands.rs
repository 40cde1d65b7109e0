//! What becomes of the command, and how often it leaves.

use super::*;

/// Answers the first command with `act`, all others well; the outcome and the commands seen.
async fn first_command(act: Act) -> (Sent, usize) {
    let settings = settings_for(std::slice::from_ref(&act));
    let upstream = upstream(move |seen| {
        (seen.is("POST", "/replace/queue") && seen.before == 0).then(|| act.clone())
    })
    .await;
    let sent = send(&gateway_with(&upstream, &settings), &ctx(), &command()).await;
    (sent, upstream.count("POST", "/replace/queue"))
}

fn class(sent: &Sent) -> char {
    match sent {
        Sent::NotSent(_) => 'A',
        Sent::Refused(_) => 'R',
        Sent::Finished(_) => 'B',
        Sent::Uncertain { .. } => 'C',
        Sent::Taken(_) => 'D',
        Sent::Abandoned(_) => '-',
    }
}

#[tokio::test]
async fn each_first_answer_has_its_class_and_number_of_commands() {
    let html = [("content-type", "text/html")];
    let elsewhere = [("location", "/elsewhere")];
    let garbage = b"SMTP ready\r\n\r\n".to_vec();
    let table = [
        ("empty 202", Act::empty(202), 'D', 1),
        ("JSON 200", Act::json(200, &json!({"ok": true})), 'D', 1),
        ("cut JSON", Act::cut(202, "application/json", "{\"a"), 'D', 1),
        ("cut before a byte", Act::cut(202, "application/json", ""), 'D', 1),
        ("HTML 200", Act::answer(200, &html, "<html>portal</html>"), 'C', 1),
        ("cut HTML", Act::cut(200, "text/html", "<htm"), 'C', 1),
        ("302", Act::answer(302, &elsewhere, ""), 'C', 1),
        ("307", Act::answer(307, &elsewhere, ""), 'C', 1),
        ("400", Act::json(400, &json!({"code": "bad.request"})), 'R', 1),
        ("403", Act::empty(403), 'R', 1),
        ("404", Act::empty(404), 'R', 1),
        ("408", Act::empty(408), 'C', 1),
        ("409", Act::empty(409), 'R', 1),
        ("418", Act::empty(418), 'C', 1),
        ("500", Act::json(500, &json!({})), 'B', 1),
        ("cut 500", Act::cut(500, "application/json", "{"), 'C', 1),
        ("502", Act::empty(502), 'C', 1),
        ("503", Act::empty(503), 'B', 1),
        ("504", Act::empty(504), 'C', 1),
        ("closed", Act::SendAndClose(Vec::new()), 'C', 1),
        ("garbage", Act::SendAndClose(garbage), 'C', 1),
        ("half a head", Act::SendAndClose(b"HTTP/1.1 202 Acc".to_vec()), 'C', 1),
        ("silence", Act::Hang, 'C', 1),
        ("401", Act::empty(401), 'D', 2),
        ("429", Act::answer(429, &[("retry-after", "0")], ""), 'D', 2),
    ];
    for (what, act, expected, commands) in table {
        let (sent, seen) = first_command(act).await;
        assert_eq!((class(&sent), seen), (expected, commands), "{what}: {sent:?}");
    }
}

#[tokio::test]
async fn nothing_left_when_nobody_listens() {
    let upstream = upstream(|_| None).await;
    let (_socket, api) = nobody();
    let hosts = Hosts { api, login: upstream.url.clone() };
    let sent = send(&gateway_at(&hosts, &settings()), &ctx(), &command()).await;
    assert!(matches!(sent, Sent::NotSent(GatewayError::Unavailable { .. })), "{sent:?}");
}

#[tokio::test]
async fn one_call_of_the_gateway_is_one_command_and_says_how_it_may_be_repeated() {
    let throttled = Act::answer(429, &[("retry-after", "1")], "");
    for (act, repeats) in [(Act::empty(401), true), (throttled, true), (Act::empty(503), false)] {
        let upstream =
            upstream(move |seen| seen.is("POST", "/replace/queue").then(|| act.clone())).await;
        let ctx = ctx();
        let tried = gateway(&upstream).send(&ctx, &command(), 1).await;
        assert_eq!(tried.repeat != Repeat::Never, repeats, "{tried:?}");
        assert_eq!(upstream.count("POST", "/replace/queue"), 1);
        assert_eq!((ctx.usage.sums().calls, ctx.usage.sums().attempts), (1, 1));
    }
}

#[tokio::test]
async fn a_429_says_how_long_it_is_to_be_paused() {
    let upstream = upstream(|seen| {
        seen.is("POST", "/replace/queue").then(|| Act::answer(429, &[("retry-after", "77")], ""))
    })
    .await;
    let Tried { sent, repeat } = gateway(&upstream).send(&ctx(), &command(), 1).await;
    let Sent::NotSent(GatewayError::RateLimited { retry_after, answer: Some(answer) }) = sent
    else {
        panic!("{sent:?}")
    };
    assert_eq!((retry_after.as_secs(), answer.status), (77, 429));
    assert!(matches!(repeat, Repeat::Throttled(pause) if pause >= retry_after), "{repeat:?}");
}

#[tokio::test]
async fn a_command_is_not_begun_without_three_seconds() {
    let upstream = upstream(|_| None).await;
    let ctx = CallContext::new(Instant::now() + Duration::from_millis(2900), Lane::Command);
    let sent = send(&gateway(&upstream), &ctx, &command()).await;
    assert_eq!(sent, Sent::NotSent(GatewayError::DeadlineExceeded));
    assert_eq!(upstream.all().len(), 0);
}

#[tokio::test]
async fn a_connection_the_other_side_closed_is_not_used_for_the_command() {
    let body = conversation().to_string();
    let then_closed =
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes();
    let upstream = upstream(move |seen| {
        seen.is("GET", "/conversations/").then(|| Act::SendAndClose(then_closed.clone()))
    })
    .await;
    let gateway = gateway(&upstream);
    gateway.conversation(&ctx(), conversation_id()).await.unwrap();
    upstream.closed.notified().await;
    // The end of the connection is on its way through the loopback; let the client see it.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let sent = send(&gateway, &ctx(), &command()).await;
    assert!(matches!(sent, Sent::Taken(_)), "{sent:?}");
    assert_eq!(upstream.count("POST", "/replace/queue"), 1);
    assert!(upstream.connections() >= 2);
}

#[tokio::test]
async fn the_breaker_keeps_commands_back_and_lets_a_read_find_out() {
    let upstream = upstream(|seen| seen.path.contains("/api/").then(|| Act::empty(503))).await;
    let gateway = gateway(&upstream);
    for _ in 0..2 {
        drop(gateway.conversation(&ctx(), conversation_id()).await);
    }
    let sent = send(&gateway, &ctx(), &command()).await;
    let Sent::NotSent(GatewayError::Unavailable { retry_after, .. }) = sent else {
        panic!("{sent:?}")
    };
    assert!(retry_after <= Duration::from_secs(5));
    assert_eq!(upstream.count("POST", "/replace/queue"), 0);
    assert!(gateway.troubles().iter().any(|trouble| trouble.contains("API host")));
}

#[tokio::test]
async fn conversation_patch_sends_priority_and_skills_with_the_command() {
    let upstream = upstream(|_| None).await;
    let settings = config::Genesys { transfer_api: TransferApi::ConversationPatch, ..settings() };
    let sent = send(&gateway_with(&upstream, &settings), &ctx(), &command()).await;
    assert!(matches!(sent, Sent::Taken(_)), "{sent:?}");
    let request = upstream.all().pop().unwrap();
    assert!(request.is("PATCH", &format!("/api/v2/communications/conversations/{CONVERSATION}")));
    let body: Value = serde_json::from_str(&request.body).unwrap();
    let routing = json!({"queueId": QUEUE, "priority": 50, "skillRequirements": []});
    assert_eq!(body, json!({"routing": routing}));
}
