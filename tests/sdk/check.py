#!/usr/bin/env python3
"""Runs the official Genesys Cloud SDK against the sandbox.

Usage: check.py BASE_URL [CLIENT_ID CLIENT_SECRET]
Needs: pip install PureCloudPlatformClientV2 (made with 269.0.0)

Only the SDK's host is set; nothing of it is changed. One line per check; exit code 1 when any
fails. The script makes the conversation it moves, so it can be run again.
"""

import json
import sys
import time
import urllib.request

import PureCloudPlatformClientV2 as sdk
from PureCloudPlatformClientV2.rest import ApiException

SOURCE = "Support Tier 1"
TARGET = "Support Tier 2"
# What the SDK's models put in the place of a word they do not know.
UNKNOWN_WORD = "outdated_sdk_version"

failures = 0


def check(name, ok, seen=""):
    global failures
    failures += not ok
    print(f"{'ok  ' if ok else 'FAIL'} {name}" + (f": {seen}" if seen and not ok else ""))


def attempt(name, call, judge):
    """One check: makes the call, then judges its answer; an exception is a failure."""
    try:
        answer = call()
        ok = bool(judge(answer))
    except Exception as error:  # whatever the SDK raises is a finding
        check(name, False, f"{type(error).__name__}: {error}")
        return None
    check(name, ok, answer)
    return answer


def refused(name, call, status, code):
    """One check: the call must be refused in Genesys' way."""
    try:
        answer = call()
    except ApiException as error:
        body = json.loads(error.body)
        ok = error.status == status and body["code"] == code and body["contextId"]
        check(name, bool(ok) and "ININ-Correlation-Id" in error.headers, error)
        return
    check(name, False, answer)


def knows_every_word(model):
    """Whether no enumeration member of a model, however deep, has an unknown value."""
    if isinstance(model, (list, tuple)):
        return all(knows_every_word(one) for one in model)
    if hasattr(model, "swagger_types"):
        return all(knows_every_word(getattr(model, name)) for name in model.swagger_types)
    return not (isinstance(model, str) and model.lower() == UNKNOWN_WORD)


def operate(base, path, body):
    """Asks the sandbox's operating interface."""
    request = urllib.request.Request(f"{base}/sandbox/{path}", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def open_leg(conversation, purpose):
    legs = [leg for leg in conversation.participants if leg.purpose == purpose]
    return next((leg for leg in legs if leg.end_time is None), None)


def poll(call, ready, seconds=180):
    until = time.monotonic() + seconds
    while True:
        answer = call()
        if ready(answer) or time.monotonic() > until:
            return answer
        time.sleep(0.1)


def main(base, client_id, client_secret):
    sdk.configuration.host = base
    client = attempt(
        "token by client credentials",
        lambda: sdk.api_client.ApiClient().get_client_credentials_token(client_id, client_secret),
        lambda client: client.access_token,
    )
    if client is None:
        return
    routing = sdk.RoutingApi(client)
    conversations = sdk.ConversationsApi(client)
    analytics = sdk.AnalyticsApi(client)

    page = attempt(
        "queue list",
        lambda: routing.get_routing_queues(page_size=100, name="*support*"),
        lambda page: page.page_count == 1 and page.total == len(page.entities) >= 2,
    )
    queues = {queue.name: queue for queue in page.entities}
    attempt(
        "queue list, a page that is not the first",
        lambda: routing.get_routing_queues(page_size=1, page_number=2),
        lambda page: page.previous_uri and len(page.entities) == 1,
    )
    source, target = queues[SOURCE].id, queues[TARGET].id
    attempt(
        "one queue",
        lambda: routing.get_routing_queue(target),
        lambda queue: queue.name == TARGET and queue.division.id and knows_every_word(queue),
    )
    attempt(
        "contact-centre settings",
        routing.get_routing_settings_contactcenter,
        lambda settings: settings.remove_skills_from_blind_transfer in (True, False),
    )

    made = operate(base, "conversations", {"shape": "connected", "queueId": source})
    call = made["id"]
    before = attempt(
        "conversation",
        lambda: conversations.get_conversation(call),
        lambda seen: open_leg(seen, "agent").calls[0].state == "connected"
        and knows_every_word(seen),
    )
    agent = open_leg(before, "agent")
    attempt(
        "conversation, calls form",
        lambda: conversations.get_conversations_call(call),
        lambda seen: any(
            leg.id == agent.id and leg.state == "connected" and leg.queue.id == source
            for leg in seen.participants
        )
        and knows_every_word(seen),
    )
    attempt(
        "replace the agent's leg by a queue",
        lambda: conversations.post_conversation_participant_replace_queue(
            call, agent.id, transfer_request(target)
        ),
        lambda answer: answer is None or answer == "",
    )
    attempt(
        "the conversation waits in the target queue",
        lambda: poll(
            lambda: conversations.get_conversation(call),
            lambda seen: open_leg(seen, "acd") is not None,
        ),
        lambda seen: open_leg(seen, "acd").queue_id == target
        and open_leg(seen, "agent") is None
        and len(seen.recent_transfers) == 1
        and knows_every_word(seen),
    )
    attributes = sdk.RoutingConversationAttributesRequest()
    attributes.priority = 7
    attributes.skill_ids = []
    attempt(
        "priority of a waiting conversation",
        lambda: routing.patch_routing_conversation(call, attributes),
        lambda answer: answer.priority == 7 and answer.skills == [],
    )
    attempt(
        "who waits in the target queue",
        lambda: analytics.post_analytics_queues_observations_query(observation_query(target)),
        lambda answer: waits(answer, call, 7) and knows_every_word(answer),
    )

    attempt(
        "everybody who waits in the target queue",
        lambda: analytics.post_analytics_conversations_activity_query(
            activity_query(target), page_size=100, page_number=1
        ),
        lambda answer: is_listed(answer, call, 7) and knows_every_word(answer),
    )
    attempt(
        "the legs of many conversations",
        lambda: analytics.get_analytics_conversations_details(id=[call, made["id"]]),
        lambda answer: is_detailed(answer, call, target) and knows_every_word(answer),
    )
    attempt(
        "the activity of two queues",
        lambda: analytics.post_analytics_queues_observations_query(
            activity_of([source, target])
        ),
        lambda answer: tells_activity(answer, target) and knows_every_word(answer),
    )
    attempt(
        "the estimated wait in a queue",
        lambda: routing.get_routing_queue_mediatype_estimatedwaittime(target, "call"),
        lambda answer: answer.results[0].intent == "CALL"
        and answer.results[0].estimated_wait_time_seconds > 0
        and knows_every_word(answer),
    )
    attempt(
        "the organisation's limits",
        lambda: sdk.OrganizationApi(client).get_organizations_limits_namespace("platform.api"),
        lambda answer: any(
            limit.key == "client.credentials.token.rate.per.minute" and limit.value > 0
            for limit in answer.entities
        )
        and knows_every_word(answer),
    )

    customer = open_leg(before, "customer")
    refused(
        "the customer's leg cannot be replaced",
        lambda: conversations.post_conversation_participant_replace_queue(
            call, customer.id, transfer_request(target)
        ),
        400,
        "bad.request",
    )
    refused(
        "an ended leg cannot be replaced",
        lambda: conversations.post_conversation_participant_replace_queue(
            call, agent.id, transfer_request(target)
        ),
        404,
        "not.found",
    )
    refused(
        "an unknown conversation is not found",
        lambda: conversations.get_conversation("00000000-0000-4000-8000-000000000000"),
        404,
        "not.found",
    )
    client.access_token = "wrong"
    refused(
        "an unknown token is refused",
        lambda: routing.get_routing_queue(target),
        401,
        "bad.credentials",
    )


def transfer_request(queue):
    request = sdk.TransferToQueueRequest()
    request.queue_id = queue
    request.transfer_type = "Unattended"
    return request


def observation_query(queue):
    def matches(dimension, value):
        predicate = sdk.QueueObservationQueryPredicate()
        predicate.type = "dimension"
        predicate.dimension = dimension
        predicate.operator = "matches"
        predicate.value = value
        return predicate

    query = sdk.QueueObservationQuery()
    query.filter = sdk.QueueObservationQueryFilter()
    query.filter.type = "and"
    query.filter.predicates = [matches("queueId", queue), matches("mediaType", "voice")]
    query.metrics = ["oWaiting"]
    query.detail_metrics = ["oWaiting"]
    return query


def activity_query(queue):
    metric = sdk.ConversationActivityQueryMetric()
    metric.metric = "oWaiting"
    metric.details = True

    def predicate(dimension, value):
        predicate = sdk.ConversationActivityQueryPredicate()
        predicate.dimension = dimension
        predicate.value = value
        return predicate

    clause = sdk.ConversationActivityQueryClause()
    clause.type = "or"
    clause.predicates = [predicate("queueId", queue)]
    query = sdk.ConversationActivityQuery()
    query.metrics = [metric]
    query.group_by = ["conversationId", "queueId"]
    query.order = "asc"
    query.filter = sdk.ConversationActivityQueryFilter()
    query.filter.type = "and"
    query.filter.clauses = [clause]
    query.filter.predicates = [predicate("mediaType", "voice")]
    return query


def is_listed(answer, call, priority):
    (group,) = [group for group in answer.results if group.group["conversationId"] == call]
    (row,) = group.entities
    return row.routing_priority == priority and row.activity_date is not None


def is_detailed(answer, call, queue):
    found = next(one for one in answer.conversations if one.conversation_id == call)
    legs = [leg for leg in found.participants if leg.purpose == "acd"]
    last = legs[-1].sessions[-1].segments[-1]
    return last.queue_id == queue and last.segment_end is None


def activity_of(queues):
    query = observation_query(queues[0])
    query.filter.type = "or"
    query.filter.predicates = [
        predicate
        for queue in queues
        for predicate in observation_query(queue).filter.predicates
        if predicate.dimension == "queueId"
    ]
    query.metrics = [
        "oWaiting",
        "oInteracting",
        "oLongestWaiting",
        "oOnQueueUsers",
        "oUserRoutingStatuses",
    ]
    query.detail_metrics = None
    return query


def tells_activity(answer, queue):
    told = {
        (data.metric, data.qualifier): data.stats
        for result in answer.results
        if result.group["queueId"] == queue
        and result.group.get("mediaType", "voice") == "voice"
        for data in result.data
    }
    return (
        told["oWaiting", None].count >= 1
        and told["oLongestWaiting", None].calculated_metric_value > 0
        and told["oUserRoutingStatuses", "IDLE"].count > 0
    )


def waits(answer, call, priority):
    (result,) = answer.results
    (data,) = result.data
    row = next(row for row in data.observations if row.conversation_id == call)
    return data.stats.count == len(data.observations) and row.routing_priority == priority


if __name__ == "__main__":
    if len(sys.argv) not in (2, 4):
        sys.exit(__doc__)
    main(sys.argv[1].rstrip("/"), *(sys.argv[2:] or ("sandbox", "sandbox")))
    sys.exit(1 if failures else 0)
