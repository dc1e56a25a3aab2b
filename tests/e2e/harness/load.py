"""Publishers with QoS 1 or 2 that keep many messages in flight and remember what was acknowledged.

Each publisher has a topic and a session of its own. Its messages are numbered; what a connection left unacknowledged is
sent again first on the next, with DUP set, as a client must. So whatever the broker keeps of one connection is, on the
publisher's topic, a prefix of what was sent on it, and at least what was acknowledged. With QoS 2 a message that the
broker kept of the connection before is not kept again: such messages do not count as sent.
"""
import select
import socket
import struct
import time

from harness import mqtt
from harness.broker import Failure

WINDOW = 300


class Publisher:
    def __init__(self, name, qos=1):
        self.name, self.topic, self.qos = name, f"load/{name}", qos
        self.next_number, self.next_id = 0, 1
        self.unacked = {}  # packet id: number, in the order of sending
        self.releasing = {}  # QoS 2: PUBREC came, PUBCOMP did not
        self.kept_before = set()  # QoS 2: those of unacked that the broker has
        self.head = mqtt.text(self.topic)
        self.socket = None

    def connect(self, address):
        self.socket = socket.create_connection(address, timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(mqtt.connect(mqtt.V3, self.name, clean=False))
        answer = b""
        while len(answer) < 4:
            more = self.socket.recv(4 - len(answer))
            if not more:
                raise Failure(f"{self.name}: closed instead of a CONNACK")
            answer += more
        if answer[:2] != b"\x20\x02" or answer[3] != 0:
            raise Failure(f"{self.name}: CONNACK {answer!r}")
        self.socket.setblocking(False)
        self.input, self.sent, self.acked = b"", [], 0
        self.output = bytearray(b"".join(mqtt.pubrel(packet_id) for packet_id in self.releasing))
        for packet_id, number in self.unacked.items():
            self._put(packet_id, number, dup=True)

    def _put(self, packet_id, number, dup=False):
        body = self.head + struct.pack(">H", packet_id) + f"{self.name}:{number}".encode()
        self.output += mqtt.packet(0x30 | dup << 3 | self.qos << 1, body)
        if number not in self.kept_before:
            self.sent.append(number)

    def refill(self):
        while len(self.unacked) + len(self.releasing) < WINDOW:
            while self.next_id in self.unacked or self.next_id in self.releasing or self.next_id == 0:
                self.next_id = (self.next_id + 1) % 65536
            self.unacked[self.next_id] = self.next_number
            self._put(self.next_id, self.next_number)
            self.next_id, self.next_number = (self.next_id + 1) % 65536, self.next_number + 1

    def write(self):
        try:
            del self.output[:self.socket.send(self.output)]
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            pass

    def read(self):
        """False at the end of the connection. PUBACKs and PUBRECs must come in the order of the messages
        [MQTT-4.6.0-2], [MQTT-4.6.0-3]."""
        try:
            data = self.socket.recv(65536)
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False
        self.input += data
        whole = len(self.input) // 4 * 4
        for at in range(0, whole, 4):
            packet_id = self.input[at + 2] << 8 | self.input[at + 3]
            if self.qos == 2 and self.input[at:at + 2] == b"\x70\x02":
                if self.releasing.pop(packet_id, None) is None:
                    raise Failure(f"{self.name}: PUBCOMP {packet_id} of what was not released")
                continue
            if self.input[at:at + 2] != (b"\x50\x02" if self.qos == 2 else b"\x40\x02"):
                raise Failure(f"{self.name}: {self.input[at:at + 8]!r} where PUBACK or PUBREC was expected")
            number = self.unacked.pop(packet_id, None)
            if self.qos == 2 and number is not None:
                self.releasing[packet_id] = number
                self.output += mqtt.pubrel(packet_id)
                if number in self.kept_before:
                    continue
            if number is None or self.sent[self.acked] != number:
                raise Failure(f"{self.name}: answer {packet_id} to message {number}, not to {self.sent[self.acked]}")
            self.acked += 1
        self.input = self.input[whole:]
        return bool(data)


def publish_until(publishers, enough, limit_s):
    """Keeps the windows full until enough() says so."""
    deadline = time.monotonic() + limit_s
    by_socket = {p.socket: p for p in publishers}
    while not enough(sum(p.acked for p in publishers)):
        if time.monotonic() > deadline:
            raise Failure(f"only {[p.acked for p in publishers]} acknowledged in {limit_s} s")
        for publisher in publishers:
            publisher.refill()
        writing = [p.socket for p in publishers if p.output]
        readable, writable, _ = select.select(list(by_socket), writing, [], 1)
        for ready in readable:
            if not by_socket[ready].read():
                raise Failure(f"{by_socket[ready].name}: the broker closed the connection")
        for ready in writable:
            by_socket[ready].write()


def read_what_is_left(publishers):
    """After the broker's death: the acknowledgements that had left it."""
    for publisher in publishers:
        publisher.socket.settimeout(20)
        while publisher.read():
            pass
        publisher.socket.close()
