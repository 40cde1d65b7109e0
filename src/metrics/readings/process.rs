//! What the kernel says about this process; the names are those of Prometheus' own clients.

use std::fs;

use super::Sheet;

/// What one tick of the kernel's clock is to programs, on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Position of fields in `/proc/self/stat`, counted from the one after the program's name
/// (`state` in `proc_pid_stat(5)`).
const USER_TIME: usize = 11;
const SYSTEM_TIME: usize = 12;
const START_TIME: usize = 19;

/// Notes what there is to know; elsewhere than on Linux that is nothing.
pub(super) fn read(sheet: &Sheet) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = |key: &str| line(&status, key)?.trim_end_matches(" kB").parse::<f64>().ok();
    sheet.process(
        "process_resident_memory_bytes",
        "Resident memory.",
        kib("VmRSS:").map(|kib| kib * 1024.0),
    );
    sheet.process("process_threads", "Threads.", kib("Threads:"));
    sheet.process("process_open_fds", "Open file descriptors.", open_files());
    sheet.process("process_max_fds", "File descriptors that may be open.", most_files());
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    sheet.process_total("process_cpu_seconds_total", "Processor time used.", cpu(&stat));
    let help = "When the process started, in Unix time.";
    sheet.process("process_start_time_seconds", help, started(&stat));
}

/// What follows `key` on its line.
fn line<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(key)).map(str::trim)
}

fn open_files() -> Option<f64> {
    let open = fs::read_dir("/proc/self/fd").ok()?.count();
    // Less the one that was opened to count them.
    u32::try_from(open.saturating_sub(1)).ok().map(f64::from)
}

fn most_files() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    line(&limits, "Max open files")?.split_whitespace().next()?.parse().ok()
}

/// A field of `/proc/self/stat` in seconds. The name before the fields may hold blanks and
/// brackets, so they are counted from the last bracket.
fn seconds(stat: &str, field: usize) -> Option<f64> {
    let fields = stat.rsplit_once(')')?.1;
    let ticks: f64 = fields.split_whitespace().nth(field)?.parse().ok()?;
    Some(ticks / TICKS_PER_SECOND)
}

fn cpu(stat: &str) -> Option<f64> {
    Some(seconds(stat, USER_TIME)? + seconds(stat, SYSTEM_TIME)?)
}

fn started(stat: &str) -> Option<f64> {
    let kernel = fs::read_to_string("/proc/stat").ok()?;
    let booted: f64 = line(&kernel, "btime")?.parse().ok()?;
    Some(booted + seconds(stat, START_TIME)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_after_a_name_that_holds_brackets_and_blanks() {
        let stat = "42 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 1100 120 13 14 15 16 17 18 500 20";
        assert_eq!(cpu(stat), Some(12.2));
        assert_eq!(seconds(stat, START_TIME), Some(5.0));
        assert_eq!(cpu("nothing"), None);
    }

    #[test]
    fn this_process_has_memory_files_and_a_start() {
        let stat = fs::read_to_string("/proc/self/stat").unwrap();
        assert!(started(&stat).unwrap() > 1_700_000_000.0);
        assert!(open_files().unwrap() >= 3.0);
        assert!(most_files().unwrap() >= open_files().unwrap());
    }
}
