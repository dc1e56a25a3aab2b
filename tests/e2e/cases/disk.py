"""A disk that is full, or fails: what was acknowledged is there, and nothing hangs, least of all the broker's end."""
import signal

from cases.command_line import refused
from harness import mqtt
from harness.broker import Failure
from harness.case import case
from harness.kafka import Kcat
from harness.mqtt import Wire, connection
from harness.namespaces import mount_small_disk

BODY = "x" * 20000
ENDS_WITHIN_S = 60  # it waits 5 s for what cannot be stored; the rest is for a busy machine


def write_until_refused(t, most=5000):
    """Messages to log/x. How many were acknowledged before one was not."""
    wire, acked = connection(t, limit_s=30), 0
    while acked < most:
        wire.send(mqtt.publish("log/x", f"{acked:06}{BODY}", 1, acked + 1))
        got = wire.receive()
        if got is None or got.type != mqtt.PUBACK or got.reason >= 0x80:
            t.log(f"{acked} acknowledged, then {got or 'the end of the connection'}")
            return acked
        acked += 1
    raise Failure(f"{most} messages were taken")


def check_kept(t, acked):
    kept = [p[:6] for p in Kcat(t).payloads("log") if p.endswith(BODY)]
    t.equal([p for p in kept if p.isdigit()][:acked], [f"{i:06}" for i in range(acked)], "what was acknowledged")


def leave_waiting(t):
    """Clients that the broker cannot answer, for what they want is to be stored first."""
    lines, waiting = t.dir / "lines", []
    lines.write_text(("y" * 1000 + "\n") * 1000)
    for i in range(8):
        wire = Wire(t.mqtt)
        wire.send(mqtt.connect(client_id=f"new-{i}", clean=False, props={"session_expiry": 3600},
                               will=("log/will", "gone", 1, False)))
        waiting.append(wire)
        wire = Wire(t.mqtt)
        wire.send(mqtt.connect(client_id=f"brief-{i}") + mqtt.publish("log/x", f"once-{i}{BODY}", 1, 1))
        wire.send(mqtt.publish("log/x", f"twice-{i}{BODY}", 2, 2))
        waiting.append(wire)
        waiting.append(t.spawn(["kcat", "-b", t.kafka, "-P", "-t", "log", "-p", i % 4, "-X", "enable.idempotence=true",
                                "-l", lines]))
    return waiting


def sessions_with_wills(t):
    """Clients with wills, for a subscriber that is away and whose session is kept."""
    keeper = connection(t, client_id="keeper", clean=False, props={"session_expiry": 3600})
    keeper.subscribe("#")
    keeper.close()
    return [connection(t, client_id=f"willed-{i}", clean=False, will=("wills", f"of {i}", 1, False),
                       props={"session_expiry": 3600}) for i in range(8)]


@case("stele", start=False, timeout=180)
def full(t):
    """New writes are refused, what was acknowledged is there, and with room again it goes on."""
    where = t.dir / "disk"
    resize = mount_small_disk(where, "24m")
    t.start(data=where / "data")
    t.stele("topic", "create", "log", "--capture", "log/#")
    acked = write_until_refused(t)
    t.true(acked > 100, f"only {acked} messages fit")
    if t.broker.is_running():
        t.broker.process.send_signal(signal.SIGTERM)
    t.broker.process.wait(ENDS_WITHIN_S)
    said = (t.dir / "broker.log").read_text(errors="replace")
    t.true("writes are refused until there is room" in said and "no space left" in said.lower(), f"log: {said[:500]}")
    resize("200m")
    t.broker.start()
    check_kept(t, acked)
    connection(t).publish("log/x", "more")
    t.true("more" in Kcat(t).payloads("log"), "and it goes on")


@case("stele", start=False, timeout=240)
def stops_while_full(t):
    """With clients of every kind that wait for room, some of them gone meanwhile."""
    where = t.dir / "disk"
    resize = mount_small_disk(where, "40m")
    t.start(data=where / "data")
    t.stele("topic", "create", "log", "--capture", "log/#", "--partitions", "4")
    willed = sessions_with_wills(t)
    acked = write_until_refused(t)
    waiting = leave_waiting(t)
    for wire in willed[:4] + waiting[::6]:
        wire.close()
    t.broker.process.send_signal(signal.SIGTERM)
    t.equal(t.broker.process.wait(ENDS_WITHIN_S), 0, "exit status")
    resize("400m")
    t.broker.start()
    check_kept(t, acked)
    keeper = connection(t, client_id="keeper", clean=False, props={"session_expiry": 3600})
    t.equal(keeper.connack.session_present, 1, "the session is kept")


def sync_fails(path=None, after=0):
    """What a broker is started under, so that no sync but the first of each thread succeeds (of one file only)."""
    # -D: the process that is started is the broker, strace stands aside.
    return ["strace", "-D", "-f", "-o", "/dev/null", *(["-P", path] if path else []), "-e", "trace=fsync,fdatasync",
            "-e", f"inject=fsync,fdatasync:error=EIO:when={after + 1}+"]


def check_ended(t, acked, willed):
    """The broker says why and ends by itself, whoever waits for it; and starts again when the disk is well."""
    try:
        waiting = leave_waiting(t)
        t.log(f"{len(willed)} clients with wills and {len(waiting)} that wait")
    except (OSError, Failure):
        t.log("it was gone before all of them were there")
    t.equal(t.broker.process.wait(ENDS_WITHIN_S), 1, "exit status")
    said = (t.dir / "broker.log").read_text(errors="replace")
    t.true("nothing can be stored any more" in said, f"log: {said[-1000:]}")
    t.broker.prefix = []
    t.broker.start()
    check_kept(t, acked)
    keeper = connection(t, client_id="keeper", clean=False, props={"session_expiry": 3600})
    t.equal(keeper.connack.session_present, 1, "the session is kept")


@case("stele", start=False, timeout=240)
def fails(t):
    t.start(prefix=sync_fails(after=60))
    t.stele("topic", "create", "log", "--capture", "log/#")
    willed = sessions_with_wills(t)
    acked = write_until_refused(t)
    check_ended(t, acked, willed)


@case("stele", start=False, timeout=240)
def fails_for_metadata(t):
    t.start(prefix=sync_fails(t.dir / "data/meta/meta.db-journal", after=20))
    t.stele("topic", "create", "log", "--capture", "log/#", "--partitions", "4")
    willed = sessions_with_wills(t)
    for i in range(200):
        willed[0].publish("log/x", f"{i:06}{BODY}", packet_id=i + 1)
    made = 0
    while t.run([t.options.stele, "topic", "create", f"t-{made}", "--http", t.broker.http], ok=None) or not t.status:
        made += 1
        t.true(made < 300, "no topic was refused")
    check_ended(t, 200, willed)


@case("stele", start=False)
def full_at_start(t):
    where = t.dir / "disk"
    mount_small_disk(where, "64k")
    refused(t, data=where / "data", words=["space"])
