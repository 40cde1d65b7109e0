"""What schemathesis cannot know: calls and queues that exist, so that requests get past validation;
and which refusals of a well-formed request are in order."""

import itertools
import os
import uuid

import schemathesis
from schemathesis.core.failures import Failure
from schemathesis.generation import GenerationMode

with open(os.environ["CALLS"], encoding="utf-8") as file:
    CALLS = itertools.cycle(file.read().split())
QUEUES = itertools.cycle(["Support Tier 2", None, "Support Tier 1", "Billing"])
DRAINS = itertools.cycle(
    [("Support Tier 1", "Support Tier 2"), None, ("Support Tier 2", "Support Tier 1")]
)
FORMS = itertools.cycle(["drain", "list", "drain", "plan"])

# Codes of 400 and 422 that a request may get although it is as the description says: they are
# about what exists.
ABOUT_THE_WORLD = {"queue_not_found", "queue_ambiguous", "idempotency_key_reused"}


def is_positive(case):
    return case.meta is not None and case.meta.generation.mode == GenerationMode.POSITIVE


@schemathesis.hook
def before_call(ctx, case, **kwargs):
    """Two of three well-formed requests are about a call that exists."""
    if not is_positive(case):
        return
    call = next(CALLS)
    exists = int(call[-1], 16) % 3 > 0
    path, body = case.operation.path, case.body
    if path == "/conversations/{id}":
        # At most one of the two: no description of a query can say so.
        if "queueName" in case.query and "queueId" in case.query:
            del case.query["queueId"]
        if exists:
            case.path_parameters["id"] = call
    elif path == "/transfers" and isinstance(body, dict):
        if exists:
            body["conversationId"] = call
        name_queue(body, next(QUEUES) if exists else None)
    elif path == "/batches" and isinstance(body, dict):
        prepare_batch(body, call, exists)


def name_queue(body, queue=None, name="queueName", by_id="queueId"):
    """Exactly one of the two members: the service checks that, no schema says so."""
    if queue is not None or (body.get(name) is None and body.get(by_id) is None):
        body.pop(by_id, None)
        body[name] = queue or "Support Tier 2"
    elif body.get(name) is not None:
        body.pop(by_id, None)


def prepare_batch(body, call, exists):
    """One of the three forms: the service checks that, no schema says so."""
    form = next(FORMS)
    if form == "plan" and body.get("planId") is not None:
        keep(body, ["planId"])
    elif form == "list" and body.get("transfers"):
        keep(body, ["transfers", "reason"])
        prepare_list(body["transfers"], call, exists)
    else:
        keep(body, body.keys() - {"planId", "transfers"})
        prepare_drain(body)


def keep(body, members):
    for member in body.keys() - set(members):
        del body[member]


def prepare_list(transfers, call, exists):
    """No call twice: no description of a list can say so of one member. One call of it exists."""
    queue = next(QUEUES) if exists else None
    for transfer in transfers:
        transfer["conversationId"] = str(uuid.uuid4())
        name_queue(transfer, queue)
    if exists:
        transfers[0]["conversationId"] = call


def prepare_drain(body):
    """Of few calls, so that some are left, and that a watcher of the batch soon sees its end."""
    # No schema can say that a time is in the future; one that stays would not end in time.
    body.pop("until", None)
    body.pop("when", None)
    if body.get("keepPlace") == "order":
        body.pop("priority", None)
    body["limit"] = min(body.get("limit") or 5, 5)
    source, target = next(DRAINS) or (None, None)
    name_queue(body, source, "fromQueueName", "fromQueueId")
    name_queue(body, target, "toQueueName", "toQueueId")


@schemathesis.check
def refusals_of_good_requests_are_about_the_world(ctx, response, case):
    """The description is not laxer than the service: what it allows is not called invalid."""
    if not is_positive(case) or response.status_code not in (400, 422):
        return
    code = response.json()["code"]
    if code == "invalid_request" and case.body and is_blocked_leg(response):
        return
    if code not in ABOUT_THE_WORLD:
        raise Failure(
            operation=case.operation.label,
            title="A good request was called invalid",
            message=f"{code}: {response.json()['detail']}",
        )


def is_blocked_leg(response):
    """A leg that exists and may not be replaced is told by its pointer."""
    return [error["pointer"] for error in response.json().get("errors", [])] == ["/participantId"]
