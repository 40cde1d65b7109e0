//! The machine that was measured.

use std::{fs, fs::File, io::Write as _, thread::available_parallelism};

use tokio::time::Instant;

use super::{
    Outcome, process,
    table::{ms, number, percentile},
};

/// One paragraph: what figures of another machine must be compared with.
pub(crate) fn text() -> Outcome<String> {
    let processor = field("/proc/cpuinfo", "model name");
    let memory = field("/proc/meminfo", "MemTotal");
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    Ok(format!(
        "{} cores ({processor}), {memory} of memory, Linux {}; writing 4 KiB to the disk and \
         waiting for it takes {} (median); the program has {} kB.",
        available_parallelism()?,
        kernel.trim(),
        ms(disk_write()?),
        number(process::program_bytes()? / 1000),
    ))
}

/// The value of the first line `name : value` of a file.
fn field(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_default().trim_matches([' ', '\t', ':']).to_owned()
}

/// What one durable write costs here: the floor of everything that is durable.
fn disk_write() -> Outcome<std::time::Duration> {
    let folder = process::folder()?;
    let mut file = File::create(folder.path().join("probe"))?;
    let mut times = Vec::new();
    for _ in 0..300 {
        let begun = Instant::now();
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        times.push(begun.elapsed());
    }
    Ok(percentile(&mut times, 50))
}
