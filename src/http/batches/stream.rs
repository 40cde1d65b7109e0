//! Events as the lines of a stream. A comment goes before each event, for people who read along
//! with `curl -N`; programs skip comments. In the quiet form there are only lines for people, one a
//! change.

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
    /// Whether people read along; then the line of the last change.
    quiet: Option<String>,
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
        quiet: bool,
    ) -> Self {
        let quiet = if quiet { Some(String::new()) } else { None };
        Self { watch, stopping, revoked, number: 0, quiet, _place: place }
    }

    /// The lines as they come.
    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold(self, |mut lines| async move {
            loop {
                let text = lines.next().await?;
                if !text.is_empty() {
                    return Some((Ok(Bytes::from(text)), lines));
                }
            }
        })
    }

    async fn next(&mut self) -> Option<String> {
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => None,
            () = self.revoked.wait() => None,
            event = timeout(KEEP_ALIVE, self.watch.next()) => match event {
                Ok(event) => event.map(|event| match &mut self.quiet {
                    Some(last) => quiet_line(&event, last),
                    None => self.told(&event),
                }),
                Err(_) => Some(match &self.quiet {
                    Some(last) => format!("{last}, no change\n"),
                    None => ": still here\n\n".to_owned(),
                }),
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

/// The line of a change; empty when it is none worth a line. `last` is the progress told last.
fn quiet_line(event: &BatchEvent, last: &mut String) -> String {
    match event {
        BatchEvent::Progress(state) => {
            let line = table::counts_line(state);
            if *last == line {
                return String::new();
            }
            *last = line;
            format!("{}\n", table::line(state))
        }
        // What moved is in the counts.
        BatchEvent::Transfer(transfer) if transfer.error.is_none() => String::new(),
        BatchEvent::Transfer(transfer) => format!("{}\n", table::transfer_line(transfer)),
        BatchEvent::End(state) => format!("{}\n", table::last_line(state)),
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
