"""WebSocket (RFC 6455) on a bare socket: the handshake, and frames as they should be and as they should not."""
import base64
import hashlib
import http.client
import os
import socket
import struct

from harness import mqtt
from harness.broker import Failure

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(payload, opcode=BINARY, final=True, mask=b"\x37\xfa\x21\x3d", reserved=0):
    """A client's frame; mask=None makes one that is not masked."""
    size, bit = len(payload), 0x80 if mask else 0
    head = bytes([(0x80 if final else 0) | reserved | opcode])
    if size < 126:
        head += bytes([bit | size])
    else:
        head += bytes([bit | 126]) + struct.pack(">H", size) if size < 65536 else bytes([bit | 127]) + struct.pack(">Q", size)
    return head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)) if mask else head + payload


def ask(t, path="/mqtt", method="GET", **changed):
    """The answer to a request for a WebSocket: (status, body, headers). A header that is None is left out."""
    host, port = t.broker.http.rsplit(":", 1)
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
               "Sec-WebSocket-Key": base64.b64encode(b"0123456789abcdef").decode(), "Sec-WebSocket-Protocol": "mqtt"}
    headers.update({name.replace("_", "-"): value for name, value in changed.items()})
    link = http.client.HTTPConnection(host, int(port), timeout=20)
    try:
        link.request(method, path, None, {name: value for name, value in headers.items() if value is not None})
        answer = link.getresponse()
        return answer.status, b"" if answer.status == 101 else answer.read(), answer.headers
    finally:
        link.close()


class FramedSocket:
    """As a socket to whoever has no use for frames. What is sent goes into frames of `size` bytes."""

    def __init__(self, plain, address, size=1 << 20):
        self.plain, self.size, self.input, self.closed, self.pongs = plain, size, b"", None, []
        key = base64.b64encode(os.urandom(16)).decode()
        plain.sendall((f"GET /mqtt HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\nUpgrade: websocket\r\n"
                       f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
                       "Sec-WebSocket-Protocol: mqtt\r\n\r\n").encode())
        while b"\r\n\r\n" not in self.input:
            self._more("in the handshake")
        head, self.input = self.input.split(b"\r\n\r\n", 1)
        accept = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest())
        if not head.startswith(b"HTTP/1.1 101 ") or accept not in head:
            raise Failure(f"the handshake was answered with {head!r}")

    def _more(self, where):
        data = self.plain.recv(65536)
        if not data:
            raise ConnectionResetError(f"closed {where}")
        self.input += data

    def sendall(self, data):
        self.plain.sendall(b"".join(frame(data[i:i + self.size]) for i in range(0, len(data), self.size)))

    def recv(self, _size):
        """What is in the next binary frame; nothing once the WebSocket is closed."""
        while self.closed is None:
            opcode, payload = self._frame()
            if opcode == BINARY:
                return payload
            if opcode == PONG:
                self.pongs.append(payload)
            elif opcode == CLOSE:
                self.closed = struct.unpack(">H", payload)[0] if payload else 1005
            else:
                raise Failure(f"a frame with opcode {opcode} from the broker")
        return b""

    def _frame(self):
        while True:
            if len(self.input) >= 2:
                first, size, at = self.input[0], self.input[1], 2
                if first & 0x70 or size & 0x80:
                    raise Failure(f"a frame that begins with {self.input[:2]!r}")
                if size >= 126:
                    at = 4 if size == 126 else 10
                    size = int.from_bytes(self.input[2:at], "big")
                if len(self.input) >= at + size:
                    payload, self.input = self.input[at:at + size], self.input[at + size:]
                    if not first & 0x80:
                        raise Failure("a fragmented message from the broker")
                    return first & 15, payload
            self._more("within a frame")

    def close(self):
        self.plain.close()


class WebSocketWire(mqtt.Wire):
    """MQTT over one WebSocket; `size` is that of the frames."""

    def __init__(self, t, version=mqtt.V5, size=1 << 20, limit_s=20):
        host, port = t.broker.http.rsplit(":", 1)
        super().__init__((host, int(port)), version, limit_s)
        self.plain = self.socket
        self.socket = FramedSocket(self.plain, (host, port), size)

    def send_raw(self, data):
        self.plain.sendall(data)

    def expect_close(self, code):
        """The broker says goodbye with that code, and ends the connection."""
        while self.socket.recv(0):
            pass
        if self.socket.closed != code:
            raise Failure(f"the WebSocket was closed with {self.socket.closed} where {code} was expected")
        self.plain.settimeout(self.limit_s)
        try:
            if self.plain.recv(1):
                raise Failure("something came behind the close frame")
        except ConnectionResetError:
            pass
        except socket.timeout as e:
            raise Failure("the connection is not closed") from e
        self.plain.close()
