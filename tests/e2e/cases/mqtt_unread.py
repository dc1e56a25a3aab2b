"""A queued message that cannot be read from the disk for a while: it comes once it can be, on the same connection."""
import time

from harness.case import case
from harness.mqtt import connection

KEEP = {"client_id": "kept", "clean": False, "props": {"session_expiry": 3600}}
BODY = b"a message that cannot be read"
SAID = "cannot be read"


def places(t):
    """Where the message lies: file and position."""
    found = []
    for path in sorted((t.dir / "data").rglob("*")):
        if not path.is_file():
            continue
        data, at = path.read_bytes(), -1
        while (at := data.find(BODY, at + 1)) >= 0:
            found.append((path, at))
    return found


def overwrite(found, what):
    for path, at in found:
        with path.open("r+b") as file:
            file.seek(at)
            file.write(what)


def said(t):
    return (t.dir / "broker.log").read_text(encoding="utf-8", errors="replace").count(SAID)


@case("stele", each={"a session": ("q", "q"), "a shared subscription": ("$share/g/q", "q")})
def is_tried_again(t, how):
    filter_, topic = how
    wire = connection(t, **KEEP)
    wire.subscribe(filter_)
    wire.disconnect()
    connection(t).publish(topic, BODY)
    t.restart()  # it is in nobody's memory
    found = places(t)
    t.true(found, "the message is on the disk")
    overwrite(found, bytes(len(BODY)))
    wire = connection(t, **KEEP)
    t.eventually(lambda: said(t) > 0, "the log says that it cannot be read")
    began, before = time.monotonic(), said(t)
    t.eventually(lambda: said(t) > before, "it is tried again")
    # One at a time, and once a second at most.
    sender = connection(t)
    for number in range(500):
        sender.publish(topic, str(number), packet_id=1)
    lines, seconds = said(t) - before, time.monotonic() - began
    t.true(lines <= seconds + 2, f"{lines} lines in {seconds:.1f} s")
    overwrite(found, BODY)
    got = [wire.message().payload for _ in range(501)]
    t.equal(got, [BODY, *(str(number).encode() for number in range(500))], "messages")
