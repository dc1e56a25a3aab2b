"""What is denied is counted and logged: who, what, to what."""
import re

from cases.access import add_user, admin, counted, protected, sasl, stele
from cases.mqtt_clients import at
from harness import mqtt
from harness.case import WAIT_S, case
from harness.kafka import Kcat
from harness.mqtt import connection, publish

ALICE, PASSWORD = ["-u", "alice", "-P", "wonderland"], "wonderland"
NOT_AUTHORIZED = 0x87


def lines(t):
    """What the access control has said."""
    text = t.broker.log.read_text(encoding="utf-8")
    return [line.split(" access: ", 1)[1] for line in text.splitlines() if " access: " in line]


def publishes(version, *flags, who=()):
    return lambda t: t.run(["mosquitto_pub", *at(t), "-V", version, *(who or ALICE), *flags, "-m", "no"], ok=None)


def subscribes(version, pattern):
    return lambda t: t.run(["mosquitto_sub", *at(t), "-V", version, *ALICE, "-t", pattern, "-E"], ok=None)


def kcat(t, *argv, stdin=""):
    t.run([*Kcat(t, *sasl("alice", PASSWORD)).base, *argv], stdin=stdin, ok=False)


def commands(*argv):
    return lambda t: stele(t, "alice", PASSWORD, *argv, ok=False)


# What is tried: (how, whose metric counts it, what is logged).
DENIALS = {
    "publish, v5": (publishes("5", "-q", 1, "-t", "b/x"), "publish", "'alice' may not publish 'b/x'"),
    "publish, v3.1.1": (publishes("311", "-t", "b/x"), "publish", "'alice' may not publish 'b/x'"),
    "publish, v3.1": (publishes("mqttv31", "-t", "b/x"), "publish", "'alice' may not publish 'b/x'"),
    "publish, nobody": (publishes("5", "-t", "a/x", who=["-V", "5"]), "publish", "'anonymous' may not publish 'a/x'"),
    "will": (publishes("5", "--will-topic", "b/w", "-t", "a/x"), "publish", "'alice' may not publish 'b/w'"),
    "subscribe, v5": (subscribes("5", "b/#"), "subscribe", "'alice' may not subscribe 'b/#'"),
    "subscribe, v3.1.1": (subscribes("311", "#"), "subscribe", "'alice' may not subscribe '#'"),
    "subscribe, shared": (subscribes("5", "$share/g/b/#"), "subscribe", "'alice' may not subscribe 'b/#'"),
    "produce": (lambda t: kcat(t, "-P", "-t", "read-only", stdin="no\n"), "produce", "'alice' may not produce 'read-only'"),
    "produce to an address": (
        lambda t: kcat(t, "-P", "-t", "orders", "-H", "mqtt.topic=b/x", stdin="no\n"), "publish",
        "'alice' may not publish 'b/x'"),
    "consume": (lambda t: kcat(t, "-C", "-t", "write-only", "-e"), "fetch", "'alice' may not fetch 'write-only'"),
    "create a topic": (commands("topic", "create", "new"), "create_topic", "'alice' may not create topic 'new'"),
    "administer": (commands("user", "list"), "administer", "'alice' may not administer"),
}


def guarded(t, *flags):
    protected(t, *flags)
    for name, operation in (("read-only", "read"), ("write-only", "write")):
        admin(t, "topic", "create", name)
        admin(t, "acl", "add", "--for", "alice", "--allow", operation, "--topic", name)
    add_user(t, "anonymous", "nobody needs it")


@case("stele", start=False, each=DENIALS)
def is_counted_and_logged(t, denial):
    attempt, action, line = denial
    guarded(t)
    t.equal((lines(t), counted(t, f"stele_denied_{action}_total")), ([], 0), "before")
    attempt(t)
    # Nobody answers a publish with QoS 0.
    t.eventually(lambda: counted(t, f"stele_denied_{action}_total") >= 1, "it is counted")
    t.equal((lines(t), counted(t, f"stele_denied_{action}_total")), ([line], 1), "after")
    t.true(PASSWORD not in t.broker.log.read_text(), "no password is logged")


@case("stele", start=False)
def what_may_not_be_seen_is_only_counted(t):
    guarded(t)
    admin(t, "topic", "create", "secret")
    kcat(t, "-P", "-t", "secret", stdin="no\n")
    t.true(counted(t, "stele_denied_describe_total") >= 1, "denied descriptions")
    t.equal((lines(t), counted(t, "stele_denied_produce_total")), ([], 0), "denied attempts")


@case("stele", start=False)
def many_do_not_fill_the_log(t):
    """A line says how many there were since the one before it, so that none is missing in the end."""
    guarded(t, "--cores", "1")
    wire, tried = connection(t), 0

    def next_line_is_said():
        nonlocal tried
        before = len(lines(t))
        wire.send(b"".join(publish(f"a/{tried}", "no", 1, number) for number in range(1, 101)))
        reasons = {wire.expect(mqtt.PUBACK).reason for _ in range(100)}
        t.equal(reasons, {NOT_AUTHORIZED}, "PUBACK")
        tried += 100
        return len(lines(t)) > before

    for _ in range(2):
        t.eventually(next_line_is_said, "a line", WAIT_S)
    t.equal(counted(t, "stele_denied_publish_total"), tried, "denied publishes")
    said = lines(t)
    pattern = r"'anonymous' may not publish 'a/\d+'(?: \(and (\d+) more since the last such line\))?"
    matches = [re.fullmatch(pattern, line) for line in said]
    t.true(all(matches), f"lines: {said}")
    told = sum(1 + int(match[1] or 0) for match in matches)
    t.true(tried - 100 < told <= tried, f"{told} of {tried} are told of: {said}")
