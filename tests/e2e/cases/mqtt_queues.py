"""What waits for a session that is away, when it is more than --session-queue-messages or --session-queue-bytes."""
from cases.mqtt_clients import VERSIONS, at, messages, offline_session, publish, subscriber
from cases.mqtt_paho import Client
from cases.mqtt_qos2 import kept
from harness import metrics, mqtt
from harness.case import case
from harness.mqtt import connection

FATES = {"up": False, "kill -9": True}
LIMIT = 10


def is_left(t, dropped, queued):
    """What is counted: dropped since the directory was made, and waiting now."""
    counted = [metrics.now(t.broker.http, f"stele_session_{name}") for name in ("dropped_total", "queue_messages")]
    t.equal(counted, [dropped, queued], "messages that were dropped, and that wait")


def is_settled(t, rest=0):
    """What came is acknowledged: until then it takes a place."""
    t.eventually(lambda: metrics.now(t.broker.http, "stele_session_queue_messages") == rest, "all is acknowledged")


def publish_lines(t, topic, texts, version="5", qos=1):
    t.run(["mosquitto_pub", *at(t), "-V", version, "-q", qos, "-t", topic, "-l"], stdin="".join(f"{m}\n" for m in texts))


@case("stele", start=False, each={f"{v}, {f}": (n, die) for v, n in VERSIONS.items() for f, die in FATES.items()})
def too_many(t, how):
    """The oldest go. Other sessions are not touched, and QoS 0 is not kept: it takes nobody's place."""
    version, die = how
    t.start("--session-queue-messages", str(LIMIT))
    keep = offline_session(t, version)
    few = kept(t, "few")
    few.subscribe("queue/few")
    few.disconnect()
    for text in range(3):
        publish(t, "queue/few", text)
    publish_lines(t, "queue/many", range(12), version)
    is_left(t, 5, LIMIT + 3)
    if die:
        t.restart()
        is_left(t, 5, LIMIT + 3)
    publish_lines(t, "queue/many", range(100), version, qos=0)
    publish_lines(t, "queue/many", range(12, 30), version, qos=2)
    is_left(t, 23, LIMIT + 3)
    if die:
        t.restart()
        is_left(t, 23, LIMIT + 3)
    client = subscriber(t, *keep, "-q", 1, topic="queue/#", version=version, resumed=True)
    t.equal(messages(client, LIMIT), [f"queue/many|1|0|{text}" for text in range(20, 30)], "what was kept")
    is_settled(t, 3)
    publish(t, "queue/many", "live")
    t.equal(messages(client, 1), ["queue/many|1|0|live"], "what comes next")
    is_settled(t, 3)
    client.interrupt()
    few = kept(t, "few")
    t.equal([few.message().payload for _ in range(3)], [b"0", b"1", b"2"], "the other session's")
    is_settled(t)
    few.disconnect()
    # There is room again.
    publish_lines(t, "queue/many", range(LIMIT), version)
    is_left(t, 23, LIMIT)
    if die:
        t.restart()
    client = subscriber(t, *keep, "-q", 1, topic="queue/#", version=version, resumed=True)
    t.equal(messages(client, LIMIT), [f"queue/many|1|0|{text}" for text in range(LIMIT)], "what was kept")


@case("stele", start=False, each=FATES)
def too_much(t, die):
    """As many of the oldest go as the new one needs. One that is larger than all goes alone."""
    size = 100_000
    t.start("--session-queue-bytes", "1MiB")  # ten of them
    away = Client(t, "away", clean=False).connect(SessionExpiryInterval=3600)
    away.subscribe("q")
    away.disconnect()
    sender = Client(t).connect()

    def survives():
        nonlocal sender
        if die:
            sender.disconnect()
            t.restart()
            sender = Client(t).connect()

    for number in range(25):
        sender.publish("q", f"{number:02}".ljust(size, "x"))
    is_left(t, 15, 10)
    survives()
    is_left(t, 15, 10)
    sender.publish("q", "huge".ljust(1_100_000, "x"))
    is_left(t, 16, 10)
    sender.publish("q", "half".ljust(500_000, "x"))
    is_left(t, 21, 6)
    survives()
    is_left(t, 21, 6)
    away = Client(t, "away", clean=False).connect(SessionExpiryInterval=3600)
    t.equal(away.session_present, 1, "session present")
    got = [away.message().payload.decode() for _ in range(6)]
    t.equal([(len(text), text.rstrip("x")) for text in got],
            [*((size, str(number)) for number in range(20, 25)), (500_000, "half")], "what was kept")
    is_settled(t)
    sender.publish("q", "live")
    t.equal(away.message().payload, b"live", "what comes next")


@case("stele", start=False, each=FATES)
def too_many_and_sent_before(t, die):
    """QoS 2 that the client may have already: it is dropped, but its identifier is not used again before PUBCOMP."""
    t.start("--session-queue-messages", str(LIMIT))
    keep = {"client_id": "away", "clean": False, "props": {"session_expiry": 3600, "receive_maximum": 2}}
    wire = connection(t, **keep)
    wire.subscribe("q", options=2)
    publish_lines(t, "q", range(2), qos=2)
    sent = [wire.expect(mqtt.PUBLISH) for _ in range(2)]
    t.equal([m.payload for m in sent], [b"0", b"1"], "what was sent")
    wire.disconnect()
    publish_lines(t, "q", range(2, 2 + LIMIT), qos=2)
    is_left(t, 2, LIMIT)
    if die:
        t.restart()
    wire = connection(t, **keep)
    released = [wire.expect(mqtt.PUBREL).packet_id for _ in range(2)]
    t.equal(released, [m.packet_id for m in sent], "PUBREL of what was sent")
    for packet_id in released:
        wire.send(mqtt.pubcomp(packet_id))
    for number in range(2, 2 + LIMIT):
        got = wire.expect(mqtt.PUBLISH)
        t.equal((got.payload, got.dup), (str(number).encode(), 0), "message")
        wire.send(mqtt.pubrec(got.packet_id))
        wire.send(mqtt.pubcomp(wire.expect_among_messages(mqtt.PUBREL).packet_id))
    is_left(t, 2, 0)
