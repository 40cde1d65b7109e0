//! Migrations of PostgreSQL, in transactions only: a pooler may give each of them another
//! connection, so neither a lock, a setting nor a prepared statement may outlive one.

use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::{
    AssertSqlSafe, PgConnection, Row as _,
    migrate::{AppliedMigration, Migrate, MigrateError, Migration},
};
use tokio::time::Instant;

/// Migrations may take longer than operations, and wait for those of another replica.
const BEGIN: &str = "BEGIN; SET LOCAL statement_timeout = '300s'; SET LOCAL lock_timeout = '60s'; \
    SELECT pg_advisory_xact_lock(7107104, 2)";

/// A connection whose schema is brought up to date.
pub(super) struct Schema<'a>(pub(super) &'a mut PgConnection);

impl Schema<'_> {
    async fn run(&mut self, sql: String) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *self.0).await.map(drop)
    }

    /// Runs `migration`, unless another replica has done so.
    async fn apply_once(&mut self, table: &str, migration: &Migration) -> Result<(), MigrateError> {
        let (start, version) = (Instant::now(), migration.version);
        self.run(BEGIN.to_owned()).await?;
        let look = format!("SELECT 1 FROM {table} WHERE version = {version}");
        let done = sqlx::raw_sql(AssertSqlSafe(look)).fetch_optional(&mut *self.0).await?;
        if done.is_none() {
            sqlx::raw_sql(migration.sql.clone())
                .execute(&mut *self.0)
                .await
                .map_err(|error| MigrateError::ExecuteMigration(error, version))?;
            let insert = format!(
                "INSERT INTO {table} (version, description, success, checksum, execution_time) \
                 VALUES ($1, $2, TRUE, $3, $4)"
            );
            sqlx::query(AssertSqlSafe(insert))
                .persistent(false)
                .bind(version)
                .bind(&*migration.description)
                .bind(&*migration.checksum)
                .bind(i64::try_from(start.elapsed().as_nanos()).unwrap_or(i64::MAX))
                .execute(&mut *self.0)
                .await?;
        }
        Ok(self.run("COMMIT".to_owned()).await?)
    }
}

impl Migrate for Schema<'_> {
    fn create_schema_if_not_exists<'e>(
        &'e mut self,
        name: &'e str,
    ) -> BoxFuture<'e, Result<(), MigrateError>> {
        Box::pin(async { Err(MigrateError::CreateSchemasNotSupported(name.to_owned())) })
    }

    fn ensure_migrations_table<'e>(
        &'e mut self,
        table: &'e str,
    ) -> BoxFuture<'e, Result<(), MigrateError>> {
        Box::pin(async move {
            // The driver's own layout, which databases have already.
            let sql = format!(
                "{BEGIN}; CREATE TABLE IF NOT EXISTS {table} (version BIGINT PRIMARY KEY, \
                 description TEXT NOT NULL, installed_on TIMESTAMPTZ NOT NULL DEFAULT now(), \
                 success BOOLEAN NOT NULL, checksum BYTEA NOT NULL, execution_time BIGINT NOT NULL); \
                 COMMIT"
            );
            Ok(self.run(sql).await?)
        })
    }

    fn dirty_version<'e>(
        &'e mut self,
        _: &'e str,
    ) -> BoxFuture<'e, Result<Option<i64>, MigrateError>> {
        // A migration and its row are one transaction.
        Box::pin(async { Ok(None) })
    }

    fn list_applied_migrations<'e>(
        &'e mut self,
        table: &'e str,
    ) -> BoxFuture<'e, Result<Vec<AppliedMigration>, MigrateError>> {
        Box::pin(async move {
            let list = format!("SELECT version, checksum FROM {table} ORDER BY version");
            let rows = sqlx::raw_sql(AssertSqlSafe(list)).fetch_all(&mut *self.0).await?;
            let applied = rows.iter().map(|row| {
                let checksum = row.try_get::<Vec<u8>, _>(1)?.into();
                Ok(AppliedMigration { version: row.try_get(0)?, checksum })
            });
            Ok(applied.collect::<Result<_, sqlx::Error>>()?)
        })
    }

    // Each transaction has the lock for itself.
    fn lock(&mut self) -> BoxFuture<'_, Result<(), MigrateError>> {
        Box::pin(async { Ok(()) })
    }

    fn unlock(&mut self) -> BoxFuture<'_, Result<(), MigrateError>> {
        Box::pin(async { Ok(()) })
    }

    fn apply<'e>(
        &'e mut self,
        table: &'e str,
        migration: &'e Migration,
    ) -> BoxFuture<'e, Result<Duration, MigrateError>> {
        Box::pin(async move {
            let start = Instant::now();
            self.apply_once(table, migration).await?;
            Ok(start.elapsed())
        })
    }

    fn revert<'e>(
        &'e mut self,
        _: &'e str,
        migration: &'e Migration,
    ) -> BoxFuture<'e, Result<Duration, MigrateError>> {
        Box::pin(async { Err(MigrateError::VersionNotPresent(migration.version)) })
    }
}
