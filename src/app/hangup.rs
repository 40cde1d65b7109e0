//! SIGHUP: the log as it is configured.

use std::io;

use tokio::{
    signal::unix::{SignalKind, signal},
    task::spawn_blocking,
};

use crate::{
    config::{self, Args, ProcessEnv},
    telemetry::LogFilter,
};

/// From now on SIGHUP reads `telemetry.log_filter` again and puts it in force, whatever was put in
/// its place meanwhile. A configuration that became wrong changes nothing.
///
/// # Errors
/// When the signal cannot be received.
pub(super) fn follow(logs: LogFilter, args: Args) -> io::Result<()> {
    let mut hangups = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            let (logs, args) = (logs.clone(), args.clone());
            let reading = spawn_blocking(move || reread(&logs, &args));
            let late =
                || tracing::error!("SIGHUP: timed out while reading the configuration files");
            if config::read_in_time(reading, late).await.is_err() {
                tracing::error!("SIGHUP changes nothing: reading the configuration failed");
            }
        }
    });
    Ok(())
}

fn reread(logs: &LogFilter, args: &Args) {
    match config::log_filter(args, &ProcessEnv) {
        Ok(filter) => match logs.configure(&filter) {
            Ok(()) => tracing::info!(target: "audit", filter, "log filter reloaded (SIGHUP)"),
            Err(error) => tracing::error!(%error, "SIGHUP changes nothing"),
        },
        Err(errors) => tracing::error!(%errors, "SIGHUP changes nothing"),
    }
}
