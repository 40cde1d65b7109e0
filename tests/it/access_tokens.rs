//! Access tokens over HTTP: who gets in, and that attacks neither do nor reach the issuer.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Router, extract::State, http::StatusCode, routing::get};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use genesys_transfer::{
    clock::{Clock as _, SystemClock},
    sandbox::seed,
};
use jsonwebtoken::{Algorithm, EncodingKey, crypto::sign, jwk::Jwk};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{
    frozen::Frozen,
    service::{Answer, TestApp, plain, send},
};

/// What an issuer was asked for.
#[derive(Default)]
struct Fetches {
    keys: AtomicUsize,
    others: AtomicUsize,
}

struct Bench {
    app: TestApp,
    issuer: String,
    key: EncodingKey,
    public: Value,
    fetches: Arc<Fetches>,
}

fn new_key() -> (EncodingKey, Value) {
    let pair = rcgen::KeyPair::generate().unwrap();
    let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
    let mut public = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
    public.common.key_id = Some("k1".to_owned());
    (key, serde_json::to_value(public).unwrap())
}

/// An issuer with that one key.
async fn issuer(public: &Value) -> (String, Arc<Fetches>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let document = json!({"issuer": url, "jwks_uri": format!("{url}/keys")}).to_string();
    let keys = json!({"keys": [public]}).to_string();
    let fetches = Arc::new(Fetches::default());
    let router = Router::new()
        .route("/.well-known/openid-configuration", get(|| async { document }))
        .route(
            "/keys",
            get(async |State(seen): State<Arc<Fetches>>| {
                seen.keys.fetch_add(1, Ordering::SeqCst);
                keys
            }),
        )
        .fallback(async |State(seen): State<Arc<Fetches>>| {
            seen.others.fetch_add(1, Ordering::SeqCst);
            StatusCode::NOT_FOUND
        })
        .with_state(Arc::clone(&fetches));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, fetches)
}

impl Bench {
    async fn start() -> Self {
        Self::with(&[]).await
    }

    async fn with(more: &[(&str, &str)]) -> Self {
        let (key, public) = new_key();
        let (issuer, fetches) = issuer(&public).await;
        let settings = [
            ("AUTH_MODE", "required"),
            ("AUTH_OIDC_ISSUER", issuer.as_str()),
            ("AUTH_OIDC_AUDIENCE", "transfer"),
        ];
        let app = TestApp::with(&[&settings, more].concat()).await;
        Self { app, issuer, key, public, fetches }
    }

    /// Good claims with some of them changed; `null` takes one away.
    fn claims(&self, changes: &Value) -> Value {
        let now = SystemClock.now().as_second();
        let mut claims = json!({
            "iss": self.issuer, "aud": "transfer", "exp": now + 600, "client_id": "crm",
            "scope": "transfers:write transfers:read",
        });
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        claims
    }

    fn good(&self) -> String {
        token(&json!({"alg": "ES256", "kid": "k1"}), &self.claims(&json!({})), &self.key)
    }

    async fn get(&self, token: &str) -> Answer {
        send(self.app.request(Method::GET, "/transfers").bearer_auth(token)).await
    }

    fn key_fetches(&self) -> usize {
        self.fetches.keys.load(Ordering::SeqCst)
    }
}

fn part(value: &Value) -> String {
    BASE64.encode(value.to_string())
}

fn token(header: &Value, claims: &Value, key: &EncodingKey) -> String {
    let message = format!("{}.{}", part(header), part(claims));
    let signature = sign(message.as_bytes(), key, Algorithm::ES256).unwrap();
    format!("{message}.{signature}")
}

#[tokio::test]
async fn a_good_token_moves_a_call_in_its_callers_name() {
    let bench = Bench::start().await;
    let request = bench.app.request(Method::POST, "/transfers").bearer_auth(bench.good());
    let answer = send(request.json(&plain(seed::CONNECTED_CALL, "Support Tier 2"))).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["requestedBy"]), (201, &json!("oidc:crm")));
}

#[tokio::test]
async fn a_good_token_does_no_more_than_its_scope() {
    let bench = Bench::start().await;
    let answer = send(bench.app.request(Method::GET, "/queues").bearer_auth(bench.good())).await;
    assert_eq!(answer.outcome(), (403, "not_permitted".to_owned()));
}

/// Tokens that must not get in, each with what is wrong with it.
fn attacks(bench: &Bench) -> Vec<(&'static str, String)> {
    let (stranger, own) = new_key();
    let evil = format!("{}/evil", bench.issuer);
    let now = SystemClock.now().as_second();
    let head = json!({"alg": "ES256", "kid": "k1"});
    let good = bench.good();
    let message = good.rsplit_once('.').unwrap().0;
    let claims = bench.claims(&json!({}));
    let secret = EncodingKey::from_secret(bench.public.to_string().as_bytes());
    let hs256 = format!("{}.{}", part(&json!({"alg": "HS256", "kid": "k1"})), part(&claims));
    let hs256_signature = sign(hs256.as_bytes(), &secret, Algorithm::HS256).unwrap();
    let mut all = vec![
        ("alg none", format!("{}.{}.", part(&json!({"alg": "none"})), part(&claims))),
        ("HS256 with the public key", format!("{hs256}.{hs256_signature}")),
        ("zero signature", format!("{message}.{}", BASE64.encode([0; 64]))),
        ("no signature", format!("{message}.")),
        ("of a stranger", token(&head, &claims, &stranger)),
        ("8 KiB", format!("{message}{}", "A".repeat(8 * 1024))),
    ];
    for (what, header) in [
        ("jku", json!({"alg": "ES256", "kid": "x", "jku": evil})),
        ("x5u", json!({"alg": "ES256", "kid": "x", "x5u": evil})),
        ("jwk", json!({"alg": "ES256", "kid": "k1", "jwk": own})),
        ("kid with a path", json!({"alg": "ES256", "kid": evil})),
    ] {
        all.push((what, token(&header, &claims, &stranger)));
    }
    for (what, change) in [
        ("no aud", json!({"aud": null})),
        ("wrong aud", json!({"aud": "other"})),
        ("array of wrong aud", json!({"aud": ["other", "another"]})),
        ("no exp", json!({"exp": null})),
        ("past exp", json!({"exp": now - 1})),
        ("future nbf", json!({"nbf": now + 3600})),
        ("exp in more than a day", json!({"exp": now + 25 * 3600})),
        ("exp without end", json!({"exp": 1e300})),
        ("future iat", json!({"iat": now + 3600})),
        ("iat of text", json!({"iat": now.to_string()})),
        ("no iss", json!({"iss": null})),
        ("wrong iss", json!({"iss": evil})),
    ] {
        all.push((what, token(&head, &bench.claims(&change), &bench.key)));
    }
    all
}

#[tokio::test]
async fn every_attack_is_answered_alike_and_nothing_it_names_is_fetched() {
    let bench = Bench::start().await;
    assert_eq!(bench.get(&bench.good()).await.status, 200);
    for (what, token) in attacks(&bench) {
        let answer = bench.get(&token).await;
        assert_eq!(answer.outcome(), (401, "unauthenticated".to_owned()), "{what}");
        assert_eq!(answer.json()["detail"], "The credentials are not valid.", "{what}");
        assert!(answer.header("www-authenticate").unwrap().contains("invalid_token"), "{what}");
    }
    assert_eq!(bench.fetches.others.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_array_of_audiences_that_names_the_service_gets_in() {
    let bench = Bench::start().await;
    let claims = bench.claims(&json!({"aud": ["other", "transfer"]}));
    let token = token(&json!({"alg": "ES256", "kid": "k1"}), &claims, &bench.key);
    assert_eq!(bench.get(&token).await.status, 200);
}

#[tokio::test]
async fn how_long_a_token_may_live_can_be_set() {
    let bench = Bench::with(&[("AUTH_OIDC_MAX_LIFETIME", "30d")]).await;
    let now = SystemClock.now().as_second();
    for (days, status) in [(29, 200), (31, 401)] {
        let claims = bench.claims(&json!({"exp": now + days * 86_400, "iat": now}));
        let token = token(&json!({"alg": "ES256", "kid": "k1"}), &claims, &bench.key);
        assert_eq!(bench.get(&token).await.status, status, "{days} days");
    }
}

#[tokio::test]
async fn a_flood_of_unknown_keys_reaches_the_issuer_once_at_most() {
    let bench = Bench::start().await;
    assert_eq!(bench.get(&bench.good()).await.status, 200);
    let before = bench.key_fetches();
    let _clock = Frozen::now();
    let claims = bench.claims(&json!({}));
    let made_up = |number| {
        token(&json!({"alg": "ES256", "kid": format!("made-up-{number}")}), &claims, &bench.key)
    };
    let flood = (0..300).map(|number| {
        let token = made_up(number);
        let bench = &bench;
        async move { assert_eq!(bench.get(&token).await.status, 401) }
    });
    let honest = async { assert_eq!(bench.get(&bench.good()).await.status, 200) };
    tokio::join!(futures_util::future::join_all(flood), honest);
    assert!(bench.key_fetches() <= before + 1, "{} fetches", bench.key_fetches());
}
