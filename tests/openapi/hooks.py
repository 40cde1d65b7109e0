"""What schemathesis cannot know: calls and queues that exist, so that requests get past validation;
and which refusals of a well-formed request are in order."""

import itertools
import os

import schemathesis
from schemathesis.core.failures import Failure
from schemathesis.generation import GenerationMode

with open(os.environ["CALLS"], encoding="utf-8") as file:
    CALLS = itertools.cycle(file.read().split())
QUEUES = itertools.cycle(["Support Tier 2", None, "Support Tier 1", "Billing"])

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
    if case.operation.path == "/conversations/{id}":
        # At most one of the two: no description of a query can say so.
        if "queueName" in case.query and "queueId" in case.query:
            del case.query["queueId"]
        if exists:
            case.path_parameters["id"] = call
    elif case.operation.path == "/transfers" and isinstance(case.body, dict) and exists:
        case.body["conversationId"] = call
        queue = next(QUEUES)
        if queue is not None:
            case.body.pop("queueId", None)
            case.body["queueName"] = queue


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
