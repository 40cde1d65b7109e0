//! Panics as log lines.

use std::{any::Any, panic, thread};

/// From now on a panic is one log line with its place. Its message is kept only when it is a
/// literal of the program: one put together at run time may hold anything.
pub(super) fn log() {
    panic::set_hook(Box::new(|info| {
        let location = info.location().map(ToString::to_string).unwrap_or_default();
        let thread = thread::current();
        tracing::error!(
            target: "panic",
            location,
            thread = thread.name().unwrap_or("unnamed"),
            "{}", literal(info.payload())
        );
    }));
}

/// The message of a panic, when it cannot hold a value of the run.
pub(super) fn literal(payload: &(dyn Any + Send)) -> &'static str {
    payload.downcast_ref::<&'static str>().copied().unwrap_or("panicked; the message is withheld")
}
