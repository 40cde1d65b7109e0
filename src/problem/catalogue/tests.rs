use std::collections::BTreeSet;

use super::*;

/// The table of the public contract: which codes come with which status.
const CONTRACT: [(u16, &str); 18] = [
    (400, "malformed_json idempotency_key_invalid invalid_header"),
    (401, "unauthenticated"),
    (403, "not_permitted queue_not_permitted"),
    (404, "not_found conversation_not_found"),
    (405, "method_not_allowed"),
    (406, "not_acceptable"),
    (421, "invalid_host"),
    (408, "request_timeout"),
    (413, "body_too_large"),
    (415, "unsupported_media_type"),
    (431, "headers_too_large"),
    (
        409,
        "conversation_ended conversation_ringing conversation_not_transferable \
         conversation_moved participant_ambiguous participant_not_found already_in_queue \
         transfer_in_progress idempotency_key_in_use drain_loop plan_expired undo_impossible \
         conversation_answered moved_too_often conflict",
    ),
    (
        422,
        "invalid_request queue_not_found queue_ambiguous idempotency_key_reused \
         rejected_by_genesys",
    ),
    (429, "too_many_requests"),
    (502, "genesys_credentials_rejected genesys_permission_missing genesys_error"),
    (503, "genesys_rate_limited genesys_unavailable overloaded shutting_down store_unavailable"),
    (504, "outcome_unknown deadline_exceeded"),
    (500, "internal_error"),
];

/// Beside that table: what readiness answers, and why items of a batch were never sent.
const BESIDE: &str = "not_ready cancelled no_longer_waiting";

#[test]
fn no_code_stands_outside_the_contract() {
    let contract = CONTRACT.iter().flat_map(|(_, codes)| codes.split_whitespace());
    let listed: BTreeSet<_> = contract.chain(BESIDE.split_whitespace()).collect();
    let all: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(all, listed);
}

#[test]
fn every_code_of_the_contract_has_its_status() {
    for (status, codes) in CONTRACT {
        for code in codes.split_whitespace() {
            assert_eq!(Code::from_text(code).map(Code::status), Some(status), "{code}");
        }
    }
}

#[test]
fn a_code_that_names_a_passing_state_may_be_sent_again() {
    for code in Code::ALL {
        let passes = matches!(code.status(), 408 | 429 | 500 | 502 | 503 | 504);

        assert!(code.retryable() || !passes, "{code:?}");
    }
}

#[test]
fn every_code_is_explained_in_whole_sentences() {
    for code in Code::ALL {
        for text in [code.meaning(), code.remedy()] {
            assert!(text.ends_with('.'), "{code:?}: {text}");
            assert!(!text.contains("  "), "{code:?}: {text}");
        }
        assert!(!code.title().ends_with('.'), "{code:?}");
    }
}

#[test]
fn a_conflict_is_not_put_down_to_genesys_which_may_not_have_been_asked() {
    assert!(!Code::Conflict.title().contains("Genesys"));
}
