//! What is particular to the store in an SQLite file.

mod disk;
mod file;
mod process;
mod schema;
