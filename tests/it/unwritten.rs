//! What is known in memory is told while the store cannot be written. Built with the feature
//! `failpoints`: the store is locked at the moment between the command's answer and its record.
#![cfg(feature = "failpoints")]

use genesys_transfer::failpoint::{Point, VARIABLE};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use crate::support::{
    process::{Process, Site, until},
    service::plain,
    sqlite::client,
};

/// Keeps a store from being written, but not from being read, until it is dropped.
enum Lock {
    Sqlite(rusqlite::Connection),
    Postgres(PgConnection),
}

impl Lock {
    async fn on(url: &str) -> Self {
        if url.starts_with("sqlite") {
            let connection = client(url);
            connection.execute_batch("BEGIN IMMEDIATE").unwrap();
            return Self::Sqlite(connection);
        }
        let mut connection = PgConnection::connect(url).await.unwrap();
        let lock = "BEGIN; LOCK TABLE transfers IN EXCLUSIVE MODE";
        sqlx::raw_sql(lock).execute(&mut connection).await.unwrap();
        Self::Postgres(connection)
    }

    async fn release(self) {
        match self {
            Self::Sqlite(connection) => drop(connection),
            Self::Postgres(connection) => connection.close().await.unwrap(),
        }
    }
}

/// The statuses of the transfers at `path`.
async fn statuses(process: &Process, path: &str) -> Vec<Value> {
    let page = process.get(path).await.json();
    page["items"].as_array().unwrap().iter().map(|one| one["status"].clone()).collect()
}

async fn lists_tell_what_is_known(site: Site) {
    // No heartbeat is half way when the process is stopped.
    let site = site.set("STORE_LEASE", "10m");
    let stop = format!("{}=stop", Point::BeforeOutcome.name());
    let process = site.try_start(&[(VARIABLE, &stop)]).await.unwrap();
    let body = json!({"transfers": [plain(site.call(), "Support Tier 2")]});
    let request = site.http().post(format!("http://{}/batches", process.address)).json(&body);
    let begun = tokio::spawn(async move { request.send().await.unwrap().json::<Value>().await });
    process.says("stopped at a failpoint").await;
    let lock = Lock::on(&site.settings()["STORE_URL"]).await;
    process.signal("CONT").await;
    let id = begun.await.unwrap().unwrap()["id"].as_str().unwrap().to_owned();

    until(|| async {
        (statuses(&process, "/transfers?status=accepted").await.len() == 1).then_some(())
    })
    .await;

    let none = Vec::<Value>::new();
    assert_eq!(statuses(&process, "/transfers?status=pending").await, none);
    assert_eq!(statuses(&process, "/transfers").await, [json!("accepted")]);
    let path = format!("/batches/{id}/transfers");
    assert_eq!(statuses(&process, &path).await, [json!("accepted")]);
    let counts = &process.get(&format!("/batches/{id}")).await.json()["counts"];
    assert_eq!((&counts["accepted"], &counts["pending"]), (&json!(1), &json!(0)));
    assert_eq!(process.get("/health/ready").await.status, 503);

    lock.release().await;
    until(|| async { (process.get("/health/ready").await.status == 200).then_some(()) }).await;
    assert_eq!(statuses(&process, "/transfers").await, [json!("accepted")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_tell_what_sqlite_could_not_be_told() {
    lists_tell_what_is_known(Site::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_tell_what_postgresql_could_not_be_told() {
    lists_tell_what_is_known(Site::postgres().await).await;
}
