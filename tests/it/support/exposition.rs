//! Prometheus' text format and expressions, as far as tests need them.

use std::collections::{BTreeMap, BTreeSet};

/// Names of metrics with the labels that any of their series has.
pub(crate) type Labels = BTreeMap<String, BTreeSet<String>>;

/// All samples: the series as it is written, and its value.
pub(crate) fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        (series.to_owned(), value.parse().unwrap())
    };
    lines.map(sample).collect()
}

/// The names that are exported, `_bucket` and the like included, and their labels.
pub(crate) fn exported(text: &str) -> Labels {
    let mut all = Labels::new();
    for series in samples(text).into_keys() {
        let (name, labels) = series.split_once('{').unwrap_or((&series, ""));
        let names = labels.split(',').filter_map(|pair| pair.split_once('='));
        all.entry(name.to_owned()).or_default().extend(names.map(|(label, _)| label.to_owned()));
    }
    all
}

/// The families that are exported: what `# TYPE` names.
pub(crate) fn families(text: &str) -> BTreeSet<String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

/// The metrics an expression names, each with the labels it is asked for by.
pub(crate) fn used(expression: &str) -> Labels {
    let mut all = Labels::new();
    let mut rest = expression;
    while let Some(start) = rest.find(is_word) {
        let word: String = rest[start..].chars().take_while(|c| is_word(*c)).collect();
        rest = &rest[start + word.len()..];
        if !["genesys_transfer_", "process_"].iter().any(|prefix| word.starts_with(prefix)) {
            continue;
        }
        let labels = all.entry(word).or_default();
        if let Some((inside, after)) = rest.strip_prefix('{').and_then(|text| text.split_once('}'))
        {
            let pairs = inside.split(',').filter_map(|pair| pair.split_once(['=', '!']));
            labels.extend(pairs.map(|(label, _)| label.trim().to_owned()));
            rest = after;
        }
    }
    all
}

/// The labels an expression groups by.
pub(crate) fn grouped(expression: &str) -> BTreeSet<String> {
    let lists = expression.split("by (").skip(1).filter_map(|after| after.split(')').next());
    lists.flat_map(|list| list.split(',')).map(|label| label.trim().to_owned()).collect()
}

fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_' || letter == ':'
}
