"""That an acknowledgement follows a sync, and what is left after one."""
import re

from harness import mqtt
from harness.case import case
from harness.kafka import Kcat
from harness.mqtt import connection

SYNC_CALLS = "fdatasync,fsync"
WRITE_CALLS = "write,writev,pwrite64,pwritev,sendto,sendmsg"
READ_CALLS = "read,readv,recvfrom,recvmsg"


class Trace:
    """strace's lines as calls in the order in which they *ended*: (thread, name, text, result)."""

    LINE = re.compile(r"^(\d+) +(?:<\.\.\. (\w+) resumed>)?(.*)$")

    def __init__(self, path):
        self.calls, open_calls = [], {}
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            thread, resumed, rest = self.LINE.match(line).groups()
            if rest.endswith("<unfinished ...>"):
                open_calls[thread] = (rest[:-len("<unfinished ...>")].rstrip(), len(self.calls))
                continue
            began = len(self.calls)
            if resumed:
                head, began = open_calls.pop(thread, (f"{resumed}(", began))
                rest = head + rest
            call = re.match(r"(\w+)\((.*)\) += (-?\d+)", rest)
            if call:
                self.calls.append((call[1], call[2], int(call[3]), began))

    def find(self, names, text, start=0):
        """Index of the first call from `start` that ended with success and whose text contains `text`."""
        for i, (name, args, result, _) in enumerate(self.calls):
            if i >= start and name in names.split(",") and text in args and result >= 0:
                return i
        return None

    def sync_between(self, start, end, descriptor):
        """A sync of this file that began after call `start` and ended before call `end`."""
        for name, args, result, began in self.calls[start + 1:end]:
            if name in SYNC_CALLS.split(",") and args == descriptor and result == 0 and began > start:
                return True
        return False


def traced(t, *flags):
    path = t.dir / "trace"
    calls = ",".join((SYNC_CALLS, WRITE_CALLS, READ_CALLS))
    # -D: the process that is started is the broker, strace stands aside.
    strace = ["strace", "-D", "-f", "-o", str(path), "-s", "65536", "-e", f"trace={calls}"]
    t.start(*flags, prefix=strace)
    return path


def check_synced(t, trace, marker, answer):
    read = trace.find(READ_CALLS, marker)
    t.true(read is not None, "the trace shows the request coming in")
    sent = trace.find(WRITE_CALLS, answer, read + 1)
    t.true(sent is not None, "the trace shows the answer leaving")
    stored = trace.find(WRITE_CALLS, marker, read + 1)
    t.true(stored is not None and stored < sent, "the record is written before the answer leaves")
    descriptor = trace.calls[stored][1].split(",")[0]
    t.true(trace.sync_between(stored, sent, descriptor), "and its file synced in between")


@case("stele", start=False)
def mqtt_answers_after_the_sync(t):
    """The system calls themselves: PUBLISH read, record written, synced, and only then PUBACK sent."""
    path = traced(t)
    t.stele("topic", "create", "sensors", "--capture", "sensors/#")
    wire = connection(t)
    wire.publish("sensors/x", "marker-of-this-record", packet_id=0x5A5A)
    t.broker.stop()
    check_synced(t, Trace(path), "marker-of-this-record", r'"@\2ZZ')


@case("stele", start=False)
def session_queue_answers_after_the_sync(t):
    path = traced(t)
    keep = {"client_id": "away", "clean": False, "props": {"session_expiry": 600}}
    away = connection(t, **keep)
    away.subscribe("q/#")
    away.disconnect()
    connection(t).publish("q/x", "marker-of-this-record", packet_id=0x5A5A)
    t.broker.stop()
    check_synced(t, Trace(path), "marker-of-this-record", r'"@\2ZZ')


@case("stele", start=False)
def kafka_answers_after_the_sync(t):
    path = traced(t)
    Kcat(t).produce("orders", ["first"])
    Kcat(t, "-X", "client.id=probe").produce("orders", ["marker-of-this-record"], "-X", "acks=all")
    t.broker.stop()
    trace = Trace(path)
    read = trace.find(READ_CALLS, "marker-of-this-record")
    t.true(read is not None, "the trace shows the request coming in")
    stored = trace.find(WRITE_CALLS, "marker-of-this-record", read + 1)
    t.true(stored is not None, "the trace shows the record being written")
    connection_fd = trace.calls[read][1].split(",")[0]
    answers = [i for i in range(stored + 1, len(trace.calls))
               if trace.calls[i][0] in WRITE_CALLS and trace.calls[i][1].split(",")[0] == connection_fd]
    early = [i for i in range(read + 1, stored)
             if trace.calls[i][0] in WRITE_CALLS and trace.calls[i][1].split(",")[0] == connection_fd]
    t.true(answers and not early, "one answer on this connection, after the write")
    descriptor = trace.calls[stored][1].split(",")[0]
    t.true(trace.sync_between(stored, answers[0], descriptor), "and its file synced in between")


@case("stele", start=False, each={"memory": "memory", "flush": "flush"})
def weaker_durability_does_not_sync_per_message(t, durability):
    """The other two settings do what they say: many acknowledged messages, far fewer syncs."""
    path = traced(t, "--durability", durability)
    t.stele("topic", "create", "sensors", "--capture", "sensors/#")
    wire = connection(t)
    for i in range(300):
        wire.publish("sensors/x", f"message-{i}")
    t.broker.stop()
    trace = Trace(path)
    first = trace.find(READ_CALLS, "message-0")
    last = trace.find(READ_CALLS, "message-299", first)
    syncs = sum(1 for name, *_ in trace.calls[first:last] if name in SYNC_CALLS.split(","))
    t.true(syncs < 150, f"{syncs} syncs for 300 messages")


@case("stele")
def many_kills_at_rest(t):
    """Twenty times killed and started again, each time with a little more in it."""
    t.stele("topic", "create", "log", "--capture", "log/#")
    for i in range(20):
        wire = connection(t)
        wire.publish("log/x", f"{i}")
        wire.publish("log/r", f"{i}", retain=True)
        t.restart(hard=True)
    t.equal(Kcat(t).payloads("log"), [str(i // 2) for i in range(40)], "records")
    wire = connection(t)
    wire.subscribe("log/r")
    t.equal((got := wire.message()).payload + bytes([got.retain]), b"19\1", "retained")


@case("stele")
def verify_of_a_used_directory(t):
    t.stele("topic", "create", "log", "--capture", "log/#")
    wire = connection(t)
    for i in range(100):
        wire.publish("log/x", f"{i}")
    t.broker.kill()
    t.run([t.options.stele, "verify", t.broker.data])
    t.broker.start()
    t.broker.stop()
    t.run([t.options.stele, "verify", t.broker.data])
    segments = sorted((p for p in t.broker.data.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    damaged = next(p for p in reversed(segments) if b"log/x" in p.read_bytes())
    data = bytearray(damaged.read_bytes())
    data[data.find(b"log/x") + 1] ^= 0x10
    damaged.write_bytes(data)
    out = t.run([t.options.stele, "verify", t.broker.data], ok=False)
    t.true(damaged.name in t.stderr + out, f"the error names {damaged.name}: {t.stderr}")


@case("stele")
def retained_and_sessions_outlive_ordinary_stop(t):
    keep = {"client_id": "s", "clean": False, "props": {"session_expiry": 600}}
    wire = connection(t, **keep)
    wire.subscribe("a/#")
    wire.disconnect()
    connection(t).publish("a/b", "r", retain=True)
    t.restart(hard=False)
    wire = connection(t, **keep)
    t.equal(wire.connack.session_present, 1, "session present")
    t.equal(wire.message().payload, b"r", "queued")
    connection(t).publish("a/c", "still routed")
    t.equal(wire.message().payload, b"still routed", "the subscription")
    t.true(wire.is_quiet(), "and nothing more")
