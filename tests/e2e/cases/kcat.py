"""kcat and the librdkafka below it: produce, and consume by assignment."""
from harness.case import case
from harness.kafka import BEGINNING, COMPRESSIONS, Kcat, headers
from harness.murmur2 import murmur2


@case("kafka", each={c: c for c in COMPRESSIONS})
def produce_and_consume(t, compression):
    kcat, topic = Kcat(t), t.name("zip")
    lines = [f"line {i} " + "abc" * 20 for i in range(500)]
    kcat.produce(topic, lines, "-z", compression)
    records = kcat.consume(topic)
    t.equal([r["payload"] for r in records], lines, "payloads")
    t.equal([r["offset"] for r in records], list(range(500)), "offsets")


@case("kafka")
def compressions_mixed_in_one_partition(t):
    kcat, topic = Kcat(t), t.name("mixed")
    for compression in COMPRESSIONS:
        kcat.produce(topic, [f"{compression} {i}" for i in range(20)], "-z", compression)
    t.equal(kcat.payloads(topic), [f"{c} {i}" for c in COMPRESSIONS for i in range(20)], "payloads")
    t.equal(kcat.payloads(topic, partition=0, offset=55)[0], f"{COMPRESSIONS[2]} 15", "from the middle")


@case("kafka", each={a: a for a in ("all", "1", "0")})
def acks(t, acks):
    kcat, topic = Kcat(t), t.name("acks")
    kcat.produce(topic, ["first"])
    kcat.produce(topic, [str(i) for i in range(100)], "-X", f"acks={acks}")
    # Nobody answers acks=0, so its end is only seen by reading.
    t.equal(kcat.payloads(topic, count=101)[1:], [str(i) for i in range(100)], "payloads")


@case("kafka")
def idempotent_producer(t):
    kcat, topic = Kcat(t), t.name("idem")
    for part in range(3):
        kcat.produce(topic, [f"{part}.{i}" for i in range(1000)], "-X", "enable.idempotence=true", "-X", "linger.ms=0")
    t.equal(kcat.payloads(topic), [f"{p}.{i}" for p in range(3) for i in range(1000)], "payloads")


@case("kafka")
def keys_and_headers(t):
    kcat, topic = Kcat(t), t.name("kh")
    kcat.produce(topic, ["k1:v1", "k2:v2", ":empty key"], "-K", ":", "-H", "a=1", "-H", "b=", "-H", "a=2")
    records = kcat.consume(topic)
    t.equal([(r["key"], r["payload"]) for r in records[:2]], [("k1", "v1"), ("k2", "v2")], "key and value")
    for record in records:
        t.equal(headers(record), [("a", "1"), ("b", ""), ("a", "2")], "headers")
    kcat.produce(topic, ["no key"])
    t.equal(kcat.consume(topic)[3]["key"], None, "no key")


@case("kafka")
def null_value(t):
    kcat, topic = Kcat(t), t.name("null")
    kcat.produce(topic, ["k:"], "-K", ":", "-Z")
    record = kcat.consume(topic)[0]
    t.equal((record["key"], record["payload"]), ("k", None), "key and value")


@case("kafka")
def metadata(t):
    kcat, topic = Kcat(t), t.name("seen")
    kcat.produce(topic, ["x"])
    all_of_it = kcat.metadata()
    t.true(all_of_it["brokers"], "a broker is listed")
    t.true(all_of_it["controllerid"] in [b["id"] for b in all_of_it["brokers"]], "the controller is a broker")
    t.true(t.kafka in [b["name"] for b in all_of_it["brokers"]], f"{t.kafka} is among {all_of_it['brokers']}")
    for partition in kcat.topics()[topic]["partitions"]:
        t.equal(partition["leader"], all_of_it["brokers"][0]["id"], "leader")
        t.equal([r["id"] for r in partition["isrs"]], [partition["leader"]], "in-sync replicas")


@case("kafka")
def offsets(t):
    kcat, topic = Kcat(t), t.name("offsets")
    kcat.produce(topic, [f"{i}" for i in range(10)])
    t.equal(kcat.offset(topic, 0, -2), 0, "beginning")
    t.equal(kcat.offset(topic, 0, -1), 10, "end")
    t.equal(kcat.payloads(topic, partition=0, offset=4), [str(i) for i in range(4, 10)], "from offset 4")
    t.equal(kcat.payloads(topic, partition=0, offset=-3), ["7", "8", "9"], "the last three")
    t.equal(kcat.payloads(topic, partition=0, offset="end"), [], "from the end")
    t.equal(kcat.payloads(topic, offset=BEGINNING, count=3), ["0", "1", "2"], "the first three")


@case("kafka")
def offsets_of_timestamps(t):
    kcat, topic = Kcat(t), t.name("times")
    for i in range(5):
        kcat.produce(topic, [f"{i}"])
    times = [r["ts"] for r in kcat.consume(topic)]
    t.equal(times, sorted(times), "timestamps")
    for at in (times[0] - 1, *times, times[-1]):
        first = next(i for i, time in enumerate(times) if time >= at)
        t.equal(kcat.offset(topic, 0, at), first, f"first offset at or after {at}")
    t.equal(kcat.offset(topic, 0, times[-1] + 1000), -1, "after the last")
    t.equal(kcat.payloads(topic, partition=0, offset=f"s@{times[3]}")[-1], "4", "consume from a time")


@case("kafka")
def offset_out_of_range(t):
    kcat, topic = Kcat(t), t.name("range")
    kcat.produce(topic, ["a", "b"])
    reset = ["-X", "topic.auto.offset.reset=earliest"]
    t.equal(kcat.payloads(topic, *reset, partition=0, offset=100, count=2), ["a", "b"], "after a reset")


@case("kafka")
def consumer_waits_for_what_comes(t):
    """Long polling: a consumer at the end gets what is produced afterwards."""
    kcat, topic = Kcat(t), t.name("tail")
    kcat.produce(topic, ["before"])
    consumer = t.spawn([*kcat.base, "-C", "-q", "-u", "-t", topic, "-p", "0", "-o", "beginning", "-f", "got %s\\n"])
    consumer.wait_for("got before")
    for i in range(20):
        kcat.produce(topic, [f"live {i}"])
        consumer.wait_for(f"got live {i}")


@case("kafka")
def large_message(t):
    kcat, topic, path = Kcat(t), t.name("large"), t.dir / "payload"
    for i, compression in enumerate(("none", "lz4")):
        path.write_text(f"{i}" + "0123456789abcdef" * 56250)  # 900,001 bytes
        t.run([*kcat.base, "-P", "-t", topic, "-z", compression, path])
    records = kcat.consume(topic)
    t.equal([len(r["payload"]) for r in records], [900001, 900001], "sizes")
    t.true(records[1]["payload"] == path.read_text(), "the bytes")


@case("kafka")
def many_small_batches(t):
    kcat, topic = Kcat(t), t.name("small")
    lines = [str(i) for i in range(3000)]
    kcat.produce(topic, lines, "-X", "batch.num.messages=3", "-X", "linger.ms=0")
    t.equal(kcat.payloads(topic), lines, "order")
    t.equal(kcat.payloads(topic, partition=0, offset=1234, count=5), lines[1234:1239], "from the middle")


@case("kafka")
def murmur2_is_right(t):
    """The function that the other cases trust, against values from Kafka's own tests and against librdkafka."""
    known = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536,
             b"a-little-bit-longer-string": -1486304829, b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
             b"abc": 479470107}
    for key, value in known.items():
        t.equal(murmur2(key), value & 0xFFFFFFFF, f"murmur2 of {key}")


@case("kafka")
def unknown_partition_is_refused(t):
    kcat, topic = Kcat(t), t.name("one")
    kcat.produce(topic, ["x"])
    t.run([*kcat.base, "-P", "-t", topic, "-p", "7"], stdin="y\n", ok=False)
    t.true("artition" in t.stderr, f"kcat says {t.stderr}")
    t.equal(kcat.payloads(topic), ["x"], "records")


@case("kafka")
def invalid_topic_is_refused(t):
    kcat = Kcat(t, "-X", "message.timeout.ms=5000")
    t.run([*kcat.base, "-P", "-t", "not/a topic"], stdin="y\n", ok=False)
    t.true("not/a topic" not in kcat.topics(), "it was not created")


@case("stele")
def survives_restart(t):
    kcat = Kcat(t)
    for compression in COMPRESSIONS:
        kcat.produce("kept", [f"{compression} {i}" for i in range(50)], "-z", compression)
    before = kcat.consume("kept")
    for hard in (True, False):
        t.restart(hard=hard)
        kcat = Kcat(t)
        t.equal(kcat.consume("kept"), before, "after kill -9" if hard else "after SIGTERM")
    kcat.produce("kept", ["more"])
    t.equal(kcat.consume("kept")[-1]["offset"], len(before), "the next offset")


@case("stele", start=False)
def no_auto_create(t):
    t.start("--auto-create-topics", "false")
    kcat = Kcat(t, "-X", "message.timeout.ms=3000")
    t.run([*kcat.base, "-P", "-t", "unknown"], stdin="y\n", ok=False)
    t.equal(list(kcat.topics()), [], "topics")
