use super::*;
use crate::transfer::ids::ConversationId;

fn id(number: u128) -> ConversationId {
    ConversationId::new(uuid::Uuid::from_u128(number))
}

fn minute(number: u128) -> Timestamp {
    Timestamp::from_second(i64::try_from(number).unwrap() * 60).unwrap()
}

/// What Genesys shows when `calls` wait, call n since minute n.
fn look(calls: impl Iterator<Item = u128>) -> WaitingCalls {
    let row = |n: u128| WaitingCall {
        conversation_id: id(n),
        since: minute(n),
        priority: None,
        skill_ids: None,
        language_id: None,
    };
    let all: Vec<WaitingCall> = calls.map(row).collect();
    let count = u64::try_from(all.len()).unwrap();
    if all.len() <= 100 {
        return WaitingCalls { count, rows: all, ..WaitingCalls::default() };
    }
    let rows = [&all[..50], &all[all.len() - 50..]].concat();
    WaitingCalls { count, truncated: true, rows, ..WaitingCalls::default() }
}

fn numbers<'a>(rows: impl IntoIterator<Item = &'a WaitingCall>) -> Vec<u128> {
    rows.into_iter().map(|row| row.conversation_id.uuid().as_u128()).collect()
}

fn known(calls: impl Iterator<Item = u128>) -> HashSet<ConversationId> {
    calls.map(id).collect()
}

fn news(look: &WaitingCalls, by: Timestamp, known: &HashSet<ConversationId>, most: usize) -> News {
    super::news(look, by, known, 10, most)
}

fn new(news: News) -> Vec<u128> {
    match news {
        News::New(rows) => numbers(&rows),
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_rows_before_the_gap_are_certainly_the_oldest() {
    assert_eq!(numbers(oldest(&look(1..=300), 300)), (1..=50).collect::<Vec<_>>());
    assert_eq!(numbers(oldest(&look(1..=300), 20)), (1..=20).collect::<Vec<_>>());
    assert_eq!(numbers(oldest(&look(1..=80), 300)), (1..=80).collect::<Vec<_>>());
}

#[test]
fn a_preview_lists_the_rows_shown_that_are_among_the_first() {
    assert_eq!(first(&look(1..=300), 300).count(), 100);
    assert_eq!(numbers(first(&look(1..=300), 80)), (1..=50).collect::<Vec<_>>());
    let with_some_newest: Vec<_> = (1..=50).chain(251..=260).collect();
    assert_eq!(numbers(first(&look(1..=300), 260)), with_some_newest);
}

#[test]
fn the_oldest_half_comes_before_the_newest() {
    let news = news(&look(1..=300), minute(300), &known(1..=40), 1000);
    assert_eq!(new(news), (41..=50).collect::<Vec<_>>());
}

#[test]
fn no_more_are_taken_than_asked_for() {
    assert_eq!(new(news(&look(1..=80), minute(80), &HashSet::new(), 3)), [1, 2, 3]);
}

#[test]
fn calls_that_came_later_are_not_of_the_drain() {
    assert_eq!(new(news(&look(1..=80), minute(60), &known(1..=58), 1000)), [59, 60]);
    assert_eq!(news(&look(1..=80), minute(60), &known(1..=60), 1000), News::Nothing);
}

#[test]
fn nothing_is_hidden_once_the_oldest_half_reaches_beyond_the_drain() {
    assert_eq!(news(&look(1..=300), minute(49), &known(1..=49), 1000), News::Nothing);
}

#[test]
fn known_rows_that_fill_the_oldest_half_hide_the_rest() {
    let blocked = news(&look(1..=300), minute(300), &known(1..=50), 1000);
    let News::Blocked(newest) = blocked else { panic!("{blocked:?}") };
    assert_eq!(numbers(&newest), (251..=300).collect::<Vec<_>>());
    let all_known = news(&look(1..=300), minute(300), &known((1..=50).chain(251..=300)), 1000);
    assert_eq!(all_known, News::Blocked(vec![]));
}

/// As [`look`], with the rows of `unreadable` left out.
fn worn(calls: impl Iterator<Item = u128>, unreadable: &[u128]) -> WaitingCalls {
    let mut look = look(calls);
    look.rows.retain(|row| !unreadable.contains(&row.conversation_id.uuid().as_u128()));
    look
}

#[test]
fn rows_that_cannot_be_read_may_be_of_the_missing() {
    let worn = worn(1..=30, &[7]);
    let known = known((1..=30).filter(|n| *n != 7));
    assert_eq!(super::news(&worn, minute(30), &known, 1, 9), News::Blocked(vec![]));
    assert_eq!(super::news(&worn, minute(20), &known, 1, 9), News::Blocked(vec![]));
    assert_eq!(super::news(&worn, minute(30), &known, 0, 9), News::Nothing);
}

#[test]
fn a_look_that_counts_calls_and_shows_none_is_told_from_an_empty_queue() {
    assert!(shows_none(&worn(1..=2, &[1, 2])));
    assert!(!shows_none(&worn(1..=2, &[1])));
    assert!(!shows_none(&look(std::iter::empty())));
}

#[test]
fn the_gap_is_what_is_counted_and_not_shown() {
    assert_eq!((gap(&look(1..=80)), gap(&look(1..=300)), gap(&worn(1..=300, &[1]))), (0, 200, 201));
}
