//! The number of files the process may have open, connections included.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the service needs beside its callers' connections: store, Genesys, logs.
const OWN: u64 = 256;

/// Raises the limit to what the system allows. The usual 1024 is there for programs of an older
/// kind; that many slow callers would keep all others out. Warns when it is too low for
/// `max_connections` all the same.
pub(super) fn raise_limit(max_connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::debug!(%error, "cannot raise the limit of open files");
        }
    }
    let needed = (max_connections as u64).saturating_add(OWN);
    // No number means no limit.
    if let Some(allowed) = getrlimit(Resource::Nofile).current.filter(|allowed| *allowed < needed) {
        tracing::warn!(
            allowed,
            needed,
            "the limit of open files is too low for server.max_connections; raise it (ulimit -n)"
        );
    }
}
