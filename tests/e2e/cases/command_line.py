"""What `stele serve` refuses, and how it says so: one clear line, exit status above 0, nothing half made."""
import http.client
import json
import os
import signal
import socket

from harness import mqtt
from harness.broker import Failure
from harness.case import case
from harness.kafka import Kcat
from harness.mqtt import connection

LISTEN = ["--mqtt", "127.0.0.1:0", "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0"]


def refused(t, *flags, words, prefix=(), data=None, listen=LISTEN):
    """It ends by itself with an error whose last line has all these words."""
    data = ["--data", data or t.dir / "data"]
    out = t.run([*prefix, t.options.stele, "serve", *data, *listen, *flags], ok=False)
    t.true(t.status > 0, f"ended by signal {-t.status}: {t.stderr[-500:]}")
    t.equal(out, "", "standard output")
    t.true(t.stderr.strip(), "no error on standard error")
    last = t.stderr.strip().splitlines()[-1]
    for word in words:
        t.true(str(word).lower() in last.lower(), f"{word!r} is not in the last line: {last!r}")


@case("stele", start=False, each={p: p for p in ("mqtt", "kafka", "http")})
def port_in_use(t, protocol):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        listen = [x for p in ("mqtt", "kafka", "http") for x in (f"--{p}", f"127.0.0.1:{port if p == protocol else 0}")]
        refused(t, listen=listen, words=[port, "in use"])


@case("stele", start=False)
def port_in_use_by_another_stele(t):
    """SO_REUSEPORT must not let two brokers share a port."""
    t.start()
    listen = ["--mqtt", t.broker.mqtt, "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0"]
    refused(t, listen=listen, data=t.dir / "other", words=[t.broker.mqtt.rsplit(":", 1)[1], "in use"])


@case("stele", start=False)
def not_loopback(t):
    listen = ["--mqtt", "0.0.0.0:0", "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0"]
    refused(t, listen=listen, words=["0.0.0.0", "loopback"])


@case("stele", start=False, each={"host": "nowhere.invalid:1", "port": "127.0.0.1:99999", "form": "127.0.0.1", "text": "x:y"})
def bad_address(t, address):
    listen = ["--mqtt", address, "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0"]
    refused(t, listen=listen, words=[address.split(":")[0]])


@case("stele", start=False)
def unwritable_directory(t):
    """As root too, which is why its capabilities are dropped."""
    closed = t.dir / "closed"
    closed.mkdir()
    closed.chmod(0o500)
    prefix = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"] if os.geteuid() == 0 else []
    refused(t, prefix=prefix, data=closed / "data", words=[closed])
    refused(t, prefix=prefix, data=closed, words=[closed])
    t.equal(list(closed.iterdir()), [], "what lies in it")


@case("stele", start=False)
def directory_is_a_file(t):
    (t.dir / "file").write_text("x")
    refused(t, data=t.dir / "file", words=[t.dir / "file"])


@case("stele")
def directory_in_use(t):
    refused(t, words=[t.broker.data, "in use"])
    connection(t).publish("still", "serving")
    t.broker.kill()
    t.broker.start()  # a dead owner holds nothing


@case("stele", start=False)
def strange_directory(t):
    """A directory with something else in it is not taken over."""
    home = t.dir / "home"
    home.mkdir()
    (home / "letter.txt").write_text("dear")
    refused(t, data=home, words=[home, "letter.txt"])
    t.equal([p.name for p in home.iterdir()], ["letter.txt"], "what lies in it")


@case("stele")
def directory_of_a_newer_version(t):
    connection(t).publish("kept", "r", retain=True)
    t.broker.stop()
    mark = t.broker.data / "format"
    ours = mark.read_text()
    mark.write_text("stele data directory, format 999\n")
    refused(t, words=[t.broker.data, "newer", 999])
    t.equal(mark.read_text(), "stele data directory, format 999\n", "what it says of itself")
    mark.write_text(ours)
    t.broker.start()
    wire = connection(t)
    wire.subscribe("kept")
    t.equal(wire.message().payload, b"r", "what was in it")


@case("stele")
def database_is_lost(t):
    """Missing or empty beside a log that is not: a new one would let go of all that the log holds."""
    connection(t).publish("kept", "r", retain=True)
    t.broker.stop()
    database, copy = t.broker.data / "meta" / "meta.db", t.dir / "meta.db"
    database.rename(copy)
    log = {path: path.read_bytes() for path in (t.broker.data / "journal").iterdir() if path.is_file()}
    for _ in range(2):  # it leaves an empty one
        refused(t, words=[database, "missing"])
        t.equal({path: path.read_bytes() for path in log if path.exists()}, log, "the log")
    copy.rename(database)
    t.broker.start()
    wire = connection(t)
    wire.subscribe("kept")
    t.equal(wire.message().payload, b"r", "what was kept")


@case("stele", start=False, each={"1 key": ("durabilty = 'fsync'\n", "durability"), "another": ("kafak = 'off'\n", "kafka")})
def wrong_config_key(t, what):
    text, right = what
    path = t.dir / "stele.toml"
    path.write_text(text)
    refused(t, "--config", path, words=[text.split(" ")[0], right])


@case("stele", start=False)
def bad_config(t):
    path = t.dir / "stele.toml"
    refused(t, "--config", path, words=[path])
    path.write_text("cores = \n")
    refused(t, "--config", path, words=[path])
    path.write_text("cores = 'many'\n")
    refused(t, "--config", path, words=["cores"])
    path.write_text("durability = 'sometimes'\n")
    refused(t, "--config", path, words=["durability", "fsync"])


@case("stele", start=False)
def bad_flags(t):
    refused(t, "--durabilty", "fsync", words=["--durabilty"])
    refused(t, "--durability", "sometimes", words=["durability"])
    refused(t, "--cores", "0", words=["cores"])
    refused(t, "--cores", "-3", words=["cores"])


@case("stele", start=False)
def config_file_environment_and_flags(t):
    """Every flag is a key in the file and a STELE_ variable; the flag wins, then the environment."""
    path = t.dir / "stele.toml"
    path.write_text("mqtt = ['127.0.0.1:0']\nkafka = ['off']\nhttp = ['127.0.0.1:0']\n")
    broker = t.new_broker("--config", path, "--mqtt", "127.0.0.1:0", "--kafka", "off", "--http", "127.0.0.1:0")
    broker.command = lambda: [t.options.stele, "serve", "--data", str(broker.data), "--config", str(path)]
    t.broker = broker.start()
    t.equal(broker.kafka, "off", "Kafka by the file")
    connection(t).publish("a", "b")
    broker.stop()
    broker.command = lambda: ["env", "STELE_KAFKA=127.0.0.1:0", t.options.stele, "serve", "--data", str(broker.data),
                              "--config", str(path), "--http", "off"]
    broker.start()
    t.true(broker.kafka != "off", "Kafka by the environment")
    t.equal(broker.http, "off", "HTTP by the flag")
    Kcat(t).produce("x", ["y"])


@case("stele", start=False)
def protocols_can_be_off(t):
    t.start("--mqtt", "off", "--kafka", "off")
    t.equal((t.broker.mqtt, t.broker.kafka), ("off", "off"), "the ready line")
    t.stele("topic", "list")


@case("stele", start=False)
def two_listeners_of_a_kind(t):
    broker = t.start("--mqtt", "127.0.0.1:0", "--mqtt", "127.0.0.1:0")
    link = http.client.HTTPConnection(*broker.http.split(":"), timeout=20)
    link.request("GET", "/v1/node")
    first, second = json.loads(link.getresponse().read())["listeners"]["mqtt"]
    t.equal(broker.mqtt, f"{first},{second}", "the ready line")
    a, b = (mqtt.Wire(("127.0.0.1", int(at.rsplit(":", 1)[1]))) for at in (first, second))
    a.open(client_id="a")
    b.open(client_id="b")
    a.subscribe("t")
    b.publish("t", "x")
    t.equal(a.message().payload, b"x", "from one listener to the other")


@case("stele", start=False)
def file_descriptor_limit_too_low(t):
    refused(t, prefix=["prlimit", "--nofile=24:24"], words=["file", "limit"])


@case("stele", start=False)
def file_descriptors_run_out_while_serving(t):
    """More connections than the limit allows: some are refused, none that was accepted is hurt."""
    t.start(prefix=["prlimit", "--nofile=256:256"])
    first = connection(t)
    first.subscribe("t")
    crowd = []
    for _ in range(400):
        try:
            crowd.append(socket.create_connection(t.mqtt, timeout=5))
        except OSError:
            break
    first.publish("t", "through")
    t.equal(first.message().payload, b"through", "a message over a connection from before")
    for one in crowd:
        one.close()
    t.eventually(lambda: _answers(t), "a new connection after the crowd has gone")


def _answers(t):
    try:
        mqtt.Wire(t.mqtt, limit_s=2).open()
        return True
    except (OSError, Failure):
        return False


@case("stele", start=False, each={"SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT})
def ends_in_order(t, which):
    """With clients connected, in the middle of a load."""
    t.start()
    wires = [connection(t) for _ in range(5)]
    wires[0].subscribe("#")
    for i, wire in enumerate(wires[1:]):
        wire.send(b"".join(mqtt.publish(f"t/{i}", "x", 1, n) for n in range(1, 200)))
    t.broker.process.send_signal(which)
    t.equal(t.broker.process.wait(30), 0, "exit status")


@case("stele", start=False)
def version_and_help(t):
    t.true("stele" in t.run([t.options.stele, "version"]), "stele version")
    t.true("serve" in t.run([t.options.stele, "--help"]), "stele --help")
    t.run([t.options.stele, "serv"], ok=False)
    t.run([t.options.stele], ok=False)
    t.run([t.options.stele, "topic", "list", "--http", "127.0.0.1:1"], ok=False)
    t.true("127.0.0.1:1" in t.stderr, f"the error names the address: {t.stderr}")


def environment_of(t):
    with open(f"/proc/{t.broker.process.pid}/environ", encoding="utf-8") as file:
        return dict(line.split("=", 1) for line in file.read().split("\0") if line)


@case("stele", start=False)
def string_functions(t):
    """glibc's are taken without AVX-512, unless somebody has said what glibc should do."""
    os.environ.pop("GLIBC_TUNABLES", None)
    t.start()
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        has_avx512 = " avx512f " in file.read()
    t.equal("GLIBC_TUNABLES" in environment_of(t), has_avx512, "the tunables are set")
    with open(f"/proc/{t.broker.process.pid}/comm", encoding="utf-8") as file:
        t.equal(file.read(), "stele\n", "the name of the process")
    t.broker.kill()
    os.environ["GLIBC_TUNABLES"] = "glibc.malloc.check=0"
    t.broker.start()
    t.equal(environment_of(t)["GLIBC_TUNABLES"], "glibc.malloc.check=0", "what the environment says")
