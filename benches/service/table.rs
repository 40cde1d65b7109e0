//! Figures as people read them, in tables that can be pasted into a README.

use std::time::Duration;

/// A table in Markdown.
pub(crate) struct Table(String);

impl Table {
    pub(crate) fn new(head: &[&str]) -> Self {
        let rule = vec!["---"; head.len()];
        let mut table = Self(String::new());
        table.line(&head.iter().map(ToString::to_string).collect::<Vec<_>>());
        table.line(&rule.iter().map(ToString::to_string).collect::<Vec<_>>());
        table
    }

    pub(crate) fn row(&mut self, cells: &[String]) {
        self.line(cells);
    }

    fn line(&mut self, cells: &[String]) {
        self.0.push_str("| ");
        self.0.push_str(&cells.join(" | "));
        self.0.push_str(" |\n");
    }

    pub(crate) fn print(&self) {
        print!("{}", self.0);
    }
}

/// A number in groups of three.
pub(crate) fn number(value: u64) -> String {
    let digits = value.to_string();
    let head = digits.len() % 3;
    let (first, rest) = digits.split_at(head);
    let groups = rest.as_bytes().chunks(3).map(String::from_utf8_lossy);
    let groups = (!first.is_empty()).then(|| first.into()).into_iter().chain(groups);
    groups.collect::<Vec<_>>().join(" ")
}

/// Milliseconds with two digits after the point.
pub(crate) fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

/// MiB from KiB.
pub(crate) fn mib(kib: u64) -> String {
    let tenths = kib * 10 / 1024;
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

/// The time that `percent` of all stay below; zero where there are none.
pub(crate) fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    let place = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(place).copied().unwrap_or_default()
}
