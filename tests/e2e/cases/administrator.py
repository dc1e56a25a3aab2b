"""A node whose first administrator comes out of the environment, and that is started without it later."""
import os

from cases.access import MECHANISMS, basic, request, sasl
from cases.mqtt_clients import VERSIONS, at
from cases.mqtt_paho import Client
from harness.case import case
from harness.kafka import Kcat

NAME, PASSWORD, OTHER = "root", "first of all passwords", "another password"
VARIABLES = {"STELE_ADMIN_PASSWORD": PASSWORD, "STELE_ADMIN_USER": NAME}


def logs_in(t, other_with):
    """In every protocol, with the password and with no other; and he is an administrator. kcat tries another password
    for a second, so it does with one mechanism only."""
    for version in VERSIONS.values():
        t.run(["mosquitto_pub", *at(t), "-V", version, "-u", NAME, "-P", PASSWORD, "-t", "a", "-m", "x"])
        t.run(["mosquitto_pub", *at(t), "-V", version, "-u", NAME, "-P", OTHER, "-t", "a", "-m", "x"], ok=False)
        t.run(["mosquitto_pub", *at(t), "-V", version, "-t", "a", "-m", "x"], ok=False)
    over = Client(t, "over", transport="websockets")
    over.paho.username_pw_set(NAME, PASSWORD)
    over.connect().disconnect()
    for mechanism in MECHANISMS:
        t.run([*Kcat(t, *sasl(NAME, PASSWORD, mechanism)).base, "-L"])
    t.run([*Kcat(t, *sasl(NAME, OTHER, other_with)).base, "-L", "-m", 1], ok=False)
    t.true("uthentication" in t.stderr, f"another password with {other_with}: {t.stderr!r}")
    t.equal(request(t, "GET", "/v1/users", basic(NAME, PASSWORD))[0], 200, "HTTP with the password")
    t.equal(request(t, "GET", "/v1/users", basic(NAME, OTHER))[0], 401, "HTTP with another")
    t.equal(request(t, "GET", "/v1/users")[0], 401, "HTTP without one")


def is_nowhere(t, password):
    """In clear, that is."""
    files = [path for path in t.broker.data.rglob("*") if path.is_file()] + [t.broker.log]
    t.true(any(NAME.encode() in path.read_bytes() for path in files), "his name is somewhere")
    found = [path.name for path in files if password.encode() in path.read_bytes()]
    t.equal(found, [], "files with the password in them")


def starts_with(t, **variables):
    for name in VARIABLES:
        os.environ.pop(name, None)
    os.environ.update(variables)
    if t.broker is None:
        return t.start()
    t.broker.kill()
    return t.broker.start()


@case("stele", start=False)
def comes_out_of_the_environment(t):
    starts_with(t, **VARIABLES)
    logs_in(t, MECHANISMS[0])
    starts_with(t)
    logs_in(t, MECHANISMS[1])
    is_nowhere(t, PASSWORD)
    # He is there: what the environment says is not made his password again, nor another user's.
    starts_with(t, **VARIABLES | {"STELE_ADMIN_PASSWORD": OTHER})
    logs_in(t, MECHANISMS[2])
    is_nowhere(t, OTHER)


@case("stele", start=False)
def closes_a_node_that_was_open(t):
    """It was started without one, and has been used."""
    starts_with(t)
    t.run(["mosquitto_pub", *at(t), "-q", 1, "-r", "-t", "a/b", "-m", "of before"])
    starts_with(t, **VARIABLES)
    logs_in(t, MECHANISMS[0])
    t.run(["mosquitto_pub", *at(t), "-t", "a/b", "-m", "x"], ok=False)
    reader = ["mosquitto_sub", *at(t), "-u", NAME, "-P", PASSWORD, "-t", "a/b", "-C", 1]
    t.equal(t.run(reader), "of before\n", "what was retained")


@case("stele", start=False)
def one_without_the_other(t):
    """A node that its administrator believes to be closed does not start open."""
    for variables, text in (({"STELE_ADMIN_PASSWORD": PASSWORD}, "but no --admin-user"),
                            ({"STELE_ADMIN_USER": NAME}, "there is no password"),
                            (VARIABLES | {"STELE_ADMIN_PASSWORD": ""}, "there is no password")):
        for name in VARIABLES:
            os.environ.pop(name, None)
        os.environ.update(variables)
        t.run(t.new_broker().command(), ok=False)
        t.true(text in t.stderr and PASSWORD not in t.stderr, f"{list(variables)}: {t.stderr}")
