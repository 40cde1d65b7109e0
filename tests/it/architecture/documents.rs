//! What people read stays true as far as a machine can see: paths, links, names of tests.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const DOCUMENTS: [&str; 6] = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "benches/README.md",
    "config/README.md",
    "src/architecture.md",
];

/// Where everything that is kept is.
const FOLDERS: [&str; 5] = [".ci", "benches", "config", "src", "tests"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(document: &str) -> String {
    fs::read_to_string(root().join(document)).unwrap()
}

/// All files of the project; built and downloaded ones are elsewhere.
fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders: Vec<_> = FOLDERS.iter().map(|folder| root().join(folder)).collect();
    folders.retain(|folder| folder.is_dir());
    let on_top = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    found.extend(on_top.filter(|path| path.is_file()));
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}

/// Paths in `text` that begin in a folder of the project.
fn paths(text: &str) -> BTreeSet<&str> {
    let in_path = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let words = text.split(|c| !in_path(c)).map(|word| word.trim_end_matches('.'));
    let words = words.map(|word| word.strip_prefix("./").unwrap_or(word));
    words
        .filter(|word| FOLDERS.iter().any(|folder| word.starts_with(&format!("{folder}/"))))
        .collect()
}

#[test]
fn every_path_that_is_named_exists() {
    let mut seen = 0;
    for document in DOCUMENTS {
        let text = text(document);
        for path in paths(&text) {
            assert!(root().join(path).exists(), "{document} names {path}");
            seen += 1;
        }
    }
    assert!(seen > 100, "the paths were found: {seen}");
}

#[test]
fn every_link_to_a_file_leads_to_one() {
    let mut seen = 0;
    for document in DOCUMENTS {
        let text = text(document);
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://")) {
            assert!(root().join(link).exists(), "{document} leads to {link}");
            seen += 1;
        }
    }
    assert!(seen >= 2, "the links were found");
}

/// Words in backticks that are written as the name of a test: a claim of four words or more.
fn claims(text: &str) -> BTreeSet<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    let is_name =
        |word: &&str| word.chars().all(|c| c.is_ascii_lowercase() || "0123456789_".contains(c));
    quoted.filter(is_name).filter(|word| word.matches('_').count() >= 3).collect()
}

#[test]
fn every_test_that_is_named_exists() {
    let sources = files().into_iter().filter(|path| path.extension().is_some_and(|it| it == "rs"));
    let code: String = sources.map(|path| fs::read_to_string(path).unwrap()).collect();
    let contributing = text("CONTRIBUTING.md");
    let claims = claims(&contributing);
    assert!(claims.len() > 20, "the names were found: {claims:?}");
    for claim in claims {
        assert!(code.contains(&format!("fn {claim}()")), "CONTRIBUTING.md names {claim}");
    }
}

/// The lines of the README's recipes for operators.
fn recipes(readme: &str) -> Vec<&str> {
    let part = readme.split("## At 3 a.m.").nth(1).unwrap();
    let part = part.split("\n## ").next().unwrap();
    let blocks: Vec<_> = part.split("```sh\n").skip(1).collect();
    assert!(blocks.len() >= 7, "the recipes were found");
    blocks.iter().flat_map(|block| block.split("```").next().unwrap().lines()).collect()
}

#[test]
fn recipes_go_through_one_function_and_make_a_fresh_key_for_each_attempt() {
    let readme = text("README.md");
    let lines = recipes(&readme);
    let mut fresh = false;
    for line in &lines {
        let own = line.contains("api() {") || line.contains("127.0.0.1:8081/sandbox/");
        assert!(own || !line.contains("curl"), "not through the function: {line}");
        fresh |= line.starts_with("ATTEMPT=$(");
        if line.contains("Idempotency-Key") {
            assert!(std::mem::take(&mut fresh), "the key of another attempt: {line}");
            assert!(line.contains("\"Idempotency-Key: $ATTEMPT\""), "{line}");
        }
    }
    for needed in [r#""outcome": "moved""#, r#""outcome": "not_moved""#, r#""reference": ""#] {
        assert!(lines.iter().any(|line| line.contains(needed)), "no recipe has {needed}");
    }
    assert!(readme.contains("api /metrics | grep transfers_total\n"));
}

#[test]
fn no_file_holds_what_a_merge_left_behind() {
    let marker = |sign: &str| sign.repeat(7);
    let sides = [marker("<") + " ", marker("|") + " ", marker(">") + " "];
    let middle = marker("=");
    for path in files() {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let left = text.lines().enumerate().find(|(_, line)| {
            *line == middle || sides.iter().any(|side| line.starts_with(side.as_str()))
        });
        assert_eq!(left, None, "{}", path.display());
    }
}

/// Everything that is kept in the top folder. What `.gitignore` names may lie there, too.
const TOP: [&str; 20] = [
    ".cargo",
    ".ci",
    ".clippy.toml",
    ".deny.toml",
    ".dockerignore",
    ".env.example",
    ".gitignore",
    ".rustfmt.toml",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "Dockerfile",
    "LICENSE",
    "README.md",
    "benches",
    "config",
    "docker-compose.yml",
    "src",
    "tests",
];

#[test]
fn nothing_else_is_kept_in_the_top_folder() {
    // Git's own list: a file that is only downloaded is not kept, one that was added by mistake is.
    let listed = Command::new("git").current_dir(root()).args(["ls-files", "-z"]).output().unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let files = String::from_utf8(listed.stdout).unwrap();
    let top = files.split('\0').filter_map(|file| file.split('/').next());
    let kept: BTreeSet<&str> = top.filter(|name| !name.is_empty()).collect();
    let allowed: BTreeSet<&str> = TOP.into_iter().collect();
    assert_eq!(kept, allowed);
}
