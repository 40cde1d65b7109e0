//! Tokens that must not get in.

use base64::prelude::BASE64_STANDARD;

use super::*;

/// The public half of the issuer's RSA key, which anyone may have.
const RSA_PUBLIC: &str = include_str!("rsa-public.pem");

fn part(value: &Value) -> String {
    BASE64.encode(value.to_string())
}

/// A token with this header and these claims, signed with `key` as `algorithm`.
fn forged(header: &Value, claims: &Value, key: &EncodingKey, algorithm: Algorithm) -> String {
    let message = format!("{}.{}", part(header), part(claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm).unwrap();
    format!("{message}.{signature}")
}

fn stranger() -> EncodingKey {
    EncodingKey::from_ec_pem(STRANGER).unwrap()
}

#[tokio::test]
async fn unsigned_tokens_are_refused() {
    let bench = Bench::new().await;
    for alg in ["none", "None", "NONE", "nOnE"] {
        let message = format!("{}.{}", part(&json!({"alg": alg})), part(&bench.claims()));
        assert!(bench.is_refused(&format!("{message}.")).await, "{alg}");
        assert!(bench.is_refused(&format!("{message}.AA")).await, "{alg}");
    }
}

#[tokio::test]
async fn the_public_key_as_a_shared_secret_is_refused() {
    let bench = Bench::new().await;
    let public = public_key(&private_key(Algorithm::RS256), Algorithm::RS256, "rsa");
    let der = BASE64_STANDARD
        .decode(RSA_PUBLIC.lines().filter(|line| !line.starts_with('-')).collect::<String>());
    for secret in [
        serde_json::to_vec(&public).unwrap(),
        RSA_PUBLIC.as_bytes().to_vec(),
        RSA_PUBLIC.trim_end().as_bytes().to_vec(),
        der.unwrap(),
        RSA.to_vec(),
        b"".to_vec(),
    ] {
        let key = EncodingKey::from_secret(&secret);
        for kid in ["rsa", "p256"] {
            let header = json!({"alg": "HS256", "kid": kid});
            let token = forged(&header, &bench.claims(), &key, Algorithm::HS256);
            assert!(bench.is_refused(&token).await, "{kid}");
        }
    }
}

#[tokio::test]
async fn a_key_of_ones_own_is_refused_however_it_is_offered() {
    let bench = Bench::new().await;
    let own = public_key(&stranger(), Algorithm::ES256, "own");
    let url = format!("{}/evil", bench.url);
    for (kid, more) in [
        ("p256", json!({})),
        ("own", json!({ "jwk": own })),
        ("own", json!({ "jku": url })),
        ("own", json!({ "x5u": url })),
        ("own", json!({"x5c": ["AAAA"]})),
        ("../../evil", json!({})),
        (url.as_str(), json!({})),
    ] {
        let mut header = json!({"alg": "ES256", "kid": kid});
        header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let token = forged(&header, &bench.claims(), &stranger(), Algorithm::ES256);
        assert!(bench.is_refused(&token).await, "{header}");
    }
    assert_eq!(bench.other_fetches(), 0);
}

#[tokio::test]
async fn urls_in_a_good_token_are_not_followed() {
    let bench = Bench::new().await;
    let url = format!("{}/evil", bench.url);
    let header = json!({"alg": "ES256", "kid": "p256", "jku": url, "x5u": url});
    let key = private_key(Algorithm::ES256);
    let token = forged(&header, &bench.claims(), &key, Algorithm::ES256);
    assert!(bench.verifier.identify(&token).await.is_ok());
    assert_eq!(bench.other_fetches(), 0);
}

#[tokio::test]
async fn worthless_signatures_are_refused() {
    let bench = Bench::new().await;
    let good = bench.token(Algorithm::ES256);
    let (message, signature) = good.rsplit_once('.').unwrap();
    let mut flipped = BASE64.decode(signature).unwrap();
    flipped[10] ^= 1;
    for bytes in [vec![], vec![0], vec![0; 64], vec![0; 256], flipped] {
        let token = format!("{message}.{}", BASE64.encode(&bytes));
        assert!(bench.is_refused(&token).await, "{bytes:?}");
    }
}

#[tokio::test]
async fn a_signature_of_zeros_is_refused_by_every_algorithm() {
    let bench = Bench::new().await;
    for (algorithm, length) in [
        (Algorithm::RS256, 256),
        (Algorithm::PS256, 256),
        (Algorithm::ES256, 64),
        (Algorithm::ES384, 96),
        (Algorithm::EdDSA, 64),
    ] {
        let good = bench.token(algorithm);
        let (message, _) = good.rsplit_once('.').unwrap();
        let token = format!("{message}.{}", BASE64.encode(vec![0; length]));
        assert!(bench.is_refused(&token).await, "{algorithm:?}");
    }
}

#[tokio::test]
async fn a_signature_does_not_carry_over_to_other_claims_or_headers() {
    let bench = Bench::new().await;
    let good = bench.token(Algorithm::ES256);
    let parts: Vec<&str> = good.split('.').collect();
    let mut claims = bench.claims();
    claims["scope"] = json!("admin");
    let header = json!({"alg": "ES256", "kid": "p256"});
    for token in [
        format!("{}.{}.{}", parts[0], part(&claims), parts[2]),
        format!("{}.{}.{}", part(&header), parts[1], parts[2]),
        format!("{good}."),
        format!("{good}.x"),
        good.replace('.', ".."),
    ] {
        assert!(bench.is_refused(&token).await, "{token}");
    }
    assert!(bench.verifier.identify(&good).await.is_ok());
}

#[tokio::test]
async fn an_algorithm_other_than_the_keys_is_refused() {
    let bench = Bench::new().await;
    for (alg, kid) in [
        ("ES256", "rsa"),
        ("RS256", "p256"),
        ("ES384", "p256"),
        ("EdDSA", "p256"),
        ("ES256", "p384"),
    ] {
        let header = json!({"alg": alg, "kid": kid});
        let key = private_key(Algorithm::ES256);
        let token = forged(&header, &bench.claims(), &key, Algorithm::ES256);
        assert!(bench.is_refused(&token).await, "{header}");
    }
}

#[tokio::test]
async fn claims_that_do_not_hold_are_refused_with_a_good_signature() {
    let bench = Bench::new().await;
    for (name, value) in [
        ("aud", json!(null)),
        ("aud", json!("other")),
        ("aud", json!(["other", "another"])),
        ("exp", json!(null)),
        ("exp", json!(NOW - 1)),
        ("nbf", json!(NOW + 3600)),
        ("iss", json!(null)),
        ("iss", json!("http://evil.test")),
        ("client_id", json!("")),
        ("queues", json!(7)),
    ] {
        let mut claims = bench.claims();
        claims[name] = value.clone();
        let header = json!({"alg": "ES256", "kid": "p256"});
        let key = private_key(Algorithm::ES256);
        let token = forged(&header, &claims, &key, Algorithm::ES256);
        assert!(bench.is_refused(&token).await, "{name}: {value}");
    }
}

#[tokio::test]
async fn a_flood_of_unknown_keys_does_not_reach_the_issuer() {
    let bench = Bench::new().await;
    bench.verifier.identify(&bench.token(Algorithm::ES256)).await.unwrap();
    for number in 0..200 {
        let header = json!({"alg": "ES256", "kid": format!("made-up-{number}")});
        let token = forged(&header, &bench.claims(), &stranger(), Algorithm::ES256);
        assert!(bench.is_refused(&token).await);
    }
    assert_eq!(bench.key_fetches(), 1);
}
