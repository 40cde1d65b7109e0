//! What a token says, and whether it may be believed.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    auth::identity::Identity,
    config::{Permission, QueuePattern},
    transfer::{Limits, model::CallerName},
};

/// How far the issuer's clock may be ahead, in seconds. A token that has just expired has no leeway:
/// it costs its holder no more than a new one.
const LEEWAY: f64 = 30.0;

/// Longest name of a caller, in characters; what `OpenID` Connect Core 1.0 allows a `sub`.
const MAX_NAME: usize = 255;

/// Marks callers the issuer named, so that none can pass for a caller with an API key, whose name
/// can hold no colon.
const PREFIX: &str = "oidc:";

/// The claims that are looked at, as they come: what an issuer writes is judged here, not by a
/// parser.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Claims {
    iss: Option<Value>,
    aud: Option<Value>,
    exp: Option<Value>,
    nbf: Option<Value>,
    iat: Option<Value>,
    client_id: Option<Value>,
    azp: Option<Value>,
    sub: Option<Value>,
    scope: Option<Value>,
    scp: Option<Value>,
    permissions: Option<Value>,
    queues: Option<Value>,
}

impl Claims {
    /// Whether the token is of `issuer`, for `audience`, and valid at `now` (RFC 9068, section 4),
    /// for no longer than `max_lifetime`.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn check(
        &self,
        issuer: &str,
        audience: &str,
        max_lifetime: Duration,
        now: Timestamp,
    ) -> Result<(), &'static str> {
        if self.iss.as_ref().and_then(Value::as_str) != Some(issuer) {
            return Err("iss is not the configured issuer");
        }
        let aud = self.aud.as_ref().and_then(texts).ok_or("aud is missing or malformed")?;
        if !aud.contains(&audience) {
            return Err("aud does not name this service");
        }
        let now = now.as_duration().as_secs_f64();
        let exp = self.exp.as_ref().and_then(Value::as_f64).ok_or("exp is missing or malformed")?;
        if exp <= now {
            return Err("expired");
        }
        if exp > now + max_lifetime.as_secs_f64() + LEEWAY {
            return Err("exp is further ahead than auth.oidc_max_lifetime");
        }
        for begin in [&self.nbf, &self.iat].into_iter().flatten() {
            match begin.as_f64() {
                None => return Err("nbf or iat is malformed"),
                Some(begin) if begin > now + LEEWAY => return Err("not valid yet"),
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// The caller these claims name: `client_id`, else `azp`, else `sub`, after `oidc:`. Its
    /// permissions are the words of `scope`, `scp` and `permissions` that are ours; `queues`,
    /// when there, lists the patterns of the queues it may use.
    ///
    /// # Errors
    /// Why they name none.
    pub(super) fn identity(&self, moves_per_conversation: u32) -> Result<Identity, &'static str> {
        let limits = Limits {
            queues: self.queues.as_ref().map(patterns).transpose()?,
            max_priority: None,
            moves_per_conversation: Some(moves_per_conversation),
        };
        Ok(Identity::new(self.name()?, self.permissions(), limits))
    }

    fn name(&self) -> Result<CallerName, &'static str> {
        let named = [&self.client_id, &self.azp, &self.sub].into_iter().flatten().next();
        let name = named.and_then(Value::as_str).ok_or("names no caller")?;
        // It is shown, logged and compared: nothing that could look like another name.
        let fits =
            (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| CallerName::new(format!("{PREFIX}{name}")))
            .ok_or("the caller's name is not allowed")
    }

    fn permissions(&self) -> BTreeSet<Permission> {
        let claims = [&self.scope, &self.scp, &self.permissions].into_iter().flatten();
        claims
            .filter_map(texts)
            .flatten()
            .flat_map(str::split_ascii_whitespace)
            .filter_map(Permission::named)
            .collect()
    }
}

/// A text, or a list of texts and nothing else.
fn texts(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(text) => Some(vec![text]),
        Value::Array(items) => items.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

/// A list that cannot be read must not pass for one that allows everything.
fn patterns(value: &Value) -> Result<Arc<[QueuePattern]>, &'static str> {
    let texts = texts(value).ok_or("queues is malformed")?;
    let patterns: Option<Vec<_>> = texts.into_iter().map(QueuePattern::new).collect();
    patterns.map(Into::into).ok_or("queues holds an invalid pattern")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn claims(value: Value) -> Claims {
        serde_json::from_value(value).unwrap()
    }

    /// Valid claims with one of them replaced; `null` takes it away.
    fn with(name: &str, value: Value) -> Claims {
        let mut all = json!({
            "iss": "https://id.test/", "aud": "transfer", "exp": NOW + 60, "sub": "crm",
            "scope": "transfers:write",
        });
        all[name] = value;
        claims(all)
    }

    fn check(claims: &Claims) -> Result<(), &'static str> {
        let now = Timestamp::from_second(NOW).unwrap();
        claims.check("https://id.test/", "transfer", Duration::from_hours(24), now)
    }

    #[test]
    fn issuer_audience_and_times_decide() {
        for (name, value, valid) in [
            ("iss", json!("https://id.test/"), true),
            ("iss", json!("https://id.test"), false),
            ("iss", json!("https://evil.test/"), false),
            ("iss", json!(["https://id.test/"]), false),
            ("iss", json!(null), false),
            ("aud", json!("transfer"), true),
            ("aud", json!(["other", "transfer"]), true),
            ("aud", json!(["other"]), false),
            ("aud", json!([]), false),
            ("aud", json!(["transfer", 7]), false),
            ("aud", json!("transfer2"), false),
            ("aud", json!({"transfer": true}), false),
            ("aud", json!(null), false),
            ("exp", json!(NOW + 1), true),
            ("exp", json!(1_800_000_000.5), true),
            ("exp", json!(NOW), false),
            ("exp", json!(NOW - 3600), false),
            ("exp", json!((NOW + 60).to_string()), false),
            ("exp", json!(-1), false),
            ("exp", json!(null), false),
            ("exp", json!(NOW + 86_400 + 30), true),
            ("exp", json!(NOW + 86_400 + 31), false),
            ("exp", json!(1e300), false),
            ("iat", json!(NOW - 86_400), true),
            ("iat", json!(NOW + 30), true),
            ("iat", json!(NOW + 31), false),
            ("iat", json!(NOW.to_string()), false),
            ("nbf", json!(NOW), true),
            ("nbf", json!(NOW + 30), true),
            ("nbf", json!(NOW + 31), false),
            ("nbf", json!("soon"), false),
        ] {
            assert_eq!(check(&with(name, value.clone())).is_ok(), valid, "{name}: {value}");
        }
    }

    #[test]
    fn the_caller_is_the_client_else_the_party_else_the_subject() {
        for (given, expected) in [
            (json!({"client_id": "a", "azp": "b", "sub": "c"}), Some("oidc:a")),
            (json!({"azp": "b", "sub": "c"}), Some("oidc:b")),
            (json!({"sub": "c"}), Some("oidc:c")),
            (json!({}), None),
            (json!({"sub": ""}), None),
            (json!({"sub": "two words"}), None),
            (json!({"sub": "line\nbreak"}), None),
            (json!({"sub": "a".repeat(256)}), None),
            // Not silently someone else.
            (json!({"client_id": 7, "sub": "c"}), None),
        ] {
            let identity = claims(given.clone()).identity(10).ok();
            let name = identity.as_ref().map(|identity| identity.caller().name.as_str());
            assert_eq!(name, expected, "{given}");
        }
    }

    #[test]
    fn permissions_come_from_any_of_three_claims_and_strange_ones_are_left_out() {
        use Permission::{Admin, QueuesRead, TransfersRead, TransfersWrite};
        for (given, expected) in [
            (
                json!({"scope": "openid transfers:write queues:read"}),
                vec![TransfersWrite, QueuesRead],
            ),
            (json!({"scp": ["transfers:read", "x"]}), vec![TransfersRead]),
            (json!({"scp": "transfers:read"}), vec![TransfersRead]),
            (json!({"permissions": ["admin"]}), vec![Admin]),
            (
                json!({"scope": "transfers:read", "permissions": ["queues:read"]}),
                vec![TransfersRead, QueuesRead],
            ),
            (json!({"scope": "TRANSFERS:WRITE admin2 transfers:*"}), vec![]),
            (json!({"scope": 7, "permissions": {"admin": true}}), vec![]),
            (json!({}), vec![]),
        ] {
            assert_eq!(
                claims(given.clone()).permissions(),
                expected.into_iter().collect(),
                "{given}"
            );
        }
    }

    #[test]
    fn queues_limit_when_they_are_there() {
        for (queues, support, sales) in [
            (json!(null), true, true),
            (json!(["Support *"]), true, false),
            (json!("Support *"), true, false),
            (json!([]), false, false),
        ] {
            let identity = with("queues", queues.clone()).identity(10).unwrap();
            let limits = &identity.caller().limits;
            assert_eq!(
                (limits.covers("Support 1"), limits.covers("Sales")),
                (support, sales),
                "{queues}"
            );
        }
    }

    #[test]
    fn queues_that_cannot_be_read_allow_nothing() {
        for queues in [json!(7), json!([7]), json!([""]), json!({"a": 1})] {
            assert!(with("queues", queues.clone()).identity(10).is_err(), "{queues}");
        }
    }
}
