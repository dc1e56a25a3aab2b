"""One case of kafka-python per call: `cases.py BOOTSTRAP CASE TOPIC [MORE]`. TOPIC also begins the names of groups."""
import sys
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka import errors
from kafka.admin import AlterConfigOp, ConfigResource
from kafka.structs import OffsetAndMetadata

LIMIT_S = 40
BOOTSTRAP, CASE, TOPIC = sys.argv[1:4]


def check(condition, what):
    if not condition:
        raise SystemExit(f"failed: {what}")


def equal(actual, expected, what):
    check(actual == expected, f"{what}: {actual!r} where {expected!r} was expected")


def fails(expected, call, *args, **more):
    try:
        call(*args, **more)
    except expected:
        return
    check(False, f"{call.__name__} did not fail with {expected.__name__}")


def eventually(condition, what):
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        check(time.monotonic() < deadline, what)
        time.sleep(0.05)


def producer(**more):
    return KafkaProducer(bootstrap_servers=BOOTSTRAP, acks="all", **more)


def consumer(**more):
    return KafkaConsumer(bootstrap_servers=BOOTSTRAP, auto_offset_reset="earliest", enable_auto_commit=False,
                         reconnect_backoff_max_ms=500, **more)


def member(**more):
    made = consumer(group_id=TOPIC + "-group", heartbeat_interval_ms=300, **more)
    made.subscribe([TOPIC])
    return made


def admin():
    return KafkaAdminClient(bootstrap_servers=BOOTSTRAP)


def partitions(count):
    return [TopicPartition(TOPIC, i) for i in range(count)]


def create(client, count, **configs):
    client.create_topics({TOPIC: {"num_partitions": count, "configs": configs}}, wait_for_metadata=True)


def fill(first, last, count=1):
    with producer() as maker:
        sent = [maker.send(TOPIC, f"v{i}".encode(), partition=i % count) for i in range(first, last)]
        for future in sent:
            future.get(LIMIT_S)


def poll(client, count):
    """So many records and not one more of those that are fetched with them, in the order of their coming."""
    got, deadline = [], time.monotonic() + LIMIT_S
    while len(got) < count and time.monotonic() < deadline:
        for records in client.poll(timeout_ms=200).values():
            got += records
    equal(len(got), count, "number of records")
    return got


def values(records):
    return [record.value.decode() for record in records]


def read(count):
    with consumer() as client:
        client.assign(partitions(1))
        client.seek_to_beginning()
        return poll(client, count)


# Records.


def produce_and_consume(**more):
    headers, count = [("a", b"1"), ("b", b""), ("a", b"2")], 2000
    start_ms = int(time.time() * 1000) - 60_000
    with producer(**more) as maker:
        sent = [maker.send(TOPIC, f"v{i}".encode(), f"k{i}".encode(), headers, timestamp_ms=start_ms + i) for i in range(count)]
        equal([future.get(LIMIT_S).offset for future in sent], list(range(count)), "offsets of the answers")
        maker.send(TOPIC, None, b"deleted").get(LIMIT_S)
    got = read(count + 1)
    equal([record.offset for record in got], list(range(count + 1)), "offsets")
    for i, record in enumerate(got[:count]):
        equal((record.key, record.value, record.timestamp, record.headers),
              (f"k{i}".encode(), f"v{i}".encode(), start_ms + i, headers), f"record {i}")
    equal((got[count].key, got[count].value), (b"deleted", None), "a null value")


def not_idempotent():
    produce_and_consume(enable_idempotence=False)


def compressed():
    """gzip and none, which need no other library."""
    expected = []
    for kind in ("gzip", None, "gzip"):
        with producer(compression_type=kind, linger_ms=50) as maker:
            for i in range(200):
                expected.append(f"{kind} {i} {'z' * 100}")
                maker.send(TOPIC, expected[-1].encode())
    equal(values(read(len(expected))), expected, "values")


def follow():
    """Prints each record of the topic's only partition as it comes; the last one is `end`."""
    with consumer() as client:
        client.assign(partitions(1))
        client.seek_to_beginning()
        expected = 0
        while True:
            for records in client.poll(timeout_ms=500).values():
                for record in records:
                    equal(record.offset, expected, "offset")
                    expected += 1
                    print("got", record.value.decode(), flush=True)
                    if record.value == b"end":
                        return


def send():
    """TOPIC NAME COUNT: records NAME-0, NAME-1 … with a header `by`."""
    name, count = sys.argv[4], int(sys.argv[5])
    with producer() as maker:
        sent = [maker.send(TOPIC, f"{name}-{i}".encode(), headers=[("by", name.encode())]) for i in range(count)]
        for future in sent:
            future.get(LIMIT_S)


def receive():
    """TOPICS COUNT: prints so many records of these topics' first partitions."""
    with consumer() as client:
        client.assign([TopicPartition(topic, 0) for topic in TOPIC.split(",")])
        client.seek_to_beginning()
        for record in poll(client, int(sys.argv[4])):
            print(f"got {record.topic} {record.value.decode()} by={dict(record.headers)['by'].decode()}")


# Groups.


def group():
    """Two members share, one leaves, the other goes on; all of it is read from where it was committed."""
    with admin() as client:
        create(client, 4)
    fill(0, 40, 4)
    one = member()
    equal(sorted(values(poll(one, 40))), sorted(f"v{i}" for i in range(40)), "alone")
    equal(one.assignment(), set(partitions(4)), "all partitions")
    one.commit()
    two = member()

    def shared():
        one.poll(timeout_ms=100)
        two.poll(timeout_ms=100)
        return len(one.assignment()) == len(two.assignment()) == 2

    eventually(shared, "two of four partitions for each")
    equal(one.assignment() | two.assignment(), set(partitions(4)), "each partition has one owner")
    fill(40, 48, 4)
    got = values(poll(one, 4)) + values(poll(two, 4))
    equal(sorted(got), sorted(f"v{i}" for i in range(40, 48)), "each once")
    one.commit()
    two.commit()
    one.close(autocommit=False)

    def alone():
        two.poll(timeout_ms=100)
        return two.assignment() == set(partitions(4))

    eventually(alone, "all again when the other has left")
    fill(48, 52, 4)
    equal(sorted(values(poll(two, 4))), ["v48", "v49", "v50", "v51"], "read on")
    two.commit()
    two.close(autocommit=False)
    with member() as three:
        fill(52, 53)
        equal(values(poll(three, 1)), ["v52"], "a third begins where they ended")


def group_offsets():
    zero, one = partitions(2)
    with admin() as client:
        create(client, 2)
    fill(0, 10, 2)
    with member() as client:
        poll(client, 10)
        client.commit({zero: OffsetAndMetadata(3, "a note", -1)})
        found = client.committed(zero, metadata=True)
        equal((found.offset, found.metadata), (3, "a note"), "committed")
        equal(client.committed(one), None, "nothing for the other")
    with member() as client:
        equal(sorted(values(poll(client, 7))), ["v1", "v3", "v5", "v6", "v7", "v8", "v9"], "from what was committed")
        client.commit()
        equal(client.committed(zero), 5, "position")


def group_admin():
    zero, name = partitions(1)[0], TOPIC + "-group"
    with admin() as client:
        create(client, 1)
        fill(0, 3)
        with member(client_id="app") as consumer_:
            poll(consumer_, 3)
            consumer_.commit()
            seen = client.describe_groups([name])[name]
            equal((seen["error"], seen["group_state"], len(seen["members"])), (None, "Stable", 1), "described")
            equal(seen["members"][0]["client_id"], "app", "client id")
            assigned = seen["members"][0]["member_assignment"]["assigned_partitions"]
            equal([(a["topic"], a["partitions"]) for a in assigned], [(TOPIC, [0])], "assignment")
            listed = {g["group_id"]: g for g in client.list_groups()}
            equal(listed[name]["protocol_type"], "consumer", "listed")
            equal(client.list_group_offsets([name])[name][zero].offset, 3, "offset")
            equal(client.delete_groups([name]), {name: "NonEmptyGroupError"}, "delete one that has members")
        client.alter_group_offsets(name, {zero: OffsetAndMetadata(1, "", -1)})
        equal(client.list_group_offsets({name: [zero]})[name][zero].offset, 1, "altered")
        client.delete_group_offsets(name, [zero])
        equal(client.list_group_offsets([name])[name], {}, "deleted offsets")
        equal(client.delete_groups([name]), {name: "OK"}, "deleted")
        check(name not in {g["group_id"] for g in client.list_groups()}, "gone from the list")


# Topics.


def topics():
    with admin() as client:
        create(client, 3)
        check(TOPIC in client.list_topics(), "listed")
        fails(errors.TopicAlreadyExistsError, create, client, 3)
        fails(errors.InvalidTopicError, client.create_topics, ["no/slash"])
        seen = client.describe_topics([TOPIC])[0]
        equal((seen["error_code"], len(seen["partitions"])), (0, 3), "described")
        fails(errors.InvalidPartitionsError, client.create_partitions, {TOPIC: 3})
        client.create_partitions({TOPIC: 5})
        client.wait_for_topics([TOPIC])
        equal(len(client.describe_topics([TOPIC])[0]["partitions"]), 5, "partitions")
        fill(0, 5, 5)
        client.delete_topics([TOPIC])
        eventually(lambda: TOPIC not in client.list_topics(), "gone from the list")
        fails(errors.UnknownTopicOrPartitionError, client.delete_topics, [TOPIC])


def configs():
    def described():
        return client.describe_configs([ConfigResource("TOPIC", TOPIC)], config_filter="all")["topic"][TOPIC]

    def alter(incremental=None, **changed):
        wanted = [ConfigResource("TOPIC", TOPIC, changed)]
        return client.alter_configs(wanted, raise_on_unknown=False, incremental=incremental)["topic"][TOPIC]

    dotted = {"retention.ms": "86400000"}
    with admin() as client:
        create(client, 1, **dotted)
        seen = described()
        equal((seen["retention.ms"]["value"], seen["retention.ms"]["config_source"]), ("86400000", "DYNAMIC_TOPIC_CONFIG"), "set")
        equal((seen["cleanup.policy"]["value"], seen["cleanup.policy"]["config_source"]), ("delete", "DEFAULT_CONFIG"), "not set")
        equal(alter(**{"retention.bytes": "1000000"}), "OK", "alter")
        eventually(lambda: described()["retention.bytes"]["value"] == "1000000", "retention.bytes is set")
        equal(described()["retention.ms"]["value"], "86400000", "and retention.ms as it was")
        equal(alter(**{"retention.ms": (AlterConfigOp.DELETE, None)}), "OK", "reset")
        eventually(lambda: described()["retention.ms"]["config_source"] == "DEFAULT_CONFIG", "retention.ms is the default again")
        check(alter(**{"no.such.setting": "1"}) != "OK", "an unknown setting is refused")
        # AlterConfigs, which replaces all of them: this client names those that are set.
        equal(alter(incremental=False, **{"max.message.bytes": "5000"}), "OK", "alter, and name the others")
        seen = described()
        equal([seen[name]["value"] for name in ("max.message.bytes", "retention.bytes")], ["5000", "1000000"], "all that is set")
        client.reset_configs([ConfigResource("TOPIC", TOPIC, {})], raise_on_unknown=False, incremental=False)
        check(all(one["config_source"] == "DEFAULT_CONFIG" for one in described().values()), "nothing is set any more")
        node = client.describe_cluster()["brokers"][0]["broker_id"]
        of_broker = client.describe_configs([ConfigResource("BROKER", str(node))], config_filter="all")["broker"][str(node)]
        check(of_broker["num.partitions"]["read_only"], "num.partitions of the broker")


def delete_records():
    zero, one = partitions(2)
    with admin() as client, consumer() as reader:
        create(client, 2)
        fill(0, 20, 2)
        gone = client.delete_records({zero: 4, one: -1})
        equal((gone[zero]["low_watermark"], gone[one]["low_watermark"]), (4, 10), "low watermarks")
        fails(errors.OffsetOutOfRangeError, client.delete_records, {zero: 11})
        equal(reader.beginning_offsets([zero, one]), {zero: 4, one: 10}, "beginnings")
        equal(reader.end_offsets([zero, one]), {zero: 10, one: 10}, "ends")
        reader.assign([zero, one])
        reader.seek(zero, 0)  # reset to what is not gone
        reader.seek(one, 0)
        equal(values(poll(reader, 6)), ["v8", "v10", "v12", "v14", "v16", "v18"], "what is left")


CASES = {
    function.__name__: function
    for function in (produce_and_consume, not_idempotent, compressed, follow, send, receive, group, group_offsets, group_admin, topics,
                     configs, delete_records)
}

CASES[CASE]()
print("done")
