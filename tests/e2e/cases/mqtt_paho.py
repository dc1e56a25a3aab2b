"""Eclipse Paho for Python: what a client library makes of our CONNACK, reason codes and sessions."""
import queue

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from harness.broker import Failure
from harness.case import WAIT_S, case

VERSIONS = {"v3.1": paho.MQTTv31, "v3.1.1": paho.MQTTv311, "v5": paho.MQTTv5}


class Client:
    """Paho with its callbacks turned into queues."""

    def __init__(self, t, client_id="", version=paho.MQTTv5, clean=True, transport="tcp", address=None):
        more = {} if version == paho.MQTTv5 else {"clean_session": clean}
        self.t, self.clean, self.version = t, clean, version
        host, port = (address or (t.broker.http if transport == "websockets" else t.broker.mqtt)).rsplit(":", 1)
        self.address = host, int(port)
        self.paho = paho.Client(client_id, protocol=version, transport=transport, **more)
        self.events = {name: queue.Queue() for name in ("connect", "disconnect", "publish", "subscribe", "unsubscribe")}
        self.inbox = queue.Queue()
        for name, events in self.events.items():
            setattr(self.paho, f"on_{name}", lambda *args, q=events: q.put(args[2:]))
        self.paho.on_message = lambda _client, _data, message: self.inbox.put(message)

    def connect(self, **props):
        """The CONNACK: session present, reason, properties."""
        more = {}
        if self.version == paho.MQTTv5:
            more = {"clean_start": self.clean, "properties": properties(PacketTypes.CONNECT, **props)}
        self.paho.connect(*self.address, **more)
        self.paho.loop_start()
        flags, reason, *rest = self.next("connect")
        self.session_present = flags["session present"]
        self.props = rest[0] if rest else None
        self.t.equal(getattr(reason, "value", reason), 0, "CONNACK")
        return self

    def next(self, event):
        try:
            return self.events[event].get(timeout=WAIT_S)
        except queue.Empty as e:
            raise Failure(f"paho: no on_{event} for {WAIT_S} s") from e

    def subscribe(self, topic, qos=1, **more):
        self.paho.subscribe(topic, qos, **more)
        return [getattr(code, "value", code) for code in self.next("subscribe")[1]]

    def publish(self, topic, payload, qos=1, retain=False, **props):
        """Returns when it is acknowledged."""
        more = {"properties": properties(PacketTypes.PUBLISH, **props)} if self.version == paho.MQTTv5 else {}
        self.paho.publish(topic, payload, qos, retain, **more).wait_for_publish(WAIT_S)
        self.next("publish")

    def message(self):
        try:
            return self.inbox.get(timeout=WAIT_S)
        except queue.Empty as e:
            raise Failure(f"paho: no message for {WAIT_S} s") from e

    def disconnect(self):
        self.paho.disconnect()
        self.next("disconnect")
        self.paho.loop_stop()


def properties(packet, **values):
    made = Properties(packet)
    for name, value in values.items():
        setattr(made, name, value)
    return made


@case("mqtt", each=VERSIONS)
def session_present(t, version):
    name, topic = t.name("known"), t.name("topic")
    keep = {"SessionExpiryInterval": 3600} if version == paho.MQTTv5 else {}
    first = Client(t, name, version, clean=False).connect(**keep)
    t.equal(first.session_present, 0, "session present, first time")
    first.subscribe(topic)
    first.disconnect()
    other = Client(t, version=version).connect()
    other.publish(topic, "while away")
    again = Client(t, name, version, clean=False).connect(**keep)
    if version != paho.MQTTv31:  # which has no such flag
        t.equal(again.session_present, 1, "session present, second time")
    t.equal(again.message().payload, b"while away", "queued message")
    other.publish(topic, "live")
    t.equal(again.message().payload, b"live", "the subscription still stands")
    again.disconnect()
    fresh = Client(t, name, version, clean=True).connect()
    t.equal(fresh.session_present, 0, "session present after a clean start")
    other.publish(topic, "unheard")
    fresh.subscribe(topic)
    other.publish(topic, "end")
    t.equal(fresh.message().payload, b"end", "a clean start drops subscriptions")


@case("mqtt")
def session_ends_with_expiry_zero(t):
    name, topic = t.name("brief"), t.name("topic")
    first = Client(t, name, clean=False).connect()  # no session expiry: it ends with the connection
    first.subscribe(topic)
    first.disconnect()
    again = Client(t, name, clean=False).connect(SessionExpiryInterval=3600)
    t.equal(again.session_present, 0, "session present")


@case("mqtt")
def session_expiry_changed_at_disconnect(t):
    name = t.name("changed")
    first = Client(t, name, clean=False).connect(SessionExpiryInterval=3600)
    first.paho.disconnect(properties=properties(PacketTypes.DISCONNECT, SessionExpiryInterval=0))
    first.next("disconnect")
    again = Client(t, name, clean=False).connect(SessionExpiryInterval=3600)
    t.equal(again.session_present, 0, "session present")


@case("mqtt")
def assigned_client_id(t):
    first, second = Client(t).connect(), Client(t).connect()
    ids = [c.props.AssignedClientIdentifier for c in (first, second)]
    t.true(all(ids) and ids[0] != ids[1], f"assigned client identifiers {ids}")


@case("stele")
def connack_announces_what_is_there(t):
    props = Client(t).connect().props.json()
    t.equal(props.get("MaximumQoS", 2), 2, "Maximum QoS")
    t.equal(props.get("SharedSubscriptionAvailable"), 1, "Shared Subscription Available")
    t.equal(props.get("TopicAliasMaximum", 0), 16, "Topic Alias Maximum")
    t.equal(props.get("RetainAvailable", 1), 1, "Retain Available")
    t.equal(props.get("WildcardSubscriptionAvailable", 1), 1, "Wildcard Subscription Available")


@case("mqtt", each=VERSIONS)
def take_over(t, version):
    name, topic = t.name("twin"), t.name("topic")
    first = Client(t, name, version).connect()
    second = Client(t, name, version).connect()
    gone = first.next("disconnect")
    first.paho.loop_stop()
    if version == paho.MQTTv5 and t.is_stele:
        t.equal(getattr(gone[0], "value", gone[0]), 0x8E, "DISCONNECT of the first")
    second.subscribe(topic)
    second.publish(topic, "alive")
    t.equal(second.message().payload, b"alive", "the second connection")


@case("mqtt", each=VERSIONS)
def granted_qos(t, version):
    client = Client(t, version=version).connect()
    topic = t.name("q")
    t.equal(client.subscribe(f"{topic}/0", 0), [0], "QoS 0")
    t.equal(client.subscribe(f"{topic}/1", 1), [1], "QoS 1")
    t.equal(client.subscribe(f"{topic}/2", 2), [2], "QoS 2")


@case("mqtt")
def properties_are_forwarded(t):
    topic = t.name("props")
    client = Client(t).connect()
    client.subscribe(topic)
    sent = {"PayloadFormatIndicator": 1, "ContentType": "text/plain", "ResponseTopic": "back", "CorrelationData": b"\0\1",
            "UserProperty": [("a", "1"), ("a", "2"), ("b", "")], "MessageExpiryInterval": 1000}
    client.publish(topic, b"\0binary\xff", **sent)
    got = client.message()
    t.equal(got.payload, b"\0binary\xff", "payload")
    for name, value in sent.items():
        if name != "MessageExpiryInterval":
            t.equal(getattr(got.properties, name), value, name)
    t.true(0 < got.properties.MessageExpiryInterval <= 1000, "message expiry interval")


@case("mqtt")
def expired_message_is_not_delivered(t):
    name, topic = t.name("late"), t.name("topic")
    first = Client(t, name, clean=False).connect(SessionExpiryInterval=3600)
    first.subscribe(topic)
    first.disconnect()
    sender = Client(t).connect()
    sender.publish(topic, "short-lived", MessageExpiryInterval=1)
    sender.publish(topic, "lasting")
    # A witness of the same message says when it has expired: retained messages expire alike.
    sender.publish(topic + "/clock", "x", retain=True, MessageExpiryInterval=2)

    def clock_is_gone():
        watcher = Client(t).connect()
        watcher.subscribe(topic + "/clock")
        sender.publish(topic + "/clock", "probe")
        gone = watcher.message().payload == b"probe"
        watcher.disconnect()
        return gone

    t.eventually(clock_is_gone, "a retained message expires after 2 s")
    again = Client(t, name, clean=False).connect(SessionExpiryInterval=3600)
    t.equal(again.message().payload, b"lasting", "first message of the queue")


@case("mqtt")
def subscription_options(t):
    topic = t.name("options")
    client = Client(t).connect()
    options = paho.SubscribeOptions(qos=1, noLocal=True)
    client.paho.subscribe(topic, options=options)
    client.next("subscribe")
    client.publish(topic, "own")
    other = Client(t).connect()
    other.publish(topic, "other")
    t.equal(client.message().payload, b"other", "no local")

    kept = Client(t).connect()
    kept.paho.subscribe(topic, options=paho.SubscribeOptions(qos=1, retainAsPublished=True))
    kept.next("subscribe")
    other.publish(topic, "r", retain=True)
    t.true(kept.message().retain, "retain as published keeps the flag")
    t.true(not client.message().retain, "without it the live copy has none")

    never = Client(t).connect()
    never.paho.subscribe(topic, options=paho.SubscribeOptions(qos=1, retainHandling=2))
    never.next("subscribe")
    other.publish(topic, "live")
    t.equal(never.message().payload, b"live", "retain handling 2 sends nothing retained")


@case("mqtt")
def subscription_identifier(t):
    topic = t.name("ids")
    client = Client(t).connect()
    props = properties(PacketTypes.SUBSCRIBE, SubscriptionIdentifier=7)
    client.paho.subscribe(topic, options=paho.SubscribeOptions(qos=1), properties=props)
    client.next("subscribe")
    client.publish(topic, "x")
    t.equal(client.message().properties.SubscriptionIdentifier, [7], "subscription identifier")


@case("mqtt", each=VERSIONS)
def unsubscribe(t, version):
    a, b = t.name("a"), t.name("b")
    client = Client(t, version=version).connect()
    client.subscribe(a)
    client.subscribe(b)
    client.paho.unsubscribe(a)
    client.next("unsubscribe")
    client.publish(a, "no")
    client.publish(b, "yes")
    t.equal(client.message().payload, b"yes", "first message")


@case("mqtt", each=VERSIONS)
def many_both_ways(t, version):
    topic, n = t.name("many"), 3000
    receiver, sender = Client(t, version=version).connect(), Client(t, version=version).connect()
    sender.paho.max_queued_messages_set(0)
    receiver.subscribe(topic)
    for i in range(n):
        sender.paho.publish(topic, str(i), 1)
    t.equal([receiver.message().payload for _ in range(n)], [str(i).encode() for i in range(n)], "order")
    for _ in range(n):
        sender.next("publish")


@case("mqtt", "restart")
def paho_reconnects_by_itself(t):
    """A client that is connected while the broker is killed; it is told its old address, so the port must stay."""
    host, port = t.mqtt
    client = Client(t, "steady", clean=False).connect(SessionExpiryInterval=3600)
    client.subscribe("news")
    t.broker.kill()
    client.next("disconnect")
    client.paho.loop_stop()
    t.broker.start()
    other = Client(t).connect()
    other.publish("news", "missed")
    again = Client(t, "steady", clean=False).connect(SessionExpiryInterval=3600)
    t.equal(again.session_present, 1, "session present")
    t.equal(again.message().payload, b"missed", "queued after the restart, before the reconnect")
