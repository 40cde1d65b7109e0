#!/usr/bin/env python3
"""Prints tests/fixtures/genesys/models.json: the members of the SDK's models, with the allowed
words of those that are enumerations.

Usage: models.py > tests/fixtures/genesys/models.json
Needs: pip install PureCloudPlatformClientV2 (made with 269.0.0)
"""

import inspect
import json
import re

import PureCloudPlatformClientV2 as sdk

# The models the sandbox answers with; members of other models are kept as their type's name only.
MODELS = """
    Address AddressableEntityRef Call CallConversation CallMediaParticipant Callback
    ContactCenterSettings Conversation ConversationChat ConversationDivisionMembership
    ConversationRoutingData Detail Division DivisionEntityRef DomainEntityRef Email ErrorBody
    Language Message ObservationMetricData ObservationValue Participant Queue QueueEntityListing
    QueueObservationDataContainer QueueObservationQueryResponse
    RoutingConversationAttributesResponse RoutingSkill Segment StatisticalSummary
    TransferDestination TransferInitiator TransferResponse UtilizationLabel
""".split()


def words(source, attribute):
    """The allowed values of a member, read from its setter; none when it is no enumeration."""
    setter = re.search(rf"@{attribute}\.setter\n(.*?)(?=\n    @property|\Z)", source, re.S)
    found = setter and re.search(r"allowed_values = \[(.*?)\]", setter.group(1), re.S)
    return re.findall(r'"([^"]*)"', found.group(1)) if found else []


def members(name):
    model = getattr(sdk, name)
    source, empty = inspect.getsource(model), model()
    listed = {}
    for attribute, member in empty.attribute_map.items():
        listed[member] = {"type": empty.swagger_types[attribute]}
        allowed = words(source, attribute)
        # The long lists name products and services; none of them is used here.
        if allowed and len(allowed) < 25:
            listed[member]["words"] = allowed
    return listed


print(json.dumps({name: members(name) for name in MODELS}, indent=1))
