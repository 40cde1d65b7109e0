//! No file imports itself through others: what a file means can be read from it and from what lies
//! below it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Source, product};

/// A module's path from the crate's root.
type Path = Vec<String>;

fn module_of(source: &Source) -> Path {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let inside = source.path.strip_prefix(root).unwrap().with_extension("");
    inside.iter().map(|part| part.to_str().unwrap().to_owned()).collect()
}

/// The paths that the tree of a `use` stands for.
fn expand(prefix: &str, tree: &str, found: &mut Vec<String>) {
    let tree = tree.trim();
    let Some((head, rest)) = tree.split_once('{') else {
        let name = tree.split(" as ").next().unwrap_or_default().trim();
        found.push(format!("{prefix}{name}"));
        return;
    };
    let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
    let prefix = format!("{prefix}{}", head.trim());
    let (mut depth, mut start) = (0_i32, 0);
    for (at, letter) in inner.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&prefix, &inner[start..at], found);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !inner[start..].trim().is_empty() {
        expand(&prefix, &inner[start..], found);
    }
}

/// All paths that `code` names: those of its `use` items, and those it writes out.
fn paths(code: &str) -> Vec<Path> {
    let mut found = Vec::new();
    let mut rest = String::new();
    for (index, part) in code.split("use ").enumerate() {
        match part.split_once(';') {
            Some((tree, after)) if index > 0 && !tree.contains("fn ") => {
                expand("", tree, &mut found);
                rest.push_str(after);
            }
            _ => rest.push_str(part),
        }
    }
    let is_path = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
    found.extend(
        rest.split(|letter| !is_path(letter)).filter(|word| word.contains("::")).map(str::to_owned),
    );
    let split = |path: String| path.split("::").map(|word| word.trim().to_owned()).collect();
    found.into_iter().map(split).collect()
}

/// The module that `path`, as written in `here`, leads into.
fn resolve(path: &[String], here: &[String], modules: &BTreeSet<Path>) -> Option<Path> {
    let mut base = here.to_vec();
    let mut path = path;
    match path.first()?.as_str() {
        "crate" => {
            base.clear();
            path = &path[1..];
        }
        "self" => path = &path[1..],
        "super" => {
            while path.first().is_some_and(|word| word == "super") {
                base.pop();
                path = &path[1..];
            }
        }
        first => {
            let below: Path = [here, &[first.to_owned()]].concat();
            if !modules.contains(&below) {
                return None;
            }
        }
    }
    (0..=path.len())
        .rev()
        .map(|length| [&base[..], &path[..length]].concat())
        .find(|it| modules.contains(it))
}

#[test]
fn no_file_imports_itself_through_others() {
    let sources: BTreeMap<Path, Source> =
        product().into_iter().map(|source| (module_of(&source), source)).collect();
    let modules: BTreeSet<Path> = sources.keys().cloned().collect();
    // A module and what lies below it are one thing seen from outside.
    let related = |a: &Path, b: &Path| a.starts_with(b) || b.starts_with(a);
    let imports: BTreeMap<&Path, BTreeSet<Path>> = sources
        .iter()
        .map(|(here, source)| {
            let found = paths(&source.code);
            let used = found.iter().filter_map(|path| resolve(path, here, &modules));
            (here, used.filter(|used| !related(here, used)).collect())
        })
        .collect();
    assert!(imports.values().map(BTreeSet::len).sum::<usize>() > 300, "imports were found");

    // What imports nothing that is left cannot be on a circle.
    let mut left = imports;
    loop {
        let free: BTreeSet<Path> = left
            .iter()
            .filter(|(_, used)| used.is_empty())
            .map(|(path, _)| (*path).clone())
            .collect();
        if free.is_empty() {
            break;
        }
        left.retain(|path, _| !free.contains(*path));
        for used in left.values_mut() {
            used.retain(|path| !free.contains(path));
        }
    }
    let circles: Vec<String> = left
        .iter()
        .map(|(path, used)| {
            let used: Vec<_> = used.iter().map(|used| used.join("::")).collect();
            format!("{} -> {}", path.join("::"), used.join(", "))
        })
        .collect();
    assert_eq!(circles, Vec::<String>::new(), "files on circles, and those above them");
}
