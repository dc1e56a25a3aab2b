"""Consumer groups as librdkafka and kcat see them; those of the Java client and of franz-go are beside their cases."""
import json

from harness.case import case
from harness.kafka import Kcat

QUICK = ("--group-initial-rebalance-delay-ms", "0")
ASSIGNORS = {"eager": "range,roundrobin", "cooperative": "cooperative-sticky"}


class Member:
    """kcat -G, which prints its assignments and one JSON record a line."""

    def __init__(self, t, group, topic, *flags, strategy="range,roundrobin"):
        self.spawned = t.spawn([
            "kcat", "-b", t.kafka, "-J", "-G", group, "-X", "auto.offset.reset=earliest",
            "-X", f"partition.assignment.strategy={strategy}", "-X", "heartbeat.interval.ms=200",
            "-X", "session.timeout.ms=6000", *flags, topic,
        ])

    def assigned(self, limit_s=40):
        """The next assignment; a cooperative one tells what was added."""
        while True:
            line = self.spawned.wait_for(" rebalanced", limit_s)
            if "assigned:" in line or ("incremental assignment" in line and "of 0 partition" not in line):
                return line

    def payloads(self, count):
        got = []
        while len(got) < count:
            line = self.spawned.wait_for('"payload":', 40)
            got.append(json.loads(line)["payload"])
        return got

    def until(self, wanted):
        """What it reads until it has read all of these."""
        got = set()
        while not wanted <= got:
            got |= set(self.payloads(1))
        return got


def group_of(t, group, topic, count, *flags):
    """`count` records of the topic, read as a member of the group that then leaves."""
    out = t.run(["kcat", "-b", t.kafka, "-q", "-J", "-G", group, "-X", "auto.offset.reset=earliest", "-c", count, *flags, topic])
    return [json.loads(line)["payload"] for line in out.splitlines()]


def lines(first, last):
    return [str(i) for i in range(first, last)]


def made(t, topic, partitions):
    t.stele("topic", "create", topic, "--partitions", str(partitions))
    return topic


@case("kafka", each=ASSIGNORS)
def goes_on_where_it_was(t, strategy):
    kcat, topic, group = Kcat(t), t.name("jobs"), t.name("g")
    flags = ("-X", f"partition.assignment.strategy={strategy}")
    kcat.produce(topic, lines(0, 50))
    t.equal(group_of(t, group, topic, 50, *flags), lines(0, 50), "first")
    kcat.produce(topic, lines(50, 70))
    t.equal(group_of(t, group, topic, 20, *flags), lines(50, 70), "then")
    t.equal(group_of(t, t.name("other"), topic, 70, *flags), lines(0, 70), "another group")


@case("stele", start=False)
def offsets_outlive_the_broker(t):
    t.start(*QUICK)
    kcat, topic = Kcat(t), "jobs"
    kcat.produce(topic, lines(0, 30))
    for round_ in range(4):
        first = 30 + 10 * round_
        t.equal(group_of(t, "g", topic, 30 if round_ == 0 else 10), lines(0 if round_ == 0 else first - 10, first), "read")
        t.restart(hard=round_ < 3)
        Kcat(t).produce(topic, lines(first, first + 10))
    t.equal(group_of(t, "g", topic, 10), lines(60, 70), "the last")


@case("stele", start=False, each=ASSIGNORS, timeout=180)
def members_share_and_take_over(t, strategy):
    t.start(*QUICK)
    kcat, topic = Kcat(t), made(t, "shared", 4)
    first = Member(t, "g", topic, strategy=strategy)
    t.true("[0], shared [1], shared [2], shared [3]" in first.assigned(), "one member has all")
    second = Member(t, "g", topic, strategy=strategy)
    t.equal(second.assigned().count("shared ["), 2, "two of four for the second")
    for partition in range(4):
        kcat.produce(topic, [f"p{partition}"], "-p", partition)
    got = sorted(first.payloads(2) + second.payloads(2))
    t.equal(got, [f"p{i}" for i in range(4)], "each once")
    second.spawned.interrupt()
    first.assigned()
    for partition in range(4):
        kcat.produce(topic, [f"q{partition}"], "-p", partition)
    # What the other had read and not committed may come again.
    t.equal(first.until({f"q{i}" for i in range(4)}) - {"p0", "p1", "p2", "p3"}, {f"q{i}" for i in range(4)}, "after")


@case("stele", start=False, timeout=180)
def a_member_that_dies_is_replaced(t):
    t.start(*QUICK)
    kcat, topic = Kcat(t), made(t, "shared", 2)
    first = Member(t, "g", topic)
    first.assigned()
    second = Member(t, "g", topic)
    second.assigned()
    second.spawned.kill()
    # Its session of 6 s ends.
    t.true("shared [0], shared [1]" in first.spawned.wait_for("[0], shared [1]", 60), "all again")
    kcat.produce(topic, ["a"], "-p", 0)
    kcat.produce(topic, ["b"], "-p", 1)
    t.equal(sorted(first.payloads(2)), ["a", "b"], "read")


@case("stele", start=False)
def a_static_member_comes_back_without_a_rebalance(t):
    t.start(*QUICK)
    kcat, topic = Kcat(t), made(t, "shared", 2)
    static = ("-X", "group.instance.id=one", "-X", "session.timeout.ms=30000")
    first = Member(t, "g", topic, *static)
    first.assigned()
    other = Member(t, "g", topic, "-X", "group.instance.id=two", "-X", "session.timeout.ms=30000")
    other.assigned()
    kcat.produce(topic, ["a"], "-p", 0)
    kcat.produce(topic, ["b"], "-p", 1)
    first_got = first.payloads(1)
    other.payloads(1)
    first.spawned.kill()
    again = Member(t, "g", topic, *static)
    t.equal(again.assigned().count("shared ["), 1, "its partition, at once")
    kcat.produce(topic, ["c"], "-p", 0 if first_got == ["a"] else 1)
    # What it had not committed comes again.
    t.eventually(lambda: again.payloads(1) == ["c"], "reads on")
    t.true(not any("revoked" in line for line in other.spawned.lines), "the other is left alone")
