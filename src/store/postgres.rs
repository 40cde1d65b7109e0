//! The record in PostgreSQL, shared by several processes.
//!
//! Every operation is one transaction on a pooled connection. Nothing waits for ever: the server
//! ends statements, lock waits and idle transactions by itself, and so does this side.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use sqlx::{
    ConnectOptions, Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::{
    OPERATION_LIMIT, OpenError,
    backend::{Backend, Trouble},
    migrations,
    operations::{Fault, Operation},
    session::Dialect,
};
use crate::transfer::store::Durability;

mod lease;

use lease::Lease;

/// Connections of one process.
const CONNECTIONS: u32 = 16;

/// Longest to wait for a connection; below [`OPERATION_LIMIT`], so that the cause is known.
const ACQUIRE: Duration = Duration::from_secs(4);

/// Longest a connection may take to begin a transaction before it is given up as dead.
const BEGIN: Duration = Duration::from_millis(1500);

/// How often an operation starts again, after a race or on another connection.
const TRIES: u32 = 20;

/// How long a starting process waits for a server that is starting, too.
const START_WAIT: Duration = Duration::from_secs(10);

/// What every connection is told. A commit that the port calls safe must be on the server's disk,
/// even where the server's own default says otherwise; stricter settings are left as they are.
/// Every statement of ours is served by an index in its order; without these settings a planner
/// with old figures may gather and sort all rows that match. They are prices so high that the server
/// would compile plans to machine code, which costs more time and memory than it ever saves here.
const SET_UP: &str = "SET statement_timeout = '4s'; SET lock_timeout = '3s'; \
    SET idle_in_transaction_session_timeout = '10s'; \
    SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off; \
    SET jit = off; \
    SELECT set_config('synchronous_commit', 'on', false) \
    WHERE current_setting('synchronous_commit') = 'off'";

/// Migrations may take longer, and wait for those of another replica.
const SET_UP_MIGRATION: &str = "SET statement_timeout = '300s'; SET lock_timeout = '60s'";

/// An open database.
pub(super) struct Postgres {
    pool: PgPool,
}

impl Postgres {
    /// Connects to what `url` names.
    pub(super) async fn open(url: &str) -> Result<Self, OpenError> {
        // The driver's message may quote the URL, password and all.
        let options: PgConnectOptions =
            url.parse().map_err(|_| OpenError::Url("not a PostgreSQL URL".to_owned()))?;
        let options = options.application_name("genesys-transfer").disable_statement_logging();
        migrate(&options).await?;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ACQUIRE)
            // The BEGIN is the test.
            .test_before_acquire(false)
            .after_connect(|connection, _| {
                Box::pin(async move {
                    sqlx::raw_sql(SET_UP).execute(connection).await?;
                    Ok(())
                })
            })
            .connect_lazy_with(options);
        Ok(Self { pool })
    }

    async fn lease(&self, begin: &'static str) -> Result<Lease, sqlx::Error> {
        let mut last = sqlx::Error::PoolTimedOut;
        for _ in 0..TRIES {
            let mut lease = Lease::new(self.pool.acquire().await?);
            // A connection that died while it was idle shows it here, where another one can
            // still be taken.
            match timeout(BEGIN, sqlx::raw_sql(begin).execute(lease.connection()?)).await {
                Ok(Ok(_)) => return Ok(lease),
                Ok(Err(error)) if is_connection(&error) => last = error,
                Ok(Err(error)) => return Err(error),
                Err(_) => {}
            }
        }
        Err(last)
    }

    async fn transaction<O: Operation>(
        &self,
        operation: &O,
        begin: &'static str,
        committing: &AtomicBool,
    ) -> Result<O::Output, Fault> {
        for _ in 0..TRIES {
            let mut lease = self.lease(begin).await?;
            match operation.apply(lease.connection()?).await {
                Ok(output) => {
                    committing.store(true, Ordering::Relaxed);
                    sqlx::raw_sql("COMMIT").execute(lease.connection()?).await?;
                    lease.keep();
                    return Ok(output);
                }
                Err(fault) if is_race(&fault) => lease.roll_back().await,
                Err(fault) => {
                    if fault.is_own() {
                        lease.roll_back().await;
                    }
                    return Err(fault);
                }
            }
        }
        Err(Fault::Race)
    }
}

impl Backend for Postgres {
    const SHARED: bool = true;

    async fn write<O: Operation>(
        &self,
        operation: O,
        durability: Durability,
    ) -> Result<O::Output, Trouble> {
        let begin = match durability {
            Durability::Power => "BEGIN ISOLATION LEVEL READ COMMITTED",
            Durability::Process => {
                "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = off"
            }
        };
        let committing = AtomicBool::new(false);
        let transaction = self.transaction(&operation, begin, &committing);
        let cause = match timeout(OPERATION_LIMIT, transaction).await {
            Ok(Ok(output)) => return Ok(output),
            Ok(Err(fault)) => fault.to_string(),
            Err(_) => "the server did not answer in time".to_owned(),
        };
        let certain = !committing.load(Ordering::Relaxed);
        Err(Trouble { cause, certain })
    }

    async fn read<O: Operation>(&self, operation: O) -> Result<O::Output, Trouble> {
        let begin = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY";
        let committing = AtomicBool::new(false);
        let transaction = self.transaction(&operation, begin, &committing);
        match timeout(OPERATION_LIMIT, transaction).await {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(fault)) => Err(Trouble::certain(fault.to_string())),
            Err(_) => Err(Trouble::certain("the server did not answer in time")),
        }
    }
}

/// Whether the connection is at fault, not the statement.
fn is_connection(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Tls(_) => true,
        // Class 08, connection exceptions; 57P, the server stops or starts (PostgreSQL manual,
        // appendix A).
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| code.starts_with("08") || code.starts_with("57P"))
        }
        _ => false,
    }
}

/// Whether to start again at once: beaten by another transaction, or chosen to break a deadlock.
fn is_race(fault: &Fault) -> bool {
    match fault {
        Fault::Race => true,
        Fault::Database(sqlx::Error::Database(error)) => {
            error.code().is_some_and(|code| code == "40001" || code == "40P01")
        }
        _ => false,
    }
}

async fn migrate(options: &PgConnectOptions) -> Result<(), OpenError> {
    let mut connection = first_connection(options).await?;
    let set_up = sqlx::raw_sql(SET_UP_MIGRATION).execute(&mut connection).await;
    set_up.map_err(|error| refused(options, &error))?;
    migrations::run(Dialect::Postgres, &mut connection).await?;
    // Everything is committed; a farewell that is not heard does no harm.
    drop(timeout(BEGIN, connection.close()).await);
    Ok(())
}

async fn first_connection(options: &PgConnectOptions) -> Result<PgConnection, OpenError> {
    let end = Instant::now() + START_WAIT;
    loop {
        let error = match timeout_at(end, PgConnection::connect_with(options)).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => error,
            Err(_) => sqlx::Error::PoolTimedOut,
        };
        if !is_connection(&error) || Instant::now() >= end {
            return Err(refused(options, &error));
        }
        sleep(Duration::from_millis(250)).await;
    }
}

fn refused(options: &PgConnectOptions, error: &sqlx::Error) -> OpenError {
    let cause = match error {
        sqlx::Error::PoolTimedOut => "no answer in time".to_owned(),
        error => error.to_string(),
    };
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    let place = format!("{}:{}/{database}", options.get_host(), options.get_port());
    OpenError::Connect { place, cause }
}
