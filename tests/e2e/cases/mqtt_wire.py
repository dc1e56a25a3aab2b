"""MQTT on a bare socket: reason codes, and packets that no client library sends."""
from harness import mqtt
from harness.broker import Failure
from harness.case import case
from harness.mqtt import V3, V5, V31, connection, packet, publish, subscribe

BOTH = {"v3.1.1": V3, "v5": V5}
MALFORMED, PROTOCOL, VERSION, CLIENT_ID, SIZE = 0x81, 0x82, 0x84, 0x85, 0x95
FILTER, TOPIC, ALIAS, TAKEN_OVER = 0x8F, 0x90, 0x94, 0x8E

# What a connected client may send once: (bytes, version, reason of the DISCONNECT that answers it in version 5).
BAD_PACKETS = {
    "type 0": (b"\x00\x00", V5, MALFORMED),
    "reserved flags of SUBSCRIBE": (b"\x80" + subscribe([("a", 0)])[1:], V5, MALFORMED),
    "reserved flags of PINGREQ": (b"\xc1\x00", V5, MALFORMED),
    "length of five bytes": (b"\x30\xff\xff\xff\xff\x01", V5, MALFORMED),
    "QoS 3": (b"\x36" + publish("a", "x", 1)[1:], V5, MALFORMED),
    "topic with +": (publish("a/+", "x"), V5, TOPIC),
    "topic with #": (publish("#", "x"), V5, TOPIC),
    "topic with U+0000": (publish(b"a\0b", "x"), V5, MALFORMED),
    "topic not UTF-8": (publish(b"a\xffb", "x"), V5, MALFORMED),
    "topic cut": (packet(0x30, b"\x00\x09abc"), V5, MALFORMED),
    "packet id 0": (publish("a", "x", 1, 0), V5, PROTOCOL),
    "topic empty and no alias": (publish("", "x"), V5, PROTOCOL),
    "topic alias over the maximum": (publish("a", "x", props={"topic_alias": 65535}), V5, ALIAS),
    "topic alias 0": (publish("a", "x", props={"topic_alias": 0}), V5, ALIAS),
    "topic alias of nothing": (publish("", "x", props={"topic_alias": 7}), V5, PROTOCOL),
    "property twice": (packet(0x30, mqtt.text("a") + b"\x04\x01\x00\x01\x00x"), V5, PROTOCOL),
    "property of another packet": (publish("a", "x", props={"receive_maximum": 5}), V5, MALFORMED),
    "property unknown": (packet(0x30, mqtt.text("a") + b"\x02\x7f\x00x"), V5, MALFORMED),
    "SUBSCRIBE with no filter": (packet(0x82, b"\x00\x01\x00"), V5, PROTOCOL),
    "SUBSCRIBE with reserved options": (subscribe([("a", 0xC0)]), V5, MALFORMED),
    "CONNECT again": (mqtt.connect(client_id="again"), V5, PROTOCOL),
    "CONNACK from a client": (packet(0x20, b"\x00\x00\x00"), V5, PROTOCOL),
    "SUBACK from a client": (packet(0x90, b"\x00\x01\x00\x00"), V5, PROTOCOL),
    "v3: type 0": (b"\x00\x00", V3, None),
    "v3: QoS 3": (b"\x36" + publish("a", "x", 1, version=V3)[1:], V3, None),
    "v3: topic with +": (publish("a/+", "x", version=V3), V3, None),
    "v3: SUBSCRIBE with no filter": (packet(0x82, b"\x00\x01"), V3, None),
    "v3: CONNECT again": (mqtt.connect(V3, "again"), V3, None),
    "v3: AUTH": (packet(0xF0, b""), V3, None),
}
# Codes that say nearly the same; the standard leaves the choice open where both fit.
EITHER = {MALFORMED: (MALFORMED, PROTOCOL), PROTOCOL: (MALFORMED, PROTOCOL), TOPIC: (TOPIC, MALFORMED, PROTOCOL)}


def disconnected(t, wire, reason):
    """The connection ends; in version 5 with a DISCONNECT that says why."""
    got = wire.receive()
    while got is not None and got.type in (mqtt.PUBACK, mqtt.PUBREC):
        got = wire.receive()
    if reason is None:
        t.true(got is None, f"nothing is sent in 3.1.1 before closing, got {got}")
        return
    if got is None and not t.is_stele:
        return  # a server MAY send the DISCONNECT
    t.true(got is not None and got.type == mqtt.DISCONNECT, f"DISCONNECT {reason:#x} expected, got {got}")
    accepted = EITHER.get(reason, (reason,))
    t.true(got.reason in accepted or not t.is_stele, f"DISCONNECT {got.reason:#x} where {reason:#x} was expected")
    wire.expect_closed()


# mosquitto 2.0.11 takes these.
PEER_TAKES = ("reserved options", "topic with U+0000", "v3: AUTH", "SUBACK from", "CONNACK from",
              "alias over", "auth data without", "flags of PINGREQ")


@case("mqtt", each=BAD_PACKETS)
def bad_packet_closes_only_its_connection(t, bad):
    data, version, reason = bad
    label = next(k for k, v in BAD_PACKETS.items() if v is bad)
    if not t.is_stele and any(word in label for word in PEER_TAKES):
        return
    topic = t.name("bystander")
    bystander = connection(t, V5)
    bystander.subscribe(topic)
    culprit = connection(t, version, client_id=t.name("culprit"))
    culprit.send(data)
    disconnected(t, culprit, reason)
    bystander.publish(topic, "still here")
    t.equal(bystander.message().payload, b"still here", "the other connection")


def v5_connect(name="MQTT", level=5, flags=2, props=b"\0", payload=b"\0\0"):
    return packet(0x10, mqtt.text(name) + bytes([level, flags, 0, 60]) + props + payload)


# The first packet of a connection: (bytes, reason of the CONNACK, None for a mere close).
BAD_CONNECTS = {
    "PINGREQ first": (b"\xc0\x00", None),
    "PUBLISH first": (publish("a", "x"), None),
    "HTTP": (b"GET / HTTP/1.1\r\n\r\n", None),
    "Kafka": (b"\x00\x00\x00\x10\x00\x12\x00\x00\x00\x00\x00\x01\x00\x04test\x00\x00", None),
    "name": (v5_connect(name="MQTX"), VERSION),
    "reserved flag": (v5_connect(flags=3), MALFORMED),
    "will QoS 3": (v5_connect(flags=0x1E), MALFORMED),
    "properties cut": (v5_connect(props=b"\x09\x11"), MALFORMED),
    "receive maximum 0": (v5_connect(props=b"\x03\x21\x00\x00"), PROTOCOL),
    "auth data without method": (v5_connect(props=b"\x04\x16\x00\x01x"), PROTOCOL),
}


@case("mqtt", each=BAD_CONNECTS)
def bad_connect(t, bad):
    data, reason = bad
    label = next(k for k, v in BAD_CONNECTS.items() if v is bad)
    if not t.is_stele and any(word in label for word in PEER_TAKES):
        return
    wire = mqtt.Wire(t.mqtt)
    wire.send(data)
    got = wire.receive()
    if reason is not None and (t.is_stele or got is not None):
        t.true(got is not None and got.type == mqtt.CONNACK, f"CONNACK {reason:#x} expected, got {got}")
        if t.is_stele:
            t.true(got.reason in EITHER.get(reason, (reason,)), f"CONNACK {got.reason:#x}, not {reason:#x}")
        got = wire.receive()
    elif got is not None and got.type == mqtt.DISCONNECT:
        got = wire.receive()
    t.true(got is None, f"the connection should be closed, got {got}")
    connection(t).close()


@case("mqtt", each={"2": 2, "6": 6})
def unknown_level(t, level):
    """[MQTT-3.1.2-2]: closed, perhaps after a CONNACK in the form of 3.1.1 (1) or 5.0 (0x84)."""
    wire = mqtt.Wire(t.mqtt, V3)
    wire.send(v5_connect(level=level))
    got = wire.receive()
    if got is not None:
        t.true(got.type == mqtt.CONNACK and got.reason in (1, VERSION), f"answer to level {level}: {got}")
        wire.expect_closed()


@case("mqtt")
def empty_client_id_with_kept_session_in_3(t):
    wire = mqtt.Wire(t.mqtt, V3)
    wire.send(mqtt.connect(V3, "", clean=False))
    got = wire.receive()
    t.true(got is not None and got.type == mqtt.CONNACK and got.reason == 2, f"[MQTT-3.1.3-8] CONNACK 2, got {got}")
    wire.expect_closed()


@case("mqtt")
def bad_filter(t):
    for bad in ("a/#/b", "a+", "#a", ""):
        wire = connection(t)
        wire.send(subscribe([(bad, 0)]))
        got = wire.receive()
        codes = got.reasons if got and got.type == mqtt.SUBACK else [got.reason if got else None]
        t.true(codes[0] is None and not t.is_stele or codes[0] in (FILTER, MALFORMED, PROTOCOL), f"{bad!r}: {codes}")


@case("mqtt")
def packet_larger_than_announced(t):
    wire = connection(t)
    limit = wire.connack.props.get("maximum_packet_size")
    if limit is None and not t.is_stele:
        return
    t.true(limit is not None, "memory is bounded, so CONNACK announces a Maximum Packet Size")
    body = limit + 1
    wire.send(b"\x30" + mqtt.varint(body) + b"\0\1a\0")
    disconnected(t, wire, SIZE)


@case("mqtt")
def client_maximum_packet_size_is_kept(t):
    """[MQTT-3.1.2-24], -25: what is too large for a client is dropped for it."""
    topic = t.name("small")
    small = connection(t, props={"maximum_packet_size": 200})
    small.subscribe(topic)
    sender = connection(t)
    sender.publish(topic, "x" * 1000)
    sender.publish(topic, "fits")
    t.equal(small.message().payload, b"fits", "first message")


@case("mqtt")
def receive_maximum_is_kept(t):
    topic = t.name("window")
    slow = connection(t, props={"receive_maximum": 3})
    slow.subscribe(topic)
    sender = connection(t)
    for i in range(10):
        sender.publish(topic, str(i))
    unacked = [slow.expect(mqtt.PUBLISH) for _ in range(3)]
    t.true(slow.is_quiet(), "no fourth message before a PUBACK")
    for got in unacked:
        slow.send(mqtt.puback(got.packet_id))
    t.equal([slow.message().payload for _ in range(7)], [str(i).encode() for i in range(3, 10)], "the others")


@case("mqtt", each=BOTH)
def unacknowledged_comes_again_with_dup(t, version):
    topic, name = t.name("again"), t.name("forgetful")
    keep = {"clean": False, "client_id": name} | ({"props": {"session_expiry": 600}} if version == V5 else {})
    wire = connection(t, version, **keep)
    wire.subscribe(topic)
    connection(t).publish(topic, "x")
    first = wire.expect(mqtt.PUBLISH)
    t.equal(first.dup, 0, "DUP, first time")
    wire.close()
    wire = connection(t, version, **keep)
    t.equal(wire.connack.session_present, 1, "session present")
    second = wire.message()
    t.equal((second.payload, second.dup), (b"x", 1), "[MQTT-3.3.1-1] payload, DUP")
    wire.disconnect()
    wire = connection(t, version, **keep)
    t.true(wire.is_quiet(), "an acknowledged message does not come again")


@case("mqtt")
def pubacks_come_in_order(t):
    """[MQTT-4.6.0-2]"""
    wire, topic = connection(t), t.name("order")
    wire.send(b"".join(publish(f"{topic}/{i % 7}", "x", 1, i) for i in range(1, 501)))
    t.equal([wire.expect(mqtt.PUBACK).packet_id for _ in range(500)], list(range(1, 501)), "packet identifiers")


@case("mqtt")
def bytes_one_at_a_time(t):
    wire, topic = mqtt.Wire(t.mqtt), t.name("slow")
    for byte in mqtt.connect() + subscribe([(topic, 1)]) + publish(topic, "x", 1, 5):
        wire.send(bytes([byte]))
    kinds = {wire.receive().type for _ in range(4)}
    t.equal(kinds, {mqtt.CONNACK, mqtt.SUBACK, mqtt.PUBACK, mqtt.PUBLISH}, "answers")


@case("mqtt")
def no_subscribers(t):
    """Reason 0x10 says so, 0 is allowed."""
    t.true(connection(t).publish(t.name("void"), "x").reason in (0, 0x10), "PUBACK")


@case("mqtt")
def unsuback_codes(t):
    wire, topic = connection(t), t.name("u")
    wire.subscribe(topic)
    wire.send(mqtt.unsubscribe([topic, topic + "/never"], 2))
    reasons = wire.expect(mqtt.UNSUBACK).reasons
    t.true(reasons == [0, 0x11] or not t.is_stele and len(reasons) == 2, f"UNSUBACK {reasons}")


@case("mqtt")
def keep_alive_ends_a_silent_connection(t):
    """[MQTT-3.1.2-22]"""
    wire = connection(t, keep_alive=1)
    got = wire.receive()
    if got is not None:
        t.equal((got.type, got.reason), (mqtt.DISCONNECT, 0x8D), "DISCONNECT")
        wire.expect_closed()


@case("mqtt")
def will_delay_and_take_over(t):
    """A session that comes back in time has no will: [MQTT-3.1.3-9]."""
    topic, name = t.name("w"), t.name("delayed")
    watcher = connection(t)
    watcher.subscribe(topic)
    will = mqtt.packet(0x10, mqtt.text("MQTT") + bytes([5, 4, 0, 60]) + mqtt.properties({"session_expiry": 600})
                       + mqtt.text(name) + mqtt.properties({"will_delay": 600}) + mqtt.text(topic) + mqtt.text("gone"))
    first = mqtt.Wire(t.mqtt)
    first.send(will)
    first.expect(mqtt.CONNACK)
    first.close()
    connection(t, client_id=name, clean=False, props={"session_expiry": 600}).disconnect()
    connection(t).publish(topic, "end")
    t.equal(watcher.message().payload, b"end", "first message")


@case("mqtt", each=BOTH)
def take_over_mid_flow(t, version):
    """The second CONNECT wins while messages are in flight, and inherits what was not acknowledged."""
    topic, name = t.name("flow"), t.name("contested")
    keep = {"clean": False, "client_id": name} | ({"props": {"session_expiry": 600}} if version == V5 else {})
    first = connection(t, version, **keep)
    first.subscribe(topic)
    sender = connection(t)
    for i in range(5):
        sender.publish(topic, str(i))
    second = connection(t, version, **keep)
    t.equal(second.connack.session_present, 1, "session present")
    got = first.receive()
    while got is not None and got.type == mqtt.PUBLISH:
        got = first.receive()
    if version == V5 and t.is_stele:
        t.true(got is not None and got.reason == TAKEN_OVER, f"the first gets DISCONNECT 0x8E, got {got}")
    t.equal([second.message().payload for _ in range(5)], [str(i).encode() for i in range(5)], "messages")


@case("mqtt")
def many_connections(t):
    wires = [connection(t) for _ in range(200)]
    topic = t.name("crowd")
    for wire in wires:
        wire.subscribe(topic)
    wires[0].send(publish(topic, "all"))
    for wire in wires:
        if wire.message().payload != b"all":
            raise Failure("a connection got something else")


@case("mqtt")
def topic_aliases_from_a_client(t):
    """Section 3.3.2.3.4: an alias stands for the topic it came with last, on its connection."""
    one, two = t.name("first/topic"), t.name("second/topic")
    reader, wire = connection(t), connection(t)
    reader.subscribe(one, two)
    t.true(wire.connack.props.get("topic_alias_maximum", 0) >= 2, "Topic Alias Maximum")
    for topic, text, alias in ((one, "1", 1), ("", "2", 1), (two, "3", 2), ("", "4", 1), (two, "5", 1), ("", "6", 1)):
        wire.send(publish(topic, text, props={"topic_alias": alias}))
    got = [reader.expect(mqtt.PUBLISH) for _ in range(6)]
    t.equal([m.topic for m in got], [one, one, two, one, two, two], "topics")
    t.true(all("topic_alias" not in m.props for m in got), "none for a client that wants none")
    other = connection(t)
    other.send(publish("", "x", props={"topic_alias": 1}))
    disconnected(t, other, PROTOCOL)


@case("stele")
def topic_aliases_to_a_client(t):
    """No more than it wants, each with its topic first; the one used longest ago is given away."""
    wire, sender = connection(t, props={"topic_alias_maximum": 2}), connection(t)
    wire.subscribe("long/#")
    known = {}
    saved = 0
    for topic in ("long/a", "long/b", "long/a", "long/b", "long/c", "long/c", "long/b", "long/a", "long/a"):
        sender.publish(topic, topic)
        got = wire.message()
        alias = got.props["topic_alias"]
        t.true(alias in (1, 2), f"alias {alias}")
        if got.topic:
            known[alias] = got.topic
        saved += not got.topic
        t.equal(known[alias], got.payload.decode(), "what the alias stands for")
    t.equal(saved, 5, "topics left out")


@case("stele", start=False)
def server_keep_alive(t):
    """[MQTT-3.2.2-21]: a longer one than allowed, or none, is replaced, and then it is the server's that counts."""
    t.start("--mqtt-max-keep-alive-s", "2")
    t.equal(connection(t, keep_alive=1).connack.props.get("server_keep_alive"), None, "a shorter one stays")
    for asked in (0, 60):
        wire = connection(t, keep_alive=asked)
        t.equal(wire.connack.props.get("server_keep_alive"), 2, "Server Keep Alive")
    got = wire.receive()
    t.equal((got.type, got.reason), (mqtt.DISCONNECT, 0x8D), "after three seconds: keep alive timeout")
    old = connection(t, V3, keep_alive=60)
    t.true(old.is_quiet(), "3.1.1 cannot be told, and keeps its own")


@case("mqtt")
def version_3_1(t):
    """MQIsdp, level 3: as 3.1.1 but for the session present flag."""
    topic, name = t.name("t"), t.name("old")
    wire = connection(t, V31, client_id=name, clean=False)
    t.equal(wire.subscribe(topic, options=2), [2], "granted")
    wire.close()
    sender = connection(t)
    sender.publish(topic, "while away")
    wire = connection(t, V31, client_id=name, clean=False)
    t.equal(wire.connack.session_present, 0, "there is no such flag")
    t.equal(wire.message().payload, b"while away", "of the kept session")
    wire.send(publish(topic, "own", 2, 5, version=V31))
    t.equal(wire.expect_among_messages(mqtt.PUBREC).packet_id, 5, "PUBREC")
    wire.send(mqtt.pubrel(5))
    t.equal(wire.expect_among_messages(mqtt.PUBCOMP).packet_id, 5, "PUBCOMP")
    got = wire.expect(mqtt.PUBLISH)
    t.equal((got.qos, got.payload), (2, b"own"), "message")
    wire.send(mqtt.pubrec(got.packet_id))
    t.equal(wire.expect(mqtt.PUBREL).packet_id, got.packet_id, "PUBREL")
    wire.send(mqtt.pubcomp(got.packet_id))
    t.true(wire.is_quiet(), "nothing more")
