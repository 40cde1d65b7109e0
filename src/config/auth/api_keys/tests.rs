use std::fmt::Write as _;

use super::*;

const HASH_A: &str = "aAaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// The list in a TOML text.
fn list(toml: &str) -> Result<Vec<ApiKey>, Vec<String>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.toml");
    std::fs::write(&path, toml).unwrap();
    parse(&super::super::list::in_file(&path).unwrap())
}

fn entry(members: &str) -> String {
    format!("[[api_keys]]\n{members}\n")
}

fn complaints(toml: &str) -> String {
    list(toml).unwrap_err().join("\n")
}

#[test]
fn a_whole_entry_is_read() {
    let keys = list(&entry(&format!(
        "caller = 'crm'\nsha256 = ['{HASH_A}']\npermissions = ['transfers:write', 'admin']\n\
         queues = ['Support *']\nmax_priority = 100\nrequests_per_minute = 600"
    )));
    let expected = ApiKey {
        caller: "crm".to_owned(),
        sha256: vec![[0xaa; 32]],
        permissions: [Permission::TransfersWrite, Permission::Admin].into(),
        queues: vec![QueuePattern::new("Support *").unwrap()],
        max_priority: Some(100),
        requests_per_minute: Some(600),
    };
    assert_eq!(keys, Ok(vec![expected]));
}

#[test]
fn a_caller_that_moves_nothing_needs_no_queues() {
    let members = format!("caller = 'p'\nsha256 = ['{HASH_A}']\npermissions = ['metrics:read']");
    assert_eq!(list(&entry(&members)).unwrap()[0].queues, []);
}

#[test]
fn each_wrong_member_is_named_with_its_place() {
    let good = [
        ("caller", "'crm'".to_owned()),
        ("sha256", format!("['{HASH_A}']")),
        ("permissions", "['transfers:write']".to_owned()),
        ("queues", "['*']".to_owned()),
        ("max_priority", "1".to_owned()),
        ("requests_per_minute", "1".to_owned()),
    ];
    for (member, value, named) in [
        ("caller", "''", "[0].caller: "),
        ("caller", "'a b'", "[0].caller: "),
        ("caller", "'anonymous'", "[0].caller: "),
        ("caller", "7", "[0].caller: "),
        ("sha256", "[]", "[0].sha256: "),
        ("sha256", "'plain-key'", "[0].sha256: "),
        ("sha256", "['plain-key']", "[0].sha256[0]: "),
        ("permissions", "[]", "[0].permissions: "),
        ("permissions", "['transfers:wirte']", "[0].permissions[0]: "),
        ("queues", "[]", "[0].queues: "),
        ("queues", "['']", "[0].queues[0]: "),
        ("max_priority", "25000001", "[0].max_priority: "),
        ("max_priority", "'1'", "[0].max_priority: "),
        ("requests_per_minute", "0", "[0].requests_per_minute: "),
        ("max_prio", "1", "[0].max_prio: there is no such member; did you mean max_priority?"),
    ] {
        let mut members = String::new();
        for (name, good) in good.iter().filter(|(name, _)| *name != member) {
            writeln!(members, "{name} = {good}").unwrap();
        }
        let found = complaints(&entry(&format!("{members}{member} = {value}")));
        assert!(found.starts_with(named), "{member} = {value}: {found}");
        assert!(!found.contains("plain-key"), "{found}");
    }
}

#[test]
fn everything_that_is_missing_is_named() {
    let found = complaints(&entry("permissions = ['batches:write']"));
    for named in ["[0].caller: missing", "[0].sha256: missing", "[0].queues: missing"] {
        assert!(found.contains(named), "{found}");
    }
}

#[test]
fn callers_and_hashes_are_unique() {
    let one = |caller: &str| {
        entry(&format!("caller = '{caller}'\nsha256 = ['{HASH_A}']\npermissions = ['queues:read']"))
    };
    let found = complaints(&(one("crm") + &one("crm")));
    assert!(found.contains("[1].caller: occurs twice"), "{found}");
    assert!(found.contains("[1].sha256[0]: occurs twice"), "{found}");
}

#[test]
fn debug_shows_no_hash() {
    let members = format!("caller = 'p'\nsha256 = ['{HASH_A}']\npermissions = ['admin']");
    let shown = format!("{:?}", list(&entry(&members)).unwrap());
    assert!(!shown.contains("170") && shown.contains("keys: 1"), "{shown}");
}
