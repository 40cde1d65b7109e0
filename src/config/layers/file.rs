//! TOML files: `config/default.toml`, the operator's file, a file of callers' keys.

use std::{borrow::Cow, path::Path};

use config::{Map, Value, ValueKind};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{super::error::ConfigError, DEFAULT, Layer, json, keys};

/// Which file a text came from.
pub(super) enum Named<'a> {
    /// The one built in.
    Default,
    /// The operator's.
    File(&'a Path),
}

/// A text with its name, for origins of the form `path:line`.
struct Text<'a> {
    named: &'a Named<'a>,
    text: &'a str,
}

impl Text<'_> {
    fn origin(&self, offset: usize) -> String {
        match self.named {
            Named::Default => DEFAULT.to_owned(),
            Named::File(path) => {
                let before = self.text.get(..offset).unwrap_or_default();
                let line = before.matches('\n').count() + 1;
                format!("{}:{line}", path.display())
            }
        }
    }

    fn table(&self) -> Result<DeTable<'_>, ConfigError> {
        DeTable::parse(self.text).map(Spanned::into_inner).map_err(|error| {
            // Only the parser's own words: its `Display` shows the line, which may hold a secret.
            let offset = error.span().map_or(0, |span| span.start);
            let message = format!("is not TOML: {}", error.message());
            ConfigError::new("config file", self.origin(offset), message)
        })
    }
}

/// The values of a TOML text. Unknown keys go to `errors`.
///
/// # Errors
/// The text is not TOML.
pub(super) fn layer(
    text: &str,
    named: &Named<'_>,
    errors: &mut Vec<ConfigError>,
) -> Result<Layer, ConfigError> {
    let text = Text { named, text };
    let mut layer = Layer::default();
    collect(&text, "", &text.table()?, &mut layer, errors);
    Ok(layer)
}

fn collect(
    text: &Text<'_>,
    prefix: &str,
    table: &DeTable<'_>,
    layer: &mut Layer,
    errors: &mut Vec<ConfigError>,
) {
    for (name, value) in table {
        let path = join(prefix, name.get_ref());
        let origin = text.origin(name.span().start);
        match (keys::Key::named(&path), value.get_ref()) {
            (Some(_), DeValue::Table(_)) => {
                errors.push(ConfigError::new(path, origin, "expected a value, found a table"));
            }
            (Some(key), value) => layer.0.push((key.name, convert(value, &origin))),
            (None, DeValue::Table(inner)) if keys::is_section(&path) => {
                collect(text, &path, inner, layer, errors);
            }
            (None, _) if keys::is_section(&path) => {
                errors.push(ConfigError::new(path, origin, "expected a table of keys"));
            }
            (None, _) => errors.push(ConfigError::new(path.clone(), origin, unknown(&path))),
        }
    }
}

fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

fn unknown(path: &str) -> String {
    match keys::closest(path, keys::KEYS.iter().map(|key| key.name)) {
        Some(name) => format!("there is no such key; did you mean {name}?"),
        None => "there is no such key; `check-config` lists all keys".to_owned(),
    }
}

fn convert(value: &DeValue<'_>, origin: &str) -> Value {
    let kind = match value {
        DeValue::String(text) => ValueKind::String(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| ValueKind::String(number.as_str().to_owned()), ValueKind::I64),
        DeValue::Float(number) => {
            number.as_str().parse().map_or(ValueKind::Float(f64::NAN), ValueKind::Float)
        }
        DeValue::Boolean(flag) => ValueKind::Boolean(*flag),
        DeValue::Datetime(time) => ValueKind::String(time.to_string()),
        DeValue::Array(items) => {
            ValueKind::Array(items.iter().map(|item| convert(item.get_ref(), origin)).collect())
        }
        DeValue::Table(table) => ValueKind::Table(entries(table, origin)),
    };
    Value::new(Some(&origin.to_owned()), kind)
}

fn entries(table: &DeTable<'_>, origin: &str) -> Map<String, Value> {
    table
        .iter()
        .map(|(name, value)| (name.get_ref().to_string(), convert(value.get_ref(), origin)))
        .collect()
}

/// The list of callers' keys in a file of its own: JSON (the list, or an object with
/// `api_keys`) or TOML (`[[api_keys]]`, or `[[auth.api_keys]]` as in the configuration).
///
/// # Errors
/// In words, when the text is neither or holds no such list.
pub(super) fn list_from(path: &Path, text: &str, origin: &str) -> Result<Vec<Value>, String> {
    let document = if is_json(path, text) {
        json::parse(text, origin)?
    } else {
        let text = Text { named: &Named::File(path), text };
        let table = text.table().map_err(|error| error.to_string())?;
        Value::new(Some(&origin.to_owned()), ValueKind::Table(entries(&table, origin)))
    };
    find_list(document)
        .ok_or_else(|| "expected a JSON list, or `api_keys` as a list in JSON or TOML".to_owned())
}

fn is_json(path: &Path, text: &str) -> bool {
    match path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase()) {
        Some(extension) if extension == "json" => true,
        Some(extension) if extension == "toml" => false,
        // A mounted secret often has no extension. A TOML document may start with `[[`, a list
        // of callers in JSON never does.
        _ => {
            let compact: Cow<'_, str> =
                text.chars().filter(|c| !c.is_whitespace()).take(2).collect();
            compact.starts_with('{')
                || (compact.starts_with('[') && matches!(&*compact, "[{" | "[]"))
        }
    }
}

fn find_list(document: Value) -> Option<Vec<Value>> {
    match document.kind {
        ValueKind::Array(list) => Some(list),
        ValueKind::Table(mut table) => match table.remove("api_keys") {
            Some(list) => find_list(list),
            None => find_list(table.remove("auth")?),
        },
        _ => None,
    }
}
