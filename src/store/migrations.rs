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
        ]
    };
}

fn all(dialect: Dialect) -> [(i64, &'static str, &'static str); 4] {
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

/// Runs the migrations the database has not seen, each in a transaction. Two processes that start
/// at once run them once (PostgreSQL: advisory lock; SQLite: only one process has the file).
pub(super) async fn run<C: Migrate>(dialect: Dialect, connection: &mut C) -> Result<(), OpenError> {
    let migrator = migrator(dialect);
    let known = migrator.iter().map(|migration| migration.version).max().unwrap_or_default();
    match migrator.run_direct(None, connection, false).await {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(found)) => Err(OpenError::Newer { found, known }),
        Err(error) => Err(OpenError::Schema(error.to_string())),
    }
}
