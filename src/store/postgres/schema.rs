//! Migrations of PostgreSQL, in transactions only: a pooler may give each of them another
//! connection, so neither a lock, a setting nor a prepared statement may outlive one.

use sqlx::{AssertSqlSafe, PgConnection, Row as _, migrate::Migration};
use tokio::time::Instant;

use super::super::{OpenError, migrations, session::Dialect};

/// Migrations may take longer than operations, and wait for those of another replica.
const BEGIN: &str = "BEGIN; SET LOCAL statement_timeout = '300s'; SET LOCAL lock_timeout = '60s'; \
    SELECT pg_advisory_xact_lock(7107104, 2)";

/// The layout of the driver that was used first, which databases have already.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS _sqlx_migrations (version BIGINT PRIMARY KEY, \
    description TEXT NOT NULL, installed_on TIMESTAMPTZ NOT NULL DEFAULT now(), \
    success BOOLEAN NOT NULL, checksum BYTEA NOT NULL, execution_time BIGINT NOT NULL)";

/// Brings the schema up to date. Of several replicas that start at once, one runs each step.
///
/// # Errors
/// When a step fails, or the database has seen one that is unknown here.
pub(super) async fn update(connection: &mut PgConnection) -> Result<(), OpenError> {
    let applied = applied(connection).await;
    let applied = applied.map_err(|error| OpenError::Schema(error.to_string()))?;
    for step in migrations::missing(Dialect::Postgres, &applied)? {
        let run = apply_once(connection, &step).await;
        run.map_err(|error| OpenError::Schema(format!("step {}: {error}", step.version)))?;
    }
    Ok(())
}

async fn run(connection: &mut PgConnection, sql: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(drop)
}

async fn applied(connection: &mut PgConnection) -> Result<Vec<(i64, Vec<u8>)>, sqlx::Error> {
    run(connection, format!("{BEGIN}; {TABLE}; COMMIT")).await?;
    let list = "SELECT version, checksum FROM _sqlx_migrations ORDER BY version";
    let rows = sqlx::raw_sql(list).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Runs `step`, unless another replica has done so.
async fn apply_once(connection: &mut PgConnection, step: &Migration) -> Result<(), sqlx::Error> {
    let began = Instant::now();
    run(connection, BEGIN.to_owned()).await?;
    let look = format!("SELECT 1 FROM _sqlx_migrations WHERE version = {}", step.version);
    let done = sqlx::raw_sql(AssertSqlSafe(look)).fetch_optional(&mut *connection).await?;
    if done.is_none() {
        sqlx::raw_sql(step.sql.clone()).execute(&mut *connection).await?;
        let note = "INSERT INTO _sqlx_migrations \
                    (version, description, success, checksum, execution_time) \
                    VALUES ($1, $2, TRUE, $3, $4)";
        sqlx::query(note)
            .persistent(false)
            .bind(step.version)
            .bind(&*step.description)
            .bind(&*step.checksum)
            .bind(i64::try_from(began.elapsed().as_nanos()).unwrap_or(i64::MAX))
            .execute(&mut *connection)
            .await?;
    }
    run(connection, "COMMIT".to_owned()).await
}
