#!/usr/bin/env python3
"""Holds Dockerfile, compose file, README, configuration and program against each other.

Usage: lint.py PROGRAM COMPOSE_JSON, from the repository's root
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

PROGRAM = str(Path(sys.argv[1]).resolve())
COMPOSE = json.loads(Path(sys.argv[2]).read_text())
IMAGE = "genesys-transfer"
# Read by libraries and not by the configuration.
NOT_OURS = {"SQLITE_TMPDIR", "NO_PROXY"}

failures = 0


def check(claim, holds, seen=""):
    global failures
    if not holds:
        failures += 1
        print(f"FAIL {claim}" + (f": {seen}" if seen != "" else ""))


def program(*arguments, **settings):
    """Runs the program with nothing but these settings in its environment."""
    return subprocess.run(
        [PROGRAM, *arguments], env=settings, capture_output=True, text=True, timeout=20
    )


def understood(claim, arguments):
    """The program knows these arguments; --help keeps it from doing anything."""
    done = program(*arguments, "--help")
    check(claim, done.returncode == 0, done.stderr)


def known_variables():
    section, names = "", {"CONFIG_FILE"}
    for line in program("check-config").stdout.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif name := re.match(r"(?:# )?([a-z_]+) (?:=|is not set)", line):
            names.add(f"{section}_{name[1]}".upper())
    return names


def is_known(variable, known):
    return variable in known or variable.removesuffix("_FILE") in known or variable in NOT_OURS


def instructions(text):
    """(word, rest) of each instruction of a Dockerfile, lines joined, comments left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines():
        if line.strip():
            yield tuple(line.strip().split(None, 1))


def seconds(text):
    parts = re.findall(r"(\d+)(ms|s|m|h)", text)
    return sum(int(number) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[unit] for number, unit in parts)


def dockerfile(production, known):
    everything = list(instructions(Path("Dockerfile").read_text()))
    last = max(index for index, (word, _) in enumerate(everything) if word == "FROM")
    final = everything[last:]
    of = lambda word: [rest for name, rest in final if name == word]
    variables = dict(pair for rest in of("ENV") for pair in re.findall(r"(\w+)=(\S+)", rest))
    for name in variables:
        check(f"Dockerfile: {name} is a setting", is_known(name, known))

    rust = tomllib.loads(Path("Cargo.toml").read_text())["package"]["rust-version"]
    check("Dockerfile: Rust is the version of Cargo.toml", f"/rust:{rust}-" in everything[1][1])
    check("Dockerfile: config/production.toml is where CONFIG_FILE says",
          f"config/production.toml {variables['CONFIG_FILE']}" in of("COPY"))
    port = production["server"]["bind"].rsplit(":", 1)[1]
    check("Dockerfile: EXPOSE is the port of production.toml", of("EXPOSE") == [port])
    volume = of("VOLUME")[0]
    check("Dockerfile: the store is on the volume",
          production["store"]["url"].startswith(f"sqlite://{volume}/"), volume)
    check("Dockerfile: SQLite's temporary files are on the volume",
          variables["SQLITE_TMPDIR"] == volume)
    user = of("USER")[0]
    check("Dockerfile: the user is numbers, and not root", re.fullmatch(r"[1-9]\d*:[1-9]\d*", user))
    check("Dockerfile: the volume is the user's",
          any(f"--chown={user}" in rest and rest.endswith(f" {volume}") for rest in of("COPY")))
    check("Dockerfile: SIGTERM stops it", of("STOPSIGNAL") == ["SIGTERM"])

    entrypoint = json.loads(of("ENTRYPOINT")[0])
    check("Dockerfile: the entry point is what is copied",
          any(rest.endswith(f" {entrypoint[0]}") for rest in of("COPY")))
    command = json.loads(of("CMD")[0]) if of("CMD") else []
    understood("Dockerfile: the program knows its arguments", entrypoint[1:] + command)
    health = json.loads(of("HEALTHCHECK")[0].split("CMD", 1)[1])
    check("Dockerfile: HEALTHCHECK runs the entry point", health[0] == entrypoint[0])
    understood("Dockerfile: the program knows HEALTHCHECK's arguments", health[1:])
    return int(port), entrypoint[0]


def hardened(name, service):
    check(f"{name}: read-only", service.get("read_only") is True)
    check(f"{name}: no capabilities", service.get("cap_drop") == ["ALL"] and not service.get("cap_add"))
    check(f"{name}: no new privileges", service.get("security_opt") == ["no-new-privileges:true"])
    check(f"{name}: limits", service.get("mem_limit") and service.get("pids_limit"))
    check(f"{name}: comes back", service.get("restart") == "unless-stopped")
    check(f"{name}: not root", service.get("user", "nobody").split(":")[0] not in ("0", "root"))
    for port in service.get("ports", []):
        check(f"{name}: published on this machine only", port.get("host_ip") == "127.0.0.1", port)
    for on, wish in service.get("depends_on", {}).items():
        check(f"{name}: waits until {on} is healthy", wish["condition"] == "service_healthy")


def secret_files(service):
    """Paths inside a container, and the files that are there."""
    files = {}
    for one in service.get("secrets") or []:
        source, target = one["source"], one.get("target") or one["source"]
        target = target if target.startswith("/") else f"/run/secrets/{target}"
        files[target] = COMPOSE["secrets"][source]["file"]
        check(f"secret {source}: the file exists", os.path.isfile(files[target]))
    return files


def settings_of(name, service, known):
    """The environment of a service with the paths of this machine."""
    files = secret_files(service)
    settings = {"CONFIG_FILE": "config/production.toml"}
    for variable, value in (service.get("environment") or {}).items():
        check(f"{name}: {variable} is a setting", is_known(variable, known))
        if variable.endswith("_FILE"):
            check(f"{name}: {variable} names a secret", value in files, value)
        settings[variable] = files.get(value, value)
    return settings


def own_service(name, service, known, port, path):
    settings = settings_of(name, service, known)
    command = service.get("command") or []
    understood(f"{name}: the program knows its arguments", command)
    if command[:1] == ["sandbox"]:
        settings["SANDBOX_BIND"] = command[command.index("--bind") + 1]
        port = int(settings["SANDBOX_BIND"].rsplit(":", 1)[1])
    done = program("check-config", **settings)
    check(f"{name}: the settings are accepted", done.returncode == 0, done.stderr)
    for one in service.get("ports", []):
        check(f"{name}: the published port is listened on", one["target"] == port, one)
    if health := service.get("healthcheck"):
        test = health["test"]
        check(f"{name}: the health check runs the program", test[:2] == ["CMD", path], test)
        understood(f"{name}: the program knows its health check", test[2:])
    grace = re.search(r'^shutdown_grace = "(.*?)"', done.stdout, re.M)
    check(f"{name}: Docker waits longer than the service takes",
          grace and seconds(service["stop_grace_period"]) >= seconds(grace[1]) + 5)


def balancer(services, port):
    config = Path("config/demo/haproxy.cfg").read_text()
    replicas = {name for name, one in services.items()
                if "GENESYS_API_URL" in (one.get("environment") or {})}
    servers = re.findall(r"^\s*server (\S+) (\S+):(\d+)", config, re.M)
    check("haproxy.cfg: the servers are the replicas", {host for _, host, _ in servers} == replicas)
    check("haproxy.cfg: their port", all(int(to) == port for _, _, to in servers))
    listens = int(re.search(r"^\s*bind :(\d+)", config, re.M)[1])
    targets = [one["target"] for one in services["balancer"]["ports"]]
    check("haproxy.cfg: the published port is listened on", targets == [listens])


def demo_secrets():
    url = Path("config/demo/store_url").read_text().strip()
    password = Path("config/demo/postgres_password").read_text().strip()
    db = COMPOSE["services"]["db"]["environment"]
    expected = f"postgres://{db['POSTGRES_USER']}:{password}@db/{db['POSTGRES_DB']}"
    check("store_url: user, password, host and database of the compose file", url == expected)
    refused = program("check-config", AUTH_API_KEYS_FILE="config/demo/api_keys.toml",
                      GENESYS_REGION="eu-central-1", GENESYS_CLIENT_ID="a", GENESYS_CLIENT_SECRET="b")
    check("the demo key is refused with a real region",
          refused.returncode == 78 and "demo key" in refused.stderr, refused.stderr)


def documents(published):
    """What people paste works: the demo key, the ports, the profile."""
    listed = tomllib.loads(Path("config/demo/api_keys.toml").read_text())
    hashes = listed["auth"]["api_keys"][0]["sha256"]
    readme = Path("README.md").read_text()
    part = re.search(r"^## In a container\n(.*?)^## ", readme, re.M | re.S)
    check("README: has a part on containers", part)
    for place, text in {"README": part[1], "docker-compose.yml": Path("docker-compose.yml").read_text(),
                        "api_keys.toml": Path("config/demo/api_keys.toml").read_text()}.items():
        keys = set(re.findall(r"Bearer ([\w-]+)", text))
        check(f"{place}: shows the demo key",
              keys and all(hashlib.sha256(key.encode()).hexdigest() in hashes for key in keys), keys)
    ports = {int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", part[1])}
    check("README: its ports are the published ones", ports == published, (ports, published))
    for name in re.findall(r"--profile (\S+)", part[1]):
        check(f"README: profile {name}", any(name in one.get("profiles", [])
                                            for one in COMPOSE["services"].values()))


def own_files(known):
    """What `.env` says to the service must not be taken by the compose file for its own."""
    names = re.findall(r"\$\{(\w+)", Path("docker-compose.yml").read_text())
    taken = [name for name in names if is_known(name, known)]
    check("docker-compose.yml: its variables are not the service's", names and not taken, taken)


def main():
    known = known_variables()
    check("the program lists its settings", len(known) > 30, sorted(known))
    production = tomllib.loads(Path("config/production.toml").read_text())
    port, path = dockerfile(production, known)
    services = COMPOSE["services"]
    for name, service in services.items():
        hardened(name, service)
        check(f"{name}: has a health check", service.get("healthcheck") or service["image"] == IMAGE)
        if service["image"] == IMAGE:
            own_service(name, service, known, port, path)
        else:
            secret_files(service)
    balancer(services, port)
    demo_secrets()
    own_files(known)
    documents({int(one["published"]) for service in services.values()
               for one in service.get("ports", [])})
    print("Dockerfile, compose file, README and configuration agree" if not failures
          else f"{failures} things do not agree")
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
