//! Events as the lines of a stream. A comment goes before each event, for people who read along
//! with `curl -N`; programs skip comments.

use std::{convert::Infallible, fmt::Write as _, time::Duration};

use axum::body::Bytes;
use futures_util::{Stream, stream};
use serde::Serialize;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        answer::json_bytes,
        streams::Place,
        views::{BatchView, TransferView},
    },
    table,
};
use crate::{
    auth::Revoked,
    batch::{BatchEvent, BatchWatch},
};

/// When there is nothing to tell, a comment shows that the connection lives: proxies close one
/// that is silent for a minute, some for half of it.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The id of the last event of a batch.
pub(super) const END: &str = "end";

/// The events of one watcher. Dropped with the answer's body, when the caller goes.
pub(super) struct Lines {
    watch: BatchWatch,
    stopping: CancellationToken,
    revoked: Revoked,
    number: u64,
    _place: Place,
}

impl Lines {
    /// Ends with the batch, when `stopping` is cancelled or the caller's key `revoked`; has `place`
    /// until then.
    pub(super) const fn new(
        watch: BatchWatch,
        stopping: CancellationToken,
        revoked: Revoked,
        place: Place,
    ) -> Self {
        Self { watch, stopping, revoked, number: 0, _place: place }
    }

    /// The lines as they come.
    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold(self, |mut lines| async move {
            let text = lines.next().await?;
            Some((Ok(Bytes::from(text)), lines))
        })
    }

    async fn next(&mut self) -> Option<String> {
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => None,
            () = self.revoked.wait() => None,
            event = timeout(KEEP_ALIVE, self.watch.next()) => match event {
                Ok(event) => event.map(|event| self.told(&event)),
                Err(_) => Some(": still here\n\n".to_owned()),
            },
        }
    }

    fn told(&mut self, event: &BatchEvent) -> String {
        self.number += 1;
        let number = self.number.to_string();
        match event {
            BatchEvent::Progress(state) => {
                block(&table::line(state), &number, "progress", &BatchView::from(&**state))
            }
            BatchEvent::Transfer(transfer) => {
                let line = table::transfer_line(transfer);
                block(&line, &number, "transfer", &TransferView::from(&**transfer))
            }
            BatchEvent::End(state) => {
                block(&table::line(state), END, "end", &BatchView::from(&**state))
            }
        }
    }
}

/// One event. Neither `comment` nor compact JSON holds a line end.
fn block(comment: &str, id: &str, event: &str, data: &impl Serialize) -> String {
    let data = json_bytes(data);
    let data = String::from_utf8_lossy(&data);
    let mut text = String::with_capacity(data.len() + comment.len() + 64);
    let data = data.trim_end();
    let _ = write!(text, ": {comment}\nid: {id}\nevent: {event}\ndata: {data}\n\n");
    text
}
