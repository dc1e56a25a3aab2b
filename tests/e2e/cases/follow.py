"""Consumers that follow one partition while its broker ends and comes back: with fetch sessions, as the Java client and
franz-go have them unless told otherwise, and asking where a leader's records end, as all of them do."""
import random
import socket
import urllib.request

from harness.case import case
from harness.clients import BUILD_LIMIT_S, go_command, java_command, python_command
from harness.kafka import Kcat
from harness.metrics import parse


def java(t, topic):
    return [*java_command(), t.kafka, "follow", "-", topic]


def franz(t, topic):
    return [*go_command(), t.kafka, "follow", topic]


def kafka_python(t, topic):
    return [*python_command(), t.kafka, "follow", topic]


def quiet_port():
    """One that stays free while the broker is down: below those that the system gives out."""
    while True:
        port = random.randint(20000, 30000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


CLIENTS = {"java": java, "franz": franz, "kafka-python": kafka_python}  # kcat ends when its broker does


def sessions_opened(t):
    with urllib.request.urlopen(f"http://{t.broker.http}/metrics", timeout=20) as answer:
        samples = parse(answer.read().decode())[1]
    return samples["stele_kafka_fetch_sessions_opened_total{}"]


@case("stele", each=CLIENTS, timeout=BUILD_LIMIT_S + 120, start=False)
def restarts(t, client):
    t.start("--kafka", f"127.0.0.1:{quiet_port()}")
    Kcat(t).produce("followed", ["first"])
    consumer = t.spawn(client(t, "followed"))
    consumer.wait_for("got first", 60)
    for round_ in range(3):
        t.equal(sessions_opened(t) > 0, True, "whether there are fetch sessions")
        t.restart(hard=round_ % 2 == 0)
        for i in range(3):
            Kcat(t).produce("followed", [f"{round_}.{i}"])
            consumer.wait_for(f"got {round_}.{i}", 60)
    Kcat(t).produce("followed", ["end"])
    consumer.wait_for("got end", 60)
