//! From the start of the process to its first "ready".

use super::{
    Outcome,
    process::Site,
    scale::Scale,
    table::{Table, mib, ms, percentile},
};

pub(crate) async fn run(scale: &Scale) -> Outcome {
    let site = Site::new(100).await?;
    let (mut times, mut resident) = (Vec::new(), 0);
    for _ in 0..scale.starts {
        let (service, took) = site.start().await?;
        resident = service.resident()?;
        times.push(took);
        service.kill().await?;
    }
    let mut table = Table::new(&["start to ready", "fastest", "median", "slowest", "memory then"]);
    table.row(&[
        format!("{} starts", scale.starts),
        ms(percentile(&mut times, 0)),
        ms(percentile(&mut times, 50)),
        ms(percentile(&mut times, 100)),
        mib(resident),
    ]);
    table.print();
    Ok(())
}
