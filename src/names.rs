//! How queue names, and patterns over them, are compared, wherever they come from: requests,
//! searches, callers' patterns and Genesys itself.

use icu_casemap::CaseMapper;
use icu_normalizer::ComposingNormalizerBorrowed;

mod pattern;

pub use pattern::QueuePattern;

/// `text` without the blanks around it: white space, and characters that show nothing, which stick
/// to names copied from web pages and spreadsheets.
#[must_use]
pub fn trim(text: &str) -> &str {
    text.trim_matches(is_blank)
}

const fn is_blank(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            // The soft hyphen, zero-width spaces and joiners, marks of direction, the byte order
            // mark; the two letters that look like a space.
            '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{2800}' | '\u{3164}'
        )
}

/// The form in which two spellings of the same characters are equal: trimmed, in NFC. Upper and
/// lower case differ.
#[must_use]
pub fn spelling(name: &str) -> String {
    ComposingNormalizerBorrowed::new_nfc().normalize(trim(name)).into_owned()
}

/// The form in which names are equal whatever their case: trimmed, NFC, full Unicode case folding.
/// Each character is folded by itself, so that a part of a name folds as it does in the name.
#[must_use]
pub fn fold(name: &str) -> String {
    let name = trim(name);
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    let nfc = ComposingNormalizerBorrowed::new_nfc();
    let folded = CaseMapper::new().fold_string(&nfc.normalize(name)).into_owned();
    // Folding may take a composed character apart.
    nfc.normalize(&folded).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Each pair is one name to a person who reads it.
    const ALIKE: [(&str, &str); 14] = [
        ("Support", "SUPPORT"),
        // The final sigma, with and without a word around it.
        ("ΟΔΟΣ", "οδος"),
        ("ΟΔΟΣ", "οδοσ"),
        ("Straße", "STRASSE"),
        ("ﬁnance", "FINANCE"),
        // Composed and decomposed.
        ("Caf\u{e9}", "CAFE\u{301}"),
        ("\u{1e9b}\u{323}", "\u{1e61}\u{323}"),
        // Its capital takes two letters to write, which compose in another way.
        ("\u{390}", "\u{399}\u{308}\u{301}"),
        ("\u{1fb3}", "\u{391}\u{399}"),
        ("ԱՐՄԵՆ", "արմեն"),
        ("ꭰꭱ", "ᎠᎡ"),
        ("\u{10400}", "\u{10428}"),
        ("\u{a0}Sales\u{3000}", "Sales"),
        ("\u{feff}\u{200b}Sales\u{200e}", "Sales"),
    ];

    #[test]
    fn names_that_read_alike_fold_alike_in_every_script() {
        for (one, other) in ALIKE {
            assert_eq!(fold(one), fold(other), "{one:?} and {other:?}");
        }
    }

    #[test]
    fn names_that_differ_in_a_letter_do_not() {
        for (one, other) in [("Cafe", "Café"), ("A B", "AB"), ("i", "ı"), ("Sales 1", "Sales 2")]
        {
            assert_ne!(fold(one), fold(other), "{one:?} and {other:?}");
        }
    }

    #[test]
    fn a_spelling_keeps_its_case() {
        assert_eq!(spelling(" Cafe\u{301}\u{2003}"), "Caf\u{e9}");
        assert_ne!(spelling("Sales"), spelling("sales"));
    }

    #[test]
    fn what_shows_nothing_is_trimmed_to_nothing() {
        let blanks = " \t\u{a0}\u{2003}\u{3000}\u{200b}\u{2060}\u{feff}\u{ad}\u{2800}";
        assert_eq!((trim(blanks), fold(blanks)), ("", String::new()));
    }

    proptest! {
        #[test]
        fn folding_twice_changes_nothing_more(name in "\\PC{0,12}") {
            prop_assert_eq!(fold(&fold(&name)), fold(&name));
        }

        #[test]
        fn case_does_not_count(name in "[a-zA-Zà-öÀ-ÖΑ-Ωα-ωА-Яа-я ]{0,12}") {
            prop_assert_eq!(fold(&name.to_uppercase()), fold(&name));
            prop_assert_eq!(fold(&name.to_lowercase()), fold(&name));
        }
    }
}
