//! Tokens against a small issuer on a port of its own.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use axum::{Router, http::StatusCode, routing::get};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::clock::ManualClock;

mod attacks;

const NOW: i64 = 1_800_000_000;

/// The issuer's private keys, made for these tests, and one that is not its own.
const P256: &[u8] = include_bytes!("../../config/tests/ec-private.pem");
const RSA: &[u8] = include_bytes!("../../config/tests/rsa-private.pem");
const P384: &[u8] = include_bytes!("tests/p384-private.pem");
const ED25519: &[u8] = include_bytes!("tests/ed25519-private.pem");
const STRANGER: &[u8] = include_bytes!("tests/stranger-private.pem");

fn private_key(algorithm: Algorithm) -> EncodingKey {
    match algorithm {
        Algorithm::RS256 | Algorithm::PS256 => EncodingKey::from_rsa_pem(RSA).unwrap(),
        Algorithm::ES256 => EncodingKey::from_ec_pem(P256).unwrap(),
        Algorithm::ES384 => EncodingKey::from_ec_pem(P384).unwrap(),
        Algorithm::EdDSA => EncodingKey::from_ed_pem(ED25519).unwrap(),
        other => panic!("no key for {other:?}"),
    }
}

/// The public key of `key`, under the id `id`.
fn public_key(key: &EncodingKey, algorithm: Algorithm, id: &str) -> Jwk {
    let mut jwk = Jwk::from_encoding_key(key, algorithm).unwrap();
    jwk.common.key_algorithm = None;
    jwk.common.key_id = Some(id.to_owned());
    jwk
}

fn key_id(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::RS256 | Algorithm::PS256 => "rsa",
        Algorithm::ES256 => "p256",
        Algorithm::ES384 => "p384",
        _ => "ed",
    }
}

/// What the issuer saw, and whether it answers.
#[derive(Default)]
struct Seen {
    key_fetches: AtomicU32,
    other_fetches: AtomicU32,
    down: AtomicBool,
}

struct Bench {
    url: String,
    seen: Arc<Seen>,
    verifier: Verifier,
}

impl Bench {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Seen::default());
        let server = axum::serve(listener, issuer(&url, &seen));
        tokio::spawn(async move { server.await.unwrap() });
        let oidc = Oidc {
            issuer: url.clone(),
            issuer_url: url.parse().unwrap(),
            audience: "transfer".to_owned(),
            max_lifetime: Duration::from_hours(24),
        };
        let clock = ManualClock::new(jiff::Timestamp::from_second(NOW).unwrap());
        let verifier = Verifier::new(&oidc, 10, Arc::new(clock)).unwrap();
        Self { url, seen, verifier }
    }

    fn claims(&self) -> Value {
        json!({
            "iss": self.url, "aud": "transfer", "exp": NOW + 60, "client_id": "crm",
            "scope": "transfers:write",
        })
    }

    /// A good token, signed so.
    fn token(&self, algorithm: Algorithm) -> String {
        let head = Header { kid: Some(key_id(algorithm).to_owned()), ..Header::new(algorithm) };
        encode(&head, &self.claims(), &private_key(algorithm)).unwrap()
    }

    async fn is_refused(&self, token: &str) -> bool {
        matches!(self.verifier.identify(token).await, Err(Denied::Invalid(_)))
    }

    fn key_fetches(&self) -> u32 {
        self.seen.key_fetches.load(Ordering::SeqCst)
    }

    fn other_fetches(&self) -> u32 {
        self.seen.other_fetches.load(Ordering::SeqCst)
    }
}

fn issuer(url: &str, seen: &Arc<Seen>) -> Router {
    let algorithms = [Algorithm::RS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];
    let keys = algorithms.map(|one| public_key(&private_key(one), one, key_id(one)));
    let set = json!({ "keys": keys });
    let discovery = json!({"issuer": url, "jwks_uri": format!("{url}/keys")});
    let (seen, for_keys, for_others) = (Arc::clone(seen), Arc::clone(seen), Arc::clone(seen));
    Router::new()
        .route(
            "/.well-known/openid-configuration",
            get(move || async move {
                if seen.down.load(Ordering::SeqCst) {
                    return Err(StatusCode::SERVICE_UNAVAILABLE);
                }
                Ok(discovery.to_string())
            }),
        )
        .route(
            "/keys",
            get(move || async move {
                for_keys.key_fetches.fetch_add(1, Ordering::SeqCst);
                set.to_string()
            }),
        )
        .fallback(move || async move {
            for_others.other_fetches.fetch_add(1, Ordering::SeqCst);
            StatusCode::NOT_FOUND
        })
}

#[tokio::test]
async fn every_algorithm_that_is_taken_works() {
    let bench = Bench::new().await;
    for algorithm in
        [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA]
    {
        let identity = bench.verifier.identify(&bench.token(algorithm)).await.unwrap();
        assert_eq!(identity.caller().name.as_str(), "oidc:crm", "{algorithm:?}");
    }
    assert_eq!(bench.key_fetches(), 1);
}

#[tokio::test]
async fn a_token_that_names_no_key_is_tried_with_those_of_its_kind() {
    let bench = Bench::new().await;
    let head = Header::new(Algorithm::ES256);
    let token = encode(&head, &bench.claims(), &private_key(Algorithm::ES256)).unwrap();
    assert!(bench.verifier.identify(&token).await.is_ok());
}

#[tokio::test]
async fn while_the_issuer_is_away_nobody_can_be_recognised() {
    let bench = Bench::new().await;
    bench.seen.down.store(true, Ordering::SeqCst);
    let answer = bench.verifier.identify(&bench.token(Algorithm::ES256)).await;
    assert_eq!(answer, Err(Denied::Unavailable));
    assert!(!bench.verifier.has_keys());
}

#[tokio::test]
async fn keys_known_before_serve_on_while_the_issuer_is_away() {
    let bench = Bench::new().await;
    bench.verifier.identify(&bench.token(Algorithm::ES256)).await.unwrap();
    bench.seen.down.store(true, Ordering::SeqCst);
    assert!(bench.verifier.identify(&bench.token(Algorithm::RS256)).await.is_ok());
}
