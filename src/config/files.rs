//! Reading the files that operators write: settings, secrets, lists of callers, certificates.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
    time::Duration,
};

use config::{FileFormat, Format as _, Map, Value};
use tokio::{
    task::{JoinError, JoinHandle},
    time::timeout,
};

/// Longest file that is read; real ones, a list of callers or a long chain of certificates, are far
/// smaller.
const MAX_FILE: u64 = 1024 * 1024;

/// Longest that files may take to be read before it is said.
const READ_TIME: Duration = Duration::from_secs(5);

/// Values by name.
pub(super) type Table = Map<String, Value>;

/// What some editors put before a text in UTF-8.
const MARK: &str = "\u{feff}";

/// The text of the file at `path` without a byte order mark, or in words why there is none. Blocks.
pub(super) fn text(path: &Path) -> Result<String, String> {
    let text = String::from_utf8(bytes(path)?).map_err(|_| "is not UTF-8 text".to_owned())?;
    Ok(text.strip_prefix(MARK).map(str::to_owned).unwrap_or(text))
}

/// The PEM in the file at `path` without byte order marks, or in words why there is none. Several
/// files put together have a mark each. Blocks.
pub(super) fn pem(path: &Path) -> Result<Vec<u8>, String> {
    let bytes = bytes(path)?;
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let lines = lines.map(|line| line.strip_prefix(MARK.as_bytes()).unwrap_or(line));
    Ok(lines.flatten().copied().collect())
}

/// The PEM in the file at `path` without the byte order marks in it; `None` when there are none, or
/// the file cannot be read. Blocks.
#[must_use]
pub fn pem_without_mark(path: &Path) -> Option<Vec<u8>> {
    let (marked, clean) = (bytes(path).ok()?, pem(path).ok()?);
    (marked != clean).then_some(clean)
}

fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    let cannot = |error: io::Error| format!("cannot be read: {error}");
    // Opening a pipe would wait until something is written to it.
    if !fs::metadata(path).map_err(cannot)?.is_file() {
        return Err("is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
        .map_err(cannot)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err("is longer than 1 MiB".to_owned());
    }
    Ok(bytes)
}

/// The values of a TOML text, each with `origin`.
///
/// # Errors
/// In words without a part of the text, which may be a secret: of the parser's message the first
/// line, which names the place, and what follows the line that it shows.
pub(super) fn toml(text: &str, origin: Option<&String>) -> Result<Table, String> {
    FileFormat::Toml.parse(origin, text).map_err(|error| {
        let said = error.to_string();
        let mut lines = said.lines();
        let first = lines.next().unwrap_or_default();
        match (first.strip_prefix("TOML parse error at "), lines.nth(3)) {
            (Some(place), Some(what)) => format!("is not TOML: {what} ({place})"),
            (Some(place), None) => format!("is not TOML ({place})"),
            (None, _) => format!("is not TOML: {first}"),
        }
    })
}

/// Waits for `reading`, which reads files on a thread of its own. When that takes longer than 5 s,
/// `late` is called, once. A read that hangs cannot be ended, and another one would hang, too: so
/// there is never more than this one.
///
/// # Errors
/// When it panicked.
pub async fn read_in_time<T>(
    mut reading: JoinHandle<T>,
    late: impl FnOnce(),
) -> Result<T, JoinError> {
    if let Ok(read) = timeout(READ_TIME, &mut reading).await {
        return read;
    }
    late();
    reading.await
}
