"""Far more retained messages for a new subscription than its connection's output or queue holds: all of them come."""
from harness import metrics, mqtt
from harness.case import case
from harness.mqtt import V3, V5, Wire, connection, publish

COUNT = 12_000  # more than the 10,000 live messages that wait for a client
SIZE = 1000     # and in all more than its output, 1 MiB, and its socket hold
VERSIONS = {"v3.1.1": V3, "v5": V5}
WINDOW = 500


def topic_of(root, number):
    return f"{root}/{number % 100}/{number}"


def payload_of(number, what="retained"):
    return f"{number:06} {what}".ljust(SIZE, "x").encode()


def retain(wire, root, numbers, what="retained"):
    """With QoS 1, acknowledged."""
    for first in range(0, len(numbers), WINDOW):
        some = numbers[first:first + WINDOW]
        wire.send(b"".join(publish(topic_of(root, n), payload_of(n, what), 1, 1 + i, retain=True, version=wire.version)
                           for i, n in enumerate(some)))
        for _ in some:
            wire.expect_among_messages(mqtt.PUBACK)


def take(t, wire, root, count, qos, into=None):
    """So many, acknowledged. By number, each with how often it came."""
    got = {} if into is None else into
    for _ in range(count):
        message = wire.message()
        number = int(message.payload[:6])
        t.equal((message.topic, message.payload, message.retain, message.qos),
                (topic_of(root, number), payload_of(number), 1, qos), "message")
        got[number] = got.get(number, 0) + 1
    return got


def nothing_is_dropped(t):
    names = ("mqtt_dropped_slow", "mqtt_dropped_queue", "session_dropped", "live_dropped_while_held")
    t.equal([metrics.now(t.broker.http, f"stele_{name}_total") for name in names], [0] * len(names), "what was dropped")


def all_came(t, got):
    t.equal(len(got), COUNT, "addresses")
    t.equal({n: c for n, c in got.items() if c != 1}, {}, "what came more than once")


@case("stele", each={f"{v}, QoS {qos}": (n, qos) for v, n in VERSIONS.items() for qos in (0, 1)})
def all_come(t, how):
    version, qos = how
    retain(connection(t), "many", range(COUNT))
    wire = connection(t, version, **({"props": {"receive_maximum": 100}} if version == V5 else {}))
    t.equal(wire.subscribe("many/#", options=qos), [qos], "granted")
    all_came(t, take(t, wire, "many", COUNT, qos))
    t.true(wire.is_quiet(), "no more")
    nothing_is_dropped(t)


@case("stele", each={"QoS 0": 0, "QoS 1": 1})
def a_slow_one_gets_them_too(t, qos):
    """It reads nothing at first; others get theirs meanwhile, and what comes live is not held up."""
    retain(connection(t), "many", range(COUNT))
    slow = Wire(t.mqtt, receive_buffer=4096)
    slow.open(keep_alive=0, props={"receive_maximum": 10})
    t.equal(slow.subscribe("many/#", options=qos), [qos], "granted")
    wire = connection(t)
    wire.subscribe("many/#", options=qos)
    all_came(t, take(t, wire, "many", COUNT, qos))
    all_came(t, take(t, slow, "many", COUNT, qos))
    nothing_is_dropped(t)


@case("stele", each=VERSIONS)
def a_session_that_is_kept_gets_all_of_them(t, version):
    """With QoS 1 they are its own once SUBACK has come: the broker is killed, twice, before it has read them."""
    retain(connection(t), "many", range(COUNT))
    keep = {"client_id": "kept", "clean": False}
    if version == V5:
        keep["props"] = {"session_expiry": 3600}
    wire = connection(t, version, **keep)
    t.equal(wire.subscribe("many/#"), [1], "granted")
    got = {}
    for part in (0, 1000):
        take(t, wire, "many", part, 1, got)
        t.restart()
        wire = connection(t, version, **keep)
        t.equal(wire.connack.session_present, 1, "session present")
    # Acknowledgements that were lost with the broker bring some once more.
    while len(got) < COUNT:
        take(t, wire, "many", 1, 1, got)
    t.eventually(lambda: metrics.now(t.broker.http, "stele_session_queue_messages") == 0, "the queue is empty")
    nothing_is_dropped(t)


@case("stele")
def of_one_address_the_latest_comes_last(t):
    """They are replaced while they are given."""
    sender, wire = connection(t), connection(t, props={"receive_maximum": 20})
    retain(sender, "many", range(COUNT))
    wire.subscribe("many/#")
    latest = {}
    changed = range(0, COUNT, 7)

    def look(count):
        for _ in range(count):
            message = wire.message()
            latest[message.topic] = message.payload

    look(1000)
    retain(sender, "many", changed, "changed")
    sender.publish("many/end", "end")
    while "many/end" not in latest or len(latest) < COUNT + 1:
        look(1)
    wrong = [n for n in changed if latest[topic_of("many", n)] != payload_of(n, "changed")]
    t.equal(wrong, [], "addresses whose latest message was not the last")


@case("stele")
def unsubscribe_ends_them(t):
    retain(connection(t), "many", range(COUNT))
    wire = connection(t, props={"receive_maximum": 10})
    wire.subscribe("many/#")
    take(t, wire, "many", 100, 1)
    wire.send(mqtt.unsubscribe(["many/#"], 2))
    wire.expect_among_messages(mqtt.UNSUBACK)
    left = len(wire.pending)
    t.true(left <= 10, f"{left} were on their way")
    take(t, wire, "many", left, 1)
    t.true(wire.is_quiet(), "no more")
    t.equal(wire.subscribe("many/1/1", packet_id=3), [1], "granted")
    take(t, wire, "many", 1, 1)
