//! Checks a client assertion (RFC 7523, section 3).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation, dangerous::insecure_decode, decode, decode_header,
};
use serde::Deserialize;

/// Furthest an assertion may expire ahead.
const LONGEST_LIFE: SignedDuration = SignedDuration::from_mins(5);
/// Longest assertion and longest `jti` that are read, in bytes.
const MAX_TOKEN: usize = 16 * 1024;
const MAX_ID: usize = 256;

/// What a valid assertion says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asserted {
    pub(super) client: String,
    pub(super) id: String,
    pub(super) expires: Timestamp,
}

#[derive(Deserialize)]
struct AssertedClaims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: i64,
    jti: String,
}

/// One, or a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// Checks an assertion. Without a public key the signature must only be there.
pub(super) fn check(
    token: &str,
    audiences: &[String],
    key: Option<&str>,
    now: Timestamp,
) -> Result<Asserted, &'static str> {
    if token.len() > MAX_TOKEN {
        return Err("the assertion is too long");
    }
    let header = decode_header(token).map_err(|_| "the assertion's header cannot be read")?;
    if ![Algorithm::RS256, Algorithm::ES256].contains(&header.alg) {
        return Err("the assertion is signed with neither RS256 nor ES256");
    }
    let (_, signature) = token.rsplit_once('.').ok_or("the assertion is not a JWT")?;
    if URL_SAFE_NO_PAD.decode(signature).map_or(true, |bytes| bytes.len() < 64) {
        return Err("the assertion's signature cannot be read");
    }
    let claims = match key {
        Some(key) => verified(token, key, header.alg)?,
        None => insecure_decode(token).map_err(|_| "the assertion lacks a claim")?.claims,
    };
    accept(claims, audiences, now)
}

/// The claims of an assertion that the key has signed. They are checked by [`accept`], with the
/// sandbox's own clock.
fn verified(token: &str, key: &str, algorithm: Algorithm) -> Result<AssertedClaims, &'static str> {
    let key = match algorithm {
        Algorithm::ES256 => DecodingKey::from_ec_pem(key.as_bytes()),
        _ => DecodingKey::from_rsa_pem(key.as_bytes()),
    }
    .map_err(|_| "the assertion's algorithm does not fit the client's key")?;
    let mut validation = Validation::new(algorithm);
    (validation.validate_exp, validation.validate_aud) = (false, false);
    validation.required_spec_claims.clear();
    decode(token, &key, &validation)
        .map(|decoded| decoded.claims)
        .map_err(|_| "the assertion's signature is wrong")
}

fn accept(
    claims: AssertedClaims,
    audiences: &[String],
    now: Timestamp,
) -> Result<Asserted, &'static str> {
    if claims.iss != claims.sub {
        return Err("iss and sub of the assertion differ");
    }
    let named = match claims.aud {
        Audience::One(one) => vec![one],
        Audience::Many(many) => many,
    };
    if !audiences.iter().any(|audience| named.contains(audience)) {
        return Err("aud of the assertion is not the token URL");
    }
    let expires = Timestamp::from_second(claims.exp).map_err(|_| "exp cannot be read")?;
    let left = expires.duration_since(now);
    if left <= SignedDuration::ZERO {
        return Err("the assertion has expired");
    }
    if left > LONGEST_LIFE {
        return Err("exp lies more than 5 minutes ahead");
    }
    if claims.jti.is_empty() || claims.jti.len() > MAX_ID {
        return Err("jti is missing or too long");
    }
    Ok(Asserted { client: claims.iss, id: claims.jti, expires })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const URL: &str = "http://127.0.0.1:1/oauth/token";

    fn now() -> Timestamp {
        Timestamp::from_second(1_700_000_000).unwrap()
    }

    fn claims() -> Value {
        json!({"iss": "crm", "sub": "crm", "aud": URL, "exp": 1_700_000_300, "jti": "1"})
    }

    fn token(alg: &str, claims: &Value) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signature = URL_SAFE_NO_PAD.encode([7; 64]);
        format!("{}.{}.{signature}", encode(&json!({"alg": alg})), encode(claims))
    }

    fn checked(alg: &str, claims: &Value) -> Result<Asserted, &'static str> {
        check(&token(alg, claims), &[URL.to_owned()], None, now())
    }

    #[test]
    fn right_claims_are_accepted_for_both_algorithms() {
        for alg in ["RS256", "ES256"] {
            assert_eq!(checked(alg, &claims()).unwrap().client, "crm");
        }
    }

    #[test]
    fn each_wrong_claim_is_refused() {
        for (claim, wrong) in [
            ("iss", json!("other")),
            ("aud", json!("https://login.example.com/oauth/token")),
            ("exp", json!(1_700_000_000)),
            ("exp", json!(1_700_000_301)),
            ("jti", json!("")),
            ("jti", Value::Null),
        ] {
            let mut claims = claims();
            claims[claim] = wrong;
            assert!(checked("RS256", &claims).is_err(), "{claims}");
        }
    }

    #[test]
    fn other_algorithms_are_refused() {
        for alg in ["none", "HS256", "PS256"] {
            assert!(checked(alg, &claims()).is_err(), "{alg}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for text in ["", ".", "..", "a.b.c", &"x".repeat(MAX_TOKEN + 1)] {
            assert!(check(text, &[URL.to_owned()], None, now()).is_err());
        }
    }
}
