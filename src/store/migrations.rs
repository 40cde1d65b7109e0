//! Bringing a database's schema up to date.

use sqlx::{
    SqlSafeStr,
    migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator},
};

use super::{OpenError, session::Dialect};

macro_rules! texts {
    ($folder:literal) => {
        [
            (1, "transfers", include_str!(concat!("migrations/", $folder, "/0001_transfers.sql"))),
            (
                2,
                "history indexes",
                include_str!(concat!("migrations/", $folder, "/0002_history_indexes.sql")),
            ),
            (3, "batches", include_str!(concat!("migrations/", $folder, "/0003_batches.sql"))),
            (
                4,
                "shared rate",
                include_str!(concat!("migrations/", $folder, "/0004_shared_rate.sql")),
            ),
            (5, "reapings", include_str!(concat!("migrations/", $folder, "/0005_reapings.sql"))),
            (6, "awaited", include_str!(concat!("migrations/", $folder, "/0006_awaited.sql"))),
            (
                7,
                "fewer indexes",
                include_str!(concat!("migrations/", $folder, "/0007_fewer_indexes.sql")),
            ),
        ]
    };
}

fn all(dialect: Dialect) -> [(i64, &'static str, &'static str); 7] {
    match dialect {
        Dialect::Sqlite => texts!("sqlite"),
        Dialect::Postgres => texts!("postgres"),
    }
}

/// The statements of all migrations, in order, for a database that has seen none and ends with its
/// process.
pub(super) fn texts(dialect: Dialect) -> impl Iterator<Item = &'static str> {
    all(dialect).into_iter().map(|(_, _, text)| text)
}

fn migrator(dialect: Dialect) -> Migrator {
    let migrations = all(dialect)
        .into_iter()
        .map(|(version, name, text)| {
            let kind = MigrationType::Simple;
            Migration::new(version, name.into(), kind, text.into_sql_str(), false)
        })
        .collect();
    Migrator::with_migrations(migrations)
}

/// Asks for the newest migration a database has seen; fails where there is no such table.
pub(super) const VERSION: &str = "SELECT MAX(version) FROM _sqlx_migrations";

/// The version of the schema that all migrations together make.
pub(super) fn newest(dialect: Dialect) -> i64 {
    all(dialect).iter().map(|(version, ..)| *version).max().unwrap_or_default()
}

/// Runs the migrations the database has not seen, each in a transaction. Two processes that start
/// at once run them once (PostgreSQL: each transaction has a lock; SQLite: only one process has the
/// file).
pub(super) async fn run<C: Migrate>(dialect: Dialect, connection: &mut C) -> Result<(), OpenError> {
    let migrator = migrator(dialect);
    let known = migrator.iter().map(|migration| migration.version).max().unwrap_or_default();
    match migrator.run_direct(None, connection, false).await {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(found)) => Err(OpenError::Newer { found, known }),
        Err(error) => Err(OpenError::Schema(error.to_string())),
    }
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
            let run: Vec<_> = migrator(dialect).iter().map(|one| one.version).collect();
            assert_eq!(run, versions, "{name}");
        }
    }

    /// A replica of the version before goes on with the statements it has.
    #[test]
    fn migrations_add_and_take_nothing_away() {
        for (dialect, name) in BOTH {
            for migration in migrator(dialect).iter() {
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
