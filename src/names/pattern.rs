//! Patterns over queue names.

use serde::{Deserialize, Serialize};

use super::{fold, trim};

/// A pattern over queue names: `*` stands for any run of characters, also none; everything else
/// for itself, upper and lower case alike, as queue names are compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct QueuePattern {
    text: String,
    folded: String,
}

/// A text that was a pattern when it was written down.
impl From<String> for QueuePattern {
    fn from(text: String) -> Self {
        // A blank beside a star stands for itself, or a slip would open every queue.
        let only_stars = trim(&text).chars().all(|c| c == '*');
        let folded = if only_stars { text.clone() } else { fold(&text) };
        Self { text, folded }
    }
}

impl From<QueuePattern> for String {
    fn from(pattern: QueuePattern) -> Self {
        pattern.text
    }
}

impl QueuePattern {
    /// Longest pattern, in characters; as long as the longest queue name.
    pub const MAX_LENGTH: usize = 256;

    /// The pattern, when `text` is 1–256 characters on one line.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let fits = !trim(text).is_empty()
            && text.chars().count() <= Self::MAX_LENGTH
            && !text.contains(char::is_control);
        fits.then(|| text.to_owned().into())
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether every queue is meant.
    #[must_use]
    pub fn matches_all(&self) -> bool {
        self.folded.starts_with('*') && self.folded.chars().all(|c| c == '*')
    }

    /// Whether the queue is meant whose folded name this is (`fold`).
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let Some((head, rest)) = self.folded.split_once('*') else { return self.folded == name };
        let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
        let Some(name) = name.strip_prefix(head).and_then(|name| name.strip_suffix(tail)) else {
            return false;
        };
        // The earliest place for each part leaves the most room for those after it.
        middle
            .split('*')
            .try_fold(name, |name, part| name.find(part).and_then(|at| name.get(at + part.len()..)))
            .is_some()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> QueuePattern {
        QueuePattern::new(text).unwrap()
    }

    #[test]
    fn star_stands_for_any_run_of_characters() {
        for (text, name, expected) in [
            ("*", "", true),
            ("*", "Support", true),
            ("Support *", "Support Tier 2", true),
            ("Support *", "support tier 2", true),
            ("Support *", "Support", false),
            ("*Tier 2", "Support Tier 2", true),
            ("*Tier 2", "Support Tier 22", false),
            ("Support", "Support", true),
            ("Support", "Support Tier 2", false),
            ("S*T*2", "Support Tier 2", true),
            ("S*T*3", "Support Tier 2", false),
            ("ab*ba", "aba", false),
            ("a**b", "ab", true),
            ("a.c", "abc", false),
            ("*ß*", "Straße", true),
            // Whatever the script, the form of the accent, and the blanks around either.
            ("ΟΔΟΣ*", "οδος 1", true),
            ("ΟΔΟΣ*", "Οδοσ", true),
            ("*σ", "ΟΔΟΣ", true),
            ("STRASSE *", "Straße 1", true),
            ("caf\u{e9}*", "CAFE\u{301} Nord", true),
            ("cafe*", "CAFE\u{301} Nord", false),
            ("Sales", "\u{a0}Sales\u{200b}", true),
            ("\u{3000}Sales ", "Sales", true),
            ("Support *", "Support\u{3000}", false),
            (" *", "Sales", false),
        ] {
            assert_eq!(pattern(text).matches(&fold(name)), expected, "{text:?} on {name:?}");
        }
    }

    #[test]
    fn only_stars_match_everything() {
        for (text, expected) in [("*", true), ("**", true), ("S*", false), ("Sales", false)] {
            assert_eq!(pattern(text).matches_all(), expected, "{text:?}");
        }
    }

    #[test]
    fn empty_long_and_broken_patterns_are_refused() {
        let long = "a".repeat(257);
        for text in ["", "  ", "\u{3000}\u{feff}", "a\nb", &long] {
            assert_eq!(QueuePattern::new(text), None, "{text:?}");
        }
    }

    /// The rule itself, written as plainly as can be.
    fn by_trying_everything(pattern: &[char], name: &[char]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some(('*', rest)) => {
                (0..=name.len()).any(|skipped| by_trying_everything(rest, &name[skipped..]))
            }
            Some((first, rest)) => {
                name.first() == Some(first) && by_trying_everything(rest, &name[1..])
            }
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_trying_everything(text in "[ab*]{1,8}", name in "[ab]{0,8}") {
            let plain = by_trying_everything(
                &text.chars().collect::<Vec<_>>(),
                &name.chars().collect::<Vec<_>>(),
            );
            prop_assert_eq!(pattern(&text).matches(&name), plain);
        }
    }
}
