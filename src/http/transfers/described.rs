//! `/transfers` for the document.

use serde_json::{Value, json};

use super::super::{
    openapi::{
        entry::{Answer, Entry},
        failures::{GENESYS, QUEUE_LOOK_UP},
        fields,
    },
    query::TransferQuery,
    requests::{SettleBody, TransferRequestBody, UndoBody},
    schema::uuid,
    views::{TransferPage, TransferView},
};
use crate::problem::Code;

/// The operations of this module.
pub(in crate::http) fn entries() -> Vec<Entry> {
    vec![create(), list(), find(), settle(), undo()]
}

fn create() -> Entry {
    let entry = Entry::post("/transfers", "createTransfer", "Move a call to another queue")
        .tag("Transfers")
        .about(
            "Replaces one leg of the conversation by the queue: the leg named by `participantId`, \
             else the connected (or held) agent, else the leg that waits in a queue, else the menu. \
             The customer's leg is never replaced, nor one that only listens. \
             `GET /conversations/{id}` shows beforehand what would happen.\n\nWith an `Idempotency-Key` the request can be sent again until it is \
             answered: the call moves once.",
        )
        .body::<TransferRequestBody>(&requests());
    moves(entry).can_fail(&[
        Code::ParticipantAmbiguous,
        Code::ParticipantNotFound,
        Code::AlreadyInQueue,
    ])
}

/// What a request that moves a call takes and may come to.
fn moves(entry: Entry) -> Entry {
    entry
        .header("Idempotency-Key")
        .replays_problems()
        .header("Prefer")
        .header("traceparent")
        .answer(
            201,
            made(
                "Genesys took the command; with `Prefer: wait=N` perhaps seen in the queue.",
                "accepted",
            ),
        )
        .answer(202, made("Recorded; the work goes on (`Prefer: respond-async`).", "pending"))
        .can_fail(&GENESYS)
        .can_fail(&QUEUE_LOOK_UP)
        .can_fail(&[
            Code::IdempotencyKeyInvalid,
            Code::IdempotencyKeyInUse,
            Code::IdempotencyKeyReused,
            Code::ConversationNotFound,
            Code::ConversationEnded,
            Code::ConversationRinging,
            Code::ConversationNotTransferable,
            Code::ConversationMoved,
            Code::TransferInProgress,
            Code::Conflict,
            Code::RejectedByGenesys,
            Code::StoreUnavailable,
            Code::OutcomeUnknown,
        ])
}

fn undo() -> Entry {
    let body = json!({"reason": "moved by mistake", "reference": "CASE-4711"});
    let entry = Entry::post("/transfers/{id}/undo", "undoTransfer", "Put a call back where it was")
        .tag("Transfers")
        .about(
            "The call goes back to `previous.queueId`, if it still waits where the transfer put \
             it. Priority, skills and language become what they were, and the priority gets the \
             whole minutes since the call began to wait, or since the transfer if it did not wait \
             before. The answer is a transfer of its own, with `undoes`. A transfer is undone \
             once; an undo that failed may be tried again.",
        )
        .parameters([id()])
        .body::<UndoBody>(&[("Moved by mistake", body), ("Nothing to say", json!({}))]);
    moves(entry).can_fail(&[Code::NotFound, Code::UndoImpossible, Code::ConversationAnswered])
}

fn made(about: &str, status: &str) -> Answer {
    Answer::new(about)
        .json::<TransferView<'_>>(example_of(status))
        .with_always("Location")
        .with("Idempotent-Replayed")
        .with("Preference-Applied")
        .leads_to("findTransfer", "The transfer as it then stands.")
}

fn list() -> Entry {
    let page = json!({"items": [example_of("confirmed")], "nextCursor": null});
    Entry::get("/transfers", "listTransfers", "List transfers, newest first")
        .tag("Transfers")
        .about("A caller sees its own transfers, an admin all.")
        .parameters(fields::query::<TransferQuery>())
        .answer(200, Answer::new("A page of transfers.").json::<TransferPage<'_>>(page))
        .can_fail(&[Code::StoreUnavailable])
}

fn find() -> Entry {
    Entry::get("/transfers/{id}", "findTransfer", "Look up one transfer")
        .tag("Transfers")
        .parameters([id()])
        .answer(200, Answer::new("The transfer.").json::<TransferView<'_>>(example_of("confirmed")))
        .can_fail(&[Code::NotFound, Code::StoreUnavailable])
}

fn settle() -> Entry {
    let body = json!({"outcome": "moved", "reason": "seen in the queue"});
    Entry::post("/transfers/{id}/settle", "settleTransfer", "Close an unknown transfer")
        .tag("Transfers")
        .about(
            "For an operator who looked at the call in Genesys, when the service cannot find out \
             what became of it. Frees the conversation.",
        )
        .parameters([id()])
        .body::<SettleBody>(&[("Seen in the queue", body)])
        .answer(200, Answer::new("The transfer.").json::<TransferView<'_>>(example_of("confirmed")))
        .can_fail(&[Code::NotFound, Code::Conflict, Code::StoreUnavailable])
}

fn id() -> utoipa::openapi::path::Parameter {
    let about = "The transfer's id. What is no UUID names nothing: 404.";
    fields::in_path("id", about, uuid(), "01a2b3c4-d5e6-7f80-9a1b-2c3d4e5f6071")
}

fn requests() -> [(&'static str, Value); 3] {
    let call = "c1000000-0000-4000-8000-000000000001";
    [
        ("By name", json!({"conversationId": call, "queueName": "Support Tier 2"})),
        (
            "The caller keeps its place",
            json!({
                "conversationId": call, "queueName": "Support Tier 2", "keepPlace": true,
                "reference": "CASE-4711", "reason": "second level needed",
            }),
        ),
        (
            "By id with priority and skills",
            json!({
                "conversationId": call, "queueId": "a1000000-0000-4000-8000-000000000002",
                "priority": 10, "skillIds": ["e1000000-0000-4000-8000-000000000001"],
            }),
        ),
    ]
}

/// A transfer as the sandbox's first call makes it.
pub(in crate::http) fn example_of(status: &str) -> Value {
    let settled = status != "pending";
    let previous = json!({
        "purpose": "agent", "state": "connected", "queueId": "a1000000-0000-4000-8000-000000000001",
        "priority": 0, "skillIds": [], "languageId": null, "waitingSince": null,
    });
    json!({
        "id": "01a2b3c4-d5e6-7f80-9a1b-2c3d4e5f6071", "status": status,
        "conversationId": "c1000000-0000-4000-8000-000000000001",
        "queue": {"id": "a1000000-0000-4000-8000-000000000002", "name": "Support Tier 2"},
        "participantId": settled.then_some("b1000000-0000-4000-8000-000000000103"),
        "previous": settled.then_some(previous),
        "undoes": null,
        "priority": null, "waitedMinutes": null, "skillIds": null, "languageId": null,
        "transferType": "unattended", "reason": null, "reference": "CASE-4711",
        "requestedBy": "crm", "batchId": null, "warnings": [], "error": null,
        "upstream": {
            "calls": if settled { 2 } else { 0 }, "attempts": if settled { 2 } else { 0 },
            "waitedMs": 0,
            "correlationId": settled.then_some("5e9d1c6e-3f2b-4a51-8f0e-0c4f7a1f2b3c"),
        },
        "createdAt": "2026-03-27T09:30:00.000Z", "updatedAt": "2026-03-27T09:30:00.250Z",
    })
}
