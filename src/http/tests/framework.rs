//! What is answered before, around and in place of a handler.

use super::*;

/// A request with a body that is said to be JSON.
fn post(path: &str, headers: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n")
}

async fn reply_to(request: impl AsRef<[u8]>) -> Reply {
    let server = start_service(settings()).await;
    Reply::parse(&exchange(server.address, request).await).expect("an answer")
}

#[tokio::test]
async fn refusals_are_problems_with_their_code() {
    let server = start_service(settings()).await;
    let big = "x".repeat(300 * 1024);
    let chunks = format!("{:x}\r\n{big}\r\n0\r\n\r\n", big.len());
    let chunked = |body: &str| {
        format!(
            "POST /transfers HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n{body}"
        )
    };
    let id = "11111111-2222-4333-8444-55555555aaaa";
    let plain = "GET /queues HTTP/1.1\r\n";
    for (request, code) in [
        (get("/nothing", ""), Code::NotFound),
        (get("/transfers/", ""), Code::NotFound),
        (get("//transfers", ""), Code::NotFound),
        (get("/TRANSFERS", ""), Code::NotFound),
        (get("/transfers/abc", ""), Code::NotFound),
        (get("/transfers/%FF%00", ""), Code::NotFound),
        (get("/transfers/%2e%2e", ""), Code::NotFound),
        (get("/problems/nope", ""), Code::NotFound),
        (get("/problems/%FF", ""), Code::NotFound),
        (get("/conversations/abc", ""), Code::ConversationNotFound),
        (get("/conversations/%FF", ""), Code::ConversationNotFound),
        (get("/nothing", "accept: text/html\r\n"), Code::NotFound),
        (get("/queues/refresh", ""), Code::MethodNotAllowed),
        (get("/queues/refresh", "accept: text/html\r\n"), Code::MethodNotAllowed),
        (get("/queues", "accept: text/html\r\n"), Code::NotAcceptable),
        (get("/queues", "").replace("localhost", "evil.example"), Code::InvalidHost),
        (get("/health/live", "").replace("localhost", "evil.example"), Code::InvalidHost),
        (get("/nothing", "").replace("localhost", "evil.example"), Code::InvalidHost),
        (get("http://evil.example/queues", ""), Code::InvalidHost),
        (post("/queues/refresh", "origin: null\r\n", ""), Code::NotPermitted),
        (get("/docs", "sec-fetch-site: cross-site\r\n"), Code::NotPermitted),
        (get("/openapi.json?unknown", ""), Code::InvalidRequest),
        (get("/transfers?limit=0", ""), Code::InvalidRequest),
        (get("/transfers?page=2", ""), Code::InvalidRequest),
        (get(&format!("/transfers/{id}?x=1"), ""), Code::InvalidRequest),
        (get(&format!("/conversations/{id}?queue=x"), ""), Code::InvalidRequest),
        (post("/queues/refresh?now", "", ""), Code::InvalidRequest),
        (post("/transfers", "", "{}"), Code::InvalidRequest),
        (post("/transfers?x", "", "{}"), Code::InvalidRequest),
        (post("/transfers", "", ""), Code::MalformedJson),
        (post("/transfers", "", "{\"a\":"), Code::MalformedJson),
        (post("/transfers", "", &"[".repeat(100_000)), Code::MalformedJson),
        (post("/transfers", "idempotency-key: \"a\r\n", "{}"), Code::IdempotencyKeyInvalid),
        (
            post("/transfers", "idempotency-key: a\r\nidempotency-key: a\r\n", "{}"),
            Code::IdempotencyKeyInvalid,
        ),
        (post("/transfers", "content-encoding: gzip\r\n", "{}"), Code::UnsupportedMediaType),
        (post("/transfers", "accept: image/png\r\n", "{}"), Code::NotAcceptable),
        (post("/transfers", "", &big), Code::BodyTooLarge),
        (post("/transfers/x/settle", "", "{}"), Code::NotFound),
        (post(&format!("/transfers/{id}/settle"), "", "{}"), Code::InvalidRequest),
        (chunked(&chunks), Code::BodyTooLarge),
        (chunked("zz\r\n{}\r\n0\r\n\r\n"), Code::MalformedJson),
        (
            "POST /transfers HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}"
                .to_owned(),
            Code::UnsupportedMediaType,
        ),
        (get("/queues", &format!("a: {}\r\n", "x".repeat(17 * 1024))), Code::HeadersTooLarge),
        (get("/queues", &format!("a: {}\r\n", "x".repeat(200 * 1024))), Code::HeadersTooLarge),
        (get("/queues", &"a: b\r\n".repeat(200)), Code::HeadersTooLarge),
        (get(&format!("/{}", "x".repeat(17 * 1024)), ""), Code::HeadersTooLarge),
        (get(&format!("/{}", "x".repeat(70 * 1024)), ""), Code::HeadersTooLarge),
        (format!("{plain}connection: close\r\n\r\n"), Code::InvalidHeader),
        (format!("{plain}host: localhost\r\nhost: b\r\nconnection: close\r\n\r\n"), Code::InvalidHeader),
        (format!("{plain}no colon\r\n\r\n"), Code::InvalidHeader),
        (format!("{plain}host: localhost\r\ncontent-length: x\r\n\r\n"), Code::InvalidHeader),
        (
            format!("{plain}host: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n"),
            Code::InvalidHeader,
        ),
        (format!("{plain}host: localhost\r\ntransfer-encoding: gzip\r\n\r\n"), Code::InvalidHeader),
        (format!("{plain}host: localhost\n\r\n"), Code::InvalidHeader),
        (format!("{plain}host: localhost\r\nx: y\n\n"), Code::InvalidHeader),
        ("GET /health/live HTTP/1.1\nhost: localhost\n\n".to_owned(), Code::InvalidHeader),
        ("GET /q HTTP/1.1\nhost: localhost\n\n".to_owned(), Code::InvalidHeader),
        ("garbage\r\n\r\n".to_owned(), Code::InvalidHeader),
        ("GET /a b HTTP/1.1\r\n\r\n".to_owned(), Code::InvalidHeader),
        ("GET /queues HTTP/9.9\r\nhost: localhost\r\n\r\n".to_owned(), Code::InvalidHeader),
        ("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".to_owned(), Code::InvalidHeader),
        ("\u{16}\u{3}\u{1}\u{2} hello TLS\r\n\r\n".to_owned(), Code::InvalidHeader),
    ] {
        let text = exchange(server.address, &request).await;
        let shown = &request[..request.len().min(120)];
        Reply::parse(&text).unwrap_or_else(|| panic!("{shown:?}: {text:?}")).is_problem(code);
    }
}

#[tokio::test]
async fn whoever_sent_half_a_body_is_not_sent_looking_for_a_line_and_column() {
    let server = start_service(settings()).await;
    let head = "POST /transfers HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    let request = format!("{head}transfer-encoding: chunked\r\n\r\nzz\r\n{{}}\r\n0\r\n\r\n");

    let text = exchange(server.address, request).await;

    let body = Reply::parse(&text).unwrap().is_problem(Code::MalformedJson);
    assert!(!body["hint"].as_str().unwrap().contains("column"), "{body}");
}

#[tokio::test]
async fn methods_that_are_not_taken_are_answered_with_those_that_are() {
    let server = start_service(settings()).await;
    for (method, path, allow) in [
        ("DELETE", "/transfers", "GET, HEAD, POST, OPTIONS"),
        ("PUT", "/transfers/x", "GET, HEAD, OPTIONS"),
        ("TRACE", "/health/live", "GET, HEAD, OPTIONS"),
        ("PURGE", "/queues/refresh", "POST, OPTIONS"),
        ("HEAD", "/queues/refresh", "POST, OPTIONS"),
    ] {
        let request = get(path, "").replacen("GET", method, 1);
        let reply = Reply::parse(&exchange(server.address, request).await).unwrap();

        assert_eq!((reply.status, reply.header("allow")), (405, Some(allow)), "{method} {path}");
        if method == "HEAD" {
            assert_eq!(reply.body, "");
        } else {
            reply.is_problem(Code::MethodNotAllowed);
        }
    }
}

#[tokio::test]
async fn options_tells_the_methods() {
    for (target, allow) in [("/transfers", Some("GET, HEAD, POST, OPTIONS")), ("*", None)] {
        let reply = reply_to(get(target, "").replacen("GET", "OPTIONS", 1)).await;

        assert_eq!((reply.status, reply.header("allow")), (204, allow));
        assert!(reply.header("x-request-id").is_some());
    }
}

#[tokio::test]
async fn connect_is_refused_like_any_other_method() {
    let reply =
        reply_to("CONNECT localhost:80 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .await;

    reply.is_problem(Code::NotFound);
}

#[tokio::test]
async fn head_answers_as_get_without_a_body() {
    for path in ["/health/live", "/nothing", "/problems/not_found"] {
        let full = reply_to(get(path, "x-request-id: r\r\n")).await;
        let head = reply_to(get(path, "x-request-id: r\r\n").replacen("GET", "HEAD", 1)).await;

        assert_eq!((head.status, head.body.as_str()), (full.status, ""));
        for name in ["content-length", "content-type", "x-request-id"] {
            assert_eq!(head.header(name), full.header(name), "{path} {name}");
        }
    }
}

#[tokio::test]
async fn every_answer_echoes_the_request_id_or_a_new_one() {
    for path in ["/health/live", "/nothing", "/transfers?x=1", "/queues/refresh"] {
        let given = reply_to(get(path, "x-request-id: My_id.1-2\r\n")).await;
        let made = reply_to(get(path, "x-request-id: not echoed\r\n")).await;

        assert_eq!(given.header("x-request-id"), Some("My_id.1-2"));
        let id = made.header("x-request-id").unwrap();
        assert_eq!(uuid::Uuid::parse_str(id).unwrap().get_version_num(), 7);
    }
}

#[tokio::test]
async fn problems_are_explained() {
    let list = reply_to(get("/problems", "")).await.json();
    let one = reply_to(get("/problems/queue_not_found", "")).await;

    assert_eq!(list["items"].as_array().unwrap().len(), Code::ALL.len());
    assert_eq!(one.header("content-type"), Some("application/json"));
    assert_eq!(one.header("cache-control"), Some("public, max-age=3600"));
    assert_eq!(one.json()["status"], 422);
    assert!(list["items"].as_array().unwrap().contains(&one.json()));
}

#[tokio::test]
async fn an_absolute_target_is_understood() {
    assert_eq!(reply_to(get("http://localhost:1/health/live?x=1", "")).await.status, 200);
}

#[tokio::test]
async fn http_1_0_needs_no_host_and_closes() {
    let text =
        exchange(start_service(settings()).await.address, "GET /health/live HTTP/1.0\r\n\r\n")
            .await;

    assert_eq!(Reply::parse(&text).unwrap().status, 200);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order_and_a_bad_one_last() {
    let live = "GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let none = "GET /none HTTP/1.1\r\nhost: localhost\r\nx-request-id: second\r\n\r\n";
    let server = start_service(settings()).await;

    let text = exchange(server.address, format!("{live}{none}{live}garbage\r\n\r\n")).await;

    let starts: Vec<_> = text.match_indices("HTTP/1.1 ").map(|(at, _)| at).collect();
    let statuses: Vec<_> = starts.iter().map(|at| &text[at + 9..at + 12]).collect();
    assert_eq!(statuses, ["200", "404", "200", "400"]);
    Reply::parse(&text[starts[3]..]).unwrap().is_problem(Code::InvalidHeader);
    assert!(text.contains("x-request-id: second"));
}

#[tokio::test]
async fn a_body_that_is_refused_is_not_asked_for() {
    let server = start_service(settings()).await;
    let refused = "POST /transfers HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\n\
                   content-type: application/json\r\ncontent-length: 999999\r\n\r\n";
    let wanted = refused.replace("999999", "2");

    let text = exchange(server.address, refused).await;
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.write_all(wanted.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    socket.read_exact(&mut go_on).await.unwrap();
    socket.write_all(b"{}").await.unwrap();
    let reply = read_one(&mut socket).await;

    Reply::parse(&text).unwrap().is_problem(Code::BodyTooLarge);
    assert_eq!(go_on.as_slice(), b"HTTP/1.1 100 Continue\r\n\r\n");
    reply.is_problem(Code::InvalidRequest);
}

#[tokio::test]
async fn line_feeds_in_a_body_that_is_refused_are_no_second_request() {
    let server = start_service(settings()).await;
    let body = "{\n}\n".repeat(20_000);
    let head = post("/nothing", "", &body).replace("connection: close\r\n", "");
    let (head, _) = head.split_once("\r\n\r\n").unwrap();
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.write_all(format!("{head}\r\n\r\n").as_bytes()).await.unwrap();
    read_one(&mut socket).await.is_problem(Code::NotFound);

    // The service may close while this is sent.
    let _ = socket.write_all(body.as_bytes()).await;
    let _ = socket.shutdown().await;

    let mut rest = Vec::new();
    let _ = socket.read_to_end(&mut rest).await;
    assert_eq!(String::from_utf8_lossy(&rest), "");
}

#[tokio::test]
async fn a_connection_goes_on_after_a_refusal() {
    let server = start_service(settings()).await;
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    let request = post("/transfers", "", "{}").replace("connection: close\r\n", "");
    for _ in 0..3 {
        socket.write_all(request.as_bytes()).await.unwrap();

        read_one(&mut socket).await.is_problem(Code::InvalidRequest);
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_408_and_closes() {
    let slow = config::Server { body_timeout: Duration::from_millis(50), ..settings() };
    let server = start_service(slow).await;
    let request = post("/transfers", "", "{\"a\"").replace("length: 4", "length: 40");

    let text = exchange(server.address, request.replace("connection: close\r\n", "")).await;

    let reply = Reply::parse(&text).unwrap();
    assert_eq!(reply.header("connection"), Some("close"));
    reply.is_problem(Code::RequestTimeout);
}

#[tokio::test]
async fn a_caller_who_closed_his_side_still_gets_his_answer() {
    let server = start_service(settings()).await;
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.write_all(post("/transfers", "", "{}").as_bytes()).await.unwrap();
    socket.shutdown().await.unwrap();

    let text = read_to_end(&mut socket).await;

    Reply::parse(&text).unwrap().is_problem(Code::InvalidRequest);
}

#[tokio::test]
async fn http_2_is_answered_alike() {
    let server = start_service(settings()).await;
    let client = reqwest::Client::builder().http2_prior_knowledge().no_proxy().build().unwrap();
    let url = |path: &str| format!("http://{}{path}", server.address);

    let live = client.get(url("/health/live")).send().await.unwrap();
    let none = client.head(url("/none")).header("x-request-id", "h2").send().await.unwrap();
    let large = client.get(url("/queues")).header("a", "x".repeat(20_000)).send().await.unwrap();
    let big = client.post(url("/transfers")).header("content-type", "application/json");
    let big = big.body("x".repeat(300_000)).send().await.unwrap();

    assert_eq!((live.status().as_u16(), live.version()), (200, reqwest::Version::HTTP_2));
    assert_eq!(
        (none.status().as_u16(), &none.headers()["x-request-id"]),
        (404, &"h2".parse().unwrap())
    );
    assert_eq!(large.status().as_u16(), 431);
    assert_eq!(large.json::<Value>().await.unwrap()["code"], "headers_too_large");
    assert_eq!(big.status().as_u16(), 413);
}

#[tokio::test]
async fn hostile_bytes_are_answered_with_problems_or_not_at_all() {
    let hasty = config::Server { header_timeout: Duration::from_millis(100), ..settings() };
    let server = start_service(hasty).await;
    let mut random = fastrand::Rng::with_seed(4711);
    let good = post("/transfers", "idempotency-key: \"k\"\r\nprefer: wait=1\r\n", "{\"a\":[1]}");
    let tries: Vec<_> = (0..60)
        .map(|_| {
            let mut bytes = good.clone().into_bytes();
            for _ in 0..random.usize(1..6) {
                let at = random.usize(..bytes.len());
                bytes[at] = random.u8(..);
            }
            // Nothing more follows, so a body that became longer than what is sent ends early.
            let address = server.address;
            tokio::spawn(async move {
                let mut socket = TcpStream::connect(address).await.unwrap();
                socket.write_all(&bytes).await.unwrap();
                socket.shutdown().await.unwrap();
                (read_to_end(&mut socket).await, bytes)
            })
        })
        .collect();
    for hostile in tries {
        let (text, bytes) = hostile.await.unwrap();
        let shown = String::from_utf8_lossy(&bytes);
        if let Some(reply) = Reply::parse(&text) {
            assert!(reply.status >= 400 && reply.status < 500, "{shown}: {text}");
            assert!(text.contains("x-request-id: "), "{shown}: {text}");
        } else {
            assert_eq!(text, "", "{shown}");
        }
    }
    assert_eq!(
        Reply::parse(&exchange(server.address, get("/health/live", "")).await).unwrap().status,
        200
    );
}
