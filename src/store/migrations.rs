//! The steps by which a database's schema comes up to date.

use sqlx::{
    SqlSafeStr,
    migrate::{Migration, MigrationType},
};

use super::{OpenError, session::Dialect};

macro_rules! texts {
    ($folder:literal: $($version:literal $name:literal $file:literal),+ $(,)?) => {
        [$(($version, $name, include_str!(concat!("migrations/", $folder, "/", $file)))),+]
    };
}

macro_rules! all {
    ($folder:literal) => {
        texts!($folder:
            1 "transfers" "0001_transfers.sql",
            2 "history indexes" "0002_history_indexes.sql",
            3 "batches" "0003_batches.sql",
            4 "shared rate" "0004_shared_rate.sql",
            5 "reapings" "0005_reapings.sql",
            6 "awaited" "0006_awaited.sql",
            7 "fewer indexes" "0007_fewer_indexes.sql",
            8 "settled indexes" "0008_settled_indexes.sql",
            9 "undo" "0009_undo.sql",
            10 "standing drains" "0010_standing_drains.sql",
        )
    };
}

/// All steps, oldest first. Their checksums are those of every released version.
fn all(dialect: Dialect) -> Vec<Migration> {
    let texts: [(i64, &str, &str); _] = match dialect {
        Dialect::Sqlite => all!("sqlite"),
        Dialect::Postgres => all!("postgres"),
    };
    let step = |(version, name, text): (i64, &'static str, &'static str)| {
        Migration::new(version, name.into(), MigrationType::Simple, text.into_sql_str(), false)
    };
    texts.into_iter().map(step).collect()
}

/// Asks for the newest migration a database has seen; fails where there is no such table.
pub(super) const VERSION: &str = "SELECT MAX(version) FROM _sqlx_migrations";

/// The version of the schema that all migrations together make.
pub(super) fn newest(dialect: Dialect) -> i64 {
    all(dialect).iter().map(|step| step.version).max().unwrap_or_default()
}

/// The steps that a database lacks which has seen `applied` (versions with their checksums), oldest
/// first.
///
/// # Errors
/// When it has seen one that is unknown here, or was another one.
pub(super) fn missing(
    dialect: Dialect,
    applied: &[(i64, Vec<u8>)],
) -> Result<Vec<Migration>, OpenError> {
    let mut steps = all(dialect);
    let known = steps.last().map(|step| step.version).unwrap_or_default();
    for (version, checksum) in applied {
        let step = steps.iter().find(|step| step.version == *version);
        let Some(step) = step else { return Err(OpenError::Newer { found: *version, known }) };
        if *step.checksum != **checksum {
            let changed = format!("step {version} was changed after it was applied");
            return Err(OpenError::Schema(changed));
        }
    }
    steps.retain(|step| applied.iter().all(|(version, _)| *version != step.version));
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    const BOTH: [(Dialect, &str); 2] =
        [(Dialect::Sqlite, "sqlite"), (Dialect::Postgres, "postgres")];

    #[test]
    fn every_file_is_run_whatever_the_database() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/migrations");
        for (dialect, name) in BOTH {
            let files = fs::read_dir(folder.join(name)).unwrap();
            let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
            let mut versions: Vec<i64> =
                names.map(|name| name.split('_').next().unwrap().parse().unwrap()).collect();
            versions.sort_unstable();
            let run: Vec<_> = all(dialect).iter().map(|one| one.version).collect();
            assert_eq!(run, versions, "{name}");
        }
    }

    /// A replica of the version before goes on with the statements it has.
    #[test]
    fn migrations_add_and_take_nothing_away() {
        for (dialect, name) in BOTH {
            for migration in &all(dialect) {
                let lines = migration.sql.as_str().lines().map(str::trim_start);
                for line in lines.filter(|line| !line.starts_with("--")).map(str::to_uppercase) {
                    let added = line.contains("ADD COLUMN") && !line.contains("DEFAULT");
                    let required = added && line.contains("NOT NULL");
                    // No process of another version has an SQLite file open meanwhile.
                    let index = dialect == Dialect::Sqlite && line.starts_with("DROP INDEX ");
                    let takes = ["DROP", "RENAME", "ALTER COLUMN", "UPDATE ", "DELETE FROM"];
                    let taken = !index && takes.iter().any(|word| line.contains(word));
                    assert!(!taken && !required, "{name} {}: {line}", migration.version);
                }
            }
        }
    }
}
