"""The suites: how each is fetched, run against an address, and read. A result is {case: (outcome, why)} with the
outcomes pass, fail and skip (the suite's own decision)."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import typing

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
WORK = ROOT / ".cache/conformance"
GO = str(ROOT / "tools/go")
MQTT_HOST = "127.0.0.77"  # where port 1883 is free though somebody runs a broker


class Users(typing.NamedTuple):
    """Where a broker lets in users only, with SCRAM-SHA-256, and one of them."""

    address: str
    name: str
    password: str


def checked(argv, **more):
    done = subprocess.run(argv, capture_output=True, text=True, **more)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, argv))}: {(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def fetch_go_module(module, version):
    """A module from the Go proxy, copied to where its tests can be built."""
    where = WORK / f"{module.rsplit('/', 1)[1]}-{version}"
    if not where.exists():
        WORK.mkdir(parents=True, exist_ok=True)
        scratch = WORK / "fetching"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        found = json.loads(checked([GO, "mod", "download", "-json", f"{module}@{version}"], cwd=scratch))
        shutil.copytree(found["Dir"], scratch / "copy")
        for path in [scratch / "copy", *(scratch / "copy").rglob("*")]:
            path.chmod(path.stat().st_mode | 0o200)
        (scratch / "copy").rename(where)
        shutil.rmtree(scratch)
    return where


def build_go_tests(directory):
    binary = directory / "suite.test"
    if not binary.exists():
        checked([GO, "test", "-c", "-o", str(binary), "."], cwd=directory)
    return binary


def run_go_tests(directory, flags, env, limit_s):
    """Runs a test binary; its leaf tests. A test that never ended has failed."""
    binary = build_go_tests(directory)
    command = [GO, "tool", "test2json", "-t", str(binary), "-test.v", f"-test.timeout={limit_s}s", *flags]
    done = subprocess.run(command, cwd=directory, env={**os.environ, **env}, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True, errors="replace", timeout=limit_s + 60)
    outcomes, output = {}, {}
    for line in done.stdout.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        test = event.get("Test")
        if not test:
            continue
        if event["Action"] == "run":
            outcomes.setdefault(test, "fail")
        elif event["Action"] in ("pass", "fail", "skip"):
            outcomes[test] = event["Action"]
        elif event["Action"] == "output":
            output.setdefault(test, []).append(event["Output"].strip())
    parents = {test.rsplit("/", 1)[0] for test in outcomes if "/" in test}
    return {test: (outcome, first_words(output.get(test, []))) for test, outcome in outcomes.items() if test not in parents}


def first_words(lines):
    said = [line for line in lines if line and not line.startswith(("===", "---"))]
    return re.sub(r"^\w+\.go:\d+: ", "", said[0])[:150] if said else ""


class PahoGo:
    name, protocol, version = "paho-go", "mqtt", "v1.5.1"
    title = "Eclipse paho.mqtt.golang, its functional tests"
    listen = f"{MQTT_HOST}:1883"  # the port is compiled in
    wants_users = False

    def fetch(self):
        self.where = fetch_go_module("github.com/eclipse/paho.mqtt.golang", self.version)
        build_go_tests(self.where)

    def run(self, address, not_run, _):
        flags = [f"-test.skip={'|'.join(not_run)}"] if not_run else []
        return run_go_tests(self.where, flags, {"TEST_FVT_ADDR": address.rsplit(":", 1)[0]}, 300)


class FranzGo:
    name, protocol, version = "franz-go", "kafka", "v1.22.2"
    title = "franz-go, those tests of pkg/kgo that talk to a broker"
    wants_users = True

    def fetch(self):
        self.where = fetch_go_module("github.com/twmb/franz-go", self.version) / "pkg/kgo"
        build_go_tests(self.where)

    def names(self):
        """Most tests of this package are about the client alone and pass against anything: those that reach, through
        whatever helpers, what names the broker."""
        bodies = {}
        for path in sorted(self.where.glob("*_test.go")):
            for part in re.split(r"^func ", path.read_text(encoding="utf-8"), flags=re.M)[1:]:
                name = re.match(r"(?:\([^)]*\) )?(\w+)", part)
                bodies[name[1]] = bodies.get(name[1], "") + part[name.end():]
        del bodies["init"]
        found = {name for name, body in bodies.items() if "KGO_SEEDS" in body or re.search(r"\bscramSeeds\b", body)}
        while True:
            calls = re.compile(r"\b(?:" + "|".join(sorted(found)) + r")\(")
            more = {name for name, body in bodies.items() if name not in found and calls.search(body)}
            if not more:
                return sorted(name for name in found if name.startswith("Test"))
            found |= more

    def run(self, address, not_run, users):
        flags = [f"-test.run=^({'|'.join(self.names())})$"]
        flags += [f"-test.skip={'|'.join(not_run)}"] if not_run else []
        env = {"KGO_SEEDS": address, "KGO_TEST_RF": "1", "KGO_TEST_RECORDS": "20000", "KGO_LOG_LEVEL": "none",
               "KGO_TEST_SCRAM_SEEDS": users.address, "KGO_TEST_SCRAM": f"{users.name}:{users.password}"}
        return run_go_tests(self.where, flags, env, 600)


class KafkaTools:
    name, protocol, version = "kafka-tools", "kafka", "4.3.1"
    title = "Apache Kafka's command line tools and verifiable clients"
    wants_users = False

    def fetch(self):
        checked([ROOT / "tools/peers/peer", "install"])

    def run(self, address, not_run, _):
        """tests/conformance/kafka_tools.sh: one case per `case NAME COMMAND` line, in order."""
        WORK.mkdir(parents=True, exist_ok=True)
        env = {**os.environ, "TOOL": str(ROOT / "tools/peers/peer") + " tool", "AT": address,
               "LOGS": str(WORK / "kafka-tools-logs"), "SKIP": " ".join(not_run)}
        script = pathlib.Path(__file__).with_name("kafka_tools.sh")
        done = subprocess.run(["bash", str(script)], env=env, stdout=subprocess.PIPE, text=True, timeout=3000)
        results = {}
        for line in done.stdout.splitlines():
            match = re.fullmatch(r"(pass|fail) (\S+) ?(.*)", line)
            if match:
                results[match[2]] = (match[1], match[3])
        return results


SUITES = {suite.name: suite for suite in (PahoGo(), FranzGo(), KafkaTools())}
