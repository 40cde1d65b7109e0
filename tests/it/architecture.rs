//! The structure is a promise too: who may import whom, where the outside crates may be named,
//! how long a file may be.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Each top module with the top modules it may use. `app` and `main` wire everything.
const MAY_USE: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("failpoint", &[]),
    ("problem", &[]),
    ("config", &[]),
    ("metrics", &["problem"]),
    ("trace", &[]),
    ("cli", &["config"]),
    ("telemetry", &["clock", "config", "trace"]),
    ("transfer", &["clock", "config", "failpoint", "metrics", "problem", "trace"]),
    ("genesys", &["clock", "config", "metrics", "problem", "trace", "transfer"]),
    ("store", &["clock", "config", "metrics", "problem", "trace", "transfer"]),
    ("auth", &["clock", "config", "problem", "transfer"]),
    ("http", &["auth", "clock", "config", "metrics", "problem", "telemetry", "trace", "transfer"]),
    ("sandbox", &["clock"]),
    (
        "app",
        &[
            "auth",
            "cli",
            "clock",
            "config",
            "genesys",
            "http",
            "metrics",
            "problem",
            "sandbox",
            "store",
            "telemetry",
            "transfer",
        ],
    ),
];

/// Outside crates that a module must not name.
const FORBIDDEN_CRATES: &[(&str, &[&str])] = &[
    ("transfer", &["axum", "hyper", "opentelemetry", "prometheus", "reqwest", "sqlx", "tower"]),
    ("auth", &["axum", "hyper", "sqlx"]),
    ("http", &["opentelemetry", "prometheus", "reqwest", "sqlx"]),
    ("genesys", &["axum", "opentelemetry", "prometheus", "sqlx"]),
    ("store", &["axum", "opentelemetry", "prometheus", "reqwest"]),
    ("sandbox", &["opentelemetry", "prometheus", "reqwest", "sqlx"]),
];

const LONGEST_FILE: usize = 400;
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

#[test]
fn modules_import_only_what_the_picture_allows() {
    let allowed: BTreeMap<_, _> = MAY_USE.iter().copied().collect();
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test) {
        let Some(may) = allowed.get(source.module.as_str()) else { continue };
        for used in uses(&source.code) {
            let is_module = allowed.contains_key(used.as_str());
            if is_module && used != source.module && !may.contains(&used.as_str()) {
                wrong.push(format!("{} uses {used}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_top_module_has_its_place_in_the_picture() {
    let placed: BTreeSet<_> = MAY_USE.iter().map(|(module, _)| *module).collect();
    for source in sources() {
        let module = source.module.as_str();
        assert!(matches!(module, "main" | "lib") || placed.contains(module), "{module}");
    }
}

#[test]
fn outside_crates_stay_where_they_belong() {
    let forbidden: BTreeMap<_, _> = FORBIDDEN_CRATES.iter().copied().collect();
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test) {
        for name in forbidden.get(source.module.as_str()).copied().unwrap_or_default() {
            let named = source.code.contains(&format!("{name}::"))
                && !source.code.contains(&format!("_{name}::"));
            if named {
                wrong.push(format!("{} names {name}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_file_outgrows_its_room() {
    for source in sources().iter().filter(|source| !source.is_test) {
        let lines = fs::read_to_string(&source.path).unwrap().lines().count();
        let limit = if source.path.ends_with("src/lib.rs") { LONGEST_LIB } else { LONGEST_FILE };
        assert!(lines <= limit, "{} has {lines} lines", source.path.display());
    }
}

/// The durable write before the command is in `Engine::dispatch`; everything that sends comes
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
