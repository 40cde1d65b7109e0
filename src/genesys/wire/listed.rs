//! Values as Genesys sends them. An entry of a list that cannot be read is left out and counted, so
//! that it spoils nothing but itself; an optional member of an unexpected type is absent.
//!
//! Nearly all answers are as documented, so a document is first read [`strictly`]: in one pass,
//! straight into its type, and any value of an unexpected type ends the reading. It is then read
//! again, each doubtful value on its own.

use std::cell::Cell;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

thread_local! {
    /// Entries left out of the document that is being read on this thread: the shapes are read by
    /// `serde`, which passes nothing along.
    static LEFT_OUT: Cell<u64> = const { Cell::new(0) };
    /// Whether anything unexpected ends the reading.
    static STRICT: Cell<bool> = const { Cell::new(false) };
}

/// What `read` reads when anything unexpected is an error.
pub(in crate::genesys) fn strictly<T>(read: impl FnOnce() -> T) -> T {
    STRICT.set(true);
    let value = read();
    STRICT.set(false);
    value
}

/// What `read` read, and how many entries it left out of all lists, however deep.
pub(in crate::genesys) fn counted<T>(read: impl FnOnce() -> T) -> (T, u64) {
    LEFT_OUT.set(0);
    let value = read();
    (value, LEFT_OUT.get())
}

/// Whether the present document is read strictly.
pub(super) fn is_strict() -> bool {
    STRICT.get()
}

/// Reads a member of an optional type; a value of another type is no value.
pub(in crate::genesys) fn lenient<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    if is_strict() {
        return Option::deserialize(deserializer);
    }
    // Not through a tree of values: a text in it that cannot be read would end the whole document.
    let value = <&RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(value.get()).ok())
}

/// A list without the entries that cannot be read.
#[derive(Debug)]
pub(in crate::genesys) struct Listed<T> {
    /// Those that can.
    pub items: Vec<T>,
    /// How many cannot.
    pub left_out: u64,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self { items: Vec::new(), left_out: 0 }
    }
}

impl<T> Listed<T> {
    fn leave_out(&mut self, counted_before: u64) {
        self.left_out += 1;
        LEFT_OUT.set(counted_before + 1);
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Listed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if is_strict() {
            return Ok(Self { items: Vec::deserialize(deserializer)?, left_out: 0 });
        }
        let mut listed = Self::default();
        // Only split here, because half a surrogate pair ends the reading of a whole document.
        for entry in Vec::<&RawValue>::deserialize(deserializer)? {
            let before = LEFT_OUT.get();
            match serde_json::from_str(entry.get()) {
                Ok(item) => listed.items.push(item),
                Err(_) => listed.leave_out(before),
            }
        }
        Ok(listed)
    }
}

/// Reads a list that may be missing. What is no list counts as one entry that cannot be read.
pub(in crate::genesys) fn optional<'de, D, T>(deserializer: D) -> Result<Listed<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    if is_strict() {
        return Ok(Option::deserialize(deserializer)?.unwrap_or_default());
    }
    let value = <&RawValue>::deserialize(deserializer)?;
    let before = LEFT_OUT.get();
    let Ok(listed) = serde_json::from_str::<Option<Listed<T>>>(value.get()) else {
        let mut none = Listed::default();
        none.leave_out(before);
        return Ok(none);
    };
    Ok(listed.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Shelf {
        #[serde(default, deserialize_with = "optional")]
        books: Listed<Book>,
    }

    #[derive(Debug, Deserialize)]
    struct Book {
        title: String,
        #[serde(default, deserialize_with = "optional")]
        pages: Listed<u8>,
    }

    fn read(text: &str) -> (Shelf, u64) {
        let (shelf, left_out) = counted(|| serde_json::from_str::<Shelf>(text).unwrap());
        // What can be read strictly is the same, and nothing of it is left out.
        if let Ok(strict) = strictly(|| serde_json::from_str::<Shelf>(text)) {
            assert_eq!((format!("{strict:?}"), 0), (format!("{shelf:?}"), left_out));
        }
        (shelf, left_out)
    }

    #[test]
    fn an_entry_that_cannot_be_read_is_left_out_and_counted_once() {
        for bad in [
            "null",
            "7",
            "[]",
            "{}",
            r#"{"title":null}"#,
            r#"{"title":"\ud83d"}"#,
            r#"{"title":"\udcaa after"}"#,
            r#"{"title":"a","title":"b"}"#,
            // What was left out of it before does not count again.
            r#"{"pages":[null,null],"title":5}"#,
        ] {
            let (shelf, left_out) = read(&format!(r#"{{"books":[{bad},{{"title":"x"}}]}}"#));
            let titles: Vec<&str> = shelf.books.items.iter().map(|b| b.title.as_str()).collect();
            assert_eq!((titles, shelf.books.left_out, left_out), (vec!["x"], 1, 1), "{bad}");
        }
    }

    #[test]
    fn entries_of_lists_inside_entries_count_too() {
        let (shelf, left_out) = read(r#"{"books":[{"title":"x","pages":[1,null,"2",3]},null]}"#);
        assert_eq!(shelf.books.items[0].pages.items, [1, 3]);
        assert_eq!((shelf.books.left_out, left_out), (1, 3));
    }

    #[test]
    fn what_is_not_needed_of_an_entry_may_be_anything() {
        let (shelf, left_out) =
            read(r#"{"books":[{"title":"x","author":["\ud83d"]}],"y":"\ud83d"}"#);
        assert_eq!((shelf.books.items.len(), left_out), (1, 0));
    }

    #[test]
    fn a_list_that_is_missing_is_empty_and_what_is_no_list_counts() {
        for (text, expected) in [
            ("{}", 0),
            (r#"{"books":null}"#, 0),
            (r#"{"books":[]}"#, 0),
            (r#"{"books":"none"}"#, 1),
            (r#"{"books":{}}"#, 1),
            (r#"{"books":"\ud83d"}"#, 1),
        ] {
            let (shelf, left_out) = read(text);
            assert_eq!((shelf.books.items.len(), left_out), (0, expected), "{text}");
        }
        assert!(serde_json::from_str::<Listed<u8>>("null").is_err());
    }
}
