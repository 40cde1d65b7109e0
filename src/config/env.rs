//! The environment as a value, so that tests bring their own.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
};

/// Where environment variables are looked up.
pub trait Env {
    /// The variable's value, Unicode or not; `None` when it is not set.
    fn var(&self, name: &str) -> Option<OsString>;

    /// The names of all variables, to find misspelt ones.
    fn names(&self) -> Vec<OsString>;
}

/// The environment of this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessEnv;

impl Env for ProcessEnv {
    fn var(&self, name: &str) -> Option<OsString> {
        std::env::var_os(name)
    }

    fn names(&self) -> Vec<OsString> {
        std::env::vars_os().map(|(name, _)| name).collect()
    }
}

/// An environment given as a map; for tests.
impl<K: Ord + AsRef<str> + std::borrow::Borrow<str>, V: AsRef<OsStr>> Env for BTreeMap<K, V> {
    fn var(&self, name: &str) -> Option<OsString> {
        self.get(name).map(|value| value.as_ref().to_owned())
    }

    fn names(&self) -> Vec<OsString> {
        self.keys().map(|name| OsString::from(AsRef::<str>::as_ref(name))).collect()
    }
}
