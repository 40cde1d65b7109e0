//! When two requests are the same request: by meaning, not by bytes.

use sha2::{Digest, Sha256};

use super::{ids::SkillId, model::TransferRequest};

/// Hash of the request's canonical form: white space, member order, letter case of ids, escapes
/// and the order of skills do not matter; defaults given and left out are the same.
#[must_use]
pub fn fingerprint(request: &TransferRequest) -> [u8; 32] {
    let mut canonical = request.clone();
    normalize(canonical.skill_ids.as_mut());
    hash(&canonical)
}

/// Puts skills into the order that counts.
pub(crate) fn normalize(skills: Option<&mut Vec<SkillId>>) {
    if let Some(skills) = skills {
        skills.sort_unstable();
        skills.dedup();
    }
}

/// Hash of a canonical form.
pub(crate) fn hash(canonical: &impl serde::Serialize) -> [u8; 32] {
    // Serialising plain data to memory cannot fail; an empty form would only refuse a replay.
    let bytes = serde_json::to_vec(canonical).unwrap_or_default();
    Sha256::digest(&bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::model::{Priority, TransferRequest};

    fn request(json: &str) -> TransferRequest {
        serde_json::from_str(json).unwrap()
    }

    const PLAIN: &str = r#"{"conversationId":"00000000-0000-4000-8000-00000000c0de",
        "queue":{"name":"Support"}}"#;

    #[test]
    fn order_of_skills_and_defaults_given_do_not_matter() {
        let ids = ["00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"];
        let parse = |id: &str| id.parse().unwrap();
        let one = TransferRequest {
            skill_ids: Some(vec![parse(ids[0]), parse(ids[1])]),
            ..request(PLAIN)
        };
        let two = TransferRequest {
            skill_ids: Some(vec![parse(ids[1]), parse(ids[0])]),
            keep_place: false,
            ..request(PLAIN)
        };
        assert_eq!(fingerprint(&one), fingerprint(&two));
    }

    #[test]
    fn every_field_that_changes_what_happens_matters() {
        let plain = request(PLAIN);
        let others = [
            TransferRequest { priority: Priority::new(0), ..plain.clone() },
            TransferRequest { skill_ids: Some(vec![]), ..plain.clone() },
            TransferRequest { keep_place: true, ..plain.clone() },
            TransferRequest { reason: Some(String::new()), ..plain.clone() },
            TransferRequest { reference: Some("CASE-1".to_owned()), ..plain.clone() },
        ];
        for other in others {
            assert_ne!(fingerprint(&plain), fingerprint(&other), "{other:?}");
        }
    }
}
