"""Every client sends, and every client receives what every one sent, in order and with its properties: MQTT clients and
Kafka clients, through Kafka topics that capture the addresses of their names."""
import re

from harness.case import case
from harness.clients import BUILD_LIMIT_S, go_command, java_command, js_command, python_command

from cases import mqtt_clients, mqtt_paho

COUNT = 20  # messages of each


class Paho:
    """Paho for Python, which runs in this process."""

    def __init__(self, t, pattern, count):
        self.client, self.count = mqtt_paho.Client(t).connect(), count
        self.client.subscribe(pattern)

    def end(self, _limit_s):
        got = [self.client.message() for _ in range(self.count)]
        return [f"got {m.topic} {m.payload.decode()} by={dict(m.properties.UserProperty)['by']}" for m in got]

    @staticmethod
    def send(t, topic, name):
        client = mqtt_paho.Client(t).connect()
        for i in range(COUNT):
            client.publish(topic, f"{name}-{i}", UserProperty=("by", name))
        client.disconnect()


def payloads(name):
    return [f"{name}-{i}" for i in range(COUNT)]


def lines(name):
    return "".join(payload + "\n" for payload in payloads(name))


def ready(client, text):
    client.wait_for(text)
    return client


def url(t):
    return f"mqtt://{t.broker.mqtt}"


def mosquitto_sends(t, topic, name):
    t.run(["mosquitto_pub", *mqtt_clients.at(t), "-V", "5", "-q", 1, "-t", topic, "-l", "-D", "publish", "user-property",
           "by", name], stdin=lines(name))


def mosquitto_receives(t, pattern, count):
    return mqtt_clients.subscriber(t, "-q", 1, topic=pattern, count=count, fmt="|got %t %p %P")


def kcat_sends(t, topic, name):
    t.run(["kcat", "-b", t.kafka, "-P", "-t", topic, "-H", f"by={name}"], stdin=lines(name))


def kcat_receives(t, topics, count):
    return t.spawn(["kcat", "-b", t.kafka, "-G", "pairs", "-X", "auto.offset.reset=earliest", "-c", count,
                    "-f", "got %t %s %h\\n", *topics])


MQTT = {  # client: (sends to an address, receives what fits a pattern)
    "mosquitto": (mosquitto_sends, mosquitto_receives),
    "paho": (Paho.send, Paho),
    "mqttjs": (
        lambda t, topic, name: t.run([*js_command("each.js"), url(t), "send", topic, name, COUNT]),
        lambda t, pattern, count: ready(t.spawn([*js_command("each.js"), url(t), "receive", pattern, count]), "subscribed"),
    ),
}
KAFKA = {  # client: (sends to a topic, receives from topics)
    "kcat": (kcat_sends, kcat_receives),
    "java": (
        lambda t, topic, name: t.run([*java_command(), t.kafka, "send", "-", topic, name, COUNT]),
        lambda t, topics, count: t.spawn([*java_command(), t.kafka, "receive", "-", ",".join(topics), count]),
    ),
    "franz": (
        lambda t, topic, name: t.run([*go_command(), t.kafka, "send", topic, name, COUNT]),
        lambda t, topics, count: t.spawn([*go_command(), t.kafka, "receive", ",".join(topics), count]),
    ),
    "kafka-python": (
        lambda t, topic, name: t.run([*python_command(), t.kafka, "send", topic, name, COUNT]),
        lambda t, topics, count: t.spawn([*python_command(), t.kafka, "receive", ",".join(topics), count]),
    ),
}


def by_sender(received):
    """What came, by the topic that it was sent to, as (payload, user property `by`)."""
    found = {}
    for line in received:
        if match := re.search(r"got (\S+) (\S+) .*?\bby[=:]([\w-]+)", line):
            found.setdefault(match[1].replace("/", "."), []).append((match[2], match[3]))
    return found


@case("stele", start=False, timeout=BUILD_LIMIT_S + 120)
def everybody(t):
    t.start("--group-initial-rebalance-delay-ms", "0")
    names = [*MQTT, *KAFKA]
    topics = [f"from.{name}" for name in names]
    for topic in topics:
        t.stele("topic", "create", topic)
    count = COUNT * len(names)
    receivers = {name: receive(t, "from/+", count) for name, (_, receive) in MQTT.items()}
    receivers |= {name: receive(t, topics, count) for name, (_, receive) in KAFKA.items()}
    for name, (send, _) in MQTT.items():
        send(t, f"from/{name}", name)
    for name, (send, _) in KAFKA.items():
        send(t, f"from.{name}", name)
    for receiver, client in receivers.items():
        got = by_sender(client.end(60))
        for sender in names:
            expected = [(payload, sender) for payload in payloads(sender)]
            t.equal(got.get(f"from.{sender}"), expected, f"{receiver} has of {sender}")
