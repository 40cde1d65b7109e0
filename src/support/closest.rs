//! What a name that is not known was probably meant to be.

/// Longest name that is compared, in characters: a longer one is no slip, and takes time.
const LONGEST: usize = 64;

/// How much of a name must be right, so that another one is offered for it.
const LIKE: f64 = 0.6;

/// The candidate most like `word`, if any is near enough to be what was meant. Case, `_` and `-` do
/// not count.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.chars().nth(LONGEST).is_some() {
        return None;
    }
    let plain = |text: &str| text.replace(['_', '-'], "").to_lowercase();
    let word = plain(word);
    candidates
        .into_iter()
        .map(|known| (strsim::normalized_damerau_levenshtein(&word, &plain(known)), known))
        .filter(|(likeness, _)| *likeness >= LIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_pen_are_recognised() {
        let known = ["conversationId", "queueName", "queueId", "reason", "reference"];
        for (name, meant) in [
            ("conversationID", Some("conversationId")),
            ("conversation_id", Some("conversationId")),
            ("queue-name", Some("queueName")),
            ("queuName", Some("queueName")),
            ("raeson", Some("reason")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(closest(name, known), meant, "{name}");
        }
        assert_eq!(closest(&"q".repeat(100_000), known), None);
    }
}
