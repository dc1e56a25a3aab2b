"""Users, passwords and rules, in every protocol, with the clients that people use."""
import base64
import http.client
import json
import os

import paho.mqtt.client as paho
from cases.mqtt_clients import at, messages, subscriber
from cases.mqtt_paho import Client
from cases.mqtt_qos2 import kept, release
from harness import mqtt
from harness.case import case
from harness.clients import BUILD_LIMIT_S, java_command
from harness.kafka import Kcat
from harness.mqtt import publish

NO_SUBSCRIBERS, NOT_AUTHORIZED = 0x10, 0x87
ROOT_PASSWORD = "the root's password"
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


def protected(t, *flags):
    """A broker with users: `root`, and `alice`, who may publish and subscribe to `a/#` and use topic `orders`."""
    secret = t.dir / "root-password"
    secret.write_text(ROOT_PASSWORD + "\n")
    t.start("--admin-user", "root", "--admin-password-file", str(secret), *flags)
    add_user(t, "alice", "wonderland")
    admin(t, "acl", "add", "--for", "alice", "--allow", "publish,subscribe", "--address", "a/#")
    admin(t, "acl", "add", "--for", "alice", "--allow", "read,write,create", "--topic", "orders")


def stele(t, user, password, *args, **more):
    """The command line as somebody; the password in a file, as `ps` must not show it."""
    secret = t.dir / f"password-of-{user}"
    secret.write_text(password + "\n")
    return t.stele(*args, "--user", user, "--password-file", str(secret), **more)


def admin(t, *args, **more):
    return stele(t, "root", ROOT_PASSWORD, *args, **more)


def add_user(t, name, password, *flags):
    secret = t.dir / f"new-password-of-{name}"
    secret.write_text(password + "\n")
    admin(t, "user", "add", name, "--new-password-file", str(secret), *flags)


def sasl(user, password, mechanism="PLAIN"):
    flags = {"security.protocol": "sasl_plaintext", "sasl.mechanisms": mechanism, "sasl.username": user,
             "sasl.password": password}
    return [word for pair in flags.items() for word in ("-X", "=".join(pair))]


def request(t, method, path, authorization=None, body=None):
    host, port = t.broker.http.rsplit(":", 1)
    link = http.client.HTTPConnection(host, int(port), timeout=20)
    try:
        headers = {} if authorization is None else {"Authorization": authorization}
        link.request(method, path, body, headers)
        answer = link.getresponse()
        return answer.status, answer.read().decode(), answer.headers
    finally:
        link.close()


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def counted(t, name):
    status, body, _ = request(t, "GET", "/metrics", basic("root", ROOT_PASSWORD))
    t.equal(status, 200, "/metrics")
    return next(float(line.split()[1]) for line in body.splitlines() if line.startswith(name + " "))


@case("stele", start=False)
def mosquitto_logs_in(t):
    protected(t)
    alice = ["-u", "alice", "-P", "wonderland"]
    client = subscriber(t, *alice, topic="a/#")
    t.run(["mosquitto_pub", *at(t), *alice, "-q", 1, "-t", "a/b", "-m", "hello"])
    t.equal(messages(client, 1), ["a/b|0|0|hello"], "messages")
    for flags, text in ((["-u", "alice", "-P", "wrong"], "bad user name or password"),
                        (["-u", "nobody", "-P", "x"], "bad user name or password"),
                        ([], "not authori")):
        for version in ("5", "311"):
            t.run(["mosquitto_pub", *at(t), "-V", version, *flags, "-t", "a/b", "-m", "no"], ok=False)
            t.true(text in t.stderr.lower(), f"{flags} {version}: {t.stderr!r}")
    t.true(counted(t, "stele_login_failures_total") >= 4, "failures are counted")


@case("stele", start=False)
def mosquitto_is_denied(t):
    protected(t)
    alice = ["-u", "alice", "-P", "wonderland"]
    everything = subscriber(t, "-u", "root", "-P", ROOT_PASSWORD, topic="#")
    client = t.spawn(["mosquitto_sub", *at(t), "-d", "-V", "5", *alice, "-t", "#"])
    client.wait_for("135")
    t.run(["mosquitto_pub", *at(t), "-V", "5", *alice, "-q", 1, "-t", "b/x", "-m", "no"], ok=None)
    t.true("Not authorized" in t.stderr or t.status != 0, f"publish to b/x: {t.stderr!r}")
    t.run(["mosquitto_pub", *at(t), *alice, "-q", 1, "-t", "a/x", "-m", "yes"])
    t.equal(messages(everything, 1), ["a/x|0|0|yes"], "what root sees")
    t.equal(counted(t, "stele_denied_publish_total"), 1, "denied publishes")
    will = ["--will-topic", "b/will", "--will-payload", "no"]
    t.run(["mosquitto_pub", *at(t), "-V", "5", *alice, *will, "-t", "a/x", "-m", "no"], ok=False)
    # A rule that comes takes effect at once, and one that goes too.
    admin(t, "acl", "add", "--for", "alice", "--deny", "publish", "--address", "a/secret")
    t.run(["mosquitto_pub", *at(t), "-V", "5", *alice, "-q", 1, "-t", "a/secret", "-m", "no"], ok=None)
    t.equal(counted(t, "stele_denied_publish_total"), 3, "denied publishes")


@case("stele", start=False)
def paho_is_told_and_sent_away(t):
    protected(t)
    client = Client(t, "gone")
    client.paho.username_pw_set("alice", "wonderland")
    client.connect()
    keeper = Client(t, "kept")
    keeper.paho.username_pw_set("root", ROOT_PASSWORD)
    keeper.connect()
    admin(t, "user", "delete", "alice")
    reason = client.next("disconnect")[0]
    t.equal(getattr(reason, "value", reason), 0x87, "why it is disconnected")
    _, mid = keeper.paho.publish("a/b", "still here", 1)
    keeper.next("publish")


@case("stele", start=False, each={m: m for m in MECHANISMS})
def kcat_logs_in(t, mechanism):
    protected(t)
    kcat = Kcat(t, *sasl("alice", "wonderland", mechanism))
    kcat.produce("orders", ["one", "two"])
    t.equal(kcat.payloads("orders"), ["one", "two"], "payloads")
    t.run([*Kcat(t, *sasl("alice", "wrong", mechanism)).base, "-L"], ok=False)
    t.true("uthentication" in t.stderr, f"a wrong password: {t.stderr!r}")
    t.run([*Kcat(t).base, "-L", "-m", "3"], ok=False)
    t.equal(list(kcat.topics()), ["orders"], "topics that alice sees")


@case("stele", start=False)
def kcat_is_denied(t):
    protected(t)
    admin(t, "topic", "create", "other")
    kcat = Kcat(t, *sasl("alice", "wonderland"))
    t.run([*kcat.base, "-P", "-t", "other"], stdin="no\n", ok=False)
    t.true("uthoriz" in t.stderr, t.stderr)
    t.run([*kcat.base, "-C", "-t", "other", "-e"], ok=False)
    t.true("uthoriz" in t.stderr, t.stderr)
    # A record that names an MQTT topic is a publish to it.
    watcher = subscriber(t, "-u", "root", "-P", ROOT_PASSWORD, topic="#")
    t.run([*kcat.base, "-P", "-t", "orders", "-H", "mqtt.topic=b/forbidden"], stdin="no\n", ok=False)
    t.true("uthoriz" in t.stderr, t.stderr)
    kcat.produce("orders", ["yes"], "-H", "mqtt.topic=a/allowed")
    t.equal(messages(watcher, 1), ["a/allowed|0|0|yes"], "what root sees")


@case("stele", start=False)
def denied_and_sent_before(t):
    """A QoS 2 message that was taken is not denied when it is sent again: its identifier would seem to be free."""
    protected(t)
    add_user(t, "anonymous", "nobody needs it")
    admin(t, "acl", "add", "--for", "anonymous", "--allow", "publish", "--address", "a/#")
    wire = kept(t, "k")
    wire.send(publish("a/b", "one", 2, 7))
    t.equal(wire.expect(mqtt.PUBREC).reason, NO_SUBSCRIBERS, "PUBREC")
    wire.close()
    admin(t, "acl", "add", "--for", "anonymous", "--deny", "publish", "--address", "a/b")
    wire = kept(t, "k")
    wire.send(publish("a/b", "one", 2, 7, dup=True))
    wire.send(publish("a/b", "two", 2, 8))
    answers = [wire.expect(mqtt.PUBREC) for _ in range(2)]
    t.equal([(a.packet_id, a.reason) for a in answers], [(7, 0), (8, NOT_AUTHORIZED)], "PUBREC of each")
    t.equal(release(wire, 7).reason, 0, "PUBCOMP")
    wire.send(publish("a/b", "three", 2, 7))
    t.equal(wire.expect(mqtt.PUBREC).reason, NOT_AUTHORIZED, "PUBREC of a new one")


@case("stele", start=False)
def groups_are_denied(t):
    protected(t)
    kcat = Kcat(t, *sasl("alice", "wonderland"))
    kcat.produce("orders", ["one"])
    grouped = [*kcat.base, "-G", "readers", "-X", "auto.offset.reset=earliest", "-c", 1]
    denied = t.run([*grouped, "orders"], ok=None)
    t.true("uthoriz" in t.stderr and not denied, f"{denied!r} {t.stderr!r}")
    admin(t, "acl", "add", "--for", "alice", "--allow", "read", "--group-prefix", "read")
    t.equal(t.run([*grouped, "orders"], ok=None).split(), ["one"], "with a rule")


@case("stele", start=False)
def what_is_not_for_alice_is_not_told(t):
    protected(t)
    admin(t, "topic", "create", "other")
    kcat = Kcat(t, *sasl("alice", "wonderland"))
    for topic in ("other", "missing"):
        t.run([*kcat.base, "-L", "-J", "-t", topic], ok=None)
        t.true("uthoriz" in t.stderr or "uthoriz" in t.run([*kcat.base, "-L", "-t", topic], ok=None), topic)
    # A topic shows its readers what it captures: its maker must be allowed to see that.
    stele(t, "alice", "wonderland", "topic", "create", "orders", "--capture", "b/#", ok=False)
    t.true("may not subscribe to 'b/#'" in t.stderr, t.stderr)
    stele(t, "alice", "wonderland", "topic", "create", "orders", "--capture", "a/+")
    t.run(["mosquitto_pub", *at(t), "-u", "alice", "-P", "wonderland", "-q", 1, "-t", "a/b", "-m", "seen"])
    t.equal(kcat.payloads("orders"), ["seen"], "what it captures")
    for change in (("--partitions", 20), ("--retention-ms", 5)):
        stele(t, "alice", "wonderland", "topic", "alter", "orders", *change, ok=False)
        t.true("'alice' may not" in t.stderr, t.stderr)
    admin(t, "acl", "add", "--for", "alice", "--allow", "alter", "--topic", "orders")
    stele(t, "alice", "wonderland", "topic", "alter", "orders", "--capture", "a/+", "--capture", "b/#", ok=False)
    t.true("may not subscribe to 'b/#'" in t.stderr, t.stderr)
    stele(t, "alice", "wonderland", "topic", "alter", "orders", "--capture", "a/#", "--retention-ms", -1)


@case("stele", start=False, each={m: m for m in MECHANISMS}, timeout=BUILD_LIMIT_S + 90)
def java_logs_in(t, mechanism):
    command = java_command()
    protected(t)
    kind = "plain.PlainLoginModule" if mechanism == "PLAIN" else "scram.ScramLoginModule"
    os.environ["CASES_SASL_MECHANISM"] = mechanism
    os.environ["CASES_SASL_JAAS"] = (
        f'org.apache.kafka.common.security.{kind} required username="root" password="{ROOT_PASSWORD}";')
    out = t.run([*command, t.kafka, "idempotent_producer", "j-"], ok=None)
    t.true(out.endswith("done\n"), f"{out[-600:]}{t.stderr[-600:]}")


@case("stele", start=False)
def http_basic_and_bearer(t):
    protected(t)
    t.equal(request(t, "GET", "/health/ready")[0], 200, "health is for everybody")
    status, _, headers = request(t, "GET", "/v1/topics")
    t.equal((status, headers["www-authenticate"].split()[0]), (401, "Basic"), "nobody")
    t.equal(request(t, "GET", "/v1/topics", basic("alice", "wrong"))[0], 401, "a wrong password")
    t.equal(request(t, "GET", "/v1/topics", "Basic !!!")[0], 400, "nonsense")
    t.equal(request(t, "GET", "/v1/topics", basic("alice", "wonderland"))[0], 200, "alice")
    t.equal(request(t, "GET", "/v1/users", basic("alice", "wonderland"))[0], 403, "alice is no administrator")
    t.equal(request(t, "GET", "/metrics", basic("alice", "wonderland"))[0], 403, "metrics")
    token = admin(t, "user", "token", "root", "prometheus").strip()
    t.equal(request(t, "GET", "/metrics", f"Bearer {token}")[0], 200, "a token")
    t.equal(request(t, "GET", "/metrics", f"Bearer {token}x")[0], 401, "another")
    admin(t, "user", "delete-token", "root", "prometheus")
    t.equal(request(t, "GET", "/metrics", f"Bearer {token}")[0], 401, "a token that is no more")
    status, body, _ = request(t, "GET", "/v1/users", basic("root", ROOT_PASSWORD))
    t.equal(sorted(u["name"] for u in json.loads(body)["users"]), ["alice", "root"], "users")
    t.true("stored" not in body and "salt" not in body, "nothing of a password is shown")


@case("stele", start=False)
def command_line(t):
    protected(t)
    host, port = t.mqtt
    t.stele("user", "list", ok=False)
    t.true("user name and a password" in t.stderr and "--user" in t.stderr, t.stderr)
    stele(t, "alice", "wonderland", "acl", "list", ok=False)
    t.true("no administrator" in t.stderr, t.stderr)
    t.true("alice" in admin(t, "acl", "list"), "rules")
    # Everybody changes his own password.
    secret = t.dir / "another"
    secret.write_text("looking glass\n")
    stele(t, "alice", "wonderland", "user", "passwd", "alice", "--new-password-file", str(secret))
    t.run(["mosquitto_pub", *at(t), "-u", "alice", "-P", "wonderland", "-t", "a/b", "-m", "no"], ok=False)
    os.environ.update(STELE_USER="alice", STELE_PASSWORD="looking glass")
    t.run([t.options.stele, "pub", "--mqtt", f"{host}:{port}", "a/b", "hello"])
    t.run([t.options.stele, "pub", "--mqtt", f"{host}:{port}", "b/b", "hello"], ok=False)
    t.true("not authorized" in t.stderr, t.stderr)
    del os.environ["STELE_USER"], os.environ["STELE_PASSWORD"]
    admin(t, "user", "delete", "root", ok=False)
    t.true("last administrator" in t.stderr, t.stderr)


@case("stele", start=False)
def users_outlive_the_node(t):
    protected(t)
    t.restart()
    t.run(["mosquitto_pub", *at(t), "-u", "alice", "-P", "wonderland", "-t", "a/b", "-m", "x"])
    t.run(["mosquitto_pub", *at(t), "-t", "a/b", "-m", "x"], ok=False)


@case("stele")
def the_first_user_closes_the_node(t):
    client = Client(t, "early").connect()
    t.run(["mosquitto_pub", *at(t), "-u", "whoever", "-P", "whatever", "-t", "a", "-m", "nobody cares yet"])
    secret = t.dir / "secret"
    secret.write_text("first\n")
    t.stele("user", "add", "someone", "--new-password-file", str(secret), ok=False)
    t.true("first user is a super user" in t.stderr, t.stderr)
    t.stele("user", "add", "root", "--super", "--new-password-file", str(secret))
    reason = client.next("disconnect")[0]
    t.equal(getattr(reason, "value", reason), 0x87, "the anonymous client is sent away")
    t.run(["mosquitto_pub", *at(t), "-t", "a", "-m", "x"], ok=False)
    t.run(["mosquitto_pub", *at(t), "-u", "root", "-P", "first", "-t", "a", "-m", "x"])


@case("stele", start=False)
def tenants_do_not_see_each_other(t):
    protected(t)
    admin(t, "tenant", "add", "acme")
    add_user(t, "boss", "acme's boss", "--tenant", "acme", "--super")
    boss, root = ["-u", "boss", "-P", "acme's boss"], ["-u", "root", "-P", ROOT_PASSWORD]
    here, there = subscriber(t, *root, topic="#"), subscriber(t, *boss, topic="#")
    t.run(["mosquitto_pub", *at(t), *root, "-q", 1, "-t", "x", "-m", "of default"])
    t.run(["mosquitto_pub", *at(t), *boss, "-q", 1, "-t", "x", "-m", "of acme"])
    t.equal(messages(here, 1) + messages(there, 1), ["x|0|0|of default", "x|0|0|of acme"], "messages")
    ours, theirs = Kcat(t, *sasl("root", ROOT_PASSWORD)), Kcat(t, *sasl("boss", "acme's boss"))
    ours.produce("orders", ["ours"])
    theirs.produce("orders", ["theirs"])
    t.equal((ours.payloads("orders"), theirs.payloads("orders")), (["ours"], ["theirs"]), "one name, two topics")
    t.equal([len(k.topics()) for k in (ours, theirs)], [1, 1], "topics")
    # One client id, two sessions.
    keep = ["-c", "-i", "same", "-q", 1]
    for who in (root, boss):
        t.run(["mosquitto_sub", *at(t), *who, *keep, "-t", "kept/#", "-E"])
    t.run(["mosquitto_pub", *at(t), *boss, "-q", 1, "-t", "kept/1", "-m", "of acme"])
    client = subscriber(t, *boss, *keep, topic="kept/#", resumed=True)
    t.equal(messages(client, 1), ["kept/1|1|0|of acme"], "the session of acme")
    stele(t, "boss", "acme's boss", "user", "delete", "alice", ok=False)
    t.true("no user 'alice'" in t.stderr, t.stderr)
    t.equal(json.loads(stele(t, "boss", "acme's boss", "user", "list", "--json"))["users"][0]["tenant"], "acme", "users")
