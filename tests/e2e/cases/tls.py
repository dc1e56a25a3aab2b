"""TLS on every listener, with the clients that people use: certificates of servers and of clients."""
import http.client
import json
import os
import ssl
import time

from cases.access import ROOT_PASSWORD, admin, basic
from harness.case import case
from harness.kafka import Kcat

ENDS = 5  # seconds between two looks at the files, of the node


class Authority:
    """Signs certificates in a directory of its own."""

    def __init__(self, t, name="authority"):
        self.t, self.dir = t, t.dir / name
        self.dir.mkdir()
        self.ca = self.dir / "ca.pem"
        t.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
               7, "-subj", f"/CN={name}", "-keyout", self.dir / "ca.key", "-out", self.ca])

    def sign(self, name, file=None):
        """(certificate, key) of `name`, who may also be called localhost."""
        key, request, certificate, more = (self.dir / f"{file or name}.{end}" for end in ("key", "csr", "pem", "ext"))
        self.t.run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
                    f"/CN={name}", "-keyout", key, "-out", request])
        more.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        self.t.run(["openssl", "x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.dir / "ca.key",
                    "-CAcreateserial", "-days", 7, "-extfile", more, "-out", certificate])
        return certificate, key


def secured(t, *flags):
    """A broker with users that listens with TLS too."""
    authority = Authority(t)
    certificate, key = authority.sign("localhost", "server")
    secret = t.dir / "root-password"
    secret.write_text(ROOT_PASSWORD + "\n")
    listen = [word for protocol in ("mqtt", "kafka", "http") for word in (f"--{protocol}-tls", "127.0.0.1:0")]
    t.start("--admin-user", "root", "--admin-password-file", str(secret), *listen, "--tls-certificate",
            str(certificate), "--tls-key", str(key), *[str(f) for f in flags])
    return authority


def mqtt_at(t):
    host, port = t.broker.tls["mqtt"].rsplit(":", 1)
    return ["-h", host, "-p", port]


def kcat(t, authority, *pairs):
    host, port = t.broker.tls["kafka"].rsplit(":", 1)
    flags = [f"ssl.ca.location={authority.ca}", *pairs]
    client = Kcat(t, *[word for flag in flags for word in ("-X", flag)])
    client.base[client.base.index("-b") + 1] = f"{host}:{port}"
    return client


def ask(t, path, context, authorization=None):
    host, port = t.broker.tls["http"].rsplit(":", 1)
    link = http.client.HTTPSConnection(host, int(port), timeout=20, context=context)
    try:
        link.request("GET", path, None, {} if authorization is None else {"Authorization": authorization})
        answer = link.getresponse()
        return answer.status, answer.read().decode()
    finally:
        link.close()


ROOT = ["-u", "root", "-P", ROOT_PASSWORD]
SASL = ["security.protocol=sasl_ssl", "sasl.username=root", f"sasl.password={ROOT_PASSWORD}"]


@case("stele", start=False)
def mosquitto_with_tls(t):
    authority = secured(t)
    ca = ["--cafile", authority.ca]
    t.run(["mosquitto_pub", *mqtt_at(t), *ca, *ROOT, "-q", 1, "-r", "-t", "a/b", "-m", "x" * 100_000])
    out = t.run(["mosquitto_sub", *mqtt_at(t), *ca, *ROOT, "-t", "a/#", "-C", 1, "-W", 20])
    t.equal(out.strip(), "x" * 100_000, "the message")
    t.run(["mosquitto_pub", *mqtt_at(t), *ca, "-t", "a/b", "-m", "no"], ok=False)
    # Another authority, and no TLS at all.
    other = Authority(t, "other")
    t.run(["mosquitto_pub", *mqtt_at(t), "--cafile", other.ca, *ROOT, "-t", "a/b", "-m", "no"], ok=False)
    t.run(["mosquitto_pub", *mqtt_at(t), *ROOT, "-t", "a/b", "-m", "no"], ok=False)
    status, body = ask(t, "/metrics", ssl.create_default_context(cafile=authority.ca), basic("root", ROOT_PASSWORD))
    t.equal(status, 200, "/metrics")
    failed = next(float(line.split()[1]) for line in body.splitlines() if line.startswith("stele_tls_handshakes_failed"))
    t.true(failed >= 2, f"{failed} handshakes failed")


@case("stele", start=False, each={m: m for m in ("PLAIN", "SCRAM-SHA-256")})
def kcat_with_tls(t, mechanism):
    authority = secured(t)
    client = kcat(t, authority, *SASL, f"sasl.mechanisms={mechanism}")
    client.produce("orders", [str(n) * 1000 for n in range(500)])
    t.equal(len(client.payloads("orders")), 500, "records")
    t.run([*kcat(t, authority, "security.protocol=ssl").base, "-L", "-m", "3"], ok=False)


@case("stele", start=False)
def curl_with_tls(t):
    authority = secured(t)
    url = "https://localhost:" + t.broker.tls["http"].rsplit(":", 1)[1]
    t.equal(json.loads(t.run(["curl", "-sS", "--cacert", authority.ca, "-u", f"root:{ROOT_PASSWORD}", url + "/v1/users"]))
            ["users"][0]["name"], "root", "users")
    t.run(["curl", "-sS", url + "/health/ready"], ok=False)
    t.run(["curl", "-sS", "--tls-max", "1.1", "--cacert", authority.ca, url + "/health/ready"], ok=False)
    t.run(["curl", "-sS", "--tls-max", "1.2", "--cacert", authority.ca, url + "/health/ready"])


@case("stele", start=False)
def commands_with_tls(t):
    authority = secured(t)
    at = {protocol: "localhost:" + where.rsplit(":", 1)[1] for protocol, where in t.broker.tls.items()}
    me = ["-u", "root", "--password-file", str(t.dir / "root-password")]
    ca = ["--tls-ca", str(authority.ca)]
    t.run([t.options.stele, "topic", "create", "orders", "--http", at["http"], *ca, *me])
    t.run([t.options.stele, "pub", "--mqtt", at["mqtt"], *ca, *me, "-q", 1, "-r", "-t", "a/b", "-m", "over TLS"])
    out = t.run([t.options.stele, "sub", "--mqtt", at["mqtt"].replace("localhost", "127.0.0.1"), *ca, *me, "-t", "a/#", "-C", 1])
    t.equal(out.strip(), "over TLS", "the message")
    t.run([t.options.stele, "bench", "kafka", "produce", "--kafka", at["kafka"], *ca, *me, "--seconds", 0.5, "--warmup", 0])
    # Whom nobody vouches for; half a certificate; a file that is none.
    t.run([t.options.stele, "topic", "list", "--http", at["http"], "--tls", *me], ok=False)
    t.true("certificate verify failed" in t.stderr, t.stderr)
    t.run([t.options.stele, "topic", "list", "--http", at["http"], "--tls-key", "x", *me], ok=False)
    t.true("need each other" in t.stderr, t.stderr)
    t.run([t.options.stele, "topic", "list", "--http", at["http"], "--tls-ca", "nowhere.pem", *me], ok=False)
    t.true("nowhere.pem" in t.stderr, t.stderr)


@case("stele", start=False)
def clients_with_certificates(t):
    clients = Authority(t, "clients")
    authority = secured(t, "--tls-client-ca", clients.ca, "--tls-clients", "optional")
    certificate, key = clients.sign("sensor-7")
    mine = ["--cafile", authority.ca, "--cert", certificate, "--key", key]
    t.run(["mosquitto_pub", *mqtt_at(t), *mine, "-t", "a/b", "-m", "no"], ok=False)  # there is no such user yet
    admin(t, "user", "add", "sensor-7", "--no-password")
    admin(t, "acl", "add", "--for", "sensor-7", "--allow", "publish,subscribe", "--address", "a/#")
    admin(t, "acl", "add", "--for", "sensor-7", "--allow", "read,write,create", "--topic", "orders")
    t.run(["mosquitto_pub", *mqtt_at(t), *mine, "-q", 1, "-r", "-t", "a/b", "-m", "seven"])
    t.equal(t.run(["mosquitto_sub", *mqtt_at(t), *mine, "-t", "a/b", "-C", 1, "-W", 20]).strip(), "seven", "the message")
    t.run(["mosquitto_pub", *mqtt_at(t), *mine, "-V", "5", "-q", 1, "-t", "b", "-m", "no"], ok=None)
    t.true("Not authorized" in t.stderr or t.status != 0, t.stderr)
    paths = [f"ssl.certificate.location={certificate}", f"ssl.key.location={key}"]
    client = kcat(t, authority, "security.protocol=ssl", *paths)
    client.produce("orders", ["one"])
    t.equal(client.payloads("orders"), ["one"], "payloads")
    context = ssl.create_default_context(cafile=authority.ca)
    context.load_cert_chain(certificate, key)
    t.equal(ask(t, "/v1/topics", context)[0], 200, "HTTP")
    t.equal(ask(t, "/v1/users", context)[0], 403, "HTTP: no administrator")
    # Of an authority that is not trusted.
    forged, forged_key = Authority(t, "forger").sign("sensor-7")
    t.run(["mosquitto_pub", *mqtt_at(t), "--cafile", authority.ca, "--cert", forged, "--key", forged_key, "-t", "a/b",
           "-m", "no"], ok=False)
    # Who has none may still have a password.
    t.run(["mosquitto_pub", *mqtt_at(t), "--cafile", authority.ca, *ROOT, "-q", 1, "-t", "a/b", "-m", "x"])


@case("stele", start=False)
def nobody_without_a_certificate(t):
    clients = Authority(t, "clients")
    authority = secured(t, "--tls-client-ca", clients.ca, "--tls-clients", "required")
    t.run(["mosquitto_pub", *mqtt_at(t), "--cafile", authority.ca, *ROOT, "-t", "a", "-m", "no"], ok=False)
    certificate, key = clients.sign("whoever")
    t.run(["mosquitto_pub", *mqtt_at(t), "--cafile", authority.ca, "--cert", certificate, "--key", key, *ROOT, "-q", 1,
           "-t", "a", "-m", "x"])


@case("stele", start=False)
def a_certificate_is_renewed(t):
    first = secured(t)
    second = Authority(t, "second")
    certificate, key = second.sign("localhost", "server")
    pub = ["-q", 1, *ROOT, "-t", "a", "-m", "x"]
    old = t.spawn(["mosquitto_sub", "-d", *mqtt_at(t), "--cafile", first.ca, *ROOT, "-t", "a"])
    old.wait_for("SUBACK")
    # One that cannot be used is not taken up.
    os.replace(key, first.dir / "server.key")
    time.sleep(ENDS + 1)
    t.run(["mosquitto_pub", *mqtt_at(t), "--cafile", first.ca, *pub])
    os.replace(certificate, first.dir / "server.pem")
    t.eventually(lambda: t.run(["mosquitto_pub", *mqtt_at(t), "--cafile", second.ca, *pub], ok=None) is not None
                 and t.status == 0, "the new certificate is shown", 3 * ENDS)
    t.run(["mosquitto_pub", *mqtt_at(t), "--cafile", first.ca, *pub], ok=False)
    old.wait_for("x")  # who was there stays


@case("stele", start=False)
def other_machines_need_users(t):
    """On another address than loopback nobody may do anything without being somebody."""
    authority = Authority(t)
    certificate, key = authority.sign("localhost", "server")
    t.start("--mqtt-tls", "0.0.0.0:0", "--tls-certificate", str(certificate), "--tls-key", str(key))
    host, port = "127.0.0.1", t.broker.tls["mqtt"].rsplit(":", 1)[1]
    t.run(["mosquitto_pub", "-h", host, "-p", port, "--cafile", authority.ca, "-t", "a", "-m", "no"], ok=False)
    plain_host, plain_port = t.mqtt
    t.run(["mosquitto_pub", "-h", plain_host, "-p", plain_port, "-t", "a", "-m", "no"], ok=False)


@case("stele", start=False)
def what_is_wrong_is_said(t):
    authority = Authority(t)
    certificate, key = authority.sign("localhost", "server")
    _, other = authority.sign("other")
    serve = [t.options.stele, "serve", "--data", t.dir / "nothing", "--mqtt-tls", "127.0.0.1:0"]
    for flags, text in (([], "no --tls-certificate"), (["--tls-certificate", certificate], "one is missing"),
                        (["--tls-certificate", certificate, "--tls-key", t.dir / "none"], "cannot be read"),
                        (["--tls-certificate", certificate, "--tls-key", other], "does not belong"),
                        (["--tls-certificate", certificate, "--tls-key", key, "--tls-clients", "required"],
                         "--tls-client-ca")):
        t.run([*serve, *flags], ok=False)
        t.true(text in t.stderr, f"{flags}: {t.stderr!r}")
    t.run([t.options.stele, "serve", "--mqtt", "0.0.0.0:0"], ok=False)
    t.true("with TLS only" in t.stderr, t.stderr)
