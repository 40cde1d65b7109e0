//! The structure is a promise too: which module may import which, where the outside crates may be
//! named, how long a file may be.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use genesys_transfer::transfer::model::Stage;

mod circles;
mod documents;
mod waiting;

/// What is true of the code is said on this page, for people; the tests hold it to that.
const PAGE: &str = include_str!("../../src/architecture.md");

/// A name with what belongs to it.
type Table = BTreeMap<String, BTreeSet<String>>;

const LONGEST_FILE: usize = 600;
const LONGEST_LIB: usize = 70;

struct Source {
    path: PathBuf,
    module: String,
    code: String,
    is_test: bool,
}

/// All files under `src`, without comments and without what follows a `#[cfg(test)]` module.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                found.push(read(&root, path));
            }
        }
    }
    assert!(found.len() > 50, "the sources were found");
    found
}

fn read(root: &Path, path: PathBuf) -> Source {
    let inside = path.strip_prefix(root).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
    let module = first.trim_end_matches(".rs").to_owned();
    let text = fs::read_to_string(&path).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let code: Vec<&str> =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let is_test = inside.components().any(|part| {
        ["tests.rs", "tests", "testing.rs", "testing", "samples.rs"]
            .contains(&part.as_os_str().to_str().unwrap())
    });
    Source { module, code: code.join("\n"), is_test, path }
}

/// Top modules named as `crate::module` (also in `use crate::{a, b::c}`).
fn uses(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        if let Some(list) = after.strip_prefix('{') {
            let mut depth = 0_i32;
            let mut word = String::new();
            for letter in list.chars() {
                match letter {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        found.insert(std::mem::take(&mut word));
                    }
                    _ if depth == 0 => word.push(letter),
                    _ => {}
                }
            }
            found.insert(word);
        } else {
            found.insert(after.to_owned());
        }
    }
    let first_word = |text: String| {
        text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
    };
    found.into_iter().map(first_word).filter(|word| !word.is_empty()).collect()
}

/// The page's table whose first column is called `first`: the word in backticks that begins each
/// row, with the other ones in it.
fn table(first: &str) -> Table {
    let head = format!("| {first} |");
    let rows = PAGE.lines().skip_while(|line| !line.starts_with(&head)).skip(2);
    let rows: Vec<_> = rows.take_while(|line| line.starts_with('|')).collect();
    let words = rows.iter().map(|row| row.split('`').skip(1).step_by(2).map(str::to_owned));
    let found: Table = words.map(|mut row| (row.next().unwrap(), row.collect())).collect();
    assert!(!found.is_empty() && found.len() == rows.len(), "the table of each {first}, once");
    found
}

/// Fails when `page` does not say what `code` is, to the last pair.
fn assert_same(what: &str, code: &Table, page: &Table) {
    let without = |one: &Table, other: &Table| -> Vec<String> {
        let pairs = one.iter().flat_map(|(name, all)| all.iter().map(move |it| (name, it)));
        let new = pairs.filter(|(name, it)| !other.get(*name).is_some_and(|all| all.contains(*it)));
        new.map(|(name, it)| format!("{name}: {it}")).collect()
    };
    let none = Vec::<String>::new();
    assert_eq!(without(code, page), none, "{what} that src/architecture.md does not name");
    assert_eq!(without(page, code), none, "{what} that src/architecture.md makes up");
    assert!(code.keys().eq(page.keys()), "{what}: {:?}, {:?}", code.keys(), page.keys());
}

/// The sources of the top modules, without tests and what helps them.
fn product() -> Vec<Source> {
    let mut sources = sources();
    sources.retain(|source| !source.is_test && !matches!(&*source.module, "main" | "lib"));
    sources
}

/// Each top module with those it uses.
fn imports() -> Table {
    let mut found = Table::new();
    for source in product() {
        found.entry(source.module).or_default().extend(uses(&source.code));
    }
    let modules: BTreeSet<_> = found.keys().cloned().collect();
    for (module, used) in &mut found {
        used.retain(|used| used != module && modules.contains(used));
    }
    found
}

/// Whether `code` names the outside crate `name`, and not only something whose name ends so.
fn names(code: &str, name: &str) -> bool {
    code.match_indices(&format!("{name}::")).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    })
}

#[test]
fn modules_import_what_the_page_says_and_nothing_else() {
    assert_same("imports", &imports(), &table("module"));
}

#[test]
fn no_module_reaches_itself_through_others() {
    let mut left = imports();
    loop {
        let free = |used: &BTreeSet<String>| used.iter().all(|used| !left.contains_key(used));
        let done: Vec<_> =
            left.iter().filter(|(_, used)| free(used)).map(|(module, _)| module.clone()).collect();
        if done.is_empty() {
            break;
        }
        left.retain(|module, _| !done.contains(module));
    }
    assert_eq!(left, Table::new());
}

#[test]
fn outside_crates_are_named_where_the_page_says_and_nowhere_else() {
    let page = table("crate");
    let mut code: Table = page.keys().map(|name| (name.clone(), BTreeSet::new())).collect();
    for source in product() {
        for (_, modules) in code.iter_mut().filter(|(name, _)| names(&source.code, name)) {
            modules.insert(source.module.clone());
        }
    }
    assert_same("uses of crates", &code, &page);
}

#[test]
fn stages_go_as_the_page_says() {
    let next = |stage: Stage| Stage::ALL.into_iter().filter(move |next| stage.may_become(*next));
    let row = |stage: Stage| {
        let words = next(stage).map(|next| next.as_str().to_owned());
        let status = stage.status().as_str().to_owned();
        (stage.as_str().to_owned(), words.chain([status]).collect())
    };
    assert_same("steps", &Stage::ALL.map(row).into(), &table("stage"));
}

#[test]
fn no_file_outgrows_its_room() {
    for source in sources().iter().filter(|source| !source.is_test) {
        let lines = fs::read_to_string(&source.path).unwrap().lines().count();
        let limit = if source.path.ends_with("src/lib.rs") { LONGEST_LIB } else { LONGEST_FILE };
        assert!(lines <= limit, "{} has {lines} lines", source.path.display());
    }
}

/// The durable write before the command is in `engine::dispatch`; everything that sends comes
/// through there. (`check-config --connect` asks for permission with a call that does not exist.)
#[test]
fn the_command_leaves_from_one_place() {
    let callers = |call: &str| -> Vec<String> {
        let sources = sources();
        let domain = sources.iter().filter(|source| source.module == "transfer" && !source.is_test);
        let calls = domain.filter(|source| source.code.contains(call));
        calls.map(|source| source.path.file_name().unwrap().to_string_lossy().into()).collect()
    };
    assert_eq!(callers("gateway.send("), ["dispatch.rs"]);
    assert_eq!(callers(".send_and_learn("), ["engine.rs"]);
    assert_eq!(callers(".send_again("), ["dispatch.rs"]);
}
