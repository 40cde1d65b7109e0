//! The command: reads the command line and the settings, runs what was asked for, reports.

use std::{process::ExitCode, time::Duration};

use genesys_transfer::{
    app::{exit, run},
    cli::Cli,
};

/// Longest wait at the end for threads that read files.
const LAST_BLOCKING: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let cli = match Cli::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(exit) => return exit::leave(&exit.text, exit.code),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::leave(&format!("the runtime cannot be started: {error}"), 1),
    };
    let code = runtime.block_on(run::command(cli));
    // All is recorded. A file system that does not answer must not keep the process.
    runtime.shutdown_timeout(LAST_BLOCKING);
    code
}
