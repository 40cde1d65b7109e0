//! The command: reads the command line and the settings, runs what was asked for, reports.

use std::process::ExitCode;

use genesys_transfer::{app::run, cli::Cli};

fn main() -> ExitCode {
    let cli = match Cli::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(exit) => return run::leave(&exit.text, exit.code),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return run::leave(&format!("the runtime cannot be started: {error}"), 1),
    };
    runtime.block_on(run::command(cli))
}
