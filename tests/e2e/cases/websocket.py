"""MQTT over WebSocket: the clients that people use, frames of any cut, and what is none."""
import json
import socket

import paho.mqtt.client as paho
from cases.access import ROOT_PASSWORD, admin
from cases.mqtt_clients import messages, publish, subscriber
from cases.mqtt_paho import VERSIONS, Client
from cases.tls import Authority, secured
from harness import metrics, mqtt
from harness.case import case
from harness.clients import js_command
from harness.mqtt import connection
from harness.websocket import CLOSE, CONTINUATION, PING, TEXT, WebSocketWire, ask, frame

PROTOCOL, UNACCEPTABLE, NORMAL = 1002, 1003, 1000
MOSQUITTO = {paho.MQTTv31: "mqttv31", paho.MQTTv311: "311", paho.MQTTv5: "5"}


def opened(t, version=mqtt.V5, size=1 << 20, **fields):
    wire = WebSocketWire(t, version, size)
    wire.connack = wire.open(**fields)
    return wire


def count(t, name):
    return metrics.now(t.broker.http, name)


@case("stele", each=VERSIONS)
def paho_and_mosquitto(t, version):
    over = Client(t, "over", version, transport="websockets").connect()
    t.equal(over.subscribe("to/over", 2), [2], "granted")
    plain = subscriber(t, "-q", 2, topic="to/plain", version=MOSQUITTO[version])
    for qos in (0, 1, 2):
        publish(t, "to/over", f"down {qos}", qos=qos)
        got = over.message()
        t.equal((got.payload.decode(), got.qos), (f"down {qos}", qos), "message over WebSocket")
        over.publish("to/plain", f"up {qos}", qos)
        t.equal(messages(plain, 1), [f"to/plain|{qos}|0|up {qos}"], "message over TCP")
    large = "x" * 3_000_000
    over.publish("to/over", large, 1)
    t.true(over.message().payload.decode() == large, "a large message")
    t.equal(count(t, "stele_mqtt_websocket_connections"), 1, "connections")
    over.disconnect()
    t.eventually(lambda: count(t, "stele_mqtt_websocket_connections") == 0, "the connection has ended")
    t.equal(count(t, "stele_mqtt_websocket_accepted_total"), 1, "accepted")


@case("stele")
def a_session_moves_between_transports(t):
    """[MQTT-3.1.4-3] holds across them, and what is queued comes on either."""
    keep = {"clean": False, "client_id": "mover", "props": {"session_expiry": 600}}
    first = connection(t, **keep)
    first.subscribe("topic")
    second = opened(t, **keep)
    t.equal(second.connack.session_present, 1, "session present")
    got = first.receive()
    t.equal((got.type, got.reason), (mqtt.DISCONNECT, 0x8E), "taken over")
    second.disconnect()
    connection(t).publish("topic", "while away")
    third = opened(t, **keep)
    t.equal(third.message().payload, b"while away", "message")


@case("stele", start=False)
def paho_with_tls(t):
    """wss, with a password and with a certificate."""
    clients = Authority(t, "clients")
    authority = secured(t, "--tls-client-ca", clients.ca, "--tls-clients", "optional")
    certificate, key = clients.sign("sensor-7")
    admin(t, "user", "add", "sensor-7", "--no-password")
    admin(t, "acl", "add", "--for", "sensor-7", "--allow", "publish,subscribe", "--address", "a/#")
    root = Client(t, "root", transport="websockets", address=t.broker.tls["http"])
    root.paho.tls_set(str(authority.ca))
    root.paho.username_pw_set("root", ROOT_PASSWORD)
    root.connect().subscribe("#")
    sensor = Client(t, "sensor", transport="websockets", address=t.broker.tls["http"])
    sensor.paho.tls_set(str(authority.ca), str(certificate), str(key))
    sensor.connect()
    sensor.publish("a/b", "from a certificate")
    sensor.publish("b", "not allowed", qos=0)
    sensor.publish("a/b", "again")
    t.equal([root.message().payload for _ in range(2)], [b"from a certificate", b"again"], "messages")
    nobody = Client(t, "nobody", transport="websockets", address=t.broker.tls["http"])
    nobody.paho.tls_set(str(authority.ca))
    nobody.paho.connect(*nobody.address)
    nobody.paho.loop_start()
    t.true(nobody.next("connect")[1] != 0, "who is nobody is not let in")


@case("stele")
def mqtt_js(t):
    command = js_command()
    over = t.run([*command, f"ws://{t.broker.http}/mqtt", "t", 20]).splitlines()
    lines = over[1:]
    t.equal(over[0], "subscribed", "first line")
    for qos in "012":
        t.equal([line.split()[:2] for line in lines if line[0] == qos],
                [[qos, str(max(len(f"{i} "), 8 + i * i * 40))] for i in range(20)], f"QoS {qos}")
    old = json.dumps({"protocolVersion": 3, "protocolId": "MQIsdp"})  # over WebSocket it offers `mqttv3.1`
    for url, options in ((f"mqtt://{t.broker.mqtt}", json.dumps({"protocolVersion": 4})),
                         (f"mqtt://{t.broker.mqtt}", old), (f"ws://{t.broker.http}/mqtt", old)):
        again = t.run([*command, url, "t", 20, options]).splitlines()
        t.equal(sorted(again), sorted(over), f"{url} with {options}")


@case("stele", start=False)
def mqtt_js_with_tls(t):
    authority = secured(t)
    port = t.broker.tls["http"].rsplit(":", 1)[1]
    options = {"ca": str(authority.ca), "username": "root", "password": ROOT_PASSWORD}
    t.run([*js_command(), f"wss://localhost:{port}/mqtt", "t", 5, json.dumps(options)])
    t.run([*js_command(), f"wss://localhost:{port}/mqtt", "t", 5, json.dumps(options | {"password": "no"})],
          ok=False)
    t.true("Connection refused" in t.stderr, t.stderr)


# ---- frames

@case("stele", each={str(size): size for size in (1, 2, 7, 100_000)})
def frames_of_any_size(t, size):
    """[MQTT-6.0.0-2]: a packet may lie across frames, and a frame hold several."""
    wire = WebSocketWire(t, size=size)
    body = "x" * (300 if size == 1 else 20_000)
    wire.send(mqtt.connect() + mqtt.subscribe([("t", 1)]) + mqtt.publish("t", body, 1, 5) + mqtt.publish("t", "end"))
    got = [wire.receive() for _ in range(5)]
    t.equal(sorted(p.type for p in got), sorted([mqtt.CONNACK, mqtt.SUBACK, mqtt.PUBACK, mqtt.PUBLISH, mqtt.PUBLISH]),
            "answers")
    t.equal([p.payload.decode() for p in got if p.type == mqtt.PUBLISH], [body, "end"], "messages")


@case("stele")
def fragments_and_pings(t):
    wire = opened(t)
    wire.subscribe("t")
    packet = mqtt.publish("t", "in pieces")
    wire.send_raw(frame(packet[:3], final=False) + frame(b"are you there?", PING) + frame(b"", CONTINUATION, final=False)
                  + frame(packet[3:], CONTINUATION))
    t.equal(wire.message().payload, b"in pieces", "message")
    t.true(wire.is_quiet(), "nothing else")
    t.equal(wire.socket.pongs, [b"are you there?"], "pongs")


BAD_FRAMES = {
    "text": (frame(mqtt.packet(0xC0, b""), TEXT), UNACCEPTABLE),
    "not masked": (frame(mqtt.packet(0xC0, b""), mask=None), PROTOCOL),
    "reserved bit": (frame(b"x", reserved=0x40), PROTOCOL),
    "reserved opcode": (frame(b"x", 5), PROTOCOL),
    "reserved control": (frame(b"x", 12), PROTOCOL),
    "continuation of nothing": (frame(b"x", CONTINUATION), PROTOCOL),
    "message within a message": (frame(b"\xc0", final=False) + frame(b"\0"), PROTOCOL),
    "fragmented ping": (frame(b"x", PING, final=False), PROTOCOL),
    "long ping": (frame(b"x" * 126, PING), PROTOCOL),
    "close with one byte": (frame(b"x", CLOSE), PROTOCOL),
    "close with a code of nobody": (frame(b"\x03\xed", CLOSE), PROTOCOL),
    "length that is too long": (b"\x82\xfe\x00\x05....", PROTOCOL),
    "length of 64 bits": (b"\x82\xff" + b"\xff" * 8 + b"....", PROTOCOL),
    "MQTT without frames": (mqtt.packet(0xC0, b"") * 20, PROTOCOL),
    "HTTP": (b"GET /metrics HTTP/1.1\r\n\r\n", PROTOCOL),
    "close": (frame(b"\x03\xe8", CLOSE) + frame(b"behind"), NORMAL),
    "close without a code": (frame(b"", CLOSE), 1005),
}


@case("stele", each=BAD_FRAMES)
def bad_frame_closes_only_its_connection(t, bad):
    data, code = bad
    bystander, watcher = opened(t), connection(t)
    bystander.subscribe("t")
    watcher.subscribe("will/#")
    culprit = WebSocketWire(t)
    culprit.open(client_id="culprit", will=("will/culprit", "gone", 0, False))
    culprit.send_raw(data)
    culprit.expect_close(code)
    t.equal(watcher.message().payload, b"gone", "the will: there was no DISCONNECT")
    bystander.publish("t", "still here")
    t.equal(bystander.message().payload, b"still here", "the other connection")


@case("stele")
def what_mqtt_refuses(t):
    """The same as over TCP, with a goodbye of the WebSocket."""
    wire = opened(t)
    wire.send(mqtt.packet(0xF7, b""))
    got = wire.receive()
    t.equal(got.type, mqtt.DISCONNECT, "packet")
    wire.expect_close(NORMAL)
    limit = (first := opened(t)).connack.props["maximum_packet_size"]
    first.send_raw(b"\x82\xff" + (1 << 40).to_bytes(8, "big") + b"\0\0\0\0" + b"\x30" + mqtt.varint(limit + 1))
    t.equal(first.receive().reason, 0x95, "packet too large")
    first.expect_close(NORMAL)


# ---- handshake

@case("stele")
def handshakes_that_are_refused(t):
    for status, changed in ((426, {"Upgrade": None, "Connection": None}), (426, {"Sec_WebSocket_Version": "8"}),
                            (400, {"Connection": "close"}), (400, {"Sec_WebSocket_Key": "short"}),
                            (400, {"Sec_WebSocket_Protocol": None}), (400, {"Sec_WebSocket_Protocol": "amqp"}),
                            (403, {"Origin": "http://evil.example"}), (403, {"Origin": "null"}),
                            (400, {"method": "POST"}), (404, {"path": "/mqtts"})):
        got, body, headers = ask(t, **changed)
        t.equal(got, status, f"status for {changed}: {body}")
        t.true(json.loads(body)["error"]["message"], f"a message for {changed}")
        if status == 426:
            t.equal((headers["upgrade"], headers["sec-websocket-version"]), ("websocket", "13"), "what is wanted")
    status, _, headers = ask(t, "/mqtt?a=b", Sec_WebSocket_Protocol="chat, mqtt")
    t.equal((status, headers["sec-websocket-protocol"]), (101, "mqtt"), "[MQTT-6.0.0-4]")
    t.equal(ask(t, Origin=f"http://{t.broker.http}")[0], 101, "a page of the node's own")
    t.equal(count(t, "stele_http_websockets_refused_total"), 9, "refused")


@case("stele", start=False)
def web_pages_that_may(t):
    t.start("--websocket-origin", "https://app.example", "--websocket-origin", "http://localhost:3000")
    for origin, status in (("https://app.example", 101), ("http://localhost:3000", 101), ("http://app.example", 403)):
        t.equal(ask(t, Origin=origin)[0], status, origin)
    t.run([t.options.stele, "serve", "--data", t.dir / "nothing", "--websocket-origin", "app.example"], ok=False)
    t.true("is no origin" in t.stderr, t.stderr)


@case("stele", start=False)
def off(t):
    t.start("--mqtt-websocket", "false")
    t.equal(ask(t)[0], 404, "status")


@case("stele", start=False)
def only_over_websocket(t):
    t.start("--mqtt", "off")
    wire = opened(t)
    wire.subscribe("t")
    wire.publish("t", "x")
    t.equal(wire.message().payload, b"x", "message")


@case("stele", start=False)
def connections_are_limited(t):
    t.start("--mqtt-max-connections", "2", "--cores", "1")
    wires = [opened(t) for _ in range(2)]
    t.equal(ask(t)[0], 503, "a third one")
    connection(t).close()  # a listener of its own
    wires[0].disconnect()
    t.eventually(lambda: ask(t)[0] == 101, "room again")


@case("stele")
def stops_in_order(t):
    wire = opened(t)
    wire.subscribe("t")
    t.broker.stop()
    got = wire.receive()
    t.equal((got.type, got.reason), (mqtt.DISCONNECT, 0x8B), "DISCONNECT: shutting down")
    wire.expect_close(NORMAL)


# ---- those who mean harm

@case("stele")
def attacks_harm_nobody(t):
    """Handshakes that are never finished, WebSockets that never say CONNECT, frames that never end, and pings to
    somebody who does not read: the broker serves on, and its memory stays what it was."""
    host, port = t.broker.http.rsplit(":", 1)
    bystander = opened(t)
    bystander.subscribe("t")
    before = count(t, "process_resident_memory_bytes")
    half_open = [socket.create_connection((host, int(port)), 20) for _ in range(100)]
    for link in half_open:
        link.sendall(b"GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nSec-WebSocket-Key: ")
    silent = [WebSocketWire(t) for _ in range(50)]
    endless = [opened(t) for _ in range(20)]
    for wire in endless:
        wire.send_raw(b"\x82\xff" + (1 << 62).to_bytes(8, "big") + b"\0\0\0\0")
        wire.send_raw((mqtt.packet(0xC0, b"") * 50_000))
    pinging = opened(t)
    pinging.plain.settimeout(2)
    try:
        for _ in range(200):
            pinging.send_raw(frame(b"x" * 125, PING) * 1000)
    except (socket.timeout, ConnectionError):
        pass
    for _ in range(3):
        bystander.publish("t", "still here")
        t.equal(bystander.message().payload, b"still here", "the bystander")
    grown = count(t, "process_resident_memory_bytes") - before
    t.true(grown < 64 << 20, f"memory has grown by {grown}")
    for link in half_open + [wire.plain for wire in silent + endless + [pinging]]:
        link.close()
    t.eventually(lambda: count(t, "stele_mqtt_websocket_connections") == 1, "only the bystander is left")


@case("stele")
def silence_ends(t):
    """No CONNECT in ten seconds."""
    wire = WebSocketWire(t)
    wire.expect_close(NORMAL)
