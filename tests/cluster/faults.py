"""What is done to the nodes of a cluster, one thing at a time, and to whom.

A victim is drawn by what it does at that moment: it owns a shard of the topic that is written to ("owner"), leads the meta
service ("leader"), or has a replica of such a shard that it does not own ("journal"). A fault is over when all nodes are ready,
every client has had an answer since everything was healed, and the cluster is whole: every shard is served, and every segment has its
replicas. Then the next one is drawn; hasty runs do not wait for the cluster to be whole.
"""
import collections
import os
import random
import signal
import threading
import time

import load

READY_WITHIN_S, WHOLE_WITHIN_S = 90, 60
ROLES = ("owner", "leader", "journal")
OTHERS = ("long kill", "pause", "cut", "split", "split one way", "split of two", "long split", "long split of two", "slow", "full disk",
          "clock jump", "rolling restart")


class Problem(Exception):
    """The run cannot go on, or need not."""


class Watch:
    """Notes each change of who owns the shards, and where their open segments lie."""

    def __init__(self, faults: "Faults") -> None:
        self.faults, self.last = faults, ""
        threading.Thread(target=self.work, name="watch", daemon=True).start()

    def work(self) -> None:
        while not self.faults.run.ending:
            time.sleep(0.5)
            for number in self.faults.shuffled():
                try:
                    status, answer = self.faults.cluster.ask(number, "/v1/cluster/shards", timeout_s=1)
                except OSError:
                    continue
                if status == 200:
                    self.tell(number, answer["shards"])
                    break

    def tell(self, number: str, shards: list[dict]) -> None:
        kinds: dict[str, list[int]] = collections.defaultdict(list)
        for one in shards:
            replicas = ",".join(f"{r['node']}{'' if r['present'] else '!'}" for r in one["replicas"])
            lacking = one["segments"]["under_replicated"]
            kinds[f"{one['state']} by {one['owner']} on {replicas}" + (f", {lacking} lacking" if lacking else "")].append(one["shard"])
        text = "; ".join(f"{kind}: {' '.join(map(str, numbers))}" for kind, numbers in sorted(kinds.items()))
        if text != self.last:
            self.faults.run.note(f"shards, says node {number}: {text}")
            self.last = text


class Fault:
    def __init__(self, what: str) -> None:
        self.what, self.begin, self.end = what, time.monotonic(), 0.0
        self.at, self.machine_load = time.strftime("%H:%M:%S", time.gmtime()), os.getloadavg()[0]

    def kind(self) -> str:
        return self.what.split(",")[0].split(":")[0].split(" of node")[0]


class Faults:
    def __init__(self, cluster, run: load.Run, clients: list, seed: int, small_disk: str | None,
                 hasty: bool = False) -> None:
        self.cluster, self.run, self.clients, self.small_disk = cluster, run, clients, small_disk
        self.random = random.Random(f"faults {seed}")
        self.counts: collections.Counter = collections.Counter()
        self.faults: list[Fault] = []
        self.problems: list[str] = []
        self.hasty, self.whole_after_s = hasty, collections.defaultdict(list)
        Watch(self)

    # ---- who does what

    def shuffled(self) -> list[str]:
        numbers = list(self.cluster.nodes)
        return random.sample(numbers, len(numbers))

    def ask(self, path: str) -> dict:
        """Of any node that runs and answers."""
        until = time.monotonic() + 20
        while time.monotonic() < until:
            for number in self.shuffled():
                try:
                    status, answer = self.cluster.ask(number, path)
                    if status == 200:
                        return answer
                except OSError:
                    pass
            time.sleep(0.2)
        raise Problem(f"no node answers {path}")

    def leader(self) -> str | None:
        leader = self.ask("/v1/cluster")["meta"]["leader"]
        return str(leader) if leader else None

    def topic(self) -> dict:
        for number in self.run.nodes:
            try:
                status, answer = self.cluster.ask(number, f"/v1/topics/{load.KAFKA_TOPIC}", timeout_s=5)
                if status == 200:
                    return answer
            except OSError:
                pass
        raise Problem("no broker tells of the topic")

    def busy_shards(self) -> list[dict]:
        wanted = {one["shard"] for one in self.topic()["partitions"]}
        return [one for one in self.ask("/v1/cluster/shards")["shards"] if one["shard"] in wanted]

    def victim(self, role: str) -> str | None:
        if role == "leader":
            return self.leader()
        found = []
        for shard in self.busy_shards():
            if role == "owner":
                found += [shard["owner"]]
            else:
                found += [one["node"] for one in shard["replicas"] if one["present"] and one["node"] != shard["owner"]]
        found = [str(one) for one in found if one and str(one) in self.cluster.nodes]
        return self.random.choice(found) if found else None

    def draw(self, role: str) -> str:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            if number := self.victim(role):
                return number
            time.sleep(0.3)
        raise Problem(f"there is no {role} for 30 s")

    def tell(self, text: str) -> None:
        self.run.note(f"==== {text}")

    # ---- the faults; each ends with everything as it was

    def kill(self, role: str) -> None:
        number = self.draw(role)
        self.counts[f"kill of {role}"] += 1
        self.begin(f"kill of {role}, node {number}")
        self.cluster.signal(number, signal.SIGKILL)
        time.sleep(self.random.uniform(0.0, 5.0))
        self.cluster.boot(number)

    def long_kill(self) -> None:
        """It does not come back before the others had to go on without it."""
        role = self.random.choice(ROLES)
        number = self.draw(role)
        self.begin(f"long kill of {role}, node {number}")
        self.cluster.signal(number, signal.SIGKILL)
        time.sleep(self.random.uniform(14.0, 18.0))
        self.cluster.boot(number)

    def pause(self) -> None:
        number = self.draw(self.random.choice(ROLES))
        self.begin(f"pause of node {number}")
        self.cluster.signal(number, signal.SIGSTOP)
        time.sleep(self.random.uniform(0.5, 6.0))
        self.cluster.signal(number, signal.SIGCONT)

    def cut(self) -> None:
        number = self.draw(self.random.choice(ROLES))
        self.begin(f"cut of node {number}")
        self.cluster.cut(number)
        time.sleep(self.random.uniform(0.5, 6.0))
        self.cluster.heal(number)

    def split_from(self, kind: str) -> None:
        number = self.draw(self.random.choice(ROLES))
        others = [one for one in self.cluster.nodes if one != number]
        if kind.endswith("of two"):
            others = [self.random.choice(others)]
        one_way = kind == "split one way"
        self.begin(f"{kind}: node {number} from {', '.join(others)}")
        self.cluster.split(number, others, one_way)
        time.sleep(self.random.uniform(14.0, 18.0) if kind.startswith("long") else self.random.uniform(2.0, 8.0))
        self.cluster.heal(number)

    def slow(self) -> None:
        number = self.draw(self.random.choice(ROLES))
        loss = self.random.choice([0, 2, 5])
        self.begin(f"slow link of node {number}: 200 ms late, {loss} % lost")
        self.cluster.slow(number, 200, loss, self.random.randrange(1 << 30))
        time.sleep(self.random.uniform(4.0, 8.0))
        self.cluster.heal(number)

    def full_disk(self) -> None:
        if not self.small_disk:
            return
        number = self.small_disk
        self.begin(f"full disk of node {number}")
        self.cluster.fill(number)
        time.sleep(self.random.uniform(2.0, 6.0))
        self.cluster.room(number)
        if self.cluster.pid(number) is None:
            self.counts["full disk: the node ended"] += 1
            self.cluster.boot(number)

    def clock_jump(self) -> None:
        number = self.random.choice(list(self.cluster.nodes))
        ahead = self.random.uniform(-100, 100)
        self.begin(f"clock jump: node {number} {ahead:+.1f} s from the machine's")
        self.cluster.set_clock(number, ahead)
        time.sleep(self.random.uniform(1.0, 3.0))

    def rolling_restart(self) -> None:
        for number in list(self.cluster.nodes):
            self.wait_until_spared(number)
            self.begin(f"rolling restart: node {number}")
            self.cluster.end(number)
            if status := self.cluster.children[number].poll():
                self.problems.append(f"node {number} ended with status {status} after SIGTERM")
            self.cluster.boot(number)
            self.recover()

    def wait_until_spared(self, number: str) -> None:
        until, answer = time.monotonic() + READY_WITHIN_S, {}
        while time.monotonic() < until:
            try:
                status, answer = self.cluster.ask(number, "/health/cluster", timeout_s=5)
                if status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.3)
        raise Problem(f"node {number} may not be stopped, {READY_WITHIN_S} s long: {answer.get('reasons')}")

    # ---- one after the other

    def begin(self, what: str) -> None:
        self.tell(what)
        self.faults.append(Fault(what))

    def recover(self) -> None:
        """Until the nodes are ready and the clients are answered."""
        fault, healed = self.faults[-1], time.monotonic()
        until = healed + READY_WITHIN_S
        self.tell("is over")
        for number in self.cluster.nodes:
            while (state := self.cluster.ready(number)) != "ready":
                if self.cluster.pid(number) is None:
                    raise Problem(f"node {number} has ended by itself after: {fault.what}\n{self.end_of_log(number)}")
                if time.monotonic() > until:
                    raise Problem(f"node {number} is {state} {READY_WITHIN_S} s after: {fault.what}")
                time.sleep(0.1)
        self.tell("all nodes are ready")
        while waiting := [one.name for one in self.clients if one.gaps.last < healed and not getattr(one, "ended", None)]:
            if time.monotonic() > until:
                self.problems.append(f"no answer within {READY_WITHIN_S} s after {fault.what}: {', '.join(waiting)}")
                break
            time.sleep(0.1)
        self.tell("all clients are answered")
        fault.end = time.monotonic() + 1
        if not self.hasty:
            self.wait_until_whole(fault, healed)
        time.sleep(self.random.uniform(1.0, 2.5))

    def lacking(self) -> dict:
        """What is not as it should be, as any node sees it: one that was cut off knows the least."""
        for number in self.cluster.nodes:
            try:
                status, state = self.cluster.ask(number, "/v1/cluster")
            except OSError:
                return {"not reached": number}
            if status != 200 or not state["lease"] or state["nodes"]["live"] != len(self.cluster.nodes):
                return {"without a lease" if status == 200 and not state["lease"] else "not all live, says": number}
            found = {name: state["shards"][name] for name in ("leaderless", "moving") if state["shards"][name]}
            found |= {name: state["segments"][name] for name in ("under_replicated", "without_quorum") if state["segments"][name]}
            if found:
                return found
        return {}

    def wait_until_whole(self, fault: Fault, since: float) -> None:
        while lacking := self.lacking():
            if time.monotonic() > since + WHOLE_WITHIN_S:
                self.problems.append(f"the cluster is not whole {WHOLE_WITHIN_S} s after {fault.what}: {lacking}")
                return
            time.sleep(0.3)
        self.whole_after_s[fault.kind()].append(time.monotonic() - since)
        self.tell(f"the cluster is whole, {time.monotonic() - since:.1f} s after everything was healed")

    def end_of_log(self, number: str) -> str:
        lines = (self.cluster.directory / f"node-{number}.log").read_text(errors="replace").splitlines()
        return "\n".join(f"    {line}" for line in lines[-8:])

    def one(self, kind: str, role: str = "") -> None:
        self.counts[kind] += 1
        before = len(self.faults)
        if kind == "kill":
            self.kill(role)
        elif "split" in kind:
            self.split_from(kind)
        else:
            getattr(self, kind.replace(" ", "_"))()
        if len(self.faults) > before and not self.faults[-1].end:
            self.recover()

    def all(self, kills: int, others: tuple[str, ...], report) -> None:
        """So many kills, of all roles alike; after every third something else, of all kinds alike. No kills: the others in this order."""
        if kills == 0:
            for kind in others:
                self.one(kind)
                report(self.faults[-1])
        roles: list[str] = []
        deck: list[str] = []
        while self.counts["kill"] < kills:
            if not roles:
                roles = self.random.sample(ROLES, len(ROLES))
            self.one("kill", roles.pop())
            report(self.faults[-1])
            if others and self.counts["kill"] % 3 == 0:
                deck = deck or self.random.sample(others, len(others))
                self.one(deck.pop())
                report(self.faults[-1])
