//! Who asks, and what they are limited to.

use std::sync::Arc;

use super::{
    gateway::QueueListing,
    model::{CallerName, Priority, Queue, Transfer},
};
use crate::{
    config::QueuePattern,
    names::fold,
    problem::{Code, Problem},
};

/// Who is asking, how much they see, and what they are limited to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Their stable name.
    pub name: CallerName,
    /// Whether they see other callers' transfers and may settle them.
    pub admin: bool,
    /// What they may ask for.
    pub limits: Limits,
}

impl Caller {
    /// A caller who sees and may do everything.
    #[must_use]
    pub fn unlimited(name: CallerName) -> Self {
        Self { name, admin: true, limits: Limits::default() }
    }

    /// Whether this caller may see what `owner` asked for.
    #[must_use]
    pub fn sees(&self, owner: &CallerName) -> bool {
        self.admin || self.name == *owner
    }

    /// The queues of `listing` that this caller may know of.
    pub(super) fn seen(&self, mut listing: QueueListing) -> QueueListing {
        self.limits.narrow(&mut listing.items);
        listing
    }

    /// Shows the queue hidden from the one who asked for `transfer`, if this caller may know of
    /// every queue.
    pub(super) fn reveal(&self, transfer: &mut Transfer) {
        transfer.hides_previous_queue &= self.limits.narrows_queues();
    }
}

/// What a caller may ask for; the default is everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// The queues they may know of and move calls to; `None` for all.
    pub queues: Option<Arc<[QueuePattern]>>,
    /// The highest priority a call may end up with.
    pub max_priority: Option<Priority>,
    /// How often a conversation may have been moved within the last hour, by any caller, for them to
    /// move it once more; `None` for any number.
    pub moves_per_conversation: Option<u32>,
}

impl Limits {
    /// Whether some queues are hidden from them.
    #[must_use]
    pub fn narrows_queues(&self) -> bool {
        self.queues.as_deref().is_some_and(|all| !all.iter().any(QueuePattern::matches_all))
    }

    /// Whether they may know of the queue called `name`.
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        let Some(patterns) = self.queues.as_deref() else { return true };
        let name = fold(name);
        patterns.iter().any(|pattern| pattern.matches(&name))
    }

    /// Leaves only the queues they may know of.
    pub fn narrow(&self, queues: &mut Vec<Queue>) {
        queues.retain(|queue| self.covers(&queue.name));
    }

    /// Whether the call may end up with `priority`.
    ///
    /// # Errors
    /// `not_permitted`.
    pub fn check_priority(&self, priority: Option<Priority>) -> Result<(), Box<Problem>> {
        check_priority(priority, self.max_priority)
    }
}

/// Whether `priority` keeps to `highest`.
///
/// # Errors
/// `not_permitted`.
pub(super) fn check_priority(
    priority: Option<Priority>,
    highest: Option<Priority>,
) -> Result<(), Box<Problem>> {
    match (priority, highest) {
        (Some(priority), Some(highest)) if priority > highest => Err(Box::new(
            Problem::new(
                Code::NotPermitted,
                format!(
                    "The priority would be {}; this caller's maximum is {}.",
                    priority.get(),
                    highest.get()
                ),
            )
            .hint("Send a lower priority; keepPlace adds the minutes waited to it."),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::transfer::testing::limits_to;

    fn priority(value: i64) -> Option<Priority> {
        Priority::new(value)
    }

    #[test]
    fn no_patterns_cover_everything_and_an_empty_list_nothing() {
        assert!(Limits::default().covers("Support"));
        assert!(!limits_to(&[]).covers("Support"));
    }

    #[test]
    fn only_patterns_that_leave_something_out_narrow() {
        for (patterns, expected) in
            [(vec![], true), (vec!["S*"], true), (vec!["*"], false), (vec!["S*", "*"], false)]
        {
            assert_eq!(limits_to(&patterns).narrows_queues(), expected, "{patterns:?}");
        }
        assert!(!Limits::default().narrows_queues());
    }

    #[test]
    fn a_queue_is_covered_when_any_pattern_matches_it() {
        let limits = limits_to(&["Support *", "Billing"]);
        for (name, expected) in [
            ("Support Tier 1", true),
            ("support tier 1", true),
            ("BILLING", true),
            (" Billing ", true),
            ("\u{a0}Billing\u{200b}", true),
            ("Billing 2", false),
            ("Sales", false),
            ("", false),
        ] {
            assert_eq!(limits.covers(name), expected, "{name:?}");
        }
    }

    #[test]
    fn a_priority_is_allowed_up_to_the_highest() {
        let limits = Limits { max_priority: priority(10), ..Limits::default() };
        for (asked, allowed) in
            [(None, true), (priority(-1), true), (priority(10), true), (priority(11), false)]
        {
            assert_eq!(limits.check_priority(asked).is_ok(), allowed, "{asked:?}");
        }
        assert!(Limits::default().check_priority(priority(25_000_000)).is_ok());
    }

    #[test]
    fn a_priority_too_high_is_not_permitted() {
        let limits = Limits { max_priority: priority(10), ..Limits::default() };
        let problem = limits.check_priority(priority(11)).unwrap_err();
        assert_eq!(problem.code, Code::NotPermitted);
        assert!(problem.detail.contains("11") && problem.detail.contains("10"), "{problem:?}");
    }

    proptest! {
        #[test]
        fn narrowing_leaves_exactly_the_covered(names in proptest::collection::vec("[ab]{1,3}", 0..8)) {
            let limits = limits_to(&["a*"]);
            let queue = |name: &String| Queue {
                id: uuid::Uuid::nil().to_string().parse().unwrap(),
                name: name.clone(),
                division: None,
            };
            let mut queues: Vec<Queue> = names.iter().map(queue).collect();
            limits.narrow(&mut queues);
            let left: Vec<_> = queues.into_iter().map(|queue| queue.name).collect();
            let expected: Vec<_> =
                names.into_iter().filter(|name| name.starts_with('a')).collect();
            prop_assert_eq!(left, expected);
        }
    }
}
