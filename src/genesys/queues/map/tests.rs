use proptest::prelude::*;

use super::*;
use crate::transfer::model::QueueName;

fn queue(number: u128, name: &str) -> Queue {
    let id = QueueId::new(uuid::Uuid::from_u128(number));
    Queue { id, name: name.to_owned(), division: None }
}

fn map(names: &[&str]) -> QueueMap {
    let queues = (1u128..).zip(names).map(|(number, name)| queue(number, name)).collect();
    QueueMap::new(queues, Timestamp::UNIX_EPOCH, Instant::now())
}

fn named(name: &str) -> QueueRef {
    QueueRef::Name(QueueName::parse(name).unwrap())
}

#[test]
fn an_exact_name_wins_over_another_case() {
    let map = map(&["support", "Support", "SUPPORT"]);
    assert_eq!(map.find(&named("Support")), QueueMatch::One(queue(2, "Support")));
}

#[test]
fn without_an_exact_match_the_only_one_of_another_case_is_taken() {
    let map = map(&["Support Tier 2", "Sales"]);
    assert_eq!(map.find(&named("  sUPPORT tier 2 ")), QueueMatch::One(queue(1, "Support Tier 2")));
}

#[test]
fn several_of_another_case_are_ambiguous() {
    let QueueMatch::Many(queues) = map(&["support", "SUPPORT"]).find(&named("Support")) else {
        panic!("one was taken")
    };
    assert_eq!(queues.len(), 2);
}

#[test]
fn the_same_name_in_two_divisions_is_ambiguous() {
    assert!(matches!(map(&["Sales", "Sales"]).find(&named("Sales")), QueueMatch::Many(_)));
}

#[test]
fn letters_beyond_ascii_fold_too() {
    let map = map(&["ÜBERSICHT Ärger"]);
    assert!(matches!(map.find(&named("übersicht ärger")), QueueMatch::One(_)));
}

/// Names that differ in case, in how an accent is written, or in blanks that do not show.
const ALIKE: [&[&str]; 5] = [
    &["ΟΔΟΣ", "οδος", "οδοσ"],
    &["Straße", "STRASSE"],
    &["Caf\u{e9}", "CAFE\u{301}"],
    &["Sales", "\u{a0}SALES\u{200b}"],
    &["\u{390}", "\u{399}\u{308}\u{301}"],
];

#[test]
fn a_queue_is_found_and_searched_by_every_way_to_write_its_name() {
    for names in ALIKE {
        for queue_name in names {
            let map = map(&["Billing", queue_name]);
            for name in names {
                let found = map.find(&named(name));
                assert_eq!(
                    found,
                    QueueMatch::One(queue(2, queue_name)),
                    "{name:?}, {queue_name:?}"
                );
                assert_eq!(map.search(name), [queue(2, queue_name)], "{name:?}, {queue_name:?}");
            }
        }
    }
}

#[test]
fn queues_whose_names_differ_only_so_are_all_candidates() {
    for (names, asked) in [
        (["ΟΔΟΣ", "οδος"], "Οδος"),
        (["Straße", "strasse"], "STRASSE"),
        (["Sales", "sales"], "SALES"),
    ] {
        let map = map(&names);
        let QueueMatch::Many(found) = map.find(&named(asked)) else { panic!("{asked:?}: one") };
        assert_eq!(found.len(), 2, "{asked:?}");
        assert_eq!(
            map.find(&named(names[0])),
            QueueMatch::One(queue(1, names[0])),
            "spelt like it"
        );
    }
}

#[test]
fn spellings_that_look_the_same_are_all_candidates() {
    for names in [["Caf\u{e9}", "Cafe\u{301}"], ["Sales", "Sales\u{200b}"]] {
        for name in names {
            assert!(matches!(map(&names).find(&named(name)), QueueMatch::Many(_)), "{name:?}");
        }
    }
}

#[test]
fn a_part_of_a_name_is_found_as_it_stands_in_the_name() {
    let map = map(&["ΟΔΟΣ ΑΘΗΝΑΣ", "Straße", "CAFE\u{301} Nord"]);
    for (fragment, expected) in [("ΟΔΟΣ", 1), ("σ α", 1), ("ς α", 1), ("SS", 1), ("caf\u{e9} n", 1)]
    {
        assert_eq!(map.search(fragment).len(), expected, "{fragment:?}");
    }
}

#[test]
fn spaces_around_genesys_own_names_do_not_hide_them() {
    assert!(matches!(map(&[" Sales "]).find(&named("Sales")), QueueMatch::One(_)));
}

#[test]
fn an_entry_seen_twice_while_the_list_moved_is_one_queue() {
    let queues = vec![queue(1, "Old name"), queue(2, "Sales"), queue(1, "New name")];
    let map = QueueMap::new(queues, Timestamp::UNIX_EPOCH, Instant::now());
    assert_eq!(map.len(), 2);
    assert_eq!(map.find(&QueueRef::Id(queue(1, "").id)), QueueMatch::One(queue(1, "New name")));
    assert_eq!(map.find(&named("Old name")), QueueMatch::None);
}

#[test]
fn the_closest_names_come_best_first() {
    let map = map(&["Sales", "Support Tier 1", "Support Tier 2", "Billing", "Support Tier 3"]);
    let closest = map.closest("Suport Tier 2");
    assert_eq!(closest.len(), 3);
    assert_eq!(closest[0], "Support Tier 2");
}

#[test]
fn nothing_like_it_is_not_mentioned() {
    assert_eq!(map(&["Sales", "Billing"]).closest("Xyzzy"), Vec::<String>::new());
}

#[test]
fn among_twenty_thousand_names_the_misspelt_one_is_found() {
    let names: Vec<String> = (0..20_000).map(|n| format!("Team {n} queue")).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.push("Complaints and Returns");
    assert_eq!(map(&names).closest("complaints and retrns")[0], "Complaints and Returns");
}

#[test]
fn a_change_adds_replaces_and_takes_out() {
    let map = map(&["Sales", "Billing"]);
    let map = map.changed(&[queue(2, "Invoices"), queue(9, "New")], Some(queue(1, "").id));
    let names: Vec<String> = map.search("").into_iter().map(|queue| queue.name).collect();
    assert_eq!(names, ["Invoices", "New"]);
}

proptest! {
    #[test]
    fn every_queue_is_found_by_its_own_name_or_is_one_of_several(
        names in proptest::collection::vec("[ a-cA-CÄä]{1,6}", 1..40)
    ) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let map = map(&names);
        for (number, name) in (1u128..).zip(&names) {
            let Some(asked) = QueueName::parse(name) else { continue };
            match map.find(&QueueRef::Name(asked)) {
                QueueMatch::One(found) => prop_assert_eq!(found.name.trim(), name.trim()),
                QueueMatch::Many(found) => {
                    prop_assert!(found.iter().any(|queue| queue.id.uuid().as_u128() == number));
                }
                QueueMatch::None => prop_assert!(false, "{:?} is not found", name),
            }
        }
    }

    #[test]
    fn a_search_finds_what_contains_the_fragment_and_nothing_else(
        names in proptest::collection::vec("[a-cA-C]{1,6}", 1..40),
        fragment in "[a-cA-C]{0,3}",
    ) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let found = map(&names).search(&fragment);
        let contains = |name: &str| name.to_lowercase().contains(&fragment.to_lowercase());
        prop_assert_eq!(found.len(), names.iter().filter(|name| contains(name)).count());
        prop_assert!(found.iter().all(|queue| contains(&queue.name)));
    }
}
