//! What a large record costs: pages, memory, and getting up again after `kill -9`. Every row is a
//! transfer that the service made itself.

use hyper::Method;
use tokio::time::Instant;

use super::{
    Outcome,
    client::Caller,
    load::{self, Until, fresh_call, wish},
    memory::{hold, until_held},
    process::{Process, Site},
    scale::Scale,
    table::{Table, mib, ms, number, percentile},
};

/// Callers who fill the record.
const CALLERS: usize = 64;

/// Kinds of pages.
const PAGES: usize = 5;

/// Looks at one page; the older one counts.
const LOOKS: usize = 51;

pub(crate) async fn run(scale: &Scale) -> Outcome {
    let mut site = Site::new(100).await?;
    site.set("GENESYS_COMMAND_TIMEOUT", "2m");
    site.set("SERVER_DEADLINE", "3m");
    site.set("STORE_LEASE", "2s");
    let head = [
        "stored",
        "on the disk",
        "transfers/s so far",
        "memory",
        "newest 50",
        "by reference",
        "by call",
        "by status",
        "50 old ones",
        "killed with",
        "ready again",
        "memory then",
    ];
    let mut table = Table::new(&head);
    let (mut service, _) = site.start().await?;
    let mut stored = 0;
    let mut older = None;
    for &goal in scale.stored {
        let load = load::run(service.address, CALLERS, Until::Count(goal - stored)).await?;
        stored = goal;
        let mut cells = vec![
            number(u64::try_from(stored)?),
            mib(site.stored_bytes()? / 1024),
            format!("{:.0}", load.rate()),
            mib(service.resident()?),
        ];
        cells.extend(pages(&service, &mut older).await?);
        let resident;
        (service, resident) = kill(&site, service, scale.unsettled, &mut cells).await?;
        stored += scale.unsettled;
        cells.push(resident);
        table.row(&cells);
    }
    table.print();
    Ok(())
}

/// Times of pages as callers ask for them.
async fn pages(service: &Process, older: &mut Option<String>) -> Outcome<Vec<String>> {
    let mut caller = Caller::connect(service.address).await?;
    let newest = caller.get("/transfers?limit=1").await?;
    let newest: serde_json::Value = serde_json::from_slice(&newest)?;
    let word = |name: &str| {
        let value = newest.pointer(&format!("/items/0/{name}")).and_then(|value| value.as_str());
        value.unwrap_or_default().to_owned()
    };
    let mut paths = vec![
        "/transfers".to_owned(),
        format!("/transfers?reference={}", word("reference")),
        format!("/transfers?conversationId={}", word("conversationId")),
        "/transfers?status=accepted".to_owned(),
    ];
    // What were the newest ones at the size before.
    paths.extend(older.as_ref().map(|cursor| format!("/transfers?cursor={cursor}")));
    let page: serde_json::Value = serde_json::from_slice(&caller.get("/transfers").await?)?;
    let cursor = page.get("nextCursor").and_then(|value| value.as_str());
    *older = cursor.map(ToOwned::to_owned);
    let mut cells = Vec::new();
    for path in paths {
        let mut times = Vec::new();
        for _ in 0..LOOKS {
            let begun = Instant::now();
            caller.get(&path).await?;
            times.push(begun.elapsed());
        }
        cells.push(ms(percentile(&mut times, 50)));
    }
    cells.resize(PAGES, "–".to_owned());
    Ok(cells)
}

/// Kills the service while `count` commands wait for their answers, and starts it again.
async fn kill(
    site: &Site,
    service: Process,
    count: usize,
    cells: &mut Vec<String>,
) -> Outcome<(Process, String)> {
    hold(site, true).await?;
    for _ in 0..count {
        let mut caller = Caller::connect(service.address).await?;
        // Ends with the process it waits for.
        tokio::spawn(async move {
            let _ = caller.ask(Method::POST, "/transfers", &[], wish(&fresh_call())).await;
        });
    }
    until_held(site, count).await?;
    service.kill().await?;
    hold(site, false).await?;
    let (service, took) = site.start().await?;
    cells.extend([format!("{count} unsettled"), ms(took)]);
    let resident = mib(service.resident()?);
    Ok((service, resident))
}
