//! No test of the whole service depends on how fast the machine is.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// What makes a test depend on that: it waits for a while, or for no longer than a while. Instead it
/// waits for what it is about (`soon`, `until`), holds a request back until it is time
/// (`support/held.rs`), or lets the time pass itself (`src/clock/testing.rs`).
const CLOCKS: [&str; 7] =
    ["sleep(", "sleep_until(", "elapsed()", "Instant::now(", "timeout(", "interval(", "Delay {"];

/// Where that is in order: the file, the words, the reason.
const ALLOWED: [(&str, &[&str], &str); 7] = [
    ("support/service.rs", &["timeout("], "limits that only a test that fails reaches"),
    ("support/process.rs", &["timeout(", "interval("], "such limits; looks at another process"),
    ("support/held.rs", &["Delay {"], "an hour, which the test ends"),
    ("support/caller.rs", &["timeout("], "a careful client waits between two tries"),
    ("kills.rs", &["timeout(", "Delay {"], "processes end at random, whatever there is to see"),
    (
        "queue_look_ups.rs",
        &["elapsed()", "Instant::now("],
        "a slow machine is allowed more, as the service allows more with time",
    ),
    ("volume.rs", &["elapsed()", "Instant::now("], "measured by hand, and judged by nothing"),
];

/// The files of the tests, with their names below `tests/it`.
fn tests() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    // This file names what it looks for.
    found.retain(|(name, _)| name != "architecture/waiting.rs");
    assert!(found.len() > 50, "the tests were found");
    found
}

#[test]
fn no_test_waits_by_the_clock() {
    let allowed: BTreeSet<(&str, &str)> = ALLOWED
        .iter()
        .flat_map(|(file, words, _)| words.iter().map(|word| (*file, *word)))
        .collect();
    let tests = tests();
    let mut found = BTreeSet::new();
    let mut wrong = Vec::new();
    for (file, text) in &tests {
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for word in CLOCKS.into_iter().filter(|word| code.contains(word)) {
                found.insert((file.as_str(), word));
                if !allowed.contains(&(file.as_str(), word)) {
                    wrong.push(format!("tests/it/{file}:{}: {}", number + 1, line.trim()));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "these lines depend on how fast the machine is; wait for an event, hold a request back or \
         let a frozen clock go on:\n{}",
        wrong.join("\n")
    );
    let needless: Vec<_> = allowed.difference(&found).collect();
    assert_eq!(needless, Vec::<&(&str, &str)>::new(), "allowed, and not there");
}
