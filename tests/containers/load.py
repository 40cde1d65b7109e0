#!/usr/bin/env python3
"""Moves calls through a service whose replicas are killed and restarted, then closes the books.

Usage: load.py SERVICE SANDBOX API_KEY PHASE_FILE

A caller repeats a request, with its key, until the outcome is known. The phase file says `kills`, `restarts`
(the first answer to each request must be the service's own, a success or a refusal that says when
to come back: none is cut off, none finds no listener), or `end`. The sandbox's ledger is what really happened: no
call is asked for twice, moved twice, or said to have moved when it did not; every one has a record.
"""

import http.client
import json
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

CALLERS = 12
# Between two requests of one caller, in seconds; and an end to all of it.
PAUSE = 0.1
LONGEST = 300
# Genesys takes this long to answer a command, so that a kill meets some on their way.
SLOWNESS_MS = 300
# How long a caller repeats, and how long the service settles what it can see, with its lease.
PATIENCE = 60
SETTLING = 180
TARGET = "Support Tier 2"
# First answers while replicas restart in order. The refusals come when machine and disk are so busy
# that requests still wait for their turn when their replica ends; usually there are none.
ALLOWED = {
    "201 accepted",
    "503 shutting_down",
    "503 store_unavailable",
    "503 genesys_rate_limited",
}

service, sandbox, key, phase_file = sys.argv[1:]
broken = []
lock = threading.Lock()
calls = {}
first_answers = Counter()
repeats = Counter()


def ask(base, method, path, body=None, headers=None):
    """(status, JSON), or (0, None) when no answer came."""
    place = urlsplit(base)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=40)
    try:
        text = json.dumps(body) if body is not None else None
        connection.request(method, path, text, {"Content-Type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        text = answer.read()
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, {"code": "not the service's answer"}
    except (OSError, http.client.HTTPException):
        return 0, None
    finally:
        connection.close()


def own(method, path, body=None, **headers):
    return ask(service, method, path, body, {"Authorization": f"Bearer {key}", **headers})


def phase():
    return Path(phase_file).read_text().strip()


def insist(call):
    """Repeats one request until it is known what became of it; gives that status and code."""
    body = {"conversationId": call, "queueName": TARGET}
    until = time.monotonic() + PATIENCE
    restarting = phase() == "restarts"
    first = True
    while True:
        status, answer = own("POST", "/transfers", body, **{"Idempotency-Key": call})
        code = (answer or {}).get("code") or (answer or {}).get("status") or "no answer"
        if first and restarting:
            with lock:
                first_answers[f"{status} {code}"] += 1
        again = status in (0, 429, 502, 503, 504) or code == "idempotency_key_in_use"
        if not again or time.monotonic() > until:
            return status, code
        with lock:
            repeats[f"{status} {code}"] += 1
        first = False
        time.sleep(0.25)


def caller():
    end = time.monotonic() + LONGEST
    while phase() != "end" and time.monotonic() < end:
        new = {"shape": "connected", "queueName": "Support Tier 1"}
        _, made = ask(sandbox, "POST", "/sandbox/conversations", new)
        heard = insist(made["id"])
        with lock:
            calls[made["id"]] = heard
        time.sleep(PAUSE)


def ledger(what, field):
    """Entries of the sandbox's ledger by conversation."""
    found, after = {}, 0
    while True:
        _, page = ask(sandbox, "GET", f"/sandbox/ledger/{what}&after={after}&limit=10000")
        for entry in page["items"]:
            found.setdefault(field(entry), []).append(entry)
            after = entry["seq"]
        if not page["items"]:
            return found


def record(call):
    """The statuses of a conversation's transfers, once nothing is on its way any more."""
    status, page = own("GET", f"/transfers?conversationId={call}")
    if status != 200:
        return ["no answer"]
    return [one["status"] for one in page["items"]]


def settled(call, moved, until):
    statuses = record(call)
    while time.monotonic() < until and (
        {"pending", "no answer"} & set(statuses) or (moved and "unknown" in statuses)
    ):
        time.sleep(1)
        statuses = record(call)
    return statuses


def balance(call, heard, commands, moves, statuses):
    happened = [one for one in statuses if one in ("accepted", "confirmed")]
    sent = [one for one in commands if one["status"] not in (401, 429)]
    if len(sent) > 1:
        broken.append(f"{call}: asked {len(sent)} times")
    if len(moves) > 1:
        broken.append(f"{call}: moved {len(moves)} times")
    if not statuses and heard[0]:
        broken.append(f"{call}: no record, heard {heard}")
    if len(happened) != len(moves):
        broken.append(f"{call}: {statuses}, but moved {len(moves)} times; heard {heard}")
    if heard[0] == 201 and not moves:
        broken.append(f"{call}: heard {heard}, but did not move")


def main():
    slow = {"kind": "delay", "ms": SLOWNESS_MS}
    order = {"path": "*/replace/queue", "times": "forever", "fault": slow}
    ordered, _ = ask(sandbox, "POST", "/sandbox/faults", order)
    assert ordered == 201, "the sandbox is slow on order"
    threads = [threading.Thread(target=caller) for _ in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.sleep(2)
    commands = ledger("requests?commands=true", lambda entry: entry["path"].split("/")[4])
    moves = ledger("moves?", lambda entry: entry["conversationId"])
    until = time.monotonic() + SETTLING
    ends = Counter()
    for call, heard in calls.items():
        statuses = settled(call, call in moves, until)
        ends.update(statuses)
        balance(call, heard, commands.get(call, []), moves.get(call, []), statuses)
    for answer, times in first_answers.items():
        if answer not in ALLOWED:
            broken.append(f"while replicas restarted in order: {times} times {answer}")
    print(f"calls {len(calls)}, moved {len(calls.keys() & moves)}, records {dict(ends)}")
    print(f"repeated after {dict(repeats)}; first answers while restarting {dict(first_answers)}")
    for line in broken[:20]:
        print(f"FAIL {line}")
    sys.exit(bool(broken) or len(calls) < 100)


if __name__ == "__main__":
    main()
