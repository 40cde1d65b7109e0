use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::*;

const GRANT: (&str, &str) = ("grant_type", "client_credentials");
const HOST: &str = "login.sandbox.test";
const KIND: (&str, &str) =
    ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");

/// An assertion for `http://login.sandbox.test/oauth/token`, good for five minutes from the
/// bench's first moment, the public key (P-256) to it, and another one. The private key is gone.
const SIGNED: &str = "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.\
    eyJpc3MiOiJzYW5kYm94Iiwic3ViIjoic2FuZGJveCIsImp0aSI6IjEiLCJhdWQiOiJodHRwOi8v\
    bG9naW4uc2FuZGJveC50ZXN0L29hdXRoL3Rva2VuIiwiaWF0IjoxNzk1MzQ4ODAwLCJleHAiOjE3OTUzNDkxMDB9.\
    LVFg5bL0S8IwIqHfRdA8KdINgozDZ6VzYCj8vV1OfL5eKA-eI4nB_aO77JGcjLrc9awblDtwXZx9d6V0WWwq3w";
const PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEWzhY+rVBSdlxBRtdPpk6SZs9UiOF
MLr+TZoe5ORbKhC+22z9a+IEAb7MTZiWnKWu8nvLPwSq/D3JX2UAKXjzxg==
-----END PUBLIC KEY-----
";
const OTHER_PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE2pwqFABeuVItBYQp3JzGaVTIWODr
KOBZVSwj4bAALyg92VGR9gThGCjD7vbvU9x4gopcQgc+fu0mZT1VkA/dnA==
-----END PUBLIC KEY-----
";

fn unsigned(bench: &Bench) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({
        "iss": "sandbox", "sub": "sandbox", "jti": "1",
        "aud": bench.url("/oauth/token"),
        "exp": bench.sandbox.now().as_second() + 300,
    });
    let (head, signature) = (encode(&json!({"alg": "RS256"})), URL_SAFE_NO_PAD.encode([1; 256]));
    format!("{head}.{}.{signature}", encode(&claims))
}

async fn with_assertion(bench: &Bench, assertion: &str) -> (StatusCode, Value) {
    let form = [GRANT, KIND, ("client_assertion", assertion)];
    body(bench.login().header("host", HOST).form(&form).send().await.unwrap()).await
}

#[tokio::test]
async fn right_secret_gets_a_bearer_token_with_its_lifetime() {
    let bench = Bench::new().await;

    let answer = bench.login().basic_auth("sandbox", Some("sandbox")).form(&[GRANT]);
    let (status, body) = body(answer.send().await.unwrap()).await;

    assert_eq!(status, 200);
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("bearer"), &json!(86_400)));
}

#[tokio::test]
async fn secret_in_the_body_works_too() {
    let bench = Bench::new().await;
    let form = [GRANT, ("client_id", "sandbox"), ("client_secret", "sandbox")];

    let answer = bench.login().form(&form).send().await.unwrap();

    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn wrong_credentials_get_an_oauth_error() {
    let bench = Bench::new().await;
    for (id, secret, status) in [("sandbox", "wrong", 401), ("nobody", "sandbox", 400)] {
        let answer = bench.login().basic_auth(id, Some(secret)).form(&[GRANT]);
        let (seen, body) = body(answer.send().await.unwrap()).await;
        assert_eq!((seen.as_u16(), &body["error"]), (status, &json!("invalid_client")));
        assert!(body["description"].is_string() && body["error_description"].is_string());
    }
}

#[tokio::test]
async fn other_grants_and_missing_credentials_are_refused() {
    let bench = Bench::new().await;
    for (form, status, error) in [
        (vec![("grant_type", "password")], 400, "unsupported_grant_type"),
        (vec![("scope", "x")], 400, "invalid_request"),
        (vec![GRANT], 401, "invalid_client"),
    ] {
        let (seen, body) = body(bench.login().form(&form).send().await.unwrap()).await;
        assert_eq!((seen.as_u16(), &body["error"]), (status, &json!(error)));
    }
}

#[tokio::test]
async fn signed_assertion_gets_a_token_once() {
    let key = Some(PUBLIC_KEY.to_owned());
    let bench = Bench::beyond_loopback(Options { client_key: key, ..Options::default() }).await;
    let (first, _) = with_assertion(&bench, SIGNED).await;
    let (second, body) = with_assertion(&bench, SIGNED).await;

    assert_eq!((first.as_u16(), second.as_u16()), (200, 400));
    assert_eq!(body["error"], "invalid_client");
}

#[tokio::test]
async fn assertion_signed_by_another_key_is_refused() {
    let key = Some(OTHER_PUBLIC_KEY.to_owned());
    let bench = Bench::beyond_loopback(Options { client_key: key, ..Options::default() }).await;

    let (status, _) = with_assertion(&bench, SIGNED).await;

    assert_eq!(status, 400);
}

#[tokio::test]
async fn without_a_known_key_any_signature_is_taken() {
    let bench = Bench::beyond_loopback(Options::default()).await;
    let assertion = unsigned(&bench);

    let (status, _) = with_assertion(&bench, &assertion).await;

    assert_eq!(status, 200);
}

#[tokio::test]
async fn assertion_beside_a_secret_is_refused() {
    let bench = Bench::new().await;
    let assertion = unsigned(&bench);
    let form = [GRANT, KIND, ("client_assertion", &assertion)];

    let answer = bench.login().basic_auth("sandbox", Some("sandbox")).form(&form).send().await;

    assert_eq!(answer.unwrap().status(), 400);
}

#[tokio::test]
async fn token_expires_with_its_lifetime() {
    let token_lifetime = Duration::from_mins(5);
    let bench = Bench::with(Options { token_lifetime, ..Options::default() }).await;

    bench.clock.advance(SignedDuration::from_secs(299));
    let before = bench.get("/api/v2/routing/queues").await.status();
    bench.clock.advance(SignedDuration::from_secs(1));
    let after = error(bench.get("/api/v2/routing/queues").await).await;

    assert_eq!(before, 200);
    assert_eq!(after, (401, "bad.credentials".to_owned()));
}

#[tokio::test]
async fn revoked_token_is_refused_and_a_new_one_works() {
    let mut bench = Bench::new().await;

    bench.sandbox.revoke_tokens();
    let refused = bench.get("/api/v2/routing/queues").await.status();
    bench.token = bench.fresh_token().await;

    assert_eq!(refused, 401);
    assert_eq!(bench.get("/api/v2/routing/queues").await.status(), 200);
}

#[tokio::test]
async fn token_request_stays_out_of_the_ledger_but_for_its_outline() {
    let bench = Bench::new().await;

    let entry = bench.last_request();

    assert_eq!((entry.path.as_str(), entry.status), ("/oauth/token", Some(200)));
    assert_eq!(entry.client.as_deref(), Some("sandbox"));
    assert_eq!(entry.body, None);
    assert!(bench.token.ends_with(entry.token_tail.as_deref().unwrap()));
    assert_eq!(entry.token_tail.unwrap().len(), 4);
}
