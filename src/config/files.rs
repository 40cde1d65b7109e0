//! Reading the files that operators write: settings, secrets, lists of callers, certificates.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
};

/// Longest file that is read; real ones, a list of callers or a long chain of certificates, are far
/// smaller.
const MAX_FILE: u64 = 1024 * 1024;

/// What some editors put before a text in UTF-8.
const MARK: &str = "\u{feff}";

/// The text of the file at `path` without a byte order mark, or in words why there is none. Blocks.
pub(super) fn text(path: &Path) -> Result<String, String> {
    let text = String::from_utf8(bytes(path)?).map_err(|_| "is not UTF-8 text".to_owned())?;
    Ok(text.strip_prefix(MARK).map(str::to_owned).unwrap_or(text))
}

/// The PEM in the file at `path` without byte order marks, or in words why there is none. Several
/// files put together have a mark each. Blocks.
///
/// # Errors
/// In words that fit behind the path.
pub fn pem(path: &Path) -> Result<Vec<u8>, String> {
    let bytes = bytes(path)?;
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let lines = lines.map(|line| line.strip_prefix(MARK.as_bytes()).unwrap_or(line));
    Ok(lines.flatten().copied().collect())
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
