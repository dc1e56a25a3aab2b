"""The tests' own tools: a check that cannot fail proves nothing."""
import types

from cases.durability import Trace, check_synced
from harness import metrics
from harness.broker import Failure
from harness.case import case
from harness.kill9 import Rounds
from harness.load import Publisher


def fails(t, function, *args):
    try:
        function(*args)
    except Failure as e:
        t.log(str(e))
        return
    raise Failure(f"{function.__name__}{args} should fail")


@case(start=False)
def losses_are_seen(t):
    """Of ten messages sent on a connection six were acknowledged."""
    rounds = Rounds(types.SimpleNamespace(is_stele=True), 10, 1, 1, t.log)
    publisher = Publisher("p0")
    publisher.sent, publisher.acked = list(range(100, 110)), 6
    for kept in (6, 7, 10):
        rounds.check_prefix("stored", publisher, publisher.sent[:kept])
    for bad in (publisher.sent[:5], [], [100, 101, 103, 104, 105, 106], [100, 101, 101, 102, 103, 104, 105],
                [101, 100, 102, 103, 104, 105], publisher.sent + [110], [99] + publisher.sent):
        fails(t, rounds.check_prefix, "stored", publisher, bad)


@case(start=False)
def syncs_are_seen(t):
    read, write = 'recvfrom(9, "marker", 6)', 'pwrite64(5, "marker", 6)'
    sync, ack = "fdatasync(5)", r'sendto(9, "@\2ZZ", 4)'
    began, ended = "8 fdatasync(5 <unfinished ...>", "8 <... fdatasync resumed>) = 0"

    def check(*calls):
        path = t.dir / "trace"
        lines = [call if call[0].isdigit() else f"7 {call} = {0 if 'sync' in call else 6}" for call in calls]
        path.write_text("\n".join(lines) + "\n")
        check_synced(t, Trace(path), "marker", r'"@\2ZZ')

    check(read, write, sync, ack)
    check(read, write, began, 'write(2, "log", 3)', ended, ack)
    fails(t, check, read, write, ack, sync)
    fails(t, check, read, sync, write, ack)
    fails(t, check, read, write, ack)
    fails(t, check, read, write, "fdatasync(6)", ack)
    fails(t, check, read, sync, ack)
    fails(t, check, began, read, write, ended, ack)
    fails(t, check, read, write, began, ack, ended)


@case(start=False)
def metrics_are_read_strictly(t):
    good = ('# HELP a_total Some\n# TYPE a_total counter\na_total{x="1",y="q\\"q"} 5\na_total 7 123\n'
            '# TYPE h histogram\nh_bucket{le="+Inf"} 2\nh_sum 3.5\nh_count 2\n')
    kinds, samples = metrics.parse(good)
    t.equal(kinds, {"a_total": "counter", "h": "histogram"}, "kinds")
    t.equal(samples['h_bucket{le="+Inf"}'], 2.0, "a bucket")
    for bad in ("a 1", "a b\n", "a{x=1} 1\n", "1a 1\n", "a 1\na 1\n", "# TYPE a thing\na 1\n",
                "# TYPE a counter\na -1\n", "a 1\nb 1\na{x=\"1\"} 2\n"):
        try:
            metrics.parse(bad)
        except (Failure, ValueError):
            continue
        raise Failure(f"{bad!r} should not parse")
