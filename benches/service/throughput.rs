//! How many transfers a second there can be, and what each costs in processor time. All three
//! processes share the cores, so the rate is a lower bound; the processor time is the service's own.

use super::{
    Outcome,
    load::{self, Until},
    process::Site,
    scale::Scale,
    table::{Table, mib, ms, percentile},
};

pub(crate) async fn run(scale: &Scale) -> Outcome {
    let site = Site::new(100).await?;
    let (service, _) = site.start().await?;
    load::run(service.address, 16, Until::Time(scale.load / 10)).await?;
    let mut table =
        Table::new(&["callers", "transfers/s", "processor time each", "p50", "p99", "memory"]);
    for &callers in scale.callers {
        let before = service.processor()?;
        let mut load = load::run(service.address, callers, Until::Time(scale.load)).await?;
        let used = service.processor()?.saturating_sub(before);
        table.row(&[
            callers.to_string(),
            format!("{:.0}", load.rate()),
            ms(used / load.count().max(1)),
            ms(percentile(&mut load.times, 50)),
            ms(percentile(&mut load.times, 99)),
            mib(service.resident()?),
        ]);
    }
    table.print();
    Ok(())
}
