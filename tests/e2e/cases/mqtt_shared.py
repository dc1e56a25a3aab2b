"""Shared subscriptions: section 4.8.2 of MQTT 5.0, with clients of both versions."""
import collections
import time

from cases.mqtt_paho import Client
from cases.mqtt_qos2 import fixed_port, kept
from harness import mqtt
from harness.broker import Failure
from harness.case import WAIT_S, case
from harness.mqtt import V3, V5, connection, publish, subscribe

BOTH = {"v3.1.1": V3, "v5": V5}
FILTER, QUOTA = 0x8F, 0x97


def member(t, share, version=V5, qos=1, **more):
    wire = connection(t, version, **more)
    t.equal(wire.subscribe(share, options=qos), [qos], "granted")
    return wire


def send(t, topic, texts, qos=1):
    """Published and acknowledged."""
    wire = connection(t)
    for number, text in enumerate(texts):
        wire.send(publish(topic, text, qos, number + 1))
        if qos == 1:
            wire.expect(mqtt.PUBACK)
        elif qos == 2:
            wire.expect(mqtt.PUBREC)
            wire.send(mqtt.pubrel(number + 1))
            wire.expect(mqtt.PUBCOMP)
    t.true(wire.is_quiet(), "nothing more for the publisher")
    wire.disconnect()


def take(wire, settle=True):
    """All messages that are there; with QoS 2 each is completed."""
    got = []
    wire.send(mqtt.packet(0xC0, b""))
    wires_done = False
    open_exchanges = set()
    while not wires_done or open_exchanges:
        packet = wire.receive()
        if packet is None:
            raise Failure("the connection was closed")
        if packet.type == mqtt.PINGRESP:
            wires_done = True
        elif packet.type == mqtt.PUBREL:
            wire.send(mqtt.pubcomp(packet.packet_id))
            open_exchanges.discard(packet.packet_id)
        elif packet.type == mqtt.PUBLISH:
            got.append(packet)
            if settle and packet.qos == 1:
                wire.send(mqtt.puback(packet.packet_id))
            if settle and packet.qos == 2:
                wire.send(mqtt.pubrec(packet.packet_id))
                open_exchanges.add(packet.packet_id)
    return got


def payloads(packets):
    return [p.payload.decode() for p in packets]


def collect(t, wires, count, settle=True):
    """What each got, until there are `count` in all; and no more."""
    got = [[] for _ in wires]

    def look():
        for wire, mine in zip(wires, got):
            mine += take(wire, settle)
        return sum(len(mine) for mine in got) >= count

    t.eventually(look, f"{count} messages")
    for wire, mine in zip(wires, got):
        mine += take(wire, settle)
    t.equal(sum(len(mine) for mine in got), count, "messages in all")
    return got


def texts(count, first=0):
    return [str(number) for number in range(first, first + count)]


@case("mqtt", each={f"{v}, QoS {q}": (version, q) for v, version in BOTH.items() for q in (0, 1, 2)})
def each_message_goes_to_one_member(t, how):
    version, qos = how
    topic = t.name("jobs")
    share = f"$share/crew/{topic}/#"
    wires = [member(t, share, version, qos) for _ in range(3)]
    outside = member(t, f"{topic}/#", version, qos)
    other = member(t, f"$share/other/{topic}/+", version, qos)
    send(t, f"{topic}/a", texts(30), qos)
    got = collect(t, wires, 30)
    t.equal(sorted(int(p) for mine in got for p in payloads(mine)), list(range(30)), "each once")
    t.true(all(mine for mine in got), f"everybody has some: {[len(mine) for mine in got]}")
    if t.is_stele:
        t.true(max(len(mine) for mine in got) <= 14, f"they take turns: {[len(mine) for mine in got]}")
    t.equal({p.qos for mine in got for p in mine}, {qos}, "QoS")
    for wire, who in ((outside, "a subscription that is not shared"), (other, "another group of one")):
        t.equal(payloads(collect(t, [wire], 30)[0]), texts(30), who)


@case("stele", each=BOTH)
def kept_members_take_turns(t, version):
    wires = []
    for number in range(3):
        wires.append(kept(t, f"m{number}", version))
        t.equal(wires[-1].subscribe("$share/crew/jobs/#", options=1), [1], "granted")
    send(t, "jobs/a", texts(30))
    got = collect(t, wires, 30)
    t.equal([len(mine) for mine in got], [10, 10, 10], "turns")
    send(t, "jobs/a", texts(6), 0)
    collect(t, wires, 6)


@case("stele")
def a_session_that_is_kept_is_granted_qos_1(t):
    """What a member has with QoS 2 may be nobody else's; so it is not tied to one that may never come back."""
    wire = kept(t, "m")
    t.equal(wire.subscribe("$share/crew/jobs", "jobs", options=2), [1, 2], "granted")
    send(t, "jobs", ["x"], 2)
    got = collect(t, [wire], 2)[0]
    t.equal(sorted(p.qos for p in got), [1, 2], "QoS of both copies")


@case("mqtt")
def a_member_of_its_own_subscriptions(t):
    """Each subscription of a client gets its copy, with its identifier."""
    topic = t.name("t")
    wire = connection(t)
    for number, one in enumerate((topic, f"$share/a/{topic}", f"$share/b/{topic}")):
        wire.send(subscribe([(one, 1)], props={"subscription_id": [number + 1]}))
        wire.expect(mqtt.SUBACK)
    send(t, topic, ["x"])
    got = collect(t, [wire], 3)[0]
    t.equal(sorted(i for p in got for i in p.props["subscription_id"]), [1, 2, 3], "identifiers")
    for one in (f"$share/a/{topic}", topic):
        wire.send(mqtt.unsubscribe([one, f"$share/none/{topic}"]))
        t.equal(wire.expect(mqtt.UNSUBACK).reasons, [0, 0x11], "UNSUBACK")
    send(t, topic, ["y"])
    t.equal([p.props["subscription_id"] for p in collect(t, [wire], 1)[0]], [[3]], "what is left")


@case("mqtt", each=BOTH)
def retained_messages_are_not_for_shared_subscriptions(t, version):
    topic = t.name("t")
    connection(t).publish(topic, "kept", retain=True)
    wire = member(t, f"$share/crew/{topic}", version)
    t.equal(take(wire), [], "retained")
    connection(t).publish(topic, "live", retain=True)
    got = collect(t, [wire], 1)[0]
    t.equal((got[0].payload, got[0].retain), (b"live", 0), "a live one, without the flag")


@case("mqtt")
def what_is_no_shared_subscription(t):
    """[MQTT-4.8.2-1], [MQTT-4.8.2-2], [MQTT-3.8.3-4]."""
    for version in BOTH.values():
        for bad in ("$share//t", "$share/g", "$share/g+/t", "$share/#/t", "$share/g/", "$share/g/a#"):
            wire = connection(t, version)
            wire.send(subscribe([(bad, 1)], version=version))
            got = wire.receive()
            if got is None:
                t.true(version == V3 or not t.is_stele, f"{bad}: closed without a word")
                continue
            codes = got.reasons if got.type == mqtt.SUBACK else [got.reason]
            if t.is_stele:
                t.equal(codes, [FILTER], f"{bad}")
            t.true(codes[0] >= 0x80, f"{bad}: {codes}")
    wire = connection(t)
    wire.send(subscribe([("$share/g/t", 1 | 4)]))
    got = wire.receive()
    t.true(got is None or got.type == mqtt.DISCONNECT and got.reason == 0x82, f"no local: {got}")


@case("stele")
def at_most_100_of_a_session(t):
    wire = connection(t)
    t.equal(wire.connack.props.get("shared_available"), 1, "announced")
    granted = wire.subscribe(*[f"$share/g{n}/t" for n in range(101)], options=1)
    t.equal(granted, [1] * 100 + [QUOTA], "granted")
    t.equal(wire.subscribe("$share/g0/t", "t", options=1), [1, 1], "one that is there already, and an ordinary one")


@case("stele", each={"sessions that end": False, "sessions that are kept": True})
def what_a_member_leaves_goes_to_others(t, keep):
    """QoS 1, not acknowledged, or not even sent."""
    first = (kept(t, "first") if keep else connection(t, client_id="first", props={"receive_maximum": 5}))
    t.equal(first.subscribe("$share/crew/jobs", options=1), [1], "granted")
    send(t, "jobs", texts(20))
    seen = [first.expect(mqtt.PUBLISH) for _ in range(5)]
    second = (kept(t, "second") if keep else connection(t, client_id="second"))
    t.equal(second.subscribe("$share/crew/jobs", options=1), [1], "granted")
    t.equal(take(second), [], "they are the first one's")
    for packet in seen[:2]:
        first.send(mqtt.puback(packet.packet_id))
    t.true(take(first, settle=False) is not None, "the broker has both")
    first.close()
    got = collect(t, [second], 18)[0]
    t.equal(sorted(int(p) for p in payloads(got)), list(range(2, 20)), "all but what was acknowledged")
    t.equal({p.dup for p in got}, {0}, "DUP: it was not sent to this one before")


@case("stele")
def with_qos_2_it_is_nobody_elses(t):
    """[MQTT-4.8.2-5]: once PUBLISH is sent the message is that member's, or lost with it."""
    for queued in (False, True):
        if queued:  # a member that is kept gives the group a queue
            away = kept(t, "away")
            away.subscribe("$share/crew/jobs", options=1)
            away.disconnect()
        first = member(t, "$share/crew/jobs", qos=2, client_id="first", props={"receive_maximum": 2})
        send(t, "jobs", texts(2), 2)
        got = [first.expect(mqtt.PUBLISH) for _ in range(2)]
        t.equal([p.qos for p in got], [2, 2], "QoS")
        second = member(t, "$share/crew/jobs", qos=2, client_id="second")
        first.close()
        send(t, "jobs", ["end"], 2)
        t.equal(payloads(collect(t, [second], 1)[0]), ["end"], f"queued: {queued}")
        second.close()


@case("stele", each=BOTH)
def while_nobody_is_there_it_waits(t, version):
    for name in ("a", "b"):
        wire = kept(t, name, version)
        wire.subscribe("$share/crew/jobs", options=1)
        wire.disconnect()
    send(t, "jobs", texts(10))
    send(t, "jobs", ["lost"], 0)
    # A live member takes what kept ones are not there for, old and new.
    live = member(t, "$share/crew/jobs", version)
    send(t, "jobs", texts(10, 10))
    t.equal(payloads(collect(t, [live], 20)[0]), texts(20), "all of it")
    live.disconnect()
    send(t, "jobs", texts(10))
    t.restart()
    wires = [kept(t, name, version) for name in ("a", "b")]
    t.equal([wire.connack.session_present for wire in wires], [1, 1], "session present")
    got = collect(t, wires, 10)
    t.equal(sorted(int(p) for mine in got for p in payloads(mine)), list(range(10)), "after a kill")
    # What is not acknowledged when the broker dies comes again, to whoever is there.
    send(t, "jobs", texts(10))
    collect(t, wires, 10, settle=False)
    t.restart()
    wire = kept(t, "b", version)
    t.equal(sorted(int(p) for p in payloads(collect(t, [wire], 10)[0])), list(range(10)), "after another")


@case("stele")
def a_group_ends_with_its_members(t):
    """By UNSUBSCRIBE at once; with a session that is begun anew, after a moment."""
    def groups():
        metrics = t.run(["curl", "-sf", f"http://{t.broker.http}/metrics"])
        return sum(float(line.split()[1]) for line in metrics.splitlines() if line.startswith("stele_shares "))

    for name in ("a", "b"):
        kept(t, name).subscribe("$share/crew/jobs", options=1)
    wire = kept(t, "a")
    wire.send(mqtt.unsubscribe(["$share/crew/jobs"]))
    t.equal(wire.expect(mqtt.UNSUBACK).reasons, [0], "UNSUBACK")
    wire.disconnect()
    kept(t, "b").disconnect()
    send(t, "jobs", ["one"])
    wire = member(t, "$share/crew/jobs")
    t.equal(payloads(collect(t, [wire], 1)[0]), ["one"], "the other member is still of the group")
    wire.disconnect()
    t.equal(groups(), 1, "groups")
    connection(t, client_id="b").disconnect()  # a clean start
    t.eventually(lambda: groups() == 0, "the group is gone")
    send(t, "jobs", ["two"])
    wire = member(t, "$share/crew/jobs")
    send(t, "jobs", ["three"])
    t.equal(payloads(collect(t, [wire], 1)[0]), ["three"], "nothing waited")


@case("stele", start=False, timeout=180)
def real_clients_across_kill_9(t):
    """Paho and mosquitto_sub in one group, kept: nothing that was acknowledged is lost, whoever dies."""
    fixed_port(t)
    host, port = t.mqtt
    pahos = []
    for name in ("p5", "p5b"):
        client = Client(t, name, clean=True)
        client.clean = False
        client.connect(SessionExpiryInterval=3600)
        client.paho.reconnect_delay_set(1, 1)
        client.subscribe("$share/crew/jobs/#", 1)
        pahos.append(client)
    flags = ["mosquitto_sub", "-h", host, "-p", str(port), "-V", "311", "-i", "m3", "-c", "-q", "1"]
    mosquitto = t.spawn([*flags, "-t", "$share/crew/jobs/#", "-d", "-F", "msg|%p"])
    mosquitto.wait_for("Subscribed (mid")
    count, number = 120, 0
    for _ in range(3):
        send(t, "jobs/x", texts(count // 3, number))
        number += count // 3
        t.restart()
    got = collections.Counter()
    deadline = time.monotonic() + 60
    while len(got) < count and time.monotonic() < deadline:
        for client in pahos:
            while not client.inbox.empty():
                got[int(client.inbox.get().payload)] += 1
        got.update(int(line.split("|")[1]) for line in mosquitto.take("msg|"))
        time.sleep(0.05)
    t.equal(sorted(got), list(range(count)), "messages")
    t.true(sum(got.values()) < 2 * count, f"most of them once: {sum(got.values())}")
    for client in pahos:
        client.disconnect()
    mosquitto.kill()
