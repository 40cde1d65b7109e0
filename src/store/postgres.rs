//! The record in PostgreSQL, shared by several processes.
//!
//! Every write is one transaction on a pooled connection; the frequent ones are one statement. Reads
//! need no transaction. Nothing waits for ever: the server ends statements, lock waits and idle
//! transactions by itself, and so does this side.
//!
//! A pooler such as `PgBouncer` may stand in between and give each transaction another connection.
//! Then nothing is left on a connection: settings are made anew in each transaction, and no
//! statement is prepared by name.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use sqlx::{
    Connection, PgConnection, PgPool, Row as _,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::{
    OPERATION_LIMIT, OpenError,
    backend::Backend,
    fault::{DbError, OperationError},
    migrations::VERSION,
    operations::DbOperation,
};
use crate::transfer::store::Durability;

mod lease;
mod place;
mod schema;
mod session;

use lease::Lease;
use place::PgAddress;
use session::PgSession;

/// Connections of one process.
const CONNECTIONS: u32 = 16;

/// Longest to wait for a connection; below [`OPERATION_LIMIT`], so that the cause is known.
const ACQUIRE: Duration = Duration::from_secs(4);

/// Longest a connection may take to begin a transaction before it is given up as dead.
const BEGIN: Duration = Duration::from_millis(1500);

/// How long a connection that answered is taken to be alive.
const ALIVE_FOR: Duration = Duration::from_secs(1);

/// How often an operation starts again, after a race or on another connection.
const TRIES: u32 = 20;

/// How long a starting process waits for a server that is starting, too.
const START_WAIT: Duration = Duration::from_secs(10);

/// How often a starting process looks which connections of the server serve its own.
const LOOKS: u32 = 5;

/// What every connection is told, or every transaction behind a pooler. A commit that the port calls
/// safe must be on the server's disk, even where the server's own default says otherwise; stricter
/// settings are left as they are.
/// Every statement of ours is served by an index in its order; without these settings a planner
/// with old figures may gather and sort all rows that match. They are prices so high that the server
/// would compile plans to machine code, which costs more time and memory than it ever saves here.
macro_rules! set_up {
    ($set:literal, $is_local:literal) => {
        concat!(
            $set,
            " statement_timeout = '4s'; ",
            $set,
            " lock_timeout = '3s'; ",
            $set,
            " idle_in_transaction_session_timeout = '10s'; ",
            $set,
            " enable_seqscan = off; ",
            $set,
            " enable_bitmapscan = off; ",
            $set,
            " enable_sort = off; ",
            $set,
            " jit = off; SELECT set_config('synchronous_commit', 'on', ",
            $is_local,
            ") WHERE current_setting('synchronous_commit') = 'off'"
        )
    };
}

/// How transactions begin.
struct Begin {
    /// One whose commit survives a loss of power.
    power: &'static str,
    /// One whose commit survives the process.
    process: &'static str,
    /// One that only reads; on a connection of our own that needs none.
    read: &'static str,
}

macro_rules! begin {
    ($set_up:expr) => {
        Begin {
            power: concat!("BEGIN ISOLATION LEVEL READ COMMITTED", $set_up),
            process: concat!(
                "BEGIN ISOLATION LEVEL READ COMMITTED",
                $set_up,
                "; SET LOCAL synchronous_commit = off"
            ),
            read: concat!("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY", $set_up),
        }
    };
}

/// On connections that were told everything when they were made.
const BEGIN_TOLD: Begin = begin!("");

/// Behind a pooler.
const BEGIN_POOLED: Begin = begin!(concat!("; ", set_up!("SET LOCAL", "true")));

/// An open database.
pub(super) struct Postgres {
    pool: PgPool,
    place: PgAddress,
    /// Whether a pooler gives each transaction another connection.
    pooled: bool,
    begin: Begin,
}

impl Postgres {
    /// Connects to what `url` names.
    pub(super) async fn open(url: &str) -> Result<Self, OpenError> {
        let place = PgAddress::parse(url)?;
        let pooled = prepare(&place).await?;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ACQUIRE)
            // The BEGIN is the test; a statement without one needs a connection that was alive a
            // moment ago.
            .test_before_acquire(false)
            .before_acquire(move |connection, seen| {
                Box::pin(async move {
                    let fresh = pooled || seen.idle_for < ALIVE_FOR;
                    Ok(fresh || matches!(timeout(BEGIN, connection.ping()).await, Ok(Ok(()))))
                })
            })
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    if !pooled {
                        sqlx::raw_sql(set_up!("SET", "false")).execute(connection).await?;
                    }
                    Ok(())
                })
            })
            .connect_lazy_with(place.options.clone());
        let begin = if pooled { BEGIN_POOLED } else { BEGIN_TOLD };
        Ok(Self { pool, place, pooled, begin })
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

    /// Tries to carry it out in one statement: one way to the server and back in place of three.
    /// `None`: it takes a transaction, which also finds out what came of a statement whose end was
    /// not seen.
    async fn at_once<O: DbOperation>(
        &self,
        operation: &O,
        committing: &AtomicBool,
    ) -> Result<Option<O::Output>, DbError> {
        let mut lease = Lease::new(self.pool.acquire().await?);
        let mut session = PgSession { connection: lease.connection()?, named: true };
        committing.store(true, Ordering::Relaxed);
        let done = operation.at_once(&mut session).await;
        if let Err(DbError::Postgres(error)) = &done
            && is_connection(error)
        {
            return Ok(None);
        }
        // The server has answered: either it is done, or certainly not.
        committing.store(false, Ordering::Relaxed);
        lease.keep();
        match done {
            Err(fault) if fault.is_own() || is_race(&fault) => Ok(None),
            done => done,
        }
    }

    /// Carries out what only reads, without a transaction around it: one way to the server and back
    /// for each statement.
    async fn plain<O: DbOperation>(&self, operation: &O) -> Result<O::Output, DbError> {
        let mut last = sqlx::Error::PoolTimedOut;
        for _ in 0..TRIES {
            let mut lease = Lease::new(self.pool.acquire().await?);
            let mut session = PgSession { connection: lease.connection()?, named: true };
            match operation.apply(&mut session).await {
                Err(DbError::Postgres(error)) if is_connection(&error) => last = error,
                done => {
                    lease.keep();
                    return done;
                }
            }
        }
        Err(last.into())
    }

    async fn transaction<O: DbOperation>(
        &self,
        operation: &O,
        begin: &'static str,
        committing: &AtomicBool,
    ) -> Result<O::Output, DbError> {
        for _ in 0..TRIES {
            let mut lease = self.lease(begin).await?;
            let mut session = PgSession { connection: lease.connection()?, named: !self.pooled };
            match operation.apply(&mut session).await {
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
        Err(DbError::Race)
    }

    fn words(&self, fault: &DbError) -> String {
        match fault {
            DbError::Postgres(error) => self.place.words(error),
            fault => fault.to_string(),
        }
    }
}

impl Backend for Postgres {
    const SHARED: bool = true;

    async fn write<O: DbOperation>(
        &self,
        operation: O,
        durability: Durability,
    ) -> Result<O::Output, OperationError> {
        let begin = match durability {
            Durability::Power => self.begin.power,
            Durability::Process => self.begin.process,
        };
        let committing = AtomicBool::new(false);
        let at_once = O::AT_ONCE && durability == Durability::Power && !self.pooled;
        let work = async {
            if at_once && let Some(output) = self.at_once(&operation, &committing).await? {
                return Ok(output);
            }
            self.transaction(&operation, begin, &committing).await
        };
        let cause = match timeout(OPERATION_LIMIT, work).await {
            Ok(Ok(output)) => return Ok(output),
            Ok(Err(fault)) => self.words(&fault),
            Err(_) => "the server did not answer in time".to_owned(),
        };
        let certain = !committing.load(Ordering::Relaxed);
        Err(OperationError { cause, certain })
    }

    async fn read<O: DbOperation>(&self, operation: O) -> Result<O::Output, OperationError> {
        let committing = AtomicBool::new(false);
        let work = async {
            if self.pooled {
                return self.transaction(&operation, self.begin.read, &committing).await;
            }
            self.plain(&operation).await
        };
        match timeout(OPERATION_LIMIT, work).await {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(fault)) => Err(OperationError::certain(self.words(&fault))),
            Err(_) => Err(OperationError::certain("the server did not answer in time")),
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
fn is_race(fault: &DbError) -> bool {
    match fault {
        DbError::Race => true,
        DbError::Postgres(sqlx::Error::Database(error)) => {
            error.code().is_some_and(|code| code == "40001" || code == "40P01")
        }
        _ => false,
    }
}

/// Brings the schema up to date; whether a pooler gives each transaction another connection.
async fn prepare(place: &PgAddress) -> Result<bool, OpenError> {
    let mut connection = first_connection(place).await?;
    let encoding = encoding(&mut connection).await.map_err(|error| refused(place, &error))?;
    if encoding != "UTF8" {
        return Err(OpenError::Encoding { place: place.shown(), encoding });
    }
    let pooled = match place.pooled {
        Some(pooled) => pooled,
        None => is_pooled(&mut connection, &place.options).await,
    };
    schema::update(&mut connection).await?;
    // Everything is committed; so it does not matter whether the server sees the end.
    drop(timeout(BEGIN, connection.close()).await);
    Ok(pooled)
}

/// Connects to what `url` names and changes nothing; host, port and database, and the newest
/// migration it has seen.
pub(super) async fn look(url: &str) -> Result<(String, Option<i64>), OpenError> {
    let place = PgAddress::parse(url)?;
    let mut connection = first_connection(&place).await?;
    let look = async {
        let table = "SELECT to_regclass('_sqlx_migrations') IS NOT NULL";
        let is_made: bool = sqlx::raw_sql(table).fetch_one(&mut connection).await?.try_get(0)?;
        let version = if is_made {
            sqlx::raw_sql(VERSION).fetch_one(&mut connection).await?.try_get(0)?
        } else {
            None
        };
        Ok((encoding(&mut connection).await?, version))
    };
    let looked = timeout(OPERATION_LIMIT, look).await.unwrap_or(Err(sqlx::Error::PoolTimedOut));
    let (encoding, version) = looked.map_err(|error| refused(&place, &error))?;
    if encoding != "UTF8" {
        return Err(OpenError::Encoding { place: place.shown(), encoding });
    }
    drop(timeout(BEGIN, connection.close()).await);
    Ok((place.shown(), version))
}

async fn encoding(connection: &mut PgConnection) -> Result<String, sqlx::Error> {
    sqlx::raw_sql("SHOW server_encoding").fetch_one(connection).await?.try_get(0)
}

/// Whether a pooler gives each transaction another connection to the server. Then two of our
/// connections are seen on one of the server's, or one of ours on two.
async fn is_pooled(one: &mut PgConnection, options: &PgConnectOptions) -> bool {
    let look = async {
        let mut other = PgConnection::connect_with(options).await?;
        let (mut of_one, mut of_other) = (BTreeSet::new(), BTreeSet::new());
        for _ in 0..LOOKS {
            of_one.insert(server_process(one).await?);
            of_other.insert(server_process(&mut other).await?);
        }
        let _ = other.close().await;
        Ok::<_, sqlx::Error>(of_one.len() > 1 || of_other.len() > 1 || of_one == of_other)
    };
    // A second connection that is not to be had tells nothing: the first one works.
    let pooled = matches!(timeout(ACQUIRE, look).await, Ok(Ok(true)));
    if pooled {
        tracing::info!(
            "store: detected a pooler in transaction mode, so statements are not prepared by \
             name; set ?pgbouncer=true in store.url to skip the detection"
        );
    }
    pooled
}

async fn server_process(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    sqlx::raw_sql("SELECT pg_backend_pid()").fetch_one(connection).await?.try_get(0)
}

async fn first_connection(place: &PgAddress) -> Result<PgConnection, OpenError> {
    let end = Instant::now() + START_WAIT;
    loop {
        let error = match timeout_at(end, PgConnection::connect_with(&place.options)).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => error,
            Err(_) => sqlx::Error::PoolTimedOut,
        };
        if !is_connection(&error) || Instant::now() >= end {
            return Err(refused(place, &error));
        }
        sleep(Duration::from_millis(250)).await;
    }
}

fn refused(place: &PgAddress, error: &sqlx::Error) -> OpenError {
    OpenError::Connect { place: place.shown(), cause: place.words(error) }
}
