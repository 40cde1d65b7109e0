//! Environment variables: `SECTION_KEY`, and `SECTION_KEY_FILE` for secrets.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use config::{Value, ValueKind};

use super::{
    auth::list,
    error::{ConfigError, one_line},
    files,
    keys::{self, API_KEYS, KEYS},
};

/// Most edits between a variable's name and a known one for it to count as misspelt.
const NEAR: usize = 2;

/// All variables by name.
pub(super) type Variables = BTreeMap<OsString, OsString>;

/// Where environment variables come from; tests bring their own.
pub trait Env {
    /// All variables by name, Unicode or not.
    fn variables(&self) -> BTreeMap<OsString, OsString>;
}

/// The environment of this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessEnv;

impl Env for ProcessEnv {
    fn variables(&self) -> Variables {
        std::env::vars_os().collect()
    }
}

impl<K: AsRef<OsStr>, V: AsRef<OsStr>> Env for BTreeMap<K, V> {
    fn variables(&self) -> Variables {
        self.iter().map(|(name, value)| (name.as_ref().into(), value.as_ref().into())).collect()
    }
}

/// The variable's value; an empty one counts as not set, as compose files and shells write
/// `VAR=` for "nothing".
fn variable<'a>(name: &str, variables: &'a Variables) -> Option<&'a OsStr> {
    variables.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
}

/// The path that the variable holds.
pub(super) fn path(name: &str, variables: &Variables) -> Option<PathBuf> {
    variable(name, variables).map(PathBuf::from)
}

/// The value of `key`, if a variable sets it.
pub(super) fn value(key: &str, variables: &Variables) -> Result<Option<Value>, ConfigError> {
    let name = keys::variable(key);
    let origin = format!("{name} in the environment");
    let inline = variable(&name, variables);
    let named = keys::file_variable(key)
        .and_then(|file_variable| Some((path(&file_variable, variables)?, file_variable)));
    let wrong = |origin: &str, why: String| ConfigError::new(key, origin, why);
    let (kind, origin) = match (inline, named) {
        (None, None) => return Ok(None),
        (Some(_), Some((_, file_variable))) => {
            let origin = format!("{name} and {file_variable} in the environment");
            return Err(wrong(&origin, "set one of the two, not both".to_owned()));
        }
        (Some(text), None) => {
            let text = text.to_str().ok_or_else(|| wrong(&origin, "is not Unicode text".into()))?;
            let kind = if key == API_KEYS {
                list::in_json(text).map_err(|why| wrong(&origin, why))?.into()
            } else {
                text.into()
            };
            (kind, origin)
        }
        (None, Some((path, file_variable))) => {
            let origin = format!("{} named by {file_variable}", path.display());
            let kind = in_file(key, &path).map_err(|why| wrong(&origin, why))?;
            (kind, origin)
        }
    };
    Ok(Some(Value::new(Some(&origin), kind)))
}

fn in_file(key: &str, path: &Path) -> Result<ValueKind, String> {
    if key == API_KEYS {
        return list::in_file(path).map(ValueKind::Array);
    }
    let text = files::text(path).map_err(|why| format!("the file {why}"))?;
    if text.trim().is_empty() { Err("the file is empty".to_owned()) } else { Ok(text.into()) }
}

/// Variables that look as if they were meant for the service but are not read, as warnings.
/// Not errors: other programs use the same environment.
pub(super) fn near_misses(variables: &Variables) -> Vec<String> {
    let mut known: Vec<String> = KEYS.iter().map(|key| keys::variable(key)).collect();
    known.extend(KEYS.iter().filter_map(|key| keys::file_variable(key)));
    known.push("CONFIG_FILE".to_owned());
    let names = variables.keys().filter_map(|name| name.to_str());
    let unknown = names.filter(|name| !known.iter().any(|known| known == name));
    unknown.filter_map(|name| warning(name, &known)).map(|line| one_line(&line)).collect()
}

fn warning(name: &str, known: &[String]) -> Option<String> {
    if let Some(base) = name.strip_suffix("_FILE")
        && known.iter().any(|known| known == base)
    {
        return Some(format!("{name} is not read: only secrets can come from a file; set {base}"));
    }
    let near = known.iter().find(|known| {
        name.len().abs_diff(known.len()) <= NEAR && strsim::damerau_levenshtein(name, known) <= NEAR
    })?;
    Some(format!("{name} is not read; did you mean {near}?"))
}
