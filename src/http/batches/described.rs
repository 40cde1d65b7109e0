//! `/batches` for the document.

use serde_json::{Value, json};
use utoipa::openapi::path::Parameter;

use crate::{
    http::{
        openapi::{
            entry::{Answer, Entry},
            failures::{GENESYS, QUEUE_LOOK_UP},
            fields,
            shapes::BatchEventShape,
        },
        query::{BatchQuery, BatchTransferQuery},
        requests::{BatchBody, BatchUndoBody},
        schema::uuid,
        transfers::example_of,
        views::{BatchOrPlan, BatchPage, BatchView, TransferPage},
    },
    problem::Code,
};

const ID: &str = "01a2b3c4-d5e6-7f80-9a1b-2c3d4e5f6072";
const PLAN: &str = "01a2b3c4-d5e6-7f80-9a1b-2c3d4e5f6073";
const CALL: &str = "c1000000-0000-4000-8000-000000000001";
const OTHER_CALL: &str = "c1000000-0000-4000-8000-000000000002";

/// The operations of this module.
pub(in crate::http) fn entries() -> Vec<Entry> {
    vec![create(), list(), find(), cancel(), transfers(), watch(), undo()]
}

/// A batch that begins.
fn begun() -> Answer {
    Answer::new("The batch is recorded and begins.")
        .json::<BatchOrPlan<'_>>(batch("running"))
        .with_always("Location")
        .with("Idempotent-Replayed")
        .leads_to("findBatch", "The batch as it then stands.")
        .leads_to("cancelBatch", "Stops the batch.")
        .leads_to("listBatchTransfers", "Its transfers.")
        .leads_to("watchBatch", "Its events.")
}

fn undo() -> Entry {
    let body = json!({"reason": "the outage is over"});
    Entry::post("/batches/{id}/undo", "undoBatch", "Put the calls of a batch back")
        .tag("Batches")
        .about(
            "Every call that a finished or cancelled batch moved goes back to where it was, as with \
             `POST /transfers/{id}/undo`, longest wait first. It is a batch like any other; calls \
             that were answered, moved on or hung up are skipped. A batch is undone once. With \
             `dryRun` nothing moves: 200 with what would, and a `planId` for `POST /batches`.",
        )
        .parameters([id()])
        .header("Idempotency-Key")
        .header("traceparent")
        .body::<BatchUndoBody>(&[
            ("All of it", body),
            ("Only show what would go back", json!({"dryRun": true})),
        ])
        .answer(200, Answer::new("What would go back.").json::<BatchOrPlan<'_>>(plan()))
        .answer(202, begun())
        .can_fail(&GENESYS)
        .can_fail(&QUEUE_LOOK_UP)
        .can_fail(&[
            Code::NotFound,
            Code::IdempotencyKeyInvalid,
            Code::IdempotencyKeyReused,
            Code::UndoImpossible,
            Code::StoreUnavailable,
            Code::OutcomeUnknown,
        ])
}

fn create() -> Entry {
    Entry::post("/batches", "createBatch", "Move many calls, or all that wait in a queue")
        .tag("Batches")
        .about(
            "Either a list of transfers; or a drain: every voice call that waits in the one queue \
             when the drain begins moves to the other, longest wait first, in the order it stood. \
             A call that an agent answers first is left alone. With `dryRun` nothing moves: 200 \
             with what would, and a `planId`; sent alone within 2 minutes it moves exactly those \
             calls. With `until` a drain stays and moves calls that arrive, too, until then, with `when` \
             only while no agent is on queue in the source queue.\n\nA batch survives a restart and goes on where it stopped; no call moves \
             twice. With an `Idempotency-Key` the request can be sent again until it is answered: \
             there is one batch. A key is kept with the batch, so not for a dry run and not for a \
             problem. With `Accept: text/plain` a dry run is answered as a text for people.",
        )
        .header("Idempotency-Key")
        .header("traceparent")
        .body::<BatchBody>(&requests())
        .answer(
            200,
            Answer::new("What a dry run would move.").json::<BatchOrPlan<'_>>(plan()),
        )
        .answer(202, begun())
        .can_fail(&GENESYS)
        .can_fail(&QUEUE_LOOK_UP)
        .can_fail(&[
            Code::IdempotencyKeyInvalid,
            Code::IdempotencyKeyReused,
            Code::DrainLoop,
            Code::PlanExpired,
            Code::UndoImpossible,
            Code::Conflict,
            Code::RejectedByGenesys,
            Code::StoreUnavailable,
            Code::OutcomeUnknown,
        ])
}

fn list() -> Entry {
    let page = json!({"items": [batch("completed")], "nextCursor": null});
    Entry::get("/batches", "listBatches", "List batches, newest first")
        .tag("Batches")
        .about(
            "A caller sees its own batches, an admin all. With `Accept: text/plain` there is one \
             line for each batch, for people.",
        )
        .parameters(fields::query::<BatchQuery>())
        .answer(200, Answer::new("A page of batches.").json::<BatchPage<'_>>(page))
        .can_fail(&[Code::StoreUnavailable])
}

fn find() -> Entry {
    Entry::get("/batches/{id}", "findBatch", "See how a batch stands")
        .tag("Batches")
        .about("With `Accept: text/plain` as a small table for people.")
        .parameters([id()])
        .answer(200, shown("The batch.", "running"))
        .can_fail(&[Code::NotFound, Code::StoreUnavailable])
}

fn cancel() -> Entry {
    Entry::delete("/batches/{id}", "cancelBatch", "Stop a batch")
        .tag("Batches")
        .about(
            "What was not yet sent is skipped; what is on its way settles, then `finishedAt` is \
             set. A batch that has ended stays as it is.",
        )
        .parameters([id()])
        .answer(202, shown("The batch as it then stands.", "cancelled"))
        .can_fail(&[Code::NotFound, Code::StoreUnavailable])
}

fn transfers() -> Entry {
    let mut transfer = example_of("accepted");
    if let Some(batch) = transfer.get_mut("batchId") {
        *batch = json!(ID);
    }
    let page = json!({"items": [transfer], "nextCursor": null});
    Entry::get("/batches/{id}/transfers", "listBatchTransfers", "List the transfers of a batch")
        .tag("Batches")
        .about("Newest first. A call becomes a transfer when its turn has come.")
        .parameters([id()])
        .parameters(fields::query::<BatchTransferQuery>())
        .answer(200, Answer::new("A page of transfers.").json::<TransferPage<'_>>(page))
        .can_fail(&[Code::NotFound, Code::StoreUnavailable])
}

fn watch() -> Entry {
    let events = Answer::new("The events, until the batch has ended or the service stops.")
        .stream_of::<BatchEventShape>()
        .text(
            "text/plain",
            "A line for each change, for people. Its layout may change.",
            "running 60 of 180 (33 %), 58 moved, 1 failed, 1 skipped; 140 a minute, 51 s left\n",
        );
    let nothing = Answer::new("`Last-Event-ID: end` was sent: nothing will follow.");
    Entry::get("/batches/{id}/events", "watchBatch", "Watch a batch")
        .tag("Batches")
        .about(
            "Events: `progress`, whose data is the `Batch`, at most 4 a second; `transfer`, the \
             `Transfer`, once for each that has settled; `end`, the `Batch`, the last. Late \
             subscribers get all events from the start. A comment comes at least every \
             15 s. `curl -N` shows all as it comes. With `Accept: text/plain` there is one line \
             for each change, for people.",
        )
        .parameters([id()])
        .header("Last-Event-ID")
        .answer(200, events)
        .answer(204, nothing)
        .can_fail(&[Code::NotFound, Code::StoreUnavailable])
}

fn id() -> Parameter {
    let about = "The batch's id. What is no UUID names nothing: 404.";
    fields::in_path("id", about, uuid(), ID)
}

/// The batch in either form.
fn shown(about: &str, status: &str) -> Answer {
    let table = "A table of at most 80 columns. Its layout may change.";
    Answer::new(about).json::<BatchView<'_>>(batch(status)).text("text/plain", table, TABLE)
}

fn requests() -> [(&'static str, Value); 5] {
    let transfer = |call, queue| json!({"conversationId": call, "queueName": queue});
    [
        (
            "A drain",
            json!({
                "fromQueueName": "Support Tier 1", "toQueueName": "Support Tier 2",
                "reason": "Tier 1 closes early", "reference": "CASE-4711",
            }),
        ),
        (
            "A dry run of a drain",
            json!({
                "fromQueueName": "Support Tier 1", "toQueueName": "Support Tier 2", "dryRun": true,
            }),
        ),
        ("What a dry run showed", json!({"planId": PLAN})),
        (
            "The longest waiting call first in line",
            json!({
                "fromQueueId": "a1000000-0000-4000-8000-000000000001",
                "toQueueId": "a1000000-0000-4000-8000-000000000002", "limit": 1, "priority": 100,
            }),
        ),
        (
            "A list",
            json!({
                "transfers": [
                    transfer(CALL, "Support Tier 2"), transfer(OTHER_CALL, "Sales"),
                ],
                "reason": "rota change",
            }),
        ),
    ]
}

fn queues() -> [Value; 2] {
    [
        json!({"id": "a1000000-0000-4000-8000-000000000001", "name": "Support Tier 1"}),
        json!({"id": "a1000000-0000-4000-8000-000000000002", "name": "Support Tier 2"}),
    ]
}

fn batch(status: &str) -> Value {
    let [from, to] = queues();
    let ended = status != "running";
    let changed = if ended { "2026-03-27T09:31:17.000Z" } else { "2026-03-27T09:30:00.000Z" };
    let (pending, skipped, why) = match status {
        "running" => (120, 1, json!({"conversation_ended": 1, "no_longer_waiting": 1})),
        "cancelled" => (0, 121, json!({"cancelled": 121, "conversation_ended": 1})),
        _ => (0, 1, json!({"conversation_ended": 1, "no_longer_waiting": 1})),
    };
    json!({
        "id": ID, "kind": "drain", "status": status, "until": null, "when": "always",
        "undoes": null, "total": 180,
        "counts": {
            "pending": pending, "accepted": 179 - pending - skipped, "confirmed": 0, "failed": 1,
            "unknown": 0, "skipped": skipped,
        },
        "reasons": why, "pace": {
            "perMinute": 140, "etaSeconds": if ended { 0 } else { 51 }, "waitingUntil": null,
        },
        "warningCounts": {}, "stillWaiting": ended.then_some(0),
        "from": from, "to": to, "reason": "Tier 1 closes early", "reference": "CASE-4711",
        "requestedBy": "crm", "warnings": [], "error": null,
        "createdAt": "2026-03-27T09:30:00.000Z", "updatedAt": changed,
        "finishedAt": ended.then_some(changed),
    })
}

fn plan() -> Value {
    let [from, _] = queues();
    json!({
        "planId": PLAN, "expiresAt": "2026-03-27T09:32:00.000Z", "total": 1, "from": from,
        "to": {
            "id": "a1000000-0000-4000-8000-000000000002", "name": "Support Tier 2",
            "activity": {
                "waiting": 12, "longestWaitSeconds": 340, "interacting": 3,
                "agents": {"onQueue": 5, "idle": 0}, "estimatedWaitSeconds": null,
                "asOf": "2026-03-27T09:29:58.000Z",
            },
        },
        "requests": 4, "etaSeconds": 1, "warnings": [],
        "items": [{
            "conversationId": "c1000000-0000-4000-8000-000000000003",
            "waitingSince": "2026-03-27T09:18:00.000Z", "priority": 0, "newPriority": 12,
        }],
    })
}

const TABLE: &str = "\
batch      01a2b3c4-d5e6-7f80-9a1b-2c3d4e5f6072
drain      Support Tier 1 -> Support Tier 2
status     running, begun 2026-03-27 09:30:00 UTC

[#############...........................] 60 of 180 (33 %)

accepted       58
confirmed       0
failed          1
skipped         1
unknown         0
pending       120

not moved  conversation_ended 1, no_longer_waiting 1
pace       140 a minute, 51 s left
";
