//! The issuer's public keys (RFC 7517).

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;

use super::head::Head;

/// Most keys that are kept of a set.
const MAX_KEYS: usize = 64;

/// The keys that can be used, of those an issuer publishes.
pub(super) struct KeySet(Vec<PublicKey>);

struct PublicKey {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a key set. Keys of a kind that is not understood are left out, as RFC 7517, section
    /// 5, asks.
    ///
    /// # Errors
    /// In words, when it is no key set or none of its keys can be used.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let document: Document =
            serde_json::from_slice(bytes).map_err(|_| "the key set is malformed".to_owned())?;
        let keys: Vec<_> =
            document.keys.into_iter().filter_map(PublicKey::read).take(MAX_KEYS).collect();
        if keys.is_empty() {
            return Err("the key set holds no usable key".to_owned());
        }
        Ok(Self(keys))
    }

    /// The keys a token with this header may be signed with. A token that names no key may be
    /// signed with any of its kind.
    pub(super) fn fitting(&self, head: &Head) -> impl Iterator<Item = &DecodingKey> {
        let fits = |key: &&PublicKey| {
            key.algorithms.contains(&head.algorithm)
                && (head.key_id.is_none() || key.id == head.key_id)
        };
        self.0.iter().filter(fits).map(|key| &key.key)
    }
}

impl PublicKey {
    fn read(value: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let signs =
            jwk.common.public_key_use.as_ref().is_none_or(|u| *u == PublicKeyUse::Signature);
        let verifies = jwk
            .common
            .key_operations
            .as_ref()
            .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        let algorithms = algorithms(&jwk);
        let usable = signs && verifies && !algorithms.is_empty();
        let key = DecodingKey::from_jwk(&jwk).ok().filter(|_| usable)?;
        Some(Self { id: jwk.common.key_id, algorithms, key })
    }
}

/// What a key may sign: what its kind can, and if it names an algorithm, only that. A shared
/// secret has no place among public keys.
fn algorithms(jwk: &Jwk) -> Vec<Algorithm> {
    let able: &[Algorithm] = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => &[Algorithm::RS256, Algorithm::PS256],
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => &[Algorithm::ES256],
            EllipticCurve::P384 => &[Algorithm::ES384],
            _ => &[],
        },
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            &[Algorithm::EdDSA]
        }
        _ => &[],
    };
    let named = jwk.common.key_algorithm;
    let fits = |able: &Algorithm| named.is_none_or(|named| named == KeyAlgorithm::from(*able));
    able.iter().copied().filter(fits).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ec(changes: &Value) -> Value {
        let mut key = json!({
            "kty": "EC", "crv": "P-256", "kid": "k1",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        });
        for (name, value) in changes.as_object().unwrap() {
            key[name] = value.clone();
        }
        key
    }

    fn fits(keys: &[Value], algorithm: Algorithm, key_id: Option<&str>) -> usize {
        let document = json!({ "keys": keys }).to_string();
        let head = Head { algorithm, key_id: key_id.map(str::to_owned) };
        KeySet::parse(document.as_bytes()).map_or(0, |set| set.fitting(&head).count())
    }

    #[test]
    fn a_key_fits_its_id_and_its_algorithm_only() {
        let keys = [ec(&json!({}))];
        assert_eq!(fits(&keys, Algorithm::ES256, Some("k1")), 1);
        assert_eq!(fits(&keys, Algorithm::ES256, None), 1);
        assert_eq!(fits(&keys, Algorithm::ES256, Some("k2")), 0);
        assert_eq!(fits(&keys, Algorithm::ES384, Some("k1")), 0);
        assert_eq!(fits(&keys, Algorithm::RS256, Some("k1")), 0);
    }

    #[test]
    fn keys_for_other_uses_are_left_out() {
        for (changes, usable) in [
            (json!({"use": "sig"}), true),
            (json!({"use": "enc"}), false),
            (json!({"key_ops": ["verify"]}), true),
            (json!({"key_ops": ["sign"]}), false),
            (json!({"alg": "ES256"}), true),
            (json!({"alg": "ES384"}), false),
            (json!({"alg": "ECDH-ES"}), false),
            (json!({"crv": "secp256k1"}), false),
            (json!({"kty": "oct", "k": "AAAA"}), false),
            (json!({"x": "not base64!"}), false),
            (json!({"key_ops": 7}), false),
        ] {
            let count = fits(&[ec(&changes)], Algorithm::ES256, Some("k1"));
            assert_eq!(count, usize::from(usable), "{changes}");
        }
    }

    #[test]
    fn a_strange_key_does_not_spoil_the_others() {
        let keys = [json!(7), json!({"kty": "PQ"}), ec(&json!({}))];
        assert_eq!(fits(&keys, Algorithm::ES256, Some("k1")), 1);
    }

    #[test]
    fn a_set_without_a_usable_key_is_refused() {
        for text in ["", "[]", "{}", r#"{"keys":[]}"#, r#"{"keys":[{"kty":"oct","k":"AA"}]}"#] {
            assert!(KeySet::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
