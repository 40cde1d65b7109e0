"""What a program does with the client that openapi-python-client makes from the description: it moves
a call, drains a queue by a plan, and reads a problem. Arguments: the service, a call that exists."""

import sys
import time
import uuid

from genesys_transfer_client import AuthenticatedClient as Client
from genesys_transfer_client.api.batches import create_batch, find_batch
from genesys_transfer_client.api.transfers import create_transfer, find_transfer
from genesys_transfer_client.models import (
    Batch,
    BatchRequest,
    BatchStatus,
    Plan,
    Problem,
    ProblemCode,
    Status,
    Transfer,
    TransferRequest,
)

PATIENCE = 180  # seconds; only a service that fails takes so long


def move(client: Client, call: uuid.UUID) -> None:
    request = TransferRequest(conversation_id=call, queue_name="Support Tier 2", priority=10)
    moved = create_transfer.sync(client=client, body=request, idempotency_key=str(uuid.uuid4()))
    assert isinstance(moved, Transfer), moved
    assert moved.status in (Status.ACCEPTED, Status.CONFIRMED), moved
    found = find_transfer.sync(moved.id, client=client)
    assert isinstance(found, Transfer) and found.conversation_id == call, found


def drain(client: Client) -> None:
    order = BatchRequest(
        from_queue_name="Support Tier 1", to_queue_name="Support Tier 2", limit=3, dry_run=True
    )
    plan = create_batch.sync(client=client, body=order)
    assert isinstance(plan, Plan) and len(plan.items) == 3, plan
    batch = create_batch.sync(client=client, body=BatchRequest(plan_id=plan.plan_id))
    assert isinstance(batch, Batch), batch
    deadline = time.monotonic() + PATIENCE
    while batch.status is BatchStatus.RUNNING and time.monotonic() < deadline:
        time.sleep(0.1)
        seen = find_batch.sync(batch.id, client=client)
        assert isinstance(seen, Batch), seen
        batch = seen
    assert batch.status is BatchStatus.COMPLETED, batch
    assert batch.counts.accepted + batch.counts.confirmed == 3, batch


def read_a_problem(client: Client, call: uuid.UUID) -> None:
    request = TransferRequest(conversation_id=call, queue_name="Suport Tier 2")
    problem = create_transfer.sync(client=client, body=request)
    assert isinstance(problem, Problem), problem
    assert problem.code is ProblemCode.QUEUE_NOT_FOUND and not problem.retryable, problem
    assert "Support Tier 2" in problem.hint, problem


def main() -> None:
    service, call = sys.argv[1:]
    client = Client(base_url=service, token="none is asked for")
    move(client, uuid.UUID(call))
    drain(client)
    read_a_problem(client, uuid.UUID(call))


main()
