"""How the load of a cluster ends, and what is said of it: was everything kept that was acknowledged, and once?"""
import collections
import os
import sys
import time

import load

BACK_WITHIN_S = 10  # clients go on by themselves
ANSWERED_WITHIN_S, DELIVERED_WITHIN_S, READ_WITHIN_S = 60, 60, 60


class Load:
    """All clients of a run."""

    def __init__(self, run: load.Run) -> None:
        self.run = run
        self.subscribers = [load.Subscriber(run, 1, 1), load.Subscriber(run, 2, 1), load.Subscriber(run, 1, 2)]
        self.publishers = [load.Publisher(run, 1, 1), load.Publisher(run, 2, 1), load.Publisher(run, 1, 2)]
        self.producers = [load.Producer(run, 1), load.Producer(run, 2)]
        self.follower = load.Follower(run)
        self.topic: dict[int, list[str]] = {}
        self.problems: list[str] = []

    def senders(self) -> list:
        return self.publishers + self.producers

    def clients(self) -> list:
        return self.senders() + self.subscribers + [self.follower]

    def start(self) -> None:
        from kafka.admin import KafkaAdminClient, NewTopic
        admin = KafkaAdminClient(**load.kafka_options(self.run))
        admin.create_topics([NewTopic(load.KAFKA_TOPIC, load.PARTITIONS, 1)])
        admin.close()
        for subscriber in self.subscribers:
            subscriber.start()
        for subscriber in self.subscribers:
            if not subscriber.subscribed.wait(30):
                raise SystemExit(f"{subscriber.name} is not subscribed")
        for publisher in self.publishers:
            publisher.start()
        for client in self.senders() + [self.follower]:
            client.thread.start()
        until = time.monotonic() + 30
        while not (all(one.acknowledged for one in self.senders()) and all(one.got for one in self.subscribers + [self.follower])):
            if time.monotonic() > until:
                raise SystemExit("the load has not begun within 30 s: " + ", ".join(
                    one.name for one in self.clients() if not getattr(one, "acknowledged", None) and not getattr(one, "got", None)))
            time.sleep(0.1)
        for client in self.clients():
            client.gaps.gaps.clear()

    def done(self) -> int:
        return sum(len(one.acknowledged) for one in self.senders())

    # ---- the end, each step of which has its limit and says who it waits for

    def wait(self, what: str, limit_s: float, missing) -> None:
        """`missing` says who is waited for: names, and how many of each."""
        begin = told = time.monotonic()
        while left := missing():
            now = time.monotonic()
            if now - begin > limit_s:
                self.problems.append(f"{what}: not within {limit_s:.0f} s: {left}")
                return
            if now - told > 5:
                print(f"waiting until {what}: {left}", flush=True)
                told = now
            time.sleep(0.1)
        print(f"{what} after {time.monotonic() - begin:.1f} s", flush=True)

    def end(self) -> None:
        for client in self.clients():
            client.gaps.end()
        self.run.ending = True
        self.wait("what was sent is answered", ANSWERED_WITHIN_S,
                  lambda: {one.name: len(one.unanswered()) for one in self.senders() if one.unanswered()})
        stuck = [one for one in self.senders() if one.unanswered()]
        for one in stuck:
            self.run.note(f"STUCK {one.name}: {one.unanswered()}")
        if stuck:
            self.run.note("threads:\n" + load.stacks({one.name for one in stuck}))
        published = set().union(*(one.acknowledged for one in self.publishers))
        self.wait("subscribers have what was acknowledged", DELIVERED_WITHIN_S, lambda: self.lacking(self.subscribers, published))
        produced = set().union(*(one.acknowledged for one in self.producers))
        self.wait("the follower has what was acknowledged", DELIVERED_WITHIN_S, lambda: self.lacking([self.follower], produced))
        self.follower.stopping = True
        self.topic, problem = load.read_topic(self.run, READ_WITHIN_S)
        if problem:
            self.problems.append(problem)
        for client in self.publishers + self.subscribers:
            client.stop()

    @staticmethod
    def lacking(readers: list, wanted: set[str]) -> dict[str, int]:
        counts = {one.name: len(wanted - one.got.keys()) for one in readers}
        return {name: count for name, count in counts.items() if count}


class Ledger:
    def __init__(self, everything: Load, acts) -> None:
        self.load, self.acts, self.faults, self.good = everything, acts, acts.faults, True

    def tell(self, line: str, bad: bool = False) -> None:
        self.good = self.good and not bad
        print(("  WRONG  " if bad else "         ") + line)

    def judge(self) -> bool:
        everything = self.load
        for one in everything.senders():
            failed = "".join(f", {count} given up: {why}" for why, count in getattr(one, "failed", {}).items())
            self.tell(f"{one.name}: {one.sent} sent, {len(one.acknowledged)} acknowledged{failed}")
        self.mqtt()
        self.kafka()
        for client in everything.producers + [everything.follower]:
            if client.ended:
                self.tell(f"{client.name} has ended: {client.ended}", True)
        for problem in everything.problems + everything.run.dead:
            self.tell(problem, True)
        self.silence()
        return self.good

    def mqtt(self) -> None:
        for subscriber in self.load.subscribers:
            for qos in (1, 2):
                acknowledged = set().union(*(one.acknowledged for one in self.load.publishers if one.qos == qos))
                lost = acknowledged - subscriber.got.keys()
                self.tell(f"{subscriber.name}: {len(acknowledged)} with QoS {qos} acknowledged, {len(lost)} of them lost {sorted(lost)[:5]}",
                          bool(lost))
            twice = [text for text, times in subscriber.got.items() if times > 1 and text.startswith("publisher-2")]
            if subscriber.qos == 2:
                self.tell(f"{subscriber.name}: {len(twice)} with QoS 2 received twice {twice[:5]}", bool(twice))

    def kafka(self) -> None:
        name, partitions = f"topic {load.KAFKA_TOPIC}", self.load.topic
        counts = collections.Counter(text for texts in partitions.values() for text in texts)
        produced = set().union(*(one.acknowledged for one in self.load.producers))
        lost = produced - counts.keys()
        self.tell(f"{name}: {len(produced)} acknowledged, {len(lost)} of them lost {sorted(lost)[:5]}", bool(lost))
        twice = [text for text, times in counts.items() if times > 1]
        self.tell(f"{name}: {len(twice)} records twice {twice[:5]}", bool(twice))
        disorder = []
        for texts in partitions.values():
            last: dict[str, int] = {}
            for text in texts:
                producer, number = text.split(":")
                if int(number) <= last.get(producer, 0) and counts[text] == 1:
                    disorder.append(text)
                last[producer] = int(number)
        self.tell(f"{name}: {len(disorder)} records behind later ones of their producer {disorder[:5]}", bool(disorder))
        follower = self.load.follower
        lost = produced - follower.got.keys()
        self.tell(f"{follower.name}: {len(lost)} of those acknowledged not received {sorted(lost)[:5]}; "
                  f"{sum(follower.got.values()) - len(follower.got)} received again", bool(lost))

    def silence(self) -> None:
        """How long clients were without an answer, by fault; of those that waited too long, what they did meanwhile."""
        by_kind: dict[str, list[float]] = collections.defaultdict(list)
        late = []
        for fault in self.faults:
            for client in self.load.clients():
                inside = [(begin, end) for begin, end in client.gaps.gaps if begin < (fault.end or end) and end > fault.begin]
                longest = max(inside, key=lambda gap: gap[1] - gap[0], default=None)
                by_kind[fault.kind()].append(longest[1] - longest[0] if longest else 0.0)
                if longest and longest[1] - longest[0] > BACK_WITHIN_S:
                    late.append((client, fault, longest))
        self.tell(f"{'without an answer, of all clients (s)':<44}    median   9 of 10   longest   faults   whole again after (median, longest)")
        for kind, times in sorted(by_kind.items()):
            times.sort()
            self.tell(f"    {kind:<40}  {times[len(times) // 2]:8.1f}  {times[len(times) * 9 // 10]:8.1f}  {times[-1]:8.1f}"
                      f"  {len(times) // len(self.load.clients()):7}" + self.whole(kind))
        for client, fault, (begin, end) in late:
            self.tell(f"{client.name} was without an answer for {end - begin:.1f} s; {fault.what} at {fault.at}, "
                      f"from {begin - fault.begin:+.1f} s of it on; the machine's load was {fault.machine_load:.1f}", not self.acts.hasty)
            for name, at, what in client.gaps.within(begin - 0.1, end + 0.1)[:20]:
                self.tell(f"      {at - begin:5.1f} s  {what}")


    def whole(self, kind: str) -> str:
        times = sorted(self.acts.whole_after_s.get(kind, []))
        return f"   {times[len(times) // 2]:8.1f}  {times[-1]:8.1f}" if times else ""


def finish(everything: Load, acts) -> bool:
    """Ends the load, and prints the ledger. Whether it holds."""
    everything.end()
    ledger = Ledger(everything, acts)
    for problem in acts.problems:
        ledger.tell(problem, True)
    good = ledger.judge()
    print("nothing acknowledged was lost" if good else "the ledger does not hold", flush=True)
    return good


def leave(good: bool) -> None:
    """Clients that do not end are left behind."""
    sys.stdout.flush()
    os._exit(0 if good else 1)
