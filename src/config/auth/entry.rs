//! Reading one entry of `auth.api_keys`, member by member.

use std::{fmt, ops::RangeInclusive};

use config::{Value, ValueKind};

use super::super::{keys, reader};

/// Most hashes, patterns or permissions of one caller.
const MAX_ITEMS: usize = 1_000;

const MEMBERS: [&str; 6] =
    ["caller", "sha256", "permissions", "queues", "max_priority", "requests_per_minute"];

/// An entry, and where to put what is wrong with it.
pub(super) struct Entry<'a> {
    place: String,
    item: &'a Value,
    wrong: &'a mut Vec<String>,
}

impl<'a> Entry<'a> {
    /// The entry at `index`; what is no member of an entry is refused at once.
    pub(super) fn new(index: usize, item: &'a Value, wrong: &'a mut Vec<String>) -> Self {
        let mut entry = Self { place: format!("[{index}]"), item, wrong };
        if matches!(item.kind, ValueKind::Table(_)) {
            entry.refuse_unknown();
        } else {
            entry.wrong.push(format!("{}: expected a table of members", entry.place));
        }
        entry
    }

    fn refuse_unknown(&mut self) {
        let ValueKind::Table(members) = &self.item.kind else { return };
        let mut unknown: Vec<&str> =
            members.keys().map(String::as_str).filter(|name| !MEMBERS.contains(name)).collect();
        unknown.sort_unstable();
        for name in unknown {
            let message = match keys::closest(name, MEMBERS.into_iter()) {
                Some(near) => format!("there is no such member; did you mean {near}?"),
                None => format!("there is no such member; there are {}", MEMBERS.join(", ")),
            };
            self.complain(name, &message);
        }
    }

    fn complain(&mut self, member: &str, message: &str) {
        self.wrong.push(format!("{}.{member}: {message}", self.place));
    }

    /// A member as `parse` understands it. JSON's `null` counts as not given.
    pub(super) fn one<T>(
        &mut self,
        member: &str,
        required: bool,
        expected: &str,
        parse: impl FnOnce(&ValueKind) -> Option<T>,
    ) -> Option<T> {
        let ValueKind::Table(members) = &self.item.kind else { return None };
        let given = members.get(member).filter(|value| !matches!(value.kind, ValueKind::Nil));
        let Some(value) = given else {
            if required {
                self.complain(member, &format!("missing; expected {expected}"));
            }
            return None;
        };
        let parsed = parse(&value.kind);
        if parsed.is_none() {
            self.complain(member, &format!("expected {expected}"));
        }
        parsed
    }

    /// A list of texts; with at least one when it is required.
    pub(super) fn list<T>(
        &mut self,
        member: &str,
        required: bool,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Vec<T> {
        let size = usize::from(required)..=MAX_ITEMS;
        let all = format!("a list of {} to {MAX_ITEMS}, each {expected}", size.start());
        let items = self.one(member, required, &all, |kind| match kind {
            ValueKind::Array(items) if size.contains(&items.len()) => Some(items.clone()),
            _ => None,
        });
        let mut parsed = Vec::new();
        for (position, item) in items.unwrap_or_default().iter().enumerate() {
            match reader::text(&item.kind).and_then(&parse) {
                Some(item) => parsed.push(item),
                None => {
                    self.complain(
                        &format!("{member}[{position}]"),
                        &format!("expected {expected}"),
                    );
                }
            }
        }
        parsed
    }

    /// A whole number within `range`, if given.
    pub(super) fn number<N>(&mut self, member: &str, range: &RangeInclusive<N>) -> Option<N>
    where
        N: Copy + PartialOrd + fmt::Display + TryFrom<i64>,
    {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        self.one(member, false, &expected, |kind| match kind {
            ValueKind::I64(number) => N::try_from(*number).ok().filter(|n| range.contains(n)),
            _ => None,
        })
    }
}
