//! The layers of the configuration and their order. Merging is the `config` crate's; each value
//! carries its origin in words, for messages.

use std::path::{Path, PathBuf};

use config::{Map, Source, Value, ValueKind};

use super::{
    Args, Env,
    error::{ConfigError, ConfigErrors},
    files, keys,
};

mod environment;
mod file;
mod json;

/// Origin of the values of `config/default.toml`.
pub(super) const DEFAULT: &str = "default";

/// How the keys of `[genesys]` begin.
const GENESYS: &str = "genesys.";

/// Values of known keys from one origin.
#[derive(Clone, Default)]
struct Layer(Vec<(&'static str, Value)>);

impl Layer {
    fn without_genesys(mut self) -> Self {
        self.0.retain(|(key, _)| !key.starts_with(GENESYS));
        self
    }
}

impl std::fmt::Debug for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Names only: the values may be secrets.
        f.debug_list().entries(self.0.iter().map(|(key, _)| key)).finish()
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        Ok(self.0.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect())
    }
}

/// The merged values, and what was found wrong on the way.
pub(super) struct Merged {
    pub root: Value,
    pub file: Option<PathBuf>,
    pub errors: Vec<ConfigError>,
    pub warnings: Vec<String>,
}

/// Merges default file, the operator's file, environment and command line; the later wins.
///
/// # Errors
/// A file that cannot be read or is not TOML; nothing else can be said then.
pub(super) fn merge(args: &Args, env: &impl Env) -> Result<Merged, ConfigErrors> {
    let mut errors = Vec::new();
    let defaults = file::layer(super::DEFAULT_TOML, &file::Named::Default, &mut errors)?;
    let path = file_path(args, env);
    let given = match &path {
        Some((path, source)) => {
            let text = files::text(path).map_err(|why| {
                ConfigError::new(
                    "config file",
                    source.clone(),
                    format!("{}: {why}", path.display()),
                )
            })?;
            file::layer(&text, &file::Named::File(path), &mut errors)?
        }
        None => Layer::default(),
    };
    let variables = environment::layer(env, &mut errors);
    let (given, variables) = if args.sandbox_alone {
        errors.retain(|error| !error.key().starts_with(GENESYS));
        (given.without_genesys(), variables.without_genesys())
    } else {
        (given, variables)
    };
    let merged = config::Config::builder()
        .add_source(defaults)
        .add_source(given)
        .add_source(variables)
        .add_source(command_line(args))
        .build()
        // Layers cannot fail to be collected; the crate's own words could show a value.
        .map_err(|_| ConfigError::new("config file", DEFAULT, "the layers do not fit together"))?;
    Ok(Merged {
        root: merged.cache,
        file: path.map(|(path, _)| path),
        errors,
        warnings: environment::near_misses(env),
    })
}

/// `--config` wins over `CONFIG_FILE`; beside the path, who named it.
fn file_path(args: &Args, env: &impl Env) -> Option<(PathBuf, String)> {
    if let Some(path) = &args.config {
        return Some((path.clone(), "named by --config".to_owned()));
    }
    let path = env.var("CONFIG_FILE").filter(|path| !path.is_empty());
    path.map(|path| (PathBuf::from(path), "named by CONFIG_FILE".to_owned()))
}

fn command_line(args: &Args) -> Layer {
    let bind = args.sandbox_bind.as_ref().map(|bind| {
        let origin = "--bind on the command line".to_owned();
        ("sandbox.bind", Value::new(Some(&origin), ValueKind::String(bind.clone())))
    });
    Layer(bind.into_iter().collect())
}

/// The file named by `AUTH_API_KEYS_FILE`.
pub(super) fn api_keys_file(env: &impl Env) -> Option<PathBuf> {
    let variable = keys::Key::named(keys::API_KEYS)?.file_variable()?;
    env.var(&variable).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The list of callers' keys in a file of its own, or in words why there is none.
pub(super) fn api_keys_in(path: &Path, origin: &str) -> Result<Vec<Value>, String> {
    let text = files::text(path).map_err(|why| format!("the file {why}"))?;
    let list = file::list_from(path, &text, origin)?;
    if list.is_empty() {
        // Most likely cut short while it was written; it would lock everyone out.
        return Err("the list holds no caller".to_owned());
    }
    Ok(list)
}
