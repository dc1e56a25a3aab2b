"""MQTT 3.1.1 and 5.0 on a bare socket: for what client libraries hide (reason codes, properties, order of packets)
or would never send (malformed packets)."""
import socket
import struct
import time

from harness.broker import Failure

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE = range(1, 9)
SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = range(9, 16)
V31, V3, V5 = 3, 4, 5

# name: (identifier, type)
PROPERTIES = {
    "payload_format": (0x01, "byte"), "message_expiry": (0x02, "u32"), "content_type": (0x03, "text"),
    "response_topic": (0x08, "text"), "correlation_data": (0x09, "bytes"), "subscription_id": (0x0B, "varint"),
    "session_expiry": (0x11, "u32"), "assigned_client_id": (0x12, "text"), "server_keep_alive": (0x13, "u16"),
    "auth_method": (0x15, "text"), "auth_data": (0x16, "bytes"), "request_problem_info": (0x17, "byte"),
    "will_delay": (0x18, "u32"), "request_response_info": (0x19, "byte"), "response_info": (0x1A, "text"),
    "server_reference": (0x1C, "text"), "reason_string": (0x1F, "text"), "receive_maximum": (0x21, "u16"),
    "topic_alias_maximum": (0x22, "u16"), "topic_alias": (0x23, "u16"), "maximum_qos": (0x24, "byte"),
    "retain_available": (0x25, "byte"), "user": (0x26, "pair"), "maximum_packet_size": (0x27, "u32"),
    "wildcard_available": (0x28, "byte"), "subscription_ids_available": (0x29, "byte"),
    "shared_available": (0x2A, "byte"),
}
BY_ID = {number: (name, kind) for name, (number, kind) in PROPERTIES.items()}
REPEATED = ("user", "subscription_id")


def varint(n):
    out = bytearray()
    while True:
        byte, n = n & 127, n >> 7
        out.append(byte | (128 if n else 0))
        if not n:
            return bytes(out)


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(value)) + value


def encode_property(name, value):
    number, kind = PROPERTIES[name]
    if kind in ("text", "bytes"):
        body = text(value)
    elif kind == "pair":
        body = text(value[0]) + text(value[1])
    elif kind == "varint":
        body = varint(value)
    else:
        body = struct.pack({"byte": ">B", "u16": ">H", "u32": ">I"}[kind], value)
    return bytes([number]) + body


def properties(values):
    body = b""
    for name, value in (values or {}).items():
        for one in value if name in REPEATED else [value]:
            body += encode_property(name, one)
    return varint(len(body)) + body


def packet(first, body):
    return bytes([first]) + varint(len(body)) + body


def connect(version=V5, client_id="", clean=True, keep_alive=60, props=None, will=None, flags=None):
    """`will` is (topic, payload, qos, retain) and perhaps properties."""
    bits = 2 if clean else 0
    payload = text(client_id)
    if will:
        bits |= 4 | will[2] << 3 | (32 if will[3] else 0)
        payload += (properties(*will[4:] or (None,)) if version == V5 else b"") + text(will[0]) + text(will[1])
    bits = bits if flags is None else flags
    head = text("MQIsdp" if version == V31 else "MQTT") + bytes([version, bits]) + struct.pack(">H", keep_alive)
    return packet(0x10, head + (properties(props) if version == V5 else b"") + payload)


def publish(topic, payload, qos=0, packet_id=1, retain=False, dup=False, version=V5, props=None):
    payload = payload.encode() if isinstance(payload, str) else payload
    body = text(topic) + (struct.pack(">H", packet_id) if qos else b"")
    body += properties(props) if version == V5 else b""
    return packet(0x30 | dup << 3 | qos << 1 | retain, body + payload)


def subscribe(filters, packet_id=1, version=V5, props=None):
    """`filters` are (filter, options)."""
    body = struct.pack(">H", packet_id) + (properties(props) if version == V5 else b"")
    return packet(0x82, body + b"".join(text(f) + bytes([o]) for f, o in filters))


def unsubscribe(filters, packet_id=1, version=V5):
    body = struct.pack(">H", packet_id) + (properties(None) if version == V5 else b"")
    return packet(0xA2, body + b"".join(text(f) for f in filters))


def puback(packet_id):
    return packet(0x40, struct.pack(">H", packet_id))


def pubrec(packet_id, reason=0):
    return packet(0x50, struct.pack(">H", packet_id) + (bytes([reason]) if reason else b""))


def pubrel(packet_id):
    return packet(0x62, struct.pack(">H", packet_id))


def pubcomp(packet_id):
    return packet(0x70, struct.pack(">H", packet_id))


def disconnect(version=V5, reason=0, props=None):
    return packet(0xE0, bytes([reason]) + properties(props) if version == V5 and (reason or props) else b"")


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if self.at + n > len(self.data):
            raise Failure(f"a packet from the broker is cut short: {self.data!r}")
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, size):
        return int.from_bytes(self.take(size), "big")

    def varint(self):
        value = shift = 0
        while True:
            byte = self.number(1)
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def text(self):
        return self.take(self.number(2)).decode()

    def rest(self):
        return self.take(len(self.data) - self.at)

    def properties(self):
        values, end = {}, self.varint()
        end += self.at
        while self.at < end:
            name, kind = BY_ID[self.number(1)]
            if kind == "text":
                value = self.text()
            elif kind == "bytes":
                value = self.take(self.number(2))
            elif kind == "pair":
                value = (self.text(), self.text())
            elif kind == "varint":
                value = self.varint()
            else:
                value = self.number({"byte": 1, "u16": 2, "u32": 4}[kind])
            if name in REPEATED:
                values.setdefault(name, []).append(value)
            else:
                values[name] = value
        return values


class Packet:
    """What the broker sent. `fields` by the kind of packet; `props` empty in 3.1.1."""

    def __init__(self, first, body, version):
        self.type, self.flags, self.props = first >> 4, first & 15, {}
        self.packet_id = self.reason = None
        r = Reader(body)
        if self.type == CONNACK:
            self.session_present, self.reason = r.number(1) & 1, r.number(1)
            self.props = r.properties() if version == V5 else {}
        elif self.type == PUBLISH:
            self.qos, self.retain, self.dup = self.flags >> 1 & 3, self.flags & 1, self.flags >> 3
            self.topic = r.text()
            self.packet_id = r.number(2) if self.qos else None
            self.props = r.properties() if version == V5 else {}
            self.payload = r.rest()
        elif self.type in (PUBACK, PUBREC, PUBREL, PUBCOMP):
            self.packet_id = r.number(2)
            self.reason = r.number(1) if r.at < len(body) else 0
            self.props = r.properties() if r.at < len(body) else {}
        elif self.type in (SUBACK, UNSUBACK):
            self.packet_id = r.number(2)
            self.props = r.properties() if version == V5 else {}
            self.reasons = list(r.rest())
        elif self.type == DISCONNECT:
            self.reason = r.number(1) if body else 0
            self.props = r.properties() if r.at < len(body) else {}

    def __repr__(self):
        return f"Packet({vars(self)})"


class Wire:
    """One connection."""

    def __init__(self, address, version=V5, limit_s=20, receive_buffer=None):
        """`receive_buffer`: bytes that the kernel takes before they are read; as it likes if there is none."""
        self.version, self.limit_s = version, limit_s
        self.socket = socket.socket()
        self.socket.settimeout(limit_s)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.input, self.at = b"", 0  # what came, and how much of it is taken
        self.before_wait = None  # called before waiting for more
        self.pending = []  # messages that came while something else was waited for

    def send(self, data):
        self.socket.sendall(data)

    def _fill(self):
        if self.before_wait:
            self.before_wait()
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        except TimeoutError as e:
            raise Failure(f"nothing from the broker for {self.limit_s} s") from e
        self.input, self.at = self.input[self.at:] + data, 0
        return bool(data)

    def receive(self):
        """The next packet, None when the connection is closed."""
        return self.pending.pop(0) if self.pending else self._receive()

    def _receive(self):
        while True:
            length, shift, at = 0, 0, self.at + 1
            while at < len(self.input):
                byte = self.input[at]
                length |= (byte & 127) << shift
                shift, at = shift + 7, at + 1
                if byte < 128:
                    if len(self.input) >= at + length:
                        first, self.at = self.input[self.at], at + length
                        return Packet(first, self.input[at:at + length], self.version)
                    break
            if not self._fill():
                return None

    def expect(self, kind):
        got = self.receive()
        if got is None or got.type != kind:
            raise Failure(f"packet type {kind} expected, got {got or 'the end of the connection'}")
        return got

    def expect_closed(self):
        got = self.receive()
        if got is not None:
            raise Failure(f"the connection should be closed, got {got}")

    def open(self, reason=0, **fields):
        """CONNECT and its CONNACK."""
        self.send(connect(self.version, **fields))
        connack = self.expect(CONNACK)
        if connack.reason != reason:
            raise Failure(f"CONNACK {connack.reason:#x} where {reason:#x} was expected")
        return connack

    def subscribe(self, *filters, options=1, packet_id=1):
        self.send(subscribe([(f, options) for f in filters], packet_id, self.version))
        return self.expect(SUBACK).reasons

    def publish(self, topic, payload, packet_id=1, **more):
        """QoS 1, acknowledged; the PUBACK."""
        self.send(publish(topic, payload, 1, packet_id, version=self.version, **more))
        return self.expect_among_messages(PUBACK)

    def expect_among_messages(self, kind):
        messages = []
        while (got := self._receive()) is not None and got.type == PUBLISH:
            messages.append(got)
        self.pending += messages
        if got is None or got.type != kind:
            raise Failure(f"packet type {kind} expected, got {got or 'the end of the connection'}")
        return got

    def message(self):
        """The next PUBLISH, acknowledged."""
        got = self.expect(PUBLISH)
        if got.qos == 1:
            self.send(puback(got.packet_id))
        return got

    def is_quiet(self):
        """That nothing lies between here and the answer to a PINGREQ."""
        self.send(packet(0xC0, b""))
        got = self.receive()
        return got is not None and got.type == PINGRESP

    def disconnect(self):
        """In good order: the broker closes once it has taken all that was sent. What a next connection of the same
        client sends may overtake it otherwise."""
        self.send(disconnect(self.version))
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionResetError:
            pass
        self.close()

    def close(self):
        self.socket.close()


def connection(t, version=V5, limit_s=20, reason=0, **fields):
    """A connection past its CONNACK."""
    deadline = time.monotonic() + limit_s
    while True:
        try:
            wire = Wire(t.mqtt, version, limit_s)
            break
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
    wire.connack = wire.open(reason=reason, **fields)
    return wire
