//! The file named by `AUTH_API_KEYS_FILE`, watched for changes.

use std::path::PathBuf;

use crate::config::{ApiKey, read_api_keys};

/// A file of callers, and what was last seen in it.
pub(super) struct KeyFile {
    path: PathBuf,
    callers: Vec<ApiKey>,
    complaint: Option<String>,
}

/// What a look at the file brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The same callers as before.
    None,
    /// Other callers than before.
    Keys(Vec<ApiKey>),
    /// It is unusable; with what is wrong, without secrets, when that was not said before.
    Broken(Option<String>),
}

impl KeyFile {
    /// The file at `path`, in which `callers` were found at the start.
    pub(super) fn new(path: PathBuf, callers: Vec<ApiKey>) -> Self {
        Self { path, callers, complaint: None }
    }

    /// Reads the file. By its content, not by its time: a mounted secret is swapped for a file
    /// that may be older, and two writes may fall into one tick of the file system's clock.
    pub(super) fn look(&mut self) -> Change {
        match read_api_keys(&self.path) {
            Ok(callers) => {
                self.complaint = None;
                if callers == self.callers {
                    return Change::None;
                }
                self.callers.clone_from(&callers);
                Change::Keys(callers)
            }
            Err(errors) => {
                let complaint = errors.to_string();
                let is_new = self.complaint.as_ref() != Some(&complaint);
                self.complaint = Some(complaint.clone());
                Change::Broken(is_new.then_some(complaint))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(caller: &str, digit: char) -> String {
        let hash = digit.to_string().repeat(64);
        format!("[[api_keys]]\ncaller = '{caller}'\nsha256 = ['{hash}']\npermissions = ['admin']\n")
    }

    struct Bench {
        dir: tempfile::TempDir,
        file: KeyFile,
    }

    impl Bench {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let file = KeyFile::new(dir.path().join("keys.toml"), Vec::new());
            let mut bench = Self { dir, file };
            bench.write(&text("crm", 'a'));
            assert!(matches!(bench.file.look(), Change::Keys(_)));
            bench
        }

        fn write(&mut self, text: &str) {
            std::fs::write(self.dir.path().join("keys.toml"), text).unwrap();
        }
    }

    #[test]
    fn an_unchanged_file_is_no_news() {
        let mut bench = Bench::new();
        assert_eq!(bench.file.look(), Change::None);
    }

    #[test]
    fn a_change_of_the_same_length_is_seen() {
        let mut bench = Bench::new();
        bench.write(&text("crm", 'b'));
        let Change::Keys(callers) = bench.file.look() else { panic!("no change") };
        assert_eq!(callers[0].sha256, [[0xbb; 32]]);
    }

    #[test]
    fn a_broken_file_is_complained_about_once_and_mended_without_news() {
        let mut bench = Bench::new();
        bench.write("[[api_keys]");
        assert!(matches!(bench.file.look(), Change::Broken(Some(_))));
        assert_eq!(bench.file.look(), Change::Broken(None));
        bench.write(&text("crm", 'a'));
        assert_eq!(bench.file.look(), Change::None);
        bench.write("[[api_keys]");
        assert!(matches!(bench.file.look(), Change::Broken(Some(_))));
    }

    #[test]
    fn a_file_that_is_gone_or_names_nobody_is_broken() {
        let mut bench = Bench::new();
        for nobody in ["", "api_keys = []", "[auth]\napi_keys = []", "[]"] {
            bench.write(nobody);
            assert!(matches!(bench.file.look(), Change::Broken(_)), "{nobody}");
        }
        std::fs::remove_file(bench.dir.path().join("keys.toml")).unwrap();
        assert!(matches!(bench.file.look(), Change::Broken(Some(_))));
    }

    #[test]
    fn a_complaint_shows_no_key() {
        let mut bench = Bench::new();
        bench.write("[[api_keys]]\ncaller = 'crm'\nsha256 = ['gxt_secret']\n");
        let Change::Broken(Some(why)) = bench.file.look() else { panic!("not broken") };
        assert!(!why.contains("gxt_secret"), "{why}");
    }
}
