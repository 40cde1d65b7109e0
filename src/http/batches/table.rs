//! A batch in plain text for people, at most 80 columns wide, and in one line.

use std::fmt::Write as _;

use crate::{
    batch::{BatchState, BatchStatus, Counts, Kind, Plan},
    transfer::model::{Queue, Transfer},
};

/// Columns of a terminal that has not been widened.
const WIDTH: usize = 80;
/// Characters in the bar.
const BAR: u32 = 40;
/// Characters before the second column.
const INDENT: usize = 11;
/// Longest name of a queue that is shown whole.
const NAME: usize = 28;

/// A small table with a bar.
pub(super) fn of(state: &BatchState) -> String {
    let BatchState { batch, counts, .. } = state;
    let mut text = String::new();
    row(&mut text, "batch", &batch.id.to_string());
    row(&mut text, kind(batch.kind), &route(state));
    row(&mut text, "status", &status(state));
    text.push('\n');
    let _ = writeln!(text, "[{}] {}", bar(state), share(state));
    text.push('\n');
    for (name, count) in named(*counts) {
        row(&mut text, name, &format!("{count:>6}"));
    }
    text.push('\n');
    if !state.reasons.is_empty() {
        let reasons: Vec<_> =
            state.reasons.iter().map(|(code, n)| format!("{} {n}", code.as_str())).collect();
        row(&mut text, "not moved", &reasons.join(", "));
    }
    row(&mut text, "pace", &pace(state));
    if let Some(waiting) = batch.still_waiting {
        row(&mut text, "waiting", &still_waiting(waiting));
    }
    for (code, count) in &state.warning_counts {
        row(&mut text, "moved with", &format!("{code} {count}"));
    }
    for warning in &batch.warnings {
        row(&mut text, "warning", &format!("{}: {}", warning.code, warning.detail));
    }
    if let Some(problem) = &batch.error {
        row(&mut text, "error", &format!("{}: {}", problem.code.as_str(), problem.detail));
    }
    text
}

/// What a dry run would do.
pub(super) fn plan(plan: &Plan) -> String {
    let mut text = String::new();
    row(&mut text, "plan", &plan.id.to_string());
    let name = |queue: Option<&Queue>| shown(queue.map_or("several queues", |queue| &*queue.name));
    let kind = if plan.undo.is_some() { "undo" } else { "drain" };
    row(&mut text, kind, &format!("{} -> {}", name(plan.from()), name(plan.to())));
    let good = plan.expires_at.strftime("%Y-%m-%d %H:%M:%S UTC");
    row(&mut text, "good until", &good.to_string());
    let time = plan.eta_seconds.map_or_else(|| "a time not known".to_owned(), span);
    row(&mut text, "moves", &format!("{} calls, {} requests, {time}", plan.total, plan.requests));
    if let Some(activity) = &plan.activity {
        let number = |number: Option<u64>| number.map_or_else(|| "?".to_owned(), |n| n.to_string());
        let (agents, waiting) = (number(activity.on_queue), number(activity.waiting));
        row(&mut text, "target", &format!("{agents} agents on queue, {waiting} calls waiting"));
    }
    for warning in &plan.warnings {
        row(&mut text, "warning", &format!("{}: {}", warning.code, warning.detail));
    }
    text.push('\n');
    for call in &plan.items {
        let since = call.waiting_since.strftime("%H:%M:%S");
        let _ = write!(text, "{} since {since}", call.conversation_id);
        if let Some(priority) = call.new_priority {
            let _ = write!(text, ", priority {}", priority.get());
        }
        text.push('\n');
    }
    text
}

/// A page of batches, a line each, and the cursor of the next one.
pub(super) fn list(states: &[BatchState], next_cursor: Option<&str>) -> String {
    let mut text = String::new();
    for state in states {
        let (id, kind) = (state.batch.id, kind(state.batch.kind));
        let _ = writeln!(text, "{id} {kind} {}: {}", route(state), counts_line(state));
    }
    if let Some(cursor) = next_cursor {
        let _ = writeln!(text, "next cursor {cursor}");
    }
    text
}

/// How the batch stands, in one line.
pub(super) fn line(state: &BatchState) -> String {
    format!("{}; {}", counts_line(state), pace(state))
}

/// The same at its end.
pub(super) fn last_line(state: &BatchState) -> String {
    let mut text = line(state);
    if let Some(waiting) = state.batch.still_waiting {
        let _ = write!(text, "; {}", still_waiting(waiting));
    }
    text
}

fn still_waiting(count: u64) -> String {
    format!("{count} still waiting in the source queue")
}

/// What became of its calls so far, in one line.
pub(super) fn counts_line(state: &BatchState) -> String {
    let Counts { accepted, confirmed, failed, unknown, skipped, .. } = state.counts;
    let mut text = format!("{} {}", state.batch.status.as_str(), share(state));
    if !is_cancelled(state) {
        let _ = write!(text, ", {} moved", accepted.saturating_add(confirmed));
    }
    for (count, name) in [(failed, "failed"), (skipped, "skipped"), (unknown, "unknown")] {
        if count > 0 {
            let _ = write!(text, ", {count} {name}");
        }
    }
    text
}

/// What became of one call, in one line.
pub(super) fn transfer_line(transfer: &Transfer) -> String {
    let id = transfer.request.conversation_id;
    let mut text = format!("{id} {}", transfer.stage.status().as_str());
    match &transfer.error {
        Some(problem) => {
            let _ = write!(text, ": {}", problem.code.as_str());
        }
        None => {
            let _ = write!(text, " -> {}", shown(&transfer.queue.name));
        }
    }
    text
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::List => "list",
        Kind::Drain => "drain",
        Kind::Undo => "undo",
    }
}

fn route(state: &BatchState) -> String {
    match &state.batch.drain {
        Some(drain) => format!("{} -> {}", shown(&drain.from.name), shown(&drain.to.name)),
        None => format!("{} calls", state.batch.total),
    }
}

fn status(state: &BatchState) -> String {
    let batch = &state.batch;
    let word = batch.status.as_str();
    let began = batch.created_at.strftime("%Y-%m-%d %H:%M:%S UTC");
    let until = batch.drain.as_ref().and_then(|drain| drain.until);
    if let (Some(until), None) = (until, batch.finished_at) {
        return format!("{word} until {}, begun {began}", until.strftime("%Y-%m-%d %H:%M:%S UTC"));
    }
    match batch.finished_at {
        Some(finished) => {
            let seconds = finished.duration_since(batch.created_at).as_secs().max(0);
            format!("{word} after {}, begun {began}", span(seconds.unsigned_abs()))
        }
        None => format!("{word}, begun {began}"),
    }
}

fn is_cancelled(state: &BatchState) -> bool {
    state.batch.status == BatchStatus::Cancelled
}

/// Calls that are done with; of a cancelled batch those that moved, because the others were meant
/// to.
fn done(state: &BatchState) -> u32 {
    let Counts { accepted, confirmed, pending, .. } = state.counts;
    if is_cancelled(state) {
        return accepted.saturating_add(confirmed);
    }
    state.batch.total.saturating_sub(pending)
}

/// Parts of `whole` that `total` shares out, for what is done; whole only when all is done.
fn parts(state: &BatchState, whole: u32) -> u32 {
    let (done, total) = (u64::from(done(state)), u64::from(state.batch.total));
    let parts = (done * u64::from(whole)).checked_div(total);
    parts.and_then(|parts| u32::try_from(parts).ok()).unwrap_or(whole)
}

fn bar(state: &BatchState) -> String {
    let filled = parts(state, BAR);
    (0..BAR).map(|n| if n < filled { '#' } else { '.' }).collect()
}

fn share(state: &BatchState) -> String {
    let moved = if is_cancelled(state) { " moved" } else { "" };
    format!("{} of {}{moved} ({} %)", done(state), state.batch.total, parts(state, 100))
}

fn named(counts: Counts) -> [(&'static str, u32); 6] {
    let Counts { pending, accepted, confirmed, failed, unknown, skipped } = counts;
    [
        ("accepted", accepted),
        ("confirmed", confirmed),
        ("failed", failed),
        ("skipped", skipped),
        ("unknown", unknown),
        ("pending", pending),
    ]
}

fn pace(state: &BatchState) -> String {
    let per_minute = state.pace.per_minute;
    if let Some(until) = state.pace.waiting_until {
        let until = until.strftime("%H:%M:%S UTC");
        return format!("{per_minute} a minute, waits for the request limit until {until}");
    }
    match (state.batch.finished_at, state.pace.eta_seconds) {
        (Some(_), _) => format!("{per_minute} a minute"),
        (None, Some(seconds)) => format!("{per_minute} a minute, {} left", span(seconds)),
        (None, None) => format!("{per_minute} a minute, time left not known"),
    }
}

fn span(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

/// A name of Genesys' as a terminal may show it: short, and without characters that steer it.
fn shown(name: &str) -> String {
    let clean: String = name.chars().map(plain).collect();
    match clean.char_indices().nth(NAME) {
        Some(_) => clean.chars().take(NAME - 1).chain(['…']).collect(),
        None => clean,
    }
}

fn plain(letter: char) -> char {
    if letter.is_control() { '?' } else { letter }
}

/// A name and what is to say of it, folded between words.
fn row(text: &mut String, name: &str, words: &str) {
    let _ = write!(text, "{name:<INDENT$}");
    let mut column = INDENT;
    let clean: String = words.chars().map(plain).collect();
    if clean.chars().count() + INDENT <= WIDTH {
        let _ = writeln!(text, "{clean}");
        return;
    }
    for word in clean.split_whitespace() {
        let length = word.chars().count();
        if column > INDENT && column + 1 + length > WIDTH {
            let _ = write!(text, "\n{:INDENT$}", "");
            column = INDENT;
        }
        let blank = if column > INDENT { " " } else { "" };
        let _ = write!(text, "{blank}{word}");
        column += length + blank.len();
    }
    text.push('\n');
}

#[cfg(test)]
mod tests;
