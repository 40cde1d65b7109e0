//! The layers of the configuration, merged, and sections read from them. Each value carries its
//! origin in words, for messages, and none if it is a default.

use std::{
    collections::BTreeMap,
    mem,
    path::{Path, PathBuf},
};

use config::{Value, ValueKind};
use serde::de::DeserializeOwned;

use super::{
    Args, DEFAULT_TOML,
    environment::{self, Variables},
    error::{ConfigError, ConfigErrors},
    files::{self, Table, toml},
    keys::{self, KEYS, SECRETS},
};
use crate::support::closest;

/// Origin of the values of `config/default.toml`.
const DEFAULT: &str = "default";

/// Stands in messages where a key would, if the file as a whole is wrong.
const FILE: &str = "config file";

/// Values by `section.key`.
type Values = BTreeMap<String, Value>;

/// The merged values, and what was found wrong with them.
pub(super) struct Layers {
    values: Values,
    defaults: Values,
    pub errors: Vec<ConfigError>,
}

impl Layers {
    /// Merges default file, the operator's file, environment and command line; the later wins.
    ///
    /// # Errors
    /// A file that cannot be read or is not TOML; nothing else can be said then.
    pub(super) fn merge(args: &Args, variables: &Variables) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let defaults =
            toml(DEFAULT_TOML, None).map_err(|why| ConfigError::new(FILE, DEFAULT, why))?;
        let defaults = flatten(defaults, &mut errors);
        let mut values = defaults.clone();
        if let Some((path, named_by)) = file_path(args, variables) {
            let mut table = read_file(&path, named_by)?;
            if args.sandbox_alone {
                table.remove("genesys");
            }
            values.extend(flatten(table, &mut errors));
        }
        for key in KEYS.iter().filter(|key| !(args.sandbox_alone && key.starts_with("genesys."))) {
            match environment::value(key, variables) {
                Ok(value) => values.extend(value.map(|value| (key.clone(), value))),
                Err(error) => errors.push(error),
            }
        }
        if let Some(bind) = &args.sandbox_bind {
            let origin = "--bind on the command line".to_owned();
            values.insert("sandbox.bind".to_owned(), Value::new(Some(&origin), bind.as_str()));
        }
        for key in SECRETS {
            values.entry(key.to_owned()).and_modify(trim);
        }
        Ok(Self { values, defaults, errors })
    }

    /// The merged value of `key`.
    pub(super) fn value(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    /// The default of `key`.
    pub(super) fn default(&self, key: &str) -> Option<&Value> {
        self.defaults.get(key)
    }

    /// Where the value of `key` came from, in words.
    pub(super) fn origin(&self, key: &str) -> &str {
        self.value(key).map_or("not set", |value| value.origin().unwrap_or(DEFAULT))
    }

    pub(super) fn is_set(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// Whether the operator gave a value for `key`.
    pub(super) fn is_given(&self, key: &str) -> bool {
        self.value(key).is_some_and(|value| value.origin().is_some())
    }

    /// Keeps that `key` is wrong; each line of `message` is an error.
    pub(super) fn complain(&mut self, key: &str, message: impl AsRef<str>) {
        let origin = self.origin(key).to_owned();
        let lines = message.as_ref().lines();
        self.errors.extend(lines.map(|line| ConfigError::new(key, origin.as_str(), line)));
    }

    /// Complains about one of two keys that is set without the other.
    pub(super) fn require_both(&mut self, [one, two]: [&str; 2], why: impl Fn(&str) -> String) {
        for (key, other) in [(one, two), (two, one)] {
            if !self.is_set(key) && self.is_set(other) {
                self.complain(key, why(other));
            }
        }
    }

    /// `Ok` when nothing is wrong so far.
    pub(super) fn check(&mut self) -> Result<(), ConfigErrors> {
        let errors = mem::take(&mut self.errors);
        if errors.is_empty() { Ok(()) } else { Err(ConfigErrors(errors)) }
    }

    /// Reads the `wanted` keys of `section` as `T`. A wrong value is complained about, and its
    /// default stands in for it: so one run names everything that is wrong.
    ///
    /// # Errors
    /// All that is wrong so far, if there is no stand-in.
    pub(super) fn read<T: DeserializeOwned>(
        &mut self,
        section: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<T, ConfigErrors> {
        let prefix = format!("{section}.");
        let named = self.values.iter().filter_map(|(key, value)| {
            let name = key.strip_prefix(&prefix).filter(|name| wanted(name))?;
            Some((name.to_owned(), value.clone()))
        });
        let mut wrong = Vec::new();
        let read = read_table(
            named.collect(),
            |name| self.default(&(prefix.clone() + name)).cloned(),
            |name, message| wrong.push((prefix.clone() + name, message)),
        );
        wrong.sort_by_key(|(key, _)| keys::position(key));
        for (key, message) in wrong {
            self.complain(&key, message);
        }
        read.map_err(|why| {
            self.errors.push(ConfigError::new(section, DEFAULT, why));
            ConfigErrors(mem::take(&mut self.errors))
        })
    }
}

/// Reads `table` as `T`. What is wrong goes to `wrong`, name and message, and `stand_in` takes its
/// place.
///
/// # Errors
/// In words, when a stand-in is wrong, or `T` and the table have not the same names.
pub(super) fn read_table<T: DeserializeOwned>(
    mut table: Table,
    stand_in: impl Fn(&str) -> Option<Value>,
    mut wrong: impl FnMut(&str, String),
) -> Result<T, String> {
    for _ in 0..=table.len() {
        match Value::from(table.clone()).try_deserialize() {
            Ok(read) => return Ok(read),
            Err(config::ConfigError::At { error, key: Some(name), .. }) => {
                wrong(&name, error.to_string());
                table.remove(&name);
                table.extend(stand_in(&name).map(|value| (name, value)));
            }
            // About names only, so that nothing secret is shown.
            Err(error) => return Err(error.to_string()),
        }
    }
    Err("the defaults are wrong".to_owned())
}

/// `--config` wins over `CONFIG_FILE`; beside the path, what named it.
fn file_path(args: &Args, variables: &Variables) -> Option<(PathBuf, &'static str)> {
    let by_option = args.config.clone().map(|path| (path, "named by --config"));
    by_option
        .or_else(|| Some((environment::path("CONFIG_FILE", variables)?, "named by CONFIG_FILE")))
}

fn read_file(path: &Path, named_by: &str) -> Result<Table, ConfigError> {
    let shown = path.display().to_string();
    let text = files::text(path)
        .map_err(|why| ConfigError::new(FILE, named_by, format!("{shown}: {why}")))?;
    toml(&text, Some(&shown)).map_err(|why| ConfigError::new(FILE, shown, why))
}

/// The values of known keys. What is no key, or not the table or value that it has to be, goes to
/// `errors`.
fn flatten(sections: Table, errors: &mut Vec<ConfigError>) -> Values {
    let mut values = Values::new();
    // A table has no order of its own.
    for (section, table) in BTreeMap::from_iter(sections) {
        let is_known = KEYS.iter().any(|key| key.split('.').next() == Some(&section));
        let origin = table.origin().unwrap_or(DEFAULT).to_owned();
        match table.kind {
            ValueKind::Table(table) if is_known => {
                for (name, value) in BTreeMap::from_iter(table) {
                    let key = format!("{section}.{name}");
                    if !KEYS.contains(&key) {
                        errors.push(ConfigError::new(key.as_str(), &*origin, unknown(&key)));
                    } else if matches!(value.kind, ValueKind::Table(_)) {
                        let text = "expected a value, found a table";
                        errors.push(ConfigError::new(key, &*origin, text));
                    } else {
                        values.insert(key, value);
                    }
                }
            }
            _ if is_known => {
                errors.push(ConfigError::new(section, origin, "expected a table of keys"));
            }
            _ => errors.push(ConfigError::new(section.as_str(), origin, unknown(&section))),
        }
    }
    values
}

fn unknown(key: &str) -> String {
    match closest(key, KEYS.iter().map(String::as_str)) {
        Some(name) => format!("there is no such key; did you mean {name}?"),
        None => "there is no such key; `check-config` lists all keys".to_owned(),
    }
}

/// Leaves out what editors, shells and tools put around a secret, and says so beside its origin.
fn trim(secret: &mut Value) {
    let ValueKind::String(text) = &secret.kind else { return };
    let trimmed = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    // The last line of a PEM ends like the others.
    let ends = text.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text));
    let is_pem = trimmed.starts_with("-----BEGIN") && ends == Some(trimmed);
    if trimmed.len() < text.len() && !is_pem {
        let origin = secret.origin().unwrap_or(DEFAULT);
        let origin = format!("{origin}; surrounding spaces or line ends are removed");
        *secret = Value::new(Some(&origin), trimmed);
    }
}
