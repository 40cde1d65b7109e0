//! `SECTION_KEY`, and `SECTION_KEY_FILE` for secrets.

use std::path::Path;

use config::{Value, ValueKind};

use super::{
    super::{
        Env,
        error::{ConfigError, one_line},
        files,
    },
    Layer, api_keys_in, json,
    keys::{API_KEYS, KEYS, Key},
};

/// Most edits between a variable's name and a known one for it to count as misspelt.
const NEAR: usize = 2;

/// The values of all keys that are set in `env`. What is wrong goes to `errors`.
pub(super) fn layer(env: &impl Env, errors: &mut Vec<ConfigError>) -> Layer {
    let mut layer = Layer::default();
    for key in KEYS {
        match value(*key, env) {
            Ok(Some(value)) => layer.0.push((key.name, value)),
            Ok(None) => {}
            Err(error) => errors.push(error),
        }
    }
    layer
}

fn value(key: Key, env: &impl Env) -> Result<Option<Value>, ConfigError> {
    let variable = key.variable();
    let inline = text(key, &variable, env)?;
    let from_file = match key.file_variable() {
        Some(name) => text(key, &name, env)?.map(|path| (name, path)),
        None => None,
    };
    match (inline, from_file) {
        (None, None) => Ok(None),
        (Some(text), None) => inline_value(key, &variable, text).map(Some),
        (None, Some((name, path))) => file_value(key, &name, Path::new(&path)).map(Some),
        (Some(_), Some((name, _))) => Err(ConfigError::new(
            key.name,
            format!("{variable} and {name} in the environment"),
            "set one of the two, not both",
        )),
    }
}

/// The variable's value; an empty one counts as not set, as compose files and shells write
/// `VAR=` for "nothing".
fn text(key: Key, variable: &str, env: &impl Env) -> Result<Option<String>, ConfigError> {
    let Some(value) = env.var(variable).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let text = value
        .into_string()
        .map_err(|_| ConfigError::new(key.name, in_environment(variable), "is not Unicode text"))?;
    Ok(Some(text))
}

fn in_environment(variable: &str) -> String {
    format!("{variable} in the environment")
}

fn inline_value(key: Key, variable: &str, text: String) -> Result<Value, ConfigError> {
    let origin = in_environment(variable);
    if key.name == API_KEYS {
        return json_list(&text, &origin).map_err(|why| ConfigError::new(key.name, origin, why));
    }
    Ok(Value::new(Some(&origin), ValueKind::String(text)))
}

fn json_list(text: &str, origin: &str) -> Result<Value, String> {
    let value = json::parse(text, origin).map_err(|why| format!("expected a JSON list: {why}"))?;
    match value.kind {
        ValueKind::Array(_) => Ok(value),
        _ => Err("expected a JSON list of callers".to_owned()),
    }
}

fn file_value(key: Key, variable: &str, path: &Path) -> Result<Value, ConfigError> {
    let origin = format!("{} named by {variable}", path.display());
    let wrong = |why: String| ConfigError::new(key.name, origin.clone(), why);
    if key.name == API_KEYS {
        let list = api_keys_in(path, &origin).map_err(wrong)?;
        return Ok(Value::new(Some(&origin), ValueKind::Array(list)));
    }
    let text = files::text(path).map_err(|why| wrong(format!("the file {why}")))?;
    if text.trim().is_empty() {
        return Err(wrong("the file is empty".to_owned()));
    }
    Ok(Value::new(Some(&origin), ValueKind::String(text)))
}

/// Variables that look as if they were meant for the service but are not read, as warnings.
/// Not errors: the environment is not ours alone.
pub(super) fn near_misses(env: &impl Env) -> Vec<String> {
    let mut known: Vec<String> = KEYS.iter().map(|key| key.variable()).collect();
    known.extend(KEYS.iter().filter_map(|key| key.file_variable()));
    known.push("CONFIG_FILE".to_owned());
    let mut names: Vec<String> =
        env.names().into_iter().filter_map(|name| name.into_string().ok()).collect();
    names.sort();
    names
        .iter()
        .filter(|name| !known.contains(name))
        .filter_map(|name| warning(name, &known))
        .collect()
}

fn warning(name: &str, known: &[String]) -> Option<String> {
    if let Some(base) = name.strip_suffix("_FILE")
        && known.iter().any(|known| known == base)
    {
        let line = format!("{name} is not read: only secrets can come from a file; set {base}");
        return Some(one_line(&line));
    }
    let near = known.iter().find(|known| {
        name.len().abs_diff(known.len()) <= NEAR && strsim::damerau_levenshtein(name, known) <= NEAR
    })?;
    Some(one_line(&format!("{name} is not read; did you mean {near}?")))
}
