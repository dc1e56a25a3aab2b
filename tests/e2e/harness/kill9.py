"""Kill -9 under load, again and again; nothing acknowledged may be lost, and nothing come twice or out of order.

Each round publishers write into a captured topic for which also an offline persistent session is subscribed. The
broker is killed at a random moment with full windows and started again. Then

    stored     per publisher what Kafka reads since the last round must be a prefix of what was sent on the connection
               that the kill ended, and at least as long as what was acknowledged;
    delivered  the session must be delivered the same, in the same order, once (MQTT allows QoS 1 duplicates after a
               failure; they are only accepted where the delivering connection itself was killed).

Half of the publishers have QoS 2, and so has the subscription: nothing of theirs may be kept or delivered twice, whatever
was killed.

At the end the whole topic is read again from its beginning.
"""
import random
import time

from harness import metrics, mqtt
from harness.broker import Failure
from harness.kafka import Kcat
from harness.load import Publisher, publish_until, read_what_is_left
from harness.mqtt import connection

TOPIC, FILTER, PARTITIONS, SESSION = "load", "load/#", 3, "offline"
LOAD_LIMIT_S = 300
FORWARDS_LIMIT_S = 30


def ranges(numbers):
    """[1, 2, 3, 7] as "1..3, 7"."""
    parts, numbers = [], sorted(numbers)
    for i, number in enumerate(numbers):
        if i and number == numbers[i - 1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}..{b}" for a, b in parts)


class Rounds:
    def __init__(self, t, messages, publishers, seed, say, hard=True):
        self.t, self.messages, self.say, self.hard = t, messages, say, hard
        self.random = random.Random(seed)
        # A peer that is shown to lose messages has no need of QoS 2.
        self.publishers = [Publisher(f"p{i}", 2 if t.is_stele and i % 2 else 1) for i in range(publishers)]
        self.held = set()  # packet identifiers with QoS 2 that the session has received and not released
        self.offsets = [0] * PARTITIONS
        self.kept = {p.name: [] for p in self.publishers}  # what must be in the topic from its beginning
        self.acknowledged = self.rounds = 0

    def prepare(self):
        if self.t.is_stele:
            self.t.stele("topic", "create", TOPIC, "--partitions", PARTITIONS, "--capture", FILTER)
        wire = self.session()
        wire.subscribe(FILTER, options=2)
        wire.disconnect()

    def session(self):
        return connection(self.t, mqtt.V3, client_id=SESSION, clean=False)

    def down(self):
        if self.hard:
            self.t.broker.process.kill()
            self.t.broker.process.wait()
        else:
            self.t.broker.stop()

    def run(self):
        """One round."""
        began = time.monotonic()
        for publisher in self.publishers:
            publisher.connect(self.t.mqtt)
        target = self.messages + self.random.randrange(self.messages // 2)
        publish_until(self.publishers, lambda acked: acked >= target, LOAD_LIMIT_S)
        self.down()
        killed = time.monotonic()
        read_what_is_left(self.publishers)
        self.t.broker.start()
        ready = time.monotonic()
        self.wait_for_forwards()
        stored = self.read_topic() if self.t.is_stele else None
        acked = sum(p.acked for p in self.publishers)
        delivered, kills = self.drain(stored)
        for publisher in self.publishers:
            self.check_prefix("delivered", publisher, delivered[publisher.name])
            if stored:
                self.check_prefix("stored", publisher, stored[publisher.name])
                self.kept[publisher.name] += stored[publisher.name]
            if publisher.qos == 2:
                publisher.kept_before = set(publisher.unacked.values()) & set(self.kept[publisher.name])
        self.acknowledged += acked
        self.rounds += 1
        more = f", killed {kills} times while delivering" if kills else ""
        self.say(f"round {self.rounds}: {acked} acknowledged in {killed - began:.2f} s, ready again in"
                 f" {ready - killed:.2f} s, {sum(map(len, delivered.values()))} kept{more}")

    def check_prefix(self, what, publisher, numbers):
        sent = publisher.sent[:len(numbers)]
        if numbers != sent:
            at = next((i for i, (a, b) in enumerate(zip(numbers, sent)) if a != b), min(len(numbers), len(sent)))
            near = slice(max(0, at - 3), at + 3)
            raise Failure(f"{publisher.name}: {what} {numbers[near]} where {sent[near]} was sent, "
                          f"message {at} of the connection ({len(numbers)} {what}, {publisher.acked} acknowledged)")
        if len(numbers) < publisher.acked:
            lost = publisher.sent[len(numbers):publisher.acked]
            raise Failure(f"{publisher.name}: LOST {len(lost)} acknowledged messages, {lost[0]} to {lost[-1]} ({what})")

    def split(self, payloads):
        by_publisher = {p.name: [] for p in self.publishers}
        for payload in payloads:
            name, number = payload.split(":")
            by_publisher[name].append(int(number))
        return by_publisher

    def wait_for_forwards(self):
        """What was not acknowledged may still be on its way from shard to shard, into the topic and the session."""
        deadline = time.monotonic() + FORWARDS_LIMIT_S
        while self.t.is_stele and metrics.now(self.t.broker.http, "stele_forwards_unanswered"):
            if time.monotonic() > deadline:
                raise Failure(f"forwards are unanswered after {FORWARDS_LIMIT_S} s")
            time.sleep(0.01)

    def read_topic(self):
        """What Kafka has of each publisher since the last time."""
        kcat, payloads = Kcat(self.t), []
        for partition in range(PARTITIONS):
            records = kcat.consume(TOPIC, partition=partition, offset=self.offsets[partition])
            for i, record in enumerate(records):
                if record["offset"] != self.offsets[partition] + i:
                    raise Failure(f"partition {partition}: offset {record['offset']} after {i} records from "
                                  f"{self.offsets[partition]}")
            self.offsets[partition] += len(records)
            payloads += [r["payload"] for r in records]
        return self.split(payloads)

    def drain(self, stored):
        """What the session is delivered: all that is stored, or, where no topic tells, all up to a marker."""
        marker = None
        if stored is None:
            marker = f"load/end-{self.rounds}"
            connection(self.t).publish(marker, "p0:-1")
        left = sum(map(len, stored.values())) if stored else None
        got, kills = {p.name: [] for p in self.publishers}, 0
        if stored and self.random.random() < 0.25 and left > 10:
            self.receive(got, stop_after=self.random.randrange(1, left))
            kills = 1
        self.receive(got, stored=stored, marker=marker, again=kills > 0)
        return got, kills

    def receive(self, got, stored=None, marker=None, stop_after=None, again=False):
        """Reads the session's messages into `got`. With `again` those whose acknowledgement may have been lost can
        come once more: each publisher may go back once, and goes on in order from there."""
        wire, acks = self.session(), bytearray()
        wire.before_wait = lambda: (wire.send(acks), acks.clear()) if acks else None
        exactly_once = {p.name for p in self.publishers if p.qos == 2}
        went_back = {name: not again or name in exactly_once for name in got}
        at = {name: len(numbers) for name, numbers in got.items()}

        def is_done():
            if stop_after is not None:
                return sum(at.values()) >= stop_after
            return stored is not None and not self.held and all(at[n] >= len(stored[n]) for n in at)

        while not is_done():
            try:
                message = wire.receive()
                if message is None or message.type not in (mqtt.PUBLISH, mqtt.PUBREL):
                    raise Failure(f"PUBLISH or PUBREL expected, got {message or 'the end of the connection'}")
            except Failure as e:
                wanted = {n: len(stored[n]) for n in at} if stored else "all up to the marker"
                missing = {n: ranges(set(stored[n]) - set(got[n])) for n in at} if stored else "unknown"
                raise Failure(f"the session is delivered {at} of {wanted} (again: {again}, missing {missing}), "
                              f"and then: {e}") from e
            if message.type == mqtt.PUBREL:
                self.held.discard(message.packet_id)
                acks += mqtt.pubcomp(message.packet_id)
                continue
            name, number = message.payload.decode().split(":")
            if message.qos != (2 if name in exactly_once else 1):
                raise Failure(f"delivered with QoS {message.qos}")
            acks += (mqtt.pubrec if message.qos == 2 else mqtt.puback)(message.packet_id)
            if message.topic == marker:
                break
            if message.qos == 2:
                if message.packet_id in self.held:
                    continue  # sent again, and marked so by its identifier
                self.held.add(message.packet_id)
            number = int(number)
            if not went_back[name]:
                went_back[name] = True
                if number in got[name]:
                    at[name] = got[name].index(number)
            if at[name] < len(got[name]):
                if got[name][at[name]] != number:
                    raise Failure(f"{name}: {number} delivered again where {got[name][at[name]]} comes next")
            else:
                got[name].append(number)
            at[name] += 1
        if stop_after is None:
            wire.before_wait()
            if not wire.is_quiet():  # whose answer also says that the acknowledgements have arrived
                raise Failure("the session is delivered more than was stored")
            wire.disconnect()
        else:
            wire.close()
            self.down()
            self.t.broker.start()

    def finish(self):
        """The whole topic once more, and the directory from outside."""
        if not self.t.is_stele:
            return
        self.offsets = [0] * PARTITIONS
        if self.read_topic() != self.kept:
            raise Failure("the topic read from its beginning is not what was read round by round")
        wire = self.session()
        if not wire.is_quiet():
            raise Failure("the session still has messages")
        wire.disconnect()
        self.t.broker.stop()
        self.t.run([self.t.options.stele, "verify", self.t.broker.data])
