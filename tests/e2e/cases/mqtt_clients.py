"""mosquitto_pub and mosquitto_sub, as a person at a terminal uses them."""
from harness.case import case

VERSIONS = {"v3.1": "mqttv31", "v3.1.1": "311", "v5": "5"}


def at(t):
    host, port = t.mqtt
    return ["-h", host, "-p", str(port)]


def subscriber(t, *flags, topic, count=None, version="5", fmt="%t|%q|%r|%p", resumed=False):
    """A mosquitto_sub whose subscription stands; messages are lines beginning with `msg|`. In a resumed session they
    may come before the SUBACK, so that is not waited for."""
    count = ["-C", count] if count else []
    client = t.spawn(["mosquitto_sub", *at(t), "-d", "-V", version, "-t", topic, "-F", "msg|" + fmt, *count, *flags])
    if not resumed:
        client.wait_for("Subscribed (mid")
    return client


def publish(t, topic, payload, *flags, version="5", qos=1):
    body = ["-n"] if payload is None else ["-m", payload]
    t.run(["mosquitto_pub", *at(t), "-V", version, "-q", qos, "-t", topic, *body, *flags])


def messages(client, n):
    return [client.wait_for("msg|").split("|", 1)[1] for _ in range(n)]


@case("mqtt", each={f"{v}-qos{q}": (n, q) for v, n in VERSIONS.items() for q in (0, 1, 2)})
def publish_and_receive(t, how):
    version, qos = how
    topic = t.name("hello") + "/world"
    client = subscriber(t, "-q", qos, topic=topic, version=version)
    for text in ("one", "two", "three"):
        publish(t, topic, text, version=version, qos=qos)
    t.equal(messages(client, 3), [f"{topic}|{qos}|0|{text}" for text in ("one", "two", "three")], "messages")


@case("mqtt", each={f"qos{q}": q for q in (0, 1, 2)})
def versions_understand_each_other(t, qos):
    topic = t.name("mixed")
    clients = [subscriber(t, "-q", qos, topic=topic, version=version) for version in VERSIONS.values()]
    for name, version in VERSIONS.items():
        props = ["-D", "publish", "user-property", "a", "b"] if version == "5" else []
        publish(t, topic, f"from {name}", *props, version=version, qos=qos)
    for client in clients:
        t.equal(messages(client, 3), [f"{topic}|{qos}|0|from {name}" for name in VERSIONS], "messages")


@case("mqtt", each={f"{a} and {b}": (VERSIONS[a], VERSIONS[b]) for a, b in (("v3.1", "v5"), ("v5", "v3.1"))})
def one_version_leaves_it_for_another(t, how):
    """A retained message, a will, and what waits for a session that is away."""
    here, there = how
    topic = t.name("queue")
    publish(t, topic + "/state", "retained", "-r", version=here)
    reader = subscriber(t, "-q", 1, topic=topic + "/#", version=there)
    t.equal(messages(reader, 1), [f"{topic}/state|1|1|retained"], "retained")
    will = ["--will-topic", topic + "/will", "--will-payload", "gone", "--will-qos", 1, "--will-retain"]
    subscriber(t, *will, topic="x", version=here).kill()
    t.equal(messages(reader, 1), [f"{topic}/will|1|0|gone"], "the will")
    keep = offline_session(t, there, topic + "/q", 2)
    for qos in (1, 2):
        publish(t, topic + "/q", f"with QoS {qos}", version=here, qos=qos)
    away = subscriber(t, *keep, "-q", 2, topic=topic + "/q", version=there, resumed=True)
    t.equal(messages(away, 2), [f"{topic}/q|{qos}|0|with QoS {qos}" for qos in (1, 2)], "what waited")


@case("mqtt", each=VERSIONS)
def wildcards(t, version):
    root = t.name("w")
    one = subscriber(t, topic=f"{root}/+/temp", version=version)
    rest = subscriber(t, topic=f"{root}/#", version=version)
    for topic in ("kitchen/temp", "kitchen/light", "temp", "kitchen/oven/temp"):
        publish(t, f"{root}/{topic}", "x", version=version)
    publish(t, root, "end", version=version)
    publish(t, f"{root}/end/temp", "end", version=version)
    t.equal([m.split("|")[0] for m in messages(one, 2)], [f"{root}/kitchen/temp", f"{root}/end/temp"], "+")
    t.equal(
        [m.split("|")[0] for m in messages(rest, 6)],
        [f"{root}/{x}" for x in ("kitchen/temp", "kitchen/light", "temp", "kitchen/oven/temp")]
        + [root, f"{root}/end/temp"],
        "#",
    )


@case("mqtt")
def wildcards_leave_dollar_topics_alone(t):
    client = subscriber(t, topic="#")
    topic = t.name("plain")
    publish(t, "$private/x", "hidden", qos=0)
    publish(t, topic, "seen")
    while not (got := messages(client, 1)[0]).startswith(topic):
        t.true(not got.startswith("$"), f"# matched {got}")


@case("mqtt", each=VERSIONS)
def retained_set_replace_clear(t, version):
    topic = t.name("state")
    publish(t, topic, "first", "-r", version=version)
    client = subscriber(t, "-q", 1, topic=topic, version=version)
    t.equal(messages(client, 1), [f"{topic}|1|1|first"], "retained for a new subscription")
    publish(t, topic, "second", "-r", version=version)
    t.equal(messages(client, 1), [f"{topic}|1|0|second"], "live copy")
    later = subscriber(t, "-q", 1, topic=topic, version=version)
    t.equal(messages(later, 1), [f"{topic}|1|1|second"], "replaced")
    publish(t, topic, None, "-r", version=version)
    t.equal(messages(later, 1), [f"{topic}|1|0|"], "the clearing message, live")
    last = subscriber(t, "-q", 1, topic=topic, version=version)
    publish(t, topic, "not retained", version=version)
    t.equal(messages(last, 1), [f"{topic}|1|0|not retained"], "nothing retained any more")


@case("mqtt")
def retained_with_wildcard(t):
    root = t.name("states")
    for i in range(20):
        publish(t, f"{root}/{i}", f"v{i}", "-r")
    client = subscriber(t, topic=f"{root}/+")
    t.equal(sorted(messages(client, 20)), sorted(f"{root}/{i}|0|1|v{i}" for i in range(20)), "retained")


@case("mqtt", "restart")
def retained_survives_restart(t):
    publish(t, "keep", "old", "-r")
    publish(t, "keep", "new", "-r")
    publish(t, "gone", "x", "-r")
    publish(t, "gone", None, "-r")
    t.restart()
    client = subscriber(t, topic="#")
    publish(t, "end", "end")
    t.equal(messages(client, 2), ["keep|0|1|new", "end|0|0|end"], "after kill -9")


def offline_session(t, version, topic="queue/#", qos=1):
    """A subscriber that came, and went."""
    keep = ["-c", "-i", "offline"] + (["-x", "3600"] if version == "5" else [])
    client = subscriber(t, *keep, "-q", qos, "-E", topic=topic, version=version)
    client.end()
    return keep


@case("mqtt", "restart", each={f"{v}-{how}": (n, how) for v, n in VERSIONS.items() for how in ("up", "kill9", "stop")})
def persistent_session_queues_offline(t, how):
    version, fate = how
    keep = offline_session(t, version)
    expected = []
    for i in range(50):
        publish(t, f"queue/{i % 3}", f"m{i}", version=version)
        expected.append(f"queue/{i % 3}|1|0|m{i}")
    if fate != "up":
        t.restart(hard=fate == "kill9")
    client = subscriber(t, *keep, "-q", 1, topic="queue/#", version=version, resumed=True)
    t.equal(messages(client, 50), expected, "queued messages")
    client.interrupt()  # -C would leave before its last PUBACKs have left
    publish(t, "queue/0", "after", version=version)
    again = subscriber(t, *keep, "-q", 1, topic="queue/#", version=version, resumed=True)
    t.equal(messages(again, 1), ["queue/0|1|0|after"], "nothing twice")


@case("mqtt", each=VERSIONS)
def will(t, version):
    topic = t.name("last")
    watcher = subscriber(t, "-q", 1, topic=topic, version=version)
    doomed = subscriber(t, "--will-topic", topic, "--will-payload", "gone", "--will-qos", 1, topic="x", version=version)
    doomed.kill()
    t.equal(messages(watcher, 1), [f"{topic}|1|0|gone"], "the will")


@case("mqtt")
def no_will_after_disconnect(t):
    topic = t.name("last")
    watcher = subscriber(t, "-q", 1, topic=topic)
    polite = ["--will-topic", topic, "--will-payload", "gone"]
    t.run(["mosquitto_sub", *at(t), "-V", "5", "-t", "x", "-E", *polite])
    publish(t, topic, "end")
    t.equal(messages(watcher, 1), [f"{topic}|1|0|end"], "no will")


@case("mqtt")
def properties_are_forwarded(t):
    topic = t.name("props")
    client = subscriber(t, topic=topic, fmt="%C|%F|%R|%D|%P|%p")
    flags = []
    for name in (["content-type", "text/plain"], ["payload-format-indicator", "1"], ["response-topic", "answers/1"],
                 ["correlation-data", "c-7"], ["user-property", "a", "1"], ["user-property", "b", "2"],
                 ["user-property", "a", "3"], ["message-expiry-interval", "100"]):
        flags += ["-D", "publish", *name]
    publish(t, topic, "body", *flags)
    t.equal(messages(client, 1), ["text/plain|1|answers/1|c-7|a:1 b:2 a:3|body"], "properties")
    expiry = subscriber(t, topic=topic, fmt="%E")
    publish(t, topic, "body", "-D", "publish", "message-expiry-interval", "100")
    left = int(messages(expiry, 1)[0])
    t.true(0 < left <= 100, f"message expiry {left}")


@case("mqtt")
def large_message(t):
    topic, path = t.name("large"), t.dir / "payload"
    path.write_text("0123456789abcdef" * 56250)  # 900,000 bytes
    client = t.spawn(["mosquitto_sub", *at(t), "-q", "1", "-t", topic, "-C", "1", "-d", "-F", "msg|%l|%p"])
    client.wait_for("Subscribed (mid")
    t.run(["mosquitto_pub", *at(t), "-q", 1, "-t", topic, "-f", path])
    got = client.wait_for("msg|")
    t.true(got == "msg|900000|" + path.read_text(), f"{len(got)} characters came")


@case("mqtt", each=VERSIONS)
def many_in_order(t, version):
    topic, n = t.name("many"), 5000
    client = subscriber(t, "-q", 1, topic=topic, version=version, count=n, fmt="%p")
    lines = "".join(f"{i}\n" for i in range(n))
    t.run(["mosquitto_pub", *at(t), "-V", version, "-q", 1, "-t", topic, "-l"], stdin=lines)
    t.equal(messages(client, n), [str(i) for i in range(n)], "order")


@case("mqtt", each=VERSIONS)
def unsubscribe(t, version):
    a, b = t.name("a"), t.name("b")
    client = t.spawn(["mosquitto_sub", *at(t), "-d", "-V", version, "-t", a, "-t", b, "-U", a, "-F", "msg|%t|%p"])
    client.wait_for("UNSUBACK")
    publish(t, a, "no", version=version)
    publish(t, b, "yes", version=version)
    t.equal(messages(client, 1), [f"{b}|yes"], "after UNSUBSCRIBE")
