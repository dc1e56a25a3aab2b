"""QoS 2: packet by packet, and with real clients while the broker is killed under them."""
import collections
import re
import socket
import time

from cases.mqtt_paho import Client
from harness import mqtt
from harness.broker import Failure
from harness.case import WAIT_S, case
from harness.kafka import Kcat
from harness.mqtt import V3, V5, connection, publish

BOTH = {"v3.1.1": V3, "v5": V5}
NOT_FOUND = 0x92


def kept(t, client_id, version=V5):
    """A connection of a session that is kept."""
    more = {"props": {"session_expiry": 3600}} if version == V5 else {}
    return connection(t, version, client_id=client_id, clean=False, **more)


def release(wire, packet_id):
    wire.send(mqtt.pubrel(packet_id))
    return wire.expect(mqtt.PUBCOMP)


@case("mqtt", each=BOTH)
def from_a_client(t, version):
    topic = t.name("t")
    subscriber, wire = connection(t, version), connection(t, version)
    t.equal(subscriber.subscribe(topic, options=2), [2], "granted")
    wire.send(publish(topic, "one", 2, 7, version=version))
    t.equal(wire.expect(mqtt.PUBREC).packet_id, 7, "PUBREC")
    wire.send(publish(topic, "one", 2, 7, dup=True, version=version))
    wire.expect(mqtt.PUBREC)
    release(wire, 7)
    wire.send(publish(topic, "two", 2, 7, version=version))
    wire.expect(mqtt.PUBREC)
    release(wire, 7)
    for text in (b"one", b"two"):
        got = subscriber.expect(mqtt.PUBLISH)
        t.equal((got.qos, got.payload, got.dup), (2, text, 0), "message")
        subscriber.send(mqtt.pubrec(got.packet_id))
        t.equal(subscriber.expect_among_messages(mqtt.PUBREL).packet_id, got.packet_id, "PUBREL")
        subscriber.send(mqtt.pubcomp(got.packet_id))
    t.true(subscriber.is_quiet(), "no third message")


@case("stele")
def a_release_of_nothing(t):
    t.equal(release(connection(t), 5).reason, NOT_FOUND, "PUBCOMP of a session that ends with its connection")
    t.equal(release(kept(t, "k"), 5).reason, NOT_FOUND, "PUBCOMP of a kept session")
    t.equal(release(kept(t, "k3", V3), 5).reason, 0, "PUBCOMP of 3.1.1, which has no reasons")


@case("stele", each=BOTH)
def an_identifier_survives_kill_9(t, version):
    """The message before the kill is the message after it, until it is released, and then it is not."""
    t.stele("topic", "create", "kept", "--partitions", 1, "--capture", "kept/#")
    wire = kept(t, "p", version)
    wire.send(publish("kept/a", "one", 2, 9, version=version))
    wire.expect(mqtt.PUBREC)
    t.restart()
    wire = kept(t, "p", version)
    t.equal(wire.connack.session_present, 1, "session present")
    wire.send(publish("kept/a", "one", 2, 9, dup=True, version=version))
    wire.expect(mqtt.PUBREC)
    t.restart()
    wire = kept(t, "p", version)
    release(wire, 9)
    t.restart()
    wire = kept(t, "p", version)
    if version == V5:
        t.equal(release(wire, 9).reason, NOT_FOUND, "released once and for all")
    wire.send(publish("kept/a", "two", 2, 9, version=version))
    wire.expect(mqtt.PUBREC)
    t.equal([r["payload"] for r in Kcat(t).consume("kept")], ["one", "two"], "records")


@case("stele", each=BOTH)
def deliveries_survive_kill_9(t, version):
    """PUBREL again for what was received, PUBLISH with DUP and the same identifier for the rest, in order."""
    wire = kept(t, "s", version)
    t.equal(wire.subscribe("q/#", options=2), [2], "granted")
    sender = connection(t)
    for number in range(4):
        sender.send(publish(f"q/{number}", str(number), 2, number + 1))
        sender.expect(mqtt.PUBREC)
    ids = [wire.expect(mqtt.PUBLISH).packet_id for _ in range(4)]
    for packet_id in (ids[1], ids[0]):
        wire.send(mqtt.pubrec(packet_id))
        t.equal(wire.expect(mqtt.PUBREL).packet_id, packet_id, "PUBREL")
    t.restart()
    wire = kept(t, "s", version)
    t.equal([wire.expect(mqtt.PUBREL).packet_id for _ in range(2)], [ids[1], ids[0]], "PUBREL again")
    again = [wire.expect(mqtt.PUBLISH) for _ in range(2)]
    t.equal([(m.packet_id, m.payload, m.dup) for m in again], [(ids[2], b"2", 1), (ids[3], b"3", 1)], "PUBLISH again")
    for packet_id in ids[:2]:
        wire.send(mqtt.pubcomp(packet_id))
    for message in again:
        wire.send(mqtt.pubrec(message.packet_id))
        wire.expect(mqtt.PUBREL)
        wire.send(mqtt.pubcomp(message.packet_id))
    t.true(wire.is_quiet(), "all is done")
    wire.disconnect()
    t.restart()
    # The last PUBCOMPs may be lost with the broker; no message may come again.
    wire = kept(t, "s", version)
    wire.send(mqtt.packet(0xC0, b""))
    while (got := wire.receive()) is not None and got.type != mqtt.PINGRESP:
        t.equal(got.type, mqtt.PUBREL, "all that may come after another kill")


@case("stele")
def qos_1_and_2_of_one_session_have_identifiers_of_their_own(t):
    wire = kept(t, "s")
    wire.subscribe("q/#", options=2)
    sender = connection(t)
    for number in range(20):
        sender.send(publish("q", str(number), 1 + number % 2, number + 1))
        sender.expect(mqtt.PUBREC if number % 2 else mqtt.PUBACK)
    got = [wire.expect(mqtt.PUBLISH) for _ in range(20)]
    t.equal([m.payload for m in got], [str(n).encode() for n in range(20)], "messages, in order")
    t.equal(len({m.packet_id for m in got}), 20, "different packet identifiers")


@case("mqtt")
def an_error_in_pubrec_ends_the_message(t):
    topic = t.name("t")
    wire = connection(t, props={"session_expiry": 100, "receive_maximum": 1}, client_id=t.name("s"), clean=False)
    wire.subscribe(topic, options=2)
    sender = connection(t)
    for number, text in enumerate(("one", "two")):
        sender.send(publish(topic, text, 2, number + 1))
        sender.expect(mqtt.PUBREC)
    got = wire.expect(mqtt.PUBLISH)
    t.equal(got.payload, b"one", "the first")
    wire.send(mqtt.pubrec(got.packet_id, 0x97))
    t.equal(wire.expect(mqtt.PUBLISH).payload, b"two", "its place in the window is free")


@case("stele")
def a_will_of_qos_2(t):
    watcher = connection(t)
    watcher.subscribe("w", options=2)
    doomed = connection(t, will=("w", "gone", 2, False))
    doomed.close()
    got = watcher.expect(mqtt.PUBLISH)
    t.equal((got.qos, got.payload), (2, b"gone"), "will")


def fixed_port(t):
    """A broker that comes back where it was, for clients that connect again by themselves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    t.start("--mqtt", f"127.0.0.1:{port}")


@case("stele", start=False, timeout=180)
def paho_across_kill_9(t):
    """Each message exactly once, in order, at a Paho subscriber and in the topic, however often the broker dies."""
    fixed_port(t)
    t.stele("topic", "create", "paho", "--partitions", 1, "--capture", "paho/#")
    subscriber = Client(t, "sub", clean=True)
    subscriber.clean = False
    subscriber.connect(SessionExpiryInterval=3600)
    subscriber.subscribe("paho/#", 2)
    publisher = Client(t, "pub", clean=True)
    publisher.clean = False
    publisher.connect(SessionExpiryInterval=3600)
    for client in (subscriber, publisher):
        client.paho.reconnect_delay_set(1, 1)
    count = 600
    got = []
    for number in range(count):
        publisher.paho.publish("paho/a", str(number), 2)
        if number % 200 == 150:
            t.restart()
    deadline = time.monotonic() + 90
    while len(got) < count and time.monotonic() < deadline:
        got.append(int(subscriber.message().payload))
    t.equal(got, list(range(count)), "messages")
    t.equal([int(r["payload"]) for r in Kcat(t).consume("paho")], list(range(count)), "records")
    for client in (publisher, subscriber):
        client.disconnect()


def messages_and_losses(client, count):
    """What mosquitto_sub was given, in order: a line `msg|…` as its parts, or None for what libmosquitto 2.0.11 lost by
    itself: having got PUBREL it forgets the message without showing it, if the connection does not take its PUBCOMP."""
    got, ended, released = [], set(), None
    while len(got) < count:
        line = client.wait_for("", 2 * WAIT_S)
        if match := re.search(r" received PUBREL \(Mid: (\d+)\)", line):
            released = match[1]
        elif line.startswith("msg|") or (" sending CONNECT" in line and released and released not in ended):
            got.append(line.split("|") if line.startswith("msg|") else None)
            ended.add(released)
        elif " received " in line or " sending CONNECT" in line:
            released = None  # its message had been shown before
    return got


@case("stele", start=False, timeout=180)
def mosquitto_sub_across_kill_9(t):
    fixed_port(t)
    host, port = t.mqtt
    flags = ["mosquitto_sub", "-h", host, "-p", str(port), "-V", "311", "-i", "msub", "-c", "-q", "2", "-t", "m/#"]
    client = t.spawn([*flags, "-d", "-F", "msg|%q|%p"])
    client.wait_for("Subscribed (mid")
    count, number = 60, 0
    for round_number in range(3):
        sender = connection(t)
        for _ in range(count // 3):
            sender.send(publish("m/x", str(number), 2, number + 1))
            sender.expect(mqtt.PUBREC)
            number += 1
        t.restart()
    got = messages_and_losses(client, count)
    printed = [m[2] for m in got if m]
    t.equal({m[1] for m in got if m}, {"2"}, "QoS")
    double = [n for n, times in collections.Counter(printed).items() if times > 1]
    if double:
        raise Failure(f"messages that came twice: {double}")
    t.equal([int(m[2]) if m else n for n, m in enumerate(got)], list(range(count)), "messages")
    client.kill()
