"""One record, seen by both protocols. The mapping is docs/formats/record-mapping.md."""
import json

from harness import mqtt
from harness.case import case
from harness.kafka import Kcat, headers
from harness.mqtt import V3, V5, connection
from harness.murmur2 import partition_of

PARTITIONS = 3


def sensors(t):
    t.stele("topic", "create", "sensors", "--partitions", PARTITIONS, "--capture", "sensors/#")
    return Kcat(t)


@case("stele", each={"v3.1.1": V3, "v5": V5})
def captured(t, version):
    """Key, partition, order and headers of what MQTT publishes into a topic that captures it."""
    kcat, wire, sent = sensors(t), connection(t, version), {}
    for i in range(200):
        topic = f"sensors/room{i % 20}/temp"
        wire.publish(topic, f"{i}", packet_id=i + 1)
        sent.setdefault(topic, []).append(str(i))
    wire.publish("elsewhere/x", "no")
    records = kcat.consume("sensors")
    t.equal(len(records), 200, "number of records")
    seen = {}
    for record in records:
        key = record["key"]
        t.equal(record["partition"], partition_of(key, PARTITIONS), f"partition of {key}")
        t.equal(headers(record), [("mqtt.topic", key), ("mqtt.qos", "1")], "headers")
        seen.setdefault(key, []).append(record["payload"])
    t.equal(seen, sent, "payloads by MQTT topic, in order")
    for partition in range(PARTITIONS):
        offsets = [r["offset"] for r in records if r["partition"] == partition]
        t.equal(offsets, list(range(len(offsets))), f"offsets of partition {partition}")


@case("stele")
def same_partition_as_librdkafka(t):
    """A Kafka producer with the Java client's partitioner puts the same key beside ours."""
    kcat, wire = sensors(t), connection(t)
    keys = [f"sensors/ключ{i}/{'x' * i}" for i in range(30)]
    for key in keys:
        wire.publish(key, "from mqtt")
    lines = [f"{key}:from kafka" for key in keys]
    kcat.produce("sensors", lines, "-K", ":", "-X", "topic.partitioner=murmur2_random")
    where = {}
    for record in kcat.consume("sensors"):
        where.setdefault(record["key"], []).append(record["partition"])
    t.equal(sorted(where), sorted(keys), "keys")
    for key, partitions in where.items():
        t.equal(partitions, [partition_of(key, PARTITIONS)] * 2, f"partitions of {key}")


@case("stele")
def properties_become_headers(t):
    kcat, wire = sensors(t), connection(t)
    props = {"payload_format": 1, "message_expiry": 3600, "content_type": "text/plain", "response_topic": "back/x",
             "correlation_data": b"c-1", "user": [("a", "1"), ("b", ""), ("a", "2")]}
    wire.publish("sensors/p", "body", props=props, retain=True)
    record = kcat.consume("sensors")[0]
    got = headers(record)
    expires = dict(got)["expires-at"]
    t.equal(int(expires), record["ts"] + 3600 * 1000, "expires-at is arrival plus interval")
    t.equal(got, [("content-type", "text/plain"), ("mqtt.payload-format", "1"), ("reply-to", "back/x"),
                  ("correlation-id", "c-1"), ("expires-at", expires), ("mqtt.topic", "sensors/p"), ("mqtt.qos", "1"),
                  ("mqtt.retain", "1"), ("a", "1"), ("b", ""), ("a", "2")], "headers")


@case("stele")
def qos_0_is_captured_too(t):
    kcat, wire = sensors(t), connection(t)
    wire.send(mqtt.publish("sensors/zero", "x"))
    wire.publish("sensors/zero", "y")  # on the same topic, so behind it
    records = kcat.consume("sensors")
    t.equal([(r["payload"], dict(headers(r))["mqtt.qos"]) for r in records], [("x", "0"), ("y", "1")], "records")


@case("stele")
def captured_and_subscribed(t):
    """A captured message reaches live and offline subscribers as well."""
    kcat = sensors(t)
    keep = {"client_id": "away", "clean": False, "props": {"session_expiry": 600}}
    away = connection(t, **keep)
    away.subscribe("sensors/#")
    away.disconnect()
    live = connection(t)
    live.subscribe("sensors/+/temp")
    sender = connection(t)
    expected = [f"{i}".encode() for i in range(100)]
    for payload in expected:
        sender.publish("sensors/a/temp", payload)
    t.equal([live.message().payload for _ in expected], expected, "live")
    away = connection(t, **keep)
    t.equal([away.message().payload for _ in expected], expected, "offline")
    t.equal(kcat.payloads("sensors"), [p.decode() for p in expected], "captured")


@case("stele")
def kafka_to_mqtt(t):
    """`orders.eu` is `orders/eu`, for live and for offline subscribers."""
    t.stele("topic", "create", "orders.eu")
    keep = {"client_id": "away", "clean": False, "props": {"session_expiry": 600}}
    away = connection(t, **keep)
    away.subscribe("orders/#")
    away.disconnect()
    old, new = connection(t, V3, client_id="old"), connection(t)
    for live in (old, new):
        live.subscribe("orders/eu")
    Kcat(t).produce("orders.eu", ["k1:one", "k2:two"], "-K", ":", "-H", "content-type=text/plain", "-H", "x=1", "-H", "x=2")
    for name, wire in (("3.1.1", old), ("5.0", new), ("offline", connection(t, **keep))):
        for payload in (b"one", b"two"):
            got = wire.message()
            t.equal((got.topic, got.payload, got.qos, got.retain), ("orders/eu", payload, 1, 0), f"message in {name}")
            if wire.version == V5:
                t.equal(got.props, {"content_type": "text/plain", "user": [("x", "1"), ("x", "2")]}, "properties")


@case("stele")
def mqtt_to_the_topic_of_its_name(t):
    t.stele("topic", "create", "orders.eu")
    connection(t).publish("orders/eu", "from mqtt")
    record = Kcat(t).consume("orders.eu")[0]
    t.equal((record["key"], record["payload"]), ("orders/eu", "from mqtt"), "key and value")


@case("stele")
def not_captured_by_the_topic_it_was_produced_to(t):
    kcat = sensors(t)
    watcher = connection(t)
    watcher.subscribe("sensors/#")
    kcat.produce("sensors", ["once"], "-H", "mqtt.topic=sensors/hall")
    got = watcher.message()
    t.equal((got.topic, got.payload), ("sensors/hall", b"once"), "the header names the address")
    connection(t).publish("sensors/hall", "end")
    t.equal(sorted(kcat.payloads("sensors")), ["end", "once"], "records")


@case("stele")
def there_and_back(t):
    """MQTT properties through Kafka, copied by a Kafka program, come out as the same MQTT message."""
    kcat = sensors(t)
    t.stele("topic", "create", "copies", "--capture", "copies/#")
    props = {"payload_format": 1, "content_type": "text/plain", "response_topic": "back", "correlation_data": b"\xc3\xa4",
             "user": [("a", "1"), ("ä", "ü"), ("a", "1")]}
    watcher = connection(t)
    watcher.subscribe("sensors/x")
    connection(t).publish("sensors/x", "body", props=props)
    original = watcher.message()
    record = kcat.consume("sensors")[0]
    copy = []
    for name, value in headers(record):
        copy += ["-H", f"{name}={value}"]
    kcat.produce("copies", [record["payload"]], *copy)
    again = watcher.message()
    t.equal((again.topic, again.payload, again.qos, again.props), (original.topic, b"body", 1, original.props), "the copy")


@case("stele")
def capture_of_one_property_as_key(t):
    t.stele("topic", "create", "bykey", "--partitions", 4, "--capture", "dev/+", "--key", "property:device")
    connection(t).publish("dev/1", "x", props={"user": [("device", "d-17")]})
    connection(t).publish("dev/2", "y")
    records = sorted(Kcat(t).consume("bykey"), key=lambda r: r["payload"])
    t.equal([r["key"] for r in records], ["d-17", None], "keys")
    t.equal(records[0]["partition"], partition_of("d-17", 4), "partition")


@case("stele")
def topic_commands(t):
    t.stele("topic", "create", "plain", "--partitions", 2)
    t.stele("topic", "create", "taking", "--capture", "a/#", "--capture", "b/+")
    listed = t.stele("topic", "list")
    t.true("plain" in listed and "taking" in listed, f"topic list says {listed!r}")
    shown = t.stele("topic", "describe", "taking")
    t.true("a/#" in shown and "b/+" in shown, f"topic describe says {shown!r}")
    json.loads(t.stele("topic", "list", "--json"))
    json.loads(t.stele("topic", "describe", "plain", "--json"))
    kcat = Kcat(t)
    t.equal(len(kcat.topics()["plain"]["partitions"]), 2, "partitions in Kafka's metadata")
    t.stele("topic", "create", "plain", ok=False)
    t.true("plain" in t.stderr and "already" in t.stderr, f"error {t.stderr!r}")
    t.stele("topic", "delete", "plain")
    t.equal(sorted(kcat.topics()), ["taking"], "topics")
    t.stele("topic", "delete", "plain", ok=False)
    t.stele("topic", "describe", "plain", ok=False)
    t.stele("topic", "create", "bad/name", ok=False)
    t.stele("topic", "create", "x", "--partitions", "0", ok=False)
    t.stele("topic", "create", "x", "--capture", "a/#/b", ok=False)
    t.equal(sorted(kcat.topics()), ["taking"], "topics")


@case("stele")
def captured_by_a_topic_that_grows(t):
    """It stays in the partitions that the topic was made with, in order; Kafka's producers have them all."""
    kcat, wire, sent = sensors(t), connection(t), {}
    for i in range(300):
        if i == 100:
            t.equal(t.stele("topic", "alter", "sensors", "--partitions", 7), "sensors has 7 partitions\n", "answer")
        if i == 200:
            t.restart(hard=True)
            kcat, wire = Kcat(t), connection(t)
        topic = f"sensors/room{i % 20}"
        wire.publish(topic, f"{i}", packet_id=i + 1)
        sent.setdefault(topic, []).append(str(i))
    kcat.produce("sensors", [f"kafka{i}:by kafka" for i in range(40)], "-K", ":", "-X", "topic.partitioner=murmur2_random")
    seen = {}
    for record in kcat.consume("sensors"):
        key = record["key"]
        by_kafka = key.startswith("kafka")
        t.equal(record["partition"], partition_of(key, 7 if by_kafka else PARTITIONS), f"partition of {key}")
        if not by_kafka:
            seen.setdefault(key, []).append(record["payload"])
    t.equal(seen, sent, "payloads by MQTT topic, in order")


@case("stele")
def topics_are_altered(t):
    t.stele("topic", "create", "orders", "--partitions", 2)
    Kcat(t).produce("orders", ["old"] * 10)
    t.equal(t.stele("topic", "alter", "orders", "--config", "max.message.bytes=5000", "--retention-bytes", 77),
            "changed orders\n", "answer")
    t.equal(t.stele("topic", "alter", "orders", "--reset", "retention.bytes"), "changed orders\n", "answer")
    t.restart(hard=True)
    shown = {c["name"]: c for c in json.loads(t.stele("topic", "describe", "orders", "--json"))["configs"]}
    t.equal((shown["max.message.bytes"]["value"], shown["max.message.bytes"]["default"]), ("5000", False), "was set")
    t.true(shown["retention.bytes"]["default"], "was reset")
    for words, wrong in (("did you mean", ["--config", "retention.m=5"]), ("it takes", ["--retention-ms", "soon"]),
                         ("only get more", ["--partitions", 1]), ("either --partitions", []),
                         ("either --partitions", ["--partitions", 5, "--retention-ms", 5]),
                         ("cannot be changed", ["--config", "stele.key=none"])):
        t.stele("topic", "alter", "orders", *wrong, ok=False)
        t.true(words in t.stderr, f"{wrong}: {t.stderr}")
    # With effect on what is there.
    t.stele("topic", "alter", "orders", "--retention-ms", 1)
    t.eventually(lambda: Kcat(t).payloads("orders") == [], "the old records go")


@case("stele")
def capture_survives_restart(t):
    kcat = sensors(t)
    connection(t).publish("sensors/a", "before")
    for hard in (True, False):
        t.restart(hard=hard)
        connection(t).publish("sensors/a", "after")
    kcat = Kcat(t)
    t.equal(kcat.payloads("sensors"), ["before", "after", "after"], "records")


@case("stele")
def command_line_publishes_and_subscribes(t):
    subscriber = t.spawn([t.options.stele, "sub", "--mqtt", t.broker.mqtt, "hello/#", "--count", "1"])
    t.eventually(lambda: _try_pub(t, subscriber), "a message from stele pub in stele sub")


def _try_pub(t, subscriber):
    t.run([t.options.stele, "pub", "--mqtt", t.broker.mqtt, "hello/x", "from pub"])
    return subscriber.process.poll() is not None and any("from pub" in line for line in subscriber.end())
