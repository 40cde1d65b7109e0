//! Long queue lists: how long the first load takes, and what a name costs to find.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    Outcome,
    client::Caller,
    load::transfer,
    process::Site,
    scale::Scale,
    table::{Table, mib, ms, number, percentile},
};

/// Searches and transfers of one row.
const LOOKS: usize = 200;

pub(crate) async fn run(scale: &Scale) -> Outcome {
    let head =
        ["queues", "start to ready", "memory", "search by part of a name", "transfer by name, p50"];
    let mut table = Table::new(&head);
    for &queues in scale.queues {
        let site = Site::new(queues).await?;
        let (service, took) = site.start().await?;
        let resident = service.resident()?;
        let mut caller = Caller::connect(service.address).await?;
        let path = format!("/queues?name=eue%20{}", queues - 1);
        let (mut searches, mut transfers) = (Vec::new(), Vec::<Duration>::new());
        for _ in 0..LOOKS {
            let begun = Instant::now();
            caller.get(&path).await?;
            searches.push(begun.elapsed());
            let begun = Instant::now();
            transfer(&mut caller).await?;
            transfers.push(begun.elapsed());
        }
        table.row(&[
            number(u64::try_from(queues)?),
            ms(took),
            mib(resident),
            ms(percentile(&mut searches, 50)),
            ms(percentile(&mut transfers, 50)),
        ]);
    }
    table.print();
    Ok(())
}
