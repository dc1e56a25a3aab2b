"""Real clients that load a cluster and remember what they were told: Eclipse Paho and kafka-python.

MQTT clients publish with QoS 1 and 2, and subscribe with sessions that last. Kafka clients produce with acks=all, as idempotent
producers; one, of a group, follows. Each goes to another node by itself when its own does not answer.
"""
import collections
import logging
import pathlib
import random
import ssl
import sys
import threading
import time
import traceback

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

KAFKA_TOPIC, PARTITIONS = "orders", 6
EVERY_S = 0.02  # a message of each client


class Run:
    """What all clients share."""

    def __init__(self, directory: pathlib.Path, net: str, nodes: list[str], seed: int) -> None:
        self.directory, self.net, self.nodes = directory, net, nodes  # those that have brokers
        self.random = random.Random(f"clients {seed}")
        self.ending = False
        self.dead: list[str] = []  # threads, and what they died of
        threading.excepthook = self.died
        self.context = ssl.create_default_context(cafile=str(directory / "ca.pem"))
        self.log = open(directory / "clients.log", "w", buffering=1)
        kafka_log = logging.FileHandler(directory / "kafka-clients.log")
        kafka_log.setFormatter(logging.Formatter("%(asctime)s.%(msecs)03d %(threadName)s %(name)s %(message)s", "%H:%M:%S"))
        kafka_log.formatter.converter = time.gmtime
        logging.getLogger("kafka").addHandler(kafka_log)
        logging.getLogger("kafka").setLevel(logging.INFO)
        logging.getLogger("kafka").propagate = False

    def note(self, text: str) -> None:
        now = time.time()
        self.log.write(time.strftime("%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03} {text}\n")

    def died(self, what) -> None:
        self.dead.append(f"thread {what.thread.name if what.thread else '?'} has died: {what.exc_value!r}")
        self.note("".join(traceback.format_exception(what.exc_type, what.exc_value, what.exc_traceback)))

    def address(self, number: str) -> str:
        return f"{self.net}.{number}"


class Gaps:
    """When nothing was answered, of one client. What it tried meanwhile is in `events`."""

    REMEMBERED_S = 0.5

    def __init__(self, run: Run, name: str) -> None:
        self.run, self.name = run, name
        self.last = time.monotonic()
        self.gaps: list[tuple[float, float]] = []  # from, to
        self.events: collections.deque[tuple[float, str]] = collections.deque(maxlen=5000)

    def mark(self) -> None:
        now = time.monotonic()
        if now - self.last > self.REMEMBERED_S:
            self.gaps.append((self.last, now))
            self.run.note(f"{self.name}: an answer after {now - self.last:.1f} s")
        self.last = now

    def tell(self, what: str) -> None:
        self.events.append((time.monotonic(), what))
        self.run.note(f"{self.name} {what}")

    def end(self) -> None:
        """One that waits for an answer until the load ends has waited as well."""
        self.mark()

    def within(self, begin: float, end: float) -> list[tuple[str, float, str]]:
        return [(self.name, at, what) for at, what in self.events if begin <= at <= end]


class Paho(paho.Client):
    """Paho 1.6, which forgets at the second of two attempts to connect that a message was released, and publishes it anew; and whose
    thread ends for good when a connection with TLS is lost in the middle of something, for it expects other errors."""

    def _sock_send(self, buf) -> int:
        try:
            return super()._sock_send(buf)
        except ssl.SSLError as error:
            raise ConnectionError(str(error)) from error

    def _sock_recv(self, bufsize) -> bytes:
        try:
            return super()._sock_recv(bufsize)
        except ssl.SSLError as error:
            raise ConnectionError(str(error)) from error

    def _messages_reconnect_reset_out(self) -> None:
        with self._out_message_mutex:
            for message in self._out_messages.values():
                if message.state == paho.mqtt_ms_resend_pubrel:
                    message.state = paho.mqtt_ms_wait_for_pubcomp
        super()._messages_reconnect_reset_out()


class Mqtt:
    """A client with a session that lasts. Goes to the next node whenever it is disconnected or refused."""

    def __init__(self, run: Run, name: str, version: int) -> None:
        self.run, self.name, self.turn = run, name, run.random.randrange(1000)
        self.gaps = Gaps(run, name)
        self.connected = threading.Event()
        if version == paho.MQTTv5:
            self.client = Paho(client_id=name, protocol=version)
            expiry = Properties(PacketTypes.CONNECT)
            expiry.SessionExpiryInterval = 3600
            self.lasting = {"clean_start": False, "properties": expiry}
        else:
            self.client = Paho(client_id=name, protocol=version, clean_session=False)
            self.lasting = {}
        self.client.username_pw_set("admin", "admin")
        self.client.tls_set_context(run.context)
        self.client.max_inflight_messages_set(50)
        self.client.reconnect_delay_set(min_delay=1, max_delay=1)
        self.client.on_connect, self.client.on_disconnect = self.on_connect, self.on_disconnect
        self.client.on_connect_fail = lambda *_: self.next_node("not reached")

    def start(self) -> None:
        self.client.connect_async(self.address(), 8883, keepalive=3, **self.lasting)
        self.client.loop_start()

    def address(self) -> str:
        return self.run.address(self.run.nodes[self.turn % len(self.run.nodes)])

    def next_node(self, why: str) -> None:
        self.gaps.tell(f"at {self.address()}: {why}")
        self.turn += 1
        self.client.connect_async(self.address(), 8883, keepalive=3, **self.lasting)

    def on_connect(self, client, userdata, flags, reason, properties=None) -> None:
        self.gaps.tell(f"at {self.address()}: connected: {reason}, {flags}")
        if reason == 0:
            self.connected.set()

    def on_disconnect(self, client, userdata, reason, properties=None) -> None:
        self.connected.clear()
        if not self.run.ending:
            self.next_node(f"disconnected: {reason} {properties or ''}")

    def stop(self) -> None:
        self.client.disconnect()


class Publisher(Mqtt):
    """Speaks MQTT 3.1.1: there a message is acknowledged or not. Of 5.0 Paho 1.6 does not tell what was refused."""

    def __init__(self, run: Run, number: int, qos: int) -> None:
        super().__init__(run, f"publisher-{qos}-{number}", paho.MQTTv311)
        self.qos, self.sent = qos, 0
        self.waiting: dict[int, str] = {}  # of the thread that publishes, as is `acknowledged`
        self.acknowledged: set[str] = set()
        # Paho calls on_publish with its own lock of messages under way, which publish() takes: no lock of ours may be held there.
        self.answered: collections.deque[int] = collections.deque()
        self.client.on_publish = self.on_publish
        self.thread = threading.Thread(target=self.work, name=self.name, daemon=True)

    def on_publish(self, client, userdata, mid) -> None:
        self.answered.append(mid)
        self.gaps.mark()

    def settle(self) -> None:
        while self.answered:
            if (text := self.waiting.pop(self.answered.popleft(), None)) is not None:
                self.acknowledged.add(text)
                self.run.note(f"acknowledged {text}")

    def work(self) -> None:
        while not self.run.ending or self.waiting:
            time.sleep(EVERY_S)
            self.settle()
            if self.run.ending or len(self.waiting) >= 50 or not self.connected.is_set():
                continue
            self.sent += 1
            text = f"{self.name}:{self.sent}"
            info = self.client.publish(f"load/{self.qos}/{self.name}", text, qos=self.qos)
            self.waiting[info.mid] = text

    def unanswered(self) -> list[str]:
        return list(self.waiting.copy().values())


class Subscriber(Mqtt):
    def __init__(self, run: Run, number: int, qos: int) -> None:
        super().__init__(run, f"subscriber-{qos}-{number}", paho.MQTTv5)
        self.qos, self.got = qos, collections.Counter()
        self.subscribed = threading.Event()
        self.client.on_message = self.on_message
        self.client.on_subscribe = lambda *_: self.subscribed.set()

    def on_message(self, client, userdata, message) -> None:
        self.got[message.payload.decode()] += 1
        self.gaps.mark()

    def on_connect(self, client, userdata, flags, reason, properties=None) -> None:
        super().on_connect(client, userdata, flags, reason, properties)
        if reason == 0 and not self.subscribed.is_set():
            client.subscribe("load/#", qos=self.qos)
        elif reason == 0 and not flags.get("session present"):
            self.gaps.tell("its session is gone")


def kafka_options(run: Run) -> dict:
    return {"bootstrap_servers": [f"{run.address(number)}:9093" for number in run.nodes], "security_protocol": "SASL_SSL",
            "ssl_context": run.context, "sasl_mechanism": "SCRAM-SHA-256", "sasl_plain_username": "admin",
            "sasl_plain_password": "admin", "reconnect_backoff_max_ms": 500, "metadata_max_age_ms": 5_000}


class Producer:
    """An idempotent Kafka producer."""

    def __init__(self, run: Run, number: int) -> None:
        self.run, self.name = run, f"producer-{number}"
        self.gaps = Gaps(run, self.name)
        self.sent, self.acknowledged, self.failed = 0, set(), collections.Counter()
        self.waiting: dict[str, float] = {}  # text, since when
        self.ended: str | None = None  # why it sends nothing any more
        self.producer = None
        self.thread = threading.Thread(target=self.work, name=self.name, daemon=True)

    def work(self) -> None:
        from kafka import KafkaProducer
        self.producer = KafkaProducer(**kafka_options(self.run), acks="all", enable_idempotence=True, client_id=self.name,
                                      delivery_timeout_ms=120_000, request_timeout_ms=5_000, linger_ms=5, max_block_ms=10_000)
        while not self.run.ending:
            time.sleep(EVERY_S)
            if len(self.waiting) >= 100:
                continue
            self.sent += 1
            text = f"{self.name}:{self.sent}"
            self.waiting[text] = time.monotonic()
            try:
                future = self.producer.send(KAFKA_TOPIC, text.encode(), key=str(self.sent % 50).encode())
            except Exception as error:  # no metadata in time, or the producer is in an error from which it does not recover
                del self.waiting[text]
                self.failed[f"send: {error!r}"] += 1
                self.gaps.tell(f"cannot send: {error!r}")
                if "Fatal" in repr(error) or "OutOfOrder" in repr(error) or "Fenced" in repr(error):
                    self.ended = repr(error)
                    return
                continue
            future.add_callback(lambda _, text=text: self.done(text))
            future.add_errback(lambda error, text=text: self.give_up(text, error))

    def done(self, text: str) -> None:
        self.waiting.pop(text, None)
        self.acknowledged.add(text)
        self.gaps.mark()

    def give_up(self, text: str, error: Exception) -> None:
        self.waiting.pop(text, None)
        self.failed[repr(error)] += 1
        self.gaps.tell(f"gave up {text}: {error!r}")

    def unanswered(self) -> list[str]:
        return list(self.waiting.copy())

    def stop(self) -> None:
        if self.producer:
            self.producer.close(timeout=2)


class Follower:
    """A member of a consumer group, all by itself, which reads the topic while it grows."""

    def __init__(self, run: Run) -> None:
        self.run, self.name = run, "follower"
        self.gaps, self.got = Gaps(run, self.name), collections.Counter()
        self.ended: str | None = None
        self.stopping = False
        self.thread = threading.Thread(target=self.work, name=self.name, daemon=True)

    def work(self) -> None:
        from kafka import KafkaConsumer
        try:
            consumer = KafkaConsumer(KAFKA_TOPIC, **kafka_options(self.run), group_id="followers", client_id=self.name,
                                     auto_offset_reset="earliest", request_timeout_ms=5_000, session_timeout_ms=6_000,
                                     heartbeat_interval_ms=1_000, auto_commit_interval_ms=1_000)
            while not self.stopping:
                for records in consumer.poll(200).values():
                    self.got.update(record.value.decode() for record in records)
                    self.gaps.mark()
            consumer.close(timeout_ms=2_000)
        except Exception as error:
            self.ended = repr(error)
            self.run.note(f"{self.name}: {traceback.format_exc()}")


def read_topic(run: Run, limit_s: float) -> tuple[dict[int, list[str]], str | None]:
    """What is in each partition, and what is wrong with the reading itself."""
    from kafka import KafkaConsumer, TopicPartition
    got: dict[int, list[str]] = {partition: [] for partition in range(PARTITIONS)}
    until = time.monotonic() + limit_s
    try:
        consumer = KafkaConsumer(**kafka_options(run), auto_offset_reset="earliest", enable_auto_commit=False, client_id="reader",
                                 request_timeout_ms=5_000)
        partitions = [TopicPartition(KAFKA_TOPIC, partition) for partition in range(PARTITIONS)]
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions)
        consumer.seek_to_beginning(*partitions)
        while left := [one for one in partitions if consumer.position(one) < ends[one]]:
            if time.monotonic() > until:
                places = ", ".join(f"{one.partition}: {consumer.position(one)} of {ends[one]}" for one in left)
                return got, f"the topic was not read to its end within {limit_s:.0f} s ({places})"
            for one, records in consumer.poll(500).items():
                got[one.partition] += [record.value.decode() for record in records]
        consumer.close(timeout_ms=2_000)
    except Exception as error:
        return got, f"reading the topic: {error!r}"
    return got, None


def stacks(names: set[str]) -> str:
    """Where these threads are: for clients that do not come to an end."""
    frames, text = sys._current_frames(), []
    for thread in threading.enumerate():
        if thread.name in names or thread.name.startswith(("paho", "Thread-", "kafka")):
            text += [f"--- {thread.name}\n", *traceback.format_stack(frames[thread.ident])]
    return "".join(text)
