use std::collections::BTreeMap;

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::{
    batch::{BatchStatus, Pace, samples},
    problem::{Code, Problem},
    transfer::model::Warning,
};

fn running() -> BatchState {
    BatchState {
        batch: samples::batch(Kind::Drain, 180),
        counts: Counts { pending: 120, accepted: 58, failed: 1, skipped: 1, ..Counts::default() },
        reasons: vec![(Code::ConversationEnded, 1), (Code::NoLongerWaiting, 1)],
        warning_counts: BTreeMap::new(),
        pace: Pace { per_minute: 140, eta_seconds: Some(52), waiting_until: None },
    }
}

#[test]
fn a_running_drain_reads_like_this() {
    let expected = "\
batch      00000000-0000-0000-0000-000000000001
drain      Support Tier 1 -> Support Tier 2
status     running, begun 2026-03-27 09:30:00 UTC

[#############...........................] 60 of 180 (33 %)

accepted       58
confirmed       0
failed          1
skipped         1
unknown         0
pending       120

not moved  conversation_ended 1, no_longer_waiting 1
pace       140 a minute, 52 s left
";
    assert_eq!(of(&running()), expected);
    assert_eq!(
        line(&running()),
        "running 60 of 180 (33 %), 58 moved, 1 failed, 1 skipped; 140 a minute, 52 s left"
    );
}

#[test]
fn the_bar_is_full_only_at_the_end() {
    let mut state = running();
    state.counts = Counts { pending: 1, accepted: 179, ..Counts::default() };
    assert!(of(&state).contains("#.] 179 of 180 (99 %)"));
    state.counts = Counts { accepted: 180, ..Counts::default() };
    state.batch.status = BatchStatus::Completed;
    state.batch.finished_at = Some(state.batch.created_at + SignedDuration::from_secs(75));
    let text = of(&state);
    assert!(text.contains("#] 180 of 180 (100 %)"), "{text}");
    assert!(text.contains("completed after 1 min 15 s, begun 2026"), "{text}");
    assert!(text.contains("pace       140 a minute\n"), "{text}");
}

#[test]
fn a_cancelled_drain_shows_what_was_moved_of_what_was_meant() {
    let mut state = running();
    state.batch.status = BatchStatus::Cancelled;
    for counts in [
        Counts { accepted: 44, confirmed: 1, skipped: 100, pending: 35, ..Counts::default() },
        Counts { accepted: 44, confirmed: 1, skipped: 133, failed: 2, ..Counts::default() },
    ] {
        state.counts = counts;
        let text = of(&state);
        assert!(
            text.contains("\n[##########..............................] 45 of 180 moved (25 %)\n"),
            "{text}"
        );
        assert!(line(&state).starts_with("cancelled 45 of 180 moved (25 %), "), "{}", line(&state));
    }
}

#[test]
fn an_empty_batch_is_done() {
    let mut state = running();
    (state.batch.total, state.counts) = (0, Counts::default());
    assert!(of(&state).contains("0 of 0 (100 %)"));
}

proptest! {
    #[test]
    fn no_line_is_wider_than_a_terminal_nor_steers_it(
        name in "\\PC{0,60}|[\x00-\x7f\u{80}-\u{9f}]{0,60}",
        detail in "[a-zA-Z .,\x1b\n]{0,300}",
    ) {
        let mut state = running();
        let drain = state.batch.drain.as_mut().unwrap();
        (drain.from.name, drain.to.name) = (name.clone(), name);
        state.batch.warnings = vec![Warning { code: "paused".to_owned(), detail: detail.clone() }];
        state.batch.error = Some(Problem::new(Code::GenesysError, detail.replace(char::is_alphabetic, "x ")));
        for line in of(&state).lines() {
            let longest_word = line.split_whitespace().map(|word| word.chars().count()).max();
            prop_assert!(line.chars().count() <= WIDTH || longest_word > Some(WIDTH - INDENT), "{line:?}");
            prop_assert!(!line.contains(char::is_control), "{line:?}");
        }
        prop_assert!(!line(&state).contains(char::is_control));
    }
}
