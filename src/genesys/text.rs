//! Foreign text made fit for logs and problems.

/// Longest digits-only run that may follow a `+` and still stand in a message.
const MAX_PHONE_DIGITS: usize = 6;

/// This many digits in a word without letters are taken for a telephone number.
const DIALLED_DIGITS: usize = 10;

/// `text` on one line, without control characters, telephone numbers, SIP addresses and
/// credentials, and at most `max` characters long.
pub(super) fn tidy(text: &str, max: usize) -> String {
    let mut out = String::new();
    let mut words = text.split_whitespace().peekable();
    while let Some(word) = words.next() {
        if !out.is_empty() {
            out.push(' ');
        }
        let mut spelt = word.to_owned();
        while is_part_of_a_number(&spelt)
            && let Some(next) = words.next_if(|next| is_part_of_a_number(without_a_stop(next)))
        {
            spelt.push(' ');
            spelt.push_str(next);
        }
        out.push_str(&redact(&spelt));
        if is_scheme(word) && words.next().is_some() {
            out.push_str(" [credentials]");
        }
        if out.len() > 4 * max {
            break;
        }
    }
    out.chars().filter(|c| !c.is_control()).take(max).collect()
}

/// Whether `word` is a scheme that credentials follow in a quoted header.
fn is_scheme(word: &str) -> bool {
    let word = word.trim_matches(|c: char| !c.is_alphabetic());
    word.eq_ignore_ascii_case("bearer") || word.eq_ignore_ascii_case("basic")
}

/// A number may stand at the end of a clause, and ends there.
fn without_a_stop(word: &str) -> &str {
    word.trim_end_matches([',', ';', ':', '"', '\''])
}

/// `+49`, `(317)` and `555-0100` may be a number spelt with blanks.
fn is_part_of_a_number(word: &str) -> bool {
    word.contains(|c: char| c.is_ascii_digit())
        && word.chars().all(|c| c.is_ascii_digit() || " +-./()".contains(c))
}

/// Numbers in Genesys' messages are written `+49…`, `tel:…` or `sip:…`.
fn redact(word: &str) -> std::borrow::Cow<'_, str> {
    let lower = word.to_ascii_lowercase();
    let scheme = ["tel:", "sip:", "sips:"].iter().any(|scheme| lower.contains(scheme));
    if scheme || has_phone_number(word) { "[address]".into() } else { word.into() }
}

fn has_phone_number(word: &str) -> bool {
    is_bare_number(word)
        || word.split('+').skip(1).any(|rest| {
            let digits = rest.chars().take_while(|c| c.is_ascii_digit() || " -.()".contains(*c));
            digits.filter(char::is_ascii_digit).count() > MAX_PHONE_DIGITS
        })
}

/// A number as it is dialled, `555-010-0199`. Shorter ones may be times and sizes.
fn is_bare_number(word: &str) -> bool {
    word.chars().filter(char::is_ascii_digit).count() >= DIALLED_DIGITS
        && !word.contains(char::is_alphabetic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_line_breaks_do_not_survive() {
        assert_eq!(tidy("a\r\nb\u{1b}[31m\tc", 100), "a b[31m c");
    }

    #[test]
    fn phone_numbers_are_taken_out() {
        let text = tidy("no route to +49 and +4930123456 or tel:0301 via sip:a@b", 100);
        assert_eq!(text, "no route to +49 and [address] or [address] via [address]");
        let text = tidy("no route to \"15550100199\", 555-010-0199 since 2026-01-02", 100);
        assert_eq!(text, "no route to [address] [address] since 2026-01-02");
    }

    #[test]
    fn numbers_spelt_with_blanks_are_taken_out() {
        let text = tidy("no route to +49 30 1234 5678 or (317) 555-0100, line 3 of 12", 100);
        assert_eq!(text, "no route to [address] or [address] line 3 of 12");
        assert_eq!(tidy("since 2026-01-02 for 30 s", 100), "since 2026-01-02 for 30 s");
    }

    #[test]
    fn credentials_that_are_quoted_are_taken_out() {
        let text =
            tidy("Authorization: Basic c2FuZGJveA== or 'Bearer abc.def' (bearer) is bad", 100);
        let expected = "Authorization: Basic [credentials] or 'Bearer [credentials] (bearer) \
                        [credentials] bad";
        assert_eq!(text, expected);
    }

    #[test]
    fn ids_survive() {
        let id = "4f1ad1f5-9a6b-4a3c-8f0e-112233445566";
        assert_eq!(tidy(id, 100), id);
    }

    #[test]
    fn long_text_is_cut_by_characters() {
        assert_eq!(tidy("äöüäöü", 3), "äöü");
    }
}
