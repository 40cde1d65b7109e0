//! The progress of a batch on a terminal, on a pipe, or as JSON, until the batch ends.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Response;
use serde_json::Value;
use tokio::time::sleep;

use super::{
    Console,
    api::{Api, CommandError},
    show,
};

/// Time between two attempts to follow a stream that ended before the batch.
const AGAIN: Duration = Duration::from_secs(1);

/// The same when the service has no room for another stream.
const NO_STREAM: Duration = Duration::from_secs(5);

/// Longest event that is read; a batch is about 2 KB.
const LONGEST_EVENT: usize = 1 << 20;

/// Follows a batch until it has ended, and returns it as it ended.
///
/// # Errors
/// When the service is lost for longer than requests are repeated, or refuses.
pub(super) async fn until_ended(
    api: &Api,
    console: Console,
    id: &str,
) -> Result<Value, CommandError> {
    let path = format!("/batches/{id}");
    let mut progress = ProgressView::new(console);
    loop {
        let batch = api.get(&path, &[]).await?;
        progress.show(&batch);
        if has_ended(&batch) {
            progress.end();
            return Ok(batch);
        }
        match api.events(&format!("{path}/events")).await {
            Ok(stream) => {
                follow(stream, &mut progress).await;
                sleep(AGAIN).await;
            }
            Err(_) => sleep(NO_STREAM).await,
        }
    }
}

/// Whether nothing of the batch is left to do.
fn has_ended(batch: &Value) -> bool {
    batch["status"] != "running" && (!batch["finishedAt"].is_null() || batch["status"] == "failed")
}

/// Shows what a stream tells until it ends or is lost.
async fn follow(mut stream: Response, progress: &mut ProgressView) {
    let mut unread = Vec::new();
    while let Ok(Some(chunk)) = stream.chunk().await {
        unread.extend_from_slice(&chunk);
        while let Some(end) = unread.windows(2).position(|two| two == b"\n\n") {
            let event: Vec<u8> = unread.drain(..end + 2).collect();
            let (name, data) = parsed(&String::from_utf8_lossy(&event));
            match name.as_str() {
                "progress" => progress.show(&data),
                "end" => return,
                _ => {}
            }
        }
        if unread.len() > LONGEST_EVENT {
            return;
        }
    }
}

/// Name and data of an event (WHATWG HTML, "Server-sent events").
fn parsed(event: &str) -> (String, Value) {
    let field = |name: &str| {
        let lines = event.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        lines.map(|value| value.strip_prefix(' ').unwrap_or(value)).collect::<Vec<_>>().join("\n")
    };
    (field("event"), serde_json::from_str(&field("data")).unwrap_or_default())
}

/// What was shown last, and where.
struct ProgressView {
    console: Console,
    bar: Option<ProgressBar>,
    last: String,
}

impl ProgressView {
    fn new(console: Console) -> Self {
        let bar = console.interactive().then(|| {
            let bar = ProgressBar::new(0);
            let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {wide_msg}");
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { console, bar, last: String::new() }
    }

    fn show(&mut self, batch: &Value) {
        let line = show::progress(batch);
        if line == self.last {
            return;
        }
        match &self.bar {
            Some(bar) => {
                let pending = show::number(&batch["counts"]["pending"]);
                let total = show::number(&batch["total"]);
                bar.set_length(total);
                bar.set_position(total.saturating_sub(pending));
                bar.set_message(line.clone());
            }
            None => self.console.print(batch, &line),
        }
        self.last = line;
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for ProgressView {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_has_a_name_and_data() {
        let event = parsed("event: progress\nid: 4\ndata: {\"total\":\ndata: 3}\n\n");
        assert_eq!(event, ("progress".to_owned(), json!({"total": 3})));
        assert_eq!(parsed(": keep-alive\n\n"), (String::new(), Value::Null));
    }

    #[test]
    fn a_cancelled_batch_ends_when_what_was_on_its_way_is_settled() {
        let batch = |finished: Value| json!({"status": "cancelled", "finishedAt": finished});
        assert!(!has_ended(&batch(Value::Null)));
        assert!(has_ended(&batch(json!("2026-01-01T00:00:00Z"))));
        assert!(has_ended(&json!({"status": "failed", "finishedAt": null})));
        assert!(!has_ended(&json!({"status": "running", "finishedAt": null})));
    }
}
