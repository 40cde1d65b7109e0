//! What is particular to the store in PostgreSQL.

mod outage;
mod plans;
mod pooler;
mod schema;
