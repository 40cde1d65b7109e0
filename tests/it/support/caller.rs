//! A careful client: the same request with the same key until the answer is final.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{sync::watch, time::timeout};
use uuid::Uuid;

use super::{process::Site, service::Answer};

/// What the client heard.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Every transfer an answer named.
    pub named: BTreeSet<Uuid>,
    /// The final answer, or the last `outcome_unknown`.
    pub last: Option<Answer>,
}

/// Where the service is just now; changes when it is started again.
pub(crate) type Place = watch::Receiver<SocketAddr>;

/// A place that does not change.
pub(crate) fn fixed(address: SocketAddr) -> Place {
    watch::channel(address).1
}

/// Sends until the answer is final: no 5xx, no 409 that says "still running", nothing that may be
/// tried again. Is content with `outcome_unknown` after hearing it `patience` times in a row.
pub(crate) async fn insist(
    site: &Site,
    place: &mut Place,
    body: &Value,
    headers: &[(&str, &str)],
    mut patience: u32,
) -> Heard {
    let mut heard = Heard::default();
    loop {
        let url = format!("http://{}/transfers", *place.borrow_and_update());
        let request = site.http().post(url).json(body);
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        if let Some(answer) = site.ask(request).await {
            let (status, code) = answer.outcome();
            let json = answer.json();
            let id = if status < 300 { &json["id"] } else { &json["transferId"] };
            heard.named.extend(id.as_str().map(|id| id.parse::<Uuid>().unwrap()));
            let unknown = code == "outcome_unknown";
            patience = patience.saturating_sub(u32::from(unknown));
            // Of a request that does not wait the first answer, a 202, is replayed once it is settled.
            let settled = status == 201 || answer.header("idempotent-replayed").is_some();
            if settled || json["retryable"] == false || (unknown && patience == 0) {
                heard.last = Some(answer);
                return heard;
            }
        }
        // Again as soon as the service is back, or after a moment.
        let _ = timeout(Duration::from_millis(50), place.changed()).await;
    }
}
