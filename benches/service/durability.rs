//! What it costs that nothing is lost: the same load on different stores. `BENCH_POSTGRES_URL`
//! names an empty PostgreSQL to compare as well.

use super::{
    Outcome,
    load::{self, Until},
    process::Site,
    scale::Scale,
    table::{Table, ms, percentile},
};

pub(crate) async fn run(scale: &Scale) -> Outcome {
    let mut table =
        Table::new(&["store", "callers", "transfers/s", "processor time each", "p50", "p99"]);
    let postgres = std::env::var("BENCH_POSTGRES_URL").ok();
    let stores = [
        ("SQLite, in memory: nothing kept", Some("sqlite::memory:")),
        ("SQLite, on the disk", None),
    ];
    let stores = stores.into_iter().chain(postgres.as_deref().map(|url| ("PostgreSQL", Some(url))));
    for (name, url) in stores {
        let mut site = Site::new(100).await?;
        if let Some(url) = url {
            site.set("STORE_URL", url);
        }
        let (service, _) = site.start().await?;
        load::run(service.address, 16, Until::Time(scale.load / 10)).await?;
        for &callers in scale.callers {
            let before = service.processor()?;
            let mut load = load::run(service.address, callers, Until::Time(scale.load)).await?;
            let used = service.processor()?.saturating_sub(before);
            table.row(&[
                name.to_owned(),
                callers.to_string(),
                format!("{:.0}", load.rate()),
                ms(used / load.count().max(1)),
                ms(percentile(&mut load.times, 50)),
                ms(percentile(&mut load.times, 99)),
            ]);
        }
    }
    table.print();
    Ok(())
}
