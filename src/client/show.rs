//! What is printed: answers of the service as lines of text. Pure.

use std::fmt::Write as _;

use serde_json::Value;

/// Rows of a plan that are shown; `--json` has all.
const ROWS: usize = 20;

/// A value as text on a terminal: names come from outside, and no control character of theirs may
/// reach it. `-` when there is none.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
        other => other.to_string(),
    }
}

/// A number of the answer, 0 when it is not there.
pub(super) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

/// A problem: title, detail, hint, and what helps to correct the request.
pub(super) fn problem(problem: &Value) -> String {
    let mut lines = vec![format!("{} ({})", text(&problem["title"]), text(&problem["code"]))];
    for member in ["detail", "hint"] {
        lines.extend(problem[member].is_string().then(|| text(&problem[member])));
    }
    for error in list(&problem["errors"]) {
        lines.push(format!("  {}: {}", text(&error["pointer"]), text(&error["detail"])));
    }
    for one in list(&problem["candidates"]) {
        let mut line = format!("  {}", text(&one["id"]));
        for member in ["name", "division", "purpose", "state"] {
            if !one[member].is_null() {
                let _ = write!(line, "  {}", text(name_of(&one[member])));
            }
        }
        lines.push(line);
    }
    for (member, word) in [("transferId", "transfer"), ("batchId", "batch")] {
        lines.extend(
            problem[member].is_string().then(|| format!("{word} {}", text(&problem[member]))),
        );
    }
    lines.join("\n")
}

/// A transfer that was just made.
pub(super) fn transfer(transfer: &Value) -> String {
    let mut line = format!(
        "{}: conversation {} to \"{}\"",
        text(&transfer["status"]),
        text(&transfer["conversationId"]),
        text(&transfer["queue"]["name"])
    );
    if !transfer["priority"].is_null() {
        let _ = write!(line, ", priority {}", text(&transfer["priority"]));
    }
    let _ = write!(line, "; transfer {}", text(&transfer["id"]));
    line + &warnings(transfer)
}

/// A transfer of the history.
pub(super) fn history(transfer: &Value) -> String {
    let mut line = format!(
        "{}  {}  {:<9}  {}  to \"{}\"  by {}",
        text(&transfer["createdAt"]),
        text(&transfer["id"]),
        text(&transfer["status"]),
        text(&transfer["conversationId"]),
        text(&transfer["queue"]["name"]),
        text(&transfer["requestedBy"])
    );
    for (member, word) in [("reference", "reference"), ("batchId", "batch"), ("undoes", "undoes")] {
        if !transfer[member].is_null() {
            let _ = write!(line, "  {word} {}", text(&transfer[member]));
        }
    }
    if !transfer["error"].is_null() {
        let _ = write!(line, "  {}", text(&transfer["error"]["code"]));
    }
    line
}

/// What a plan would do.
pub(super) fn plan(plan: &Value) -> String {
    let total = number(&plan["total"]);
    let calls = if total == 1 { "1 call".to_owned() } else { format!("{total} calls") };
    let mut said = match (&plan["from"]["name"], &plan["to"]["name"]) {
        (Value::String(_), Value::String(_)) => format!(
            "{calls} from \"{}\" to \"{}\"",
            text(&plan["from"]["name"]),
            text(&plan["to"]["name"])
        ),
        _ => calls,
    };
    if !plan["requests"].is_null() {
        let _ = write!(said, "; about {} requests to Genesys", text(&plan["requests"]));
    }
    if !plan["etaSeconds"].is_null() {
        let _ = write!(said, ", {}", seconds(&plan["etaSeconds"]));
    }
    if plan["to"]["activity"].is_object() {
        let _ = write!(said, "\nTarget: {}", activity(&plan["to"]["activity"]));
    }
    said += &warnings(plan);
    let items = list(&plan["items"]);
    for item in items.iter().take(ROWS) {
        let _ = write!(
            said,
            "\n  {}  waiting since {}",
            text(&item["conversationId"]),
            text(&item["waitingSince"])
        );
        if !item["newPriority"].is_null() {
            let _ = write!(said, "  new priority {}", text(&item["newPriority"]));
        }
    }
    if items.len() > ROWS {
        let _ = write!(said, "\n  and {} more; --json lists all", items.len() - ROWS);
    }
    said
}

/// Where a batch stands, in one line.
pub(super) fn progress(batch: &Value) -> String {
    let counts = &batch["counts"];
    let moved = number(&counts["accepted"]) + number(&counts["confirmed"]);
    let mut line = format!("{moved} of {} moved", number(&batch["total"]));
    for count in ["failed", "unknown", "skipped", "pending"] {
        if number(&counts[count]) > 0 {
            let _ = write!(line, ", {} {count}", number(&counts[count]));
        }
    }
    let pace = &batch["pace"];
    if !pace["waitingUntil"].is_null() {
        let _ = write!(line, "; waits for Genesys' limit until {}", text(&pace["waitingUntil"]));
    } else if number(&pace["etaSeconds"]) > 0 {
        let (rate, left) = (text(&pace["perMinute"]), seconds(&pace["etaSeconds"]));
        let _ = write!(line, "; {rate} a minute, {left} left");
    }
    line
}

/// How a batch ended.
pub(super) fn ended(batch: &Value) -> String {
    let mut said = format!("{}: {}", text(&batch["status"]), progress(batch));
    if let Some(reasons) = batch["reasons"].as_object() {
        for (code, count) in reasons {
            let _ = write!(said, "\n  {count} {code}");
        }
    }
    if let Some(left) = batch["stillWaiting"].as_u64() {
        let _ = write!(said, "\n{left} still waiting in \"{}\"", text(&batch["from"]["name"]));
    }
    said += &warnings(batch);
    if batch["error"].is_object() {
        let _ = write!(said, "\n{}", problem(&batch["error"]));
    }
    let _ = write!(said, "\nbatch {}", text(&batch["id"]));
    said
}

/// Queues, one a line, with who waits when that is known.
pub(super) fn queues(queues: &Value) -> String {
    let items = list(&queues["items"]);
    let width = items.iter().map(|queue| text(&queue["name"]).chars().count()).max().unwrap_or(0);
    let lines = items.iter().map(|queue| {
        let name = text(&queue["name"]);
        let mut line = format!("{name:<width$}  {}", text(&queue["id"]));
        if queue["activity"].is_object() {
            let _ = write!(line, "  {}", activity(&queue["activity"]));
        }
        line
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Whether a call can be moved, and what its legs are.
pub(super) fn preview(preview: &Value) -> String {
    let movable = preview["transferable"].as_bool().unwrap_or_default();
    let mut said = if movable { "can be moved".to_owned() } else { "cannot be moved".to_owned() };
    for member in ["code", "detail"] {
        if !preview[member].is_null() {
            let _ = write!(said, ": {}", text(&preview[member]));
        }
    }
    for leg in list(&preview["legs"]) {
        let mark = if leg["replaced"] == true { "->" } else { "  " };
        let _ = write!(
            said,
            "\n{mark} {}  {:<9} {:<9} {}",
            text(&leg["participantId"]),
            text(&leg["purpose"]),
            text(&leg["state"]),
            text(&leg["why"])
        );
    }
    let target = &preview["target"];
    if target.is_object() {
        let _ = write!(said, "\ntarget \"{}\" {}", text(&target["name"]), text(&target["id"]));
        if target["activity"].is_object() {
            let _ = write!(said, ": {}", activity(&target["activity"]));
        }
        if preview["skillsWillBeStripped"] == true {
            said += "\nthe organisation removes skills from transferred calls";
        }
    }
    let _ = write!(
        said,
        "\nwaited {} min, priority {}",
        text(&preview["waitedMinutes"]),
        text(&preview["priority"])
    );
    said
}

fn activity(activity: &Value) -> String {
    let mut said = format!("{} waiting", text(&activity["waiting"]));
    if !activity["longestWaitSeconds"].is_null() {
        let _ = write!(said, ", longest {}", seconds(&activity["longestWaitSeconds"]));
    }
    let agents = &activity["agents"];
    let _ = write!(
        said,
        "; agents: {} on queue, {} idle",
        text(&agents["onQueue"]),
        text(&agents["idle"])
    );
    if !activity["estimatedWaitSeconds"].is_null() {
        let _ = write!(said, "; estimated wait {}", seconds(&activity["estimatedWaitSeconds"]));
    }
    said
}

fn seconds(value: &Value) -> String {
    let seconds = number(value);
    if seconds < 60 {
        format!("{seconds} s")
    } else {
        format!("{} min {} s", seconds / 60, seconds % 60)
    }
}

fn warnings(value: &Value) -> String {
    let mut said = String::new();
    for warning in list(&value["warnings"]) {
        let _ = write!(said, "\nWarning: {}", text(&warning["detail"]));
    }
    said
}

/// A division is an object with a name, other members are texts.
fn name_of(value: &Value) -> &Value {
    value.get("name").unwrap_or(value)
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn control_characters_of_a_name_do_not_reach_the_terminal() {
        let queues = json!({"items": [{"id": "1", "name": "a\u{1b}[2Jb\nc"}]});
        assert_eq!(super::queues(&queues), "a [2Jb c  1");
    }

    #[test]
    fn a_problem_names_all_that_helps_to_correct_the_request() {
        let shown = problem(&json!({
            "title": "Several queues have that name", "code": "queue_ambiguous",
            "detail": "Two.", "hint": "Use the id.", "transferId": null,
            "candidates": [{"id": "1", "name": "A", "division": {"id": "d", "name": "North"}}],
        }));
        let expected =
            "Several queues have that name (queue_ambiguous)\nTwo.\nUse the id.\n  1  A  North";
        assert_eq!(shown, expected);
    }

    #[test]
    fn progress_says_what_moved_of_what_was_meant() {
        let batch = json!({"total": 9, "counts": {"accepted": 2, "confirmed": 1, "failed": 0,
            "unknown": 1, "skipped": 2, "pending": 3},
            "pace": {"perMinute": 60, "etaSeconds": 75, "waitingUntil": null}});
        let expected =
            "3 of 9 moved, 1 unknown, 2 skipped, 3 pending; 60 a minute, 1 min 15 s left";
        assert_eq!(progress(&batch), expected);
    }
}
