"""Waits until the service is ready, takes the limits out of the sandbox's way, makes calls to move,
and writes their ids to a file. Arguments: the service, the sandbox, the file."""

import json
import sys
import time
import urllib.error
import urllib.request


def ask(method, url, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=180) as answer:
        return json.load(answer)


service, sandbox, path = sys.argv[1:]
deadline = time.monotonic() + 180  # only a service that fails takes so long
while True:
    try:
        ask("GET", f"{service}/health/ready")
        break
    except (urllib.error.URLError, ConnectionError):
        if time.monotonic() > deadline:
            sys.exit(f"{service} is not ready")
        time.sleep(0.05)

ask("PATCH", f"{sandbox}/sandbox/settings", {"requestsPerMinute": 1_000_000})
for shape in ("connected", "held", "waiting", "conference"):
    order = {"shape": shape, "queueName": "Support Tier 1", "count": 100}
    ask("POST", f"{sandbox}/sandbox/conversations", order)
calls = ask("GET", f"{sandbox}/sandbox/conversations?limit=1000")["items"]
with open(path, "w", encoding="utf-8") as file:
    file.writelines(call["id"] + "\n" for call in calls)
