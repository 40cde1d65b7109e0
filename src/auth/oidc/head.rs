//! A token's header (RFC 7515): which algorithm, which key. Everything else in it is either
//! harmless or a reason to refuse.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde_json::Value;

/// What a header says that matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    /// One of those that are taken.
    pub(super) algorithm: Algorithm,
    /// The id of the key it was signed with.
    pub(super) key_id: Option<String>,
}

/// The members that are looked at. `jku`, `jwk`, `x5u` and `x5c` are not: keys come from the
/// issuer, whatever a token says.
#[derive(Deserialize)]
struct RawHead {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

impl Head {
    /// Reads the header of `token`.
    ///
    /// # Errors
    /// Why the token cannot be valid.
    pub(super) fn read(token: &str) -> Result<Self, &'static str> {
        let mut parts = token.split('.');
        let (Some(header), Some(_), Some(_), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err("neither an API key nor a signed token");
        };
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(header).map_err(|_| "header is not base64url")?;
        let raw: RawHead = serde_json::from_slice(&bytes).map_err(|_| "header is malformed")?;
        let algorithm = algorithm(&raw.alg).ok_or("algorithm is not accepted")?;
        if !raw.typ.as_deref().is_none_or(is_access_token) {
            return Err("typ is not that of an access token");
        }
        // RFC 7515, section 4.1.11: what is critical and not understood must be refused.
        if raw.crit.is_some() {
            return Err("header has critical extensions");
        }
        Ok(Self { algorithm, key_id: raw.kid })
    }
}

/// The accepted algorithms: signatures with a public key only. With `HS256` anyone with the
/// issuer's public key could make a token; with `none`, anyone at all.
pub(super) fn algorithm(name: &str) -> Option<Algorithm> {
    match name {
        "RS256" => Some(Algorithm::RS256),
        "PS256" => Some(Algorithm::PS256),
        "ES256" => Some(Algorithm::ES256),
        "ES384" => Some(Algorithm::ES384),
        "EdDSA" => Some(Algorithm::EdDSA),
        _ => None,
    }
}

/// RFC 9068, section 2.1, and the plain `JWT` most issuers write; `application/` may be left out
/// (RFC 7515, section 4.1.9).
fn is_access_token(typ: &str) -> bool {
    let typ = typ.to_ascii_lowercase();
    matches!(typ.strip_prefix("application/").unwrap_or(&typ), "jwt" | "at+jwt")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(header: &Value) -> Result<Head, &'static str> {
        let encoded = BASE64_URL_SAFE_NO_PAD.encode(header.to_string());
        Head::read(&format!("{encoded}.e30.AA"))
    }

    #[test]
    fn algorithm_and_key_id_are_read() {
        let head = read(&json!({"alg": "ES256", "kid": "k1", "typ": "at+jwt"}));
        let expected = Head { algorithm: Algorithm::ES256, key_id: Some("k1".to_owned()) };
        assert_eq!(head, Ok(expected));
    }

    #[test]
    fn only_fixed_algorithms_are_taken() {
        for (name, taken) in [
            ("RS256", true),
            ("PS256", true),
            ("ES256", true),
            ("ES384", true),
            ("EdDSA", true),
            ("none", false),
            ("None", false),
            ("HS256", false),
            ("HS512", false),
            ("RS512", false),
            ("rs256", false),
            ("", false),
        ] {
            assert_eq!(read(&json!({"alg": name})).is_ok(), taken, "{name}");
        }
    }

    #[test]
    fn only_types_of_access_tokens_are_taken() {
        for (typ, taken) in [
            (json!(null), true),
            (json!("JWT"), true),
            (json!("jwt"), true),
            (json!("at+jwt"), true),
            (json!("application/at+JWT"), true),
            (json!("dpop+jwt"), false),
            (json!("logout+jwt"), false),
            (json!(""), false),
            (json!(7), false),
        ] {
            assert_eq!(read(&json!({"alg": "ES256", "typ": typ})).is_ok(), taken, "{typ}");
        }
    }

    #[test]
    fn critical_extensions_are_refused() {
        assert!(read(&json!({"alg": "ES256", "crit": ["b64"], "b64": false})).is_err());
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let header = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256"}"#);
        for token in [
            String::new(),
            "..".to_owned(),
            header.clone(),
            format!("{header}.e30"),
            format!("{header}.e30.AA.AA"),
            "!!.e30.AA".to_owned(),
            format!("{}.e30.AA", BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","alg":"none"}"#)),
        ] {
            assert!(Head::read(&token).is_err(), "{token:?}");
        }
    }
}
