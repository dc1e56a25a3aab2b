"""A subscriber that does not read what it is sent: others get theirs, and what it costs the slow one is counted."""
import socket

from cases.mqtt_paho import Client
from harness import metrics, mqtt
from harness.case import case

COUNT, SIZE = 3000, 10_000  # 30 MB: more than sockets and the broker's queues for one client hold
WINDOW = 50  # messages on their way to who reads, which is less than what is kept for the slow
WAITING_BYTES = 8 << 20  # of live QoS 1, for one client
IN_FLIGHT = 512  # of a session that is kept


def stalled(t, topic, qos, **fields):
    """Subscribed, and from now on it reads nothing."""
    wire = mqtt.Wire(t.mqtt, receive_buffer=4096)
    wire.open(keep_alive=0, **fields)
    t.equal(wire.subscribe(topic, options=qos), [qos], "granted")
    return wire


def goes_on(wire):
    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)


def number_of(payload):
    return int(payload[:6])


def publish_to(t, topic, readers):
    """COUNT messages with QoS 1. Each reader must have one window of them before the next is sent."""
    sender = Client(t).connect()
    sender.paho.max_queued_messages_set(0)
    for first in range(0, COUNT, WINDOW):
        numbers = list(range(first, first + WINDOW))
        for number in numbers:
            sender.paho.publish(topic, f"{number:06}".ljust(SIZE, "x"), 1)
        for name, reader in readers.items():
            t.equal([number_of(reader.message().payload) for _ in numbers], numbers, f"what {name} has got")
        for _ in numbers:
            sender.next("publish")
    return sender


def reader(t, topic, qos):
    client = Client(t).connect()
    t.equal(client.subscribe(topic, qos), [qos], "granted")
    return client


def dropped(t):
    names = ("mqtt_dropped_slow", "mqtt_dropped_queue", "session_dropped", "live_dropped_while_held")
    return {name: count for name in names if (count := metrics.now(t.broker.http, f"stele_{name}_total"))}


@case("mqtt", each={"QoS 0": 0, "QoS 1": 1})
def slows_nobody(t, qos):
    topic = t.name("busy")
    slow = stalled(t, topic, qos)
    readers = {f"a reader with QoS {n}": reader(t, topic, n) for n in (0, 1)}
    sender = publish_to(t, topic, readers)
    if not t.is_stele:
        return
    # The slow one may be another core's, which hears of the last messages a little later.
    t.eventually(lambda: metrics.now(t.broker.http, "stele_live_deliveries_total") == 3 * COUNT, "all copies are made")
    lost = dropped(t)
    name = "mqtt_dropped_queue" if qos else "mqtt_dropped_slow"
    t.equal(list(lost), [name], f"what is counted: {lost}")
    # What was not dropped it still gets, in order, and with QoS 1 it is the oldest that were.
    goes_on(slow)
    got = [number_of(slow.message().payload) for _ in range(COUNT - int(lost[name]))]
    t.equal(got, sorted(set(got)), "order")
    t.equal(got[0], 0, "the first")
    if qos:
        kept = WAITING_BYTES // (SIZE + 100)
        t.equal(got[-kept:], list(range(COUNT - kept, COUNT)), "the newest")
    sender.publish(topic, "000000 end")
    for client in (*readers.values(), slow):
        t.equal(bytes(client.message().payload), b"000000 end", "what comes next")
    t.equal(dropped(t), lost, "nothing more is dropped")


@case("stele", start=False)
def a_session_that_is_kept_slows_nobody(t):
    """What it has not acknowledged waits in its queue, as if it were away."""
    limit = 1000
    t.start("--session-queue-messages", str(limit))
    slow = stalled(t, "busy", 1, client_id="slow", clean=False, props={"session_expiry": 3600})
    readers = {f"a reader with QoS {n}": reader(t, "busy", n) for n in (0, 1)}
    sender = publish_to(t, "busy", readers)
    t.equal(dropped(t), {"session_dropped": COUNT - limit}, "what is counted")
    t.equal(metrics.now(t.broker.http, "stele_session_queue_messages"), limit, "what is queued")
    # It gets what had been sent when it stopped, and of the rest what the queue has kept.
    goes_on(slow)
    got = [number_of(slow.message().payload)]
    while got[-1] != COUNT - 1:
        got.append(number_of(slow.message().payload))
    sent = len(got) - limit
    t.true(0 < sent <= IN_FLIGHT, f"{sent} messages had been sent")
    t.equal(got, [*range(sent), *range(COUNT - limit, COUNT)], "messages")
    t.eventually(lambda: metrics.now(t.broker.http, "stele_session_queue_messages") == 0, "the queue is empty")
    sender.publish("busy", "000000 end")
    for client in (*readers.values(), slow):
        t.equal(bytes(client.message().payload), b"000000 end", "what comes next")
