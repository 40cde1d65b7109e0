//! What every store must do: each test runs on SQLite and on PostgreSQL.

mod batches;
mod constraints;
mod history;
mod keys;
mod leases;
mod races;
mod records;
mod upkeep;

/// Makes a test for each database of each named function.
macro_rules! on_both_stores {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            use crate::support::store::Fixture;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name(Fixture::sqlite().await).await;
                }
            )+
        }

        mod postgres {
            use crate::support::store::Fixture;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name(Fixture::postgres().await).await;
                }
            )+
        }
    };
}
use on_both_stores;
