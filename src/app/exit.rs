//! How a process ends before it serves: a text and an exit code.

use std::{io::Write as _, process::ExitCode};

use crate::config::ConfigErrors;

/// Prints `text` where it belongs for `code` and gives the code back.
#[must_use]
pub fn leave(text: &str, code: u8) -> ExitCode {
    // Nothing can be done about a standard stream that is closed.
    let _ = if code == 0 {
        writeln!(std::io::stdout(), "{}", text.trim_end())
    } else {
        writeln!(std::io::stderr(), "{}", text.trim_end())
    };
    ExitCode::from(code)
}

/// Prints what is wrong with the configuration, and gives its exit code back.
pub(super) fn misconfigured(errors: &ConfigErrors) -> ExitCode {
    leave(&errors.to_string(), ConfigErrors::EXIT_CODE)
}
