"""Wills while the broker is killed: none is lost, none comes twice, none comes after DISCONNECT."""
import time

from harness import mqtt
from harness.case import WAIT_S, case
from harness.kafka import Kcat
from harness.mqtt import V3, V5, connection

QUOTA_EXCEEDED = 0x97
DELAY_S = 2


def watcher(t):
    """Of a session that is kept."""
    return connection(t, client_id="watcher", clean=False, props={"session_expiry": 3600})


def doomed(t, name, version=V5, expiry=0, delay=0, retain=False, topic=None):
    props = {"session_expiry": expiry} if expiry else {}
    will = (topic or f"will/{name}", f"{name} is gone", 1, retain, {"will_delay": delay} if delay else {})
    return connection(t, version, client_id=name, props=props, will=will)


def wills(wire, count):
    return sorted(wire.message().payload.decode() for _ in range(count))


def is_kept(t):
    t.true(watcher(t).subscribe("will/#", options=1) == [1], "granted")


@case("stele")
def come_after_kill_9(t):
    """Of whoever was connected, each after its delay; also of 3.1.1 clients, and into the topic that captures them."""
    t.stele("topic", "create", "wills", "--partitions", 1, "--capture", "will/#")
    is_kept(t)
    clients = [doomed(t, "now"), doomed(t, "old", version=V3), doomed(t, "later", expiry=3600, delay=DELAY_S),
               doomed(t, "session", expiry=1, delay=3600), doomed(t, "retained", retain=True)]
    t.restart()
    restarted = time.monotonic()
    wire = watcher(t)
    names = ["later", "now", "old", "retained", "session"]
    came = [(wire.message().payload.decode(), time.monotonic() - restarted) for _ in names]
    t.equal(sorted(text for text, _ in came), [f"{name} is gone" for name in names], "wills")
    t.equal(came[-1][0], "later is gone", "the last")
    t.true(DELAY_S - 1 < came[-1][1] < WAIT_S, f"its delay: {came[-1][1]:.1f} s")
    t.true(wire.is_quiet(), "each once")
    fresh = connection(t)
    fresh.subscribe("will/retained")
    t.equal(fresh.message().payload, b"retained is gone", "retained")
    wire.disconnect()
    # Once more: they are published, and that is not forgotten.
    t.restart()
    time.sleep(DELAY_S)
    wire = watcher(t)
    t.true(wire.is_quiet(), "none comes again")
    t.equal(sorted(r["payload"] for r in Kcat(t).consume("wills")),
            [f"{name} is gone" for name in names], "records")
    for client in clients:
        client.close()


@case("stele")
def a_delay_goes_on_over_kill_9(t):
    """It began when the connection was lost, and not when the broker came back."""
    is_kept(t)
    doomed(t, "later", expiry=3600, delay=6).close()
    time.sleep(3)
    t.restart()
    restarted = time.monotonic()
    wire = watcher(t)
    t.equal(wills(wire, 1), ["later is gone"], "the will")
    t.true(time.monotonic() - restarted < 5.5, "its delay had begun before")


@case("stele", each={"v3.1.1": V3, "v5": V5})
def none_after_disconnect(t, version):
    """Who sees the connection closed by the broker may rely on it, whatever happens next [MQTT-3.14.4-3]."""
    is_kept(t)
    for number in range(10):
        doomed(t, f"polite-{number}", version=version).disconnect()
    doomed(t, "kept", expiry=3600 if version == V5 else 0).disconnect()
    t.restart()
    time.sleep(DELAY_S)
    t.true(watcher(t).is_quiet(), "no will")


@case("stele")
def none_of_a_client_that_comes_back(t):
    """[MQTT-3.1.3-9], also if it comes back to another process."""
    is_kept(t)
    for name in ("before", "after"):
        doomed(t, name, expiry=3600, delay=5).close()
    back = {"clean": False, "props": {"session_expiry": 3600}}
    connection(t, client_id="before", **back).disconnect()
    t.restart()
    t.equal(connection(t, client_id="after", **back).connack.session_present, 1, "session present")
    time.sleep(6)
    t.true(watcher(t).is_quiet(), "no will")


@case("mqtt")
def of_a_session_that_begins_anew(t):
    """With the session its will is due, whatever is left of the delay [MQTT-3.1.3-9]."""
    wire = connection(t)
    topic = t.name("w")
    wire.subscribe(topic)
    name = t.name("fickle")
    doomed(t, name, expiry=3600, delay=3600, topic=topic).close()
    connection(t, client_id=name, clean=True).disconnect()
    t.equal(wire.message().payload.decode(), f"{name} is gone", "the will")


@case("stele")
def goes_before_what_its_client_says_next(t):
    """Retained "gone", then "online": also when the broker had to tell the first after it was killed."""
    names = [f"device-{number}" for number in range(12)]
    clients = [doomed(t, name, retain=True) for name in names]
    t.restart()
    for name in names:
        back = connection(t, client_id=name)
        back.publish(f"will/{name}", f"{name} is online", retain=True)
    wire = connection(t)
    wire.subscribe("will/#")
    t.equal(wills(wire, len(names)), sorted(f"{name} is online" for name in names), "retained")
    for client in clients:
        client.close()


@case("stele", start=False)
def too_much_of_wills(t):
    """CONNECT is refused with a reason; others may connect."""
    t.start("--shards", "1", "--will-bytes", "100KiB")
    payload = "p" * 60000
    first = connection(t, client_id="first", will=("w", payload, 0, False))
    connection(t, client_id="second", reason=QUOTA_EXCEEDED, will=("w", payload, 0, False)).expect_closed()
    connection(t, client_id="third").disconnect()
    first.disconnect()
    connection(t, client_id="second", will=("w", payload, 0, False)).disconnect()
