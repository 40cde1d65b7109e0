//! The command: starts and reports, nothing else.

fn main() {}
