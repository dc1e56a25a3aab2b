"""Looking after a cluster: `stele cluster`, /health/cluster, and HTTP on a node without a broker."""
import http.client
import json
import socket

from harness import metrics
from harness.case import case


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(at, path):
    host, port = at.rsplit(":", 1)
    link = http.client.HTTPConnection(host, int(port), timeout=20)
    try:
        link.request("GET", path)
        answer = link.getresponse()
        return answer.status, answer.read().decode()
    finally:
        link.close()


def cluster(t, *args, at=None, **more):
    return t.run([t.options.stele, "cluster", *args, "--http", at or t.broker.http], **more)


def read(t, what, at=None):
    return json.loads(cluster(t, what, "--json", at=at))


def refused(t, *args, word):
    cluster(t, *args, ok=False)
    t.equal(t.status, 1, f"exit status of {args}")
    t.true(word in t.stderr, f"{word!r} is not in {t.stderr!r}")


def reasons(at):
    """Why the node may not be stopped; none: it may."""
    status, body = get(at, "/health/cluster")
    return [] if status == 200 else json.loads(body)["reasons"]


@case("stele")
def alone(t):
    refused(t, "status", word="alone")
    refused(t, "drain", "1", word="alone")
    t.true("alone" in reasons(t.broker.http)[0], "why a node alone may not be stopped")


@case("stele", start=False)
def of_one(t):
    t.start("--rpc", f"127.0.0.1:{free_port()}", "--shards", "8", "--cores", "1")
    t.eventually(lambda: read(t, "status")["shards"]["leaderless"] == 0, "all shards are served")
    status = read(t, "status")
    t.equal((status["node"], status["meta"]["leader"], status["meta"]["voters"]), (1, 1, [1]), "who leads and votes")
    t.equal(status["shards"], {"all": 8, "leaderless": 0, "moving": 0}, "shards")
    t.true(" 8: 0 leaderless" in cluster(t, "status"), "shards for people")
    (node,) = read(t, "nodes")["nodes"]
    t.equal((node["state"], node["roles"], node["meta"], node["shards"]), ("live", ["meta", "journal", "broker"], "leader", 8), "the node")
    head, line = cluster(t, "nodes").splitlines()
    t.equal(head.split()[:3], ["NODE", "STATE", "ROLES"], "the head of the table")
    t.equal(line.split()[:4], ["1", "live", "meta,journal,broker", "leader"], "its line")
    t.equal(len(cluster(t, "shards").splitlines()), 9, "lines about shards")
    t.equal(cluster(t, "shards", "--problems"), "", "shards that are not as they should be")
    t.true("0 of the 1 voter " in reasons(t.broker.http)[0], "why it may not be stopped")
    refused(t, "drain", "1", word="nowhere to go")
    refused(t, "drain", "9", word="no node 9")
    refused(t, "remove", "1", word="only one that votes")
    refused(t, "remove", "9", word="no node 9")
    t.true("votes" in cluster(t, "add-meta", "1"), "it votes already")
    refused(t, "add-meta", "9", word="no node 9")
    samples = metrics.parse(get(t.broker.http, "/metrics")[1])[1]
    t.equal(samples["stele_cluster_shards_leaderless{}"], 0, "leaderless shards")
    t.equal(samples["stele_cluster_segments_under_replicated{}"], 0, "under-replicated segments")
    t.true(samples["stele_cluster_segments{}"] >= 8, "segments")


@case("stele", start=False, timeout=240)
def of_three(t):
    """The third has no broker and no journal; it answers all the same."""
    rpc = f"127.0.0.1:{free_port()}"
    flags = ["--shards", "8", "--cores", "1"]
    first = t.start("--rpc", rpc, *flags)
    join = [*flags, "--join", rpc]
    second = t.new_broker("--rpc", f"127.0.0.1:{free_port()}", "--node-id", "2", *join, data=t.dir / "data2").start()
    third = t.new_broker("--rpc", f"127.0.0.1:{free_port()}", "--node-id", "3", "--roles", "meta", *join, data=t.dir / "data3").start()
    t.equal((third.mqtt, third.kafka), ("off", "off"), "listeners of a node without a broker")
    for node in (2, 3):
        t.true("votes" in cluster(t, "add-meta", node), f"node {node} votes")
    t.equal(read(t, "status", third.http)["meta"]["voters"], [1, 2, 3], "who votes, as the third says")
    t.equal(get(third.http, "/health/ready")[0], 200, "health of the third")
    t.true("stele_cluster_nodes 3" in get(third.http, "/metrics")[1], "metrics of the third")
    t.run([t.options.stele, "topic", "create", "x", "--http", third.http], ok=False)
    t.true("role broker" in t.stderr, t.stderr)
    t.eventually(lambda: reasons(third.http) == [], "the third may be stopped")
    t.true("1 of the 2 journals" in " ".join(reasons(second.http)), "the second may not")

    def nodes():
        return {n["node"]: n for n in read(t, "nodes", third.http)["nodes"]}

    def state():
        return read(t, "status", third.http)

    t.eventually(lambda: nodes()[2]["shards"] == 4 and state()["shards"]["leaderless"] == 0, "the second has its share", 60)
    t.true("owns no shards" in cluster(t, "drain", 2, at=third.http), "the second is drained")
    t.true(nodes()[2]["draining"] and nodes()[2]["shards"] == 0, f"{nodes()[2]}")
    t.true("live,draining" in cluster(t, "nodes"), "the table says so")
    refused(t, "drain", "1", word="nowhere to go")
    cluster(t, "undrain", 2)
    t.eventually(lambda: nodes()[2]["shards"] == 4, "the second has its share again", 60)

    refused(t, "remove", "3", word="lives")
    third.kill()
    t.eventually(lambda: read(t, "nodes")["nodes"][2]["state"] == "gone", "the third is gone")
    t.true("1 of the 2 voters" in " ".join(reasons(second.http)), "now the second is needed for the quorum")
    cluster(t, "remove", 3)
    t.equal(len(read(t, "nodes")["nodes"]), 2, "nodes that are left")
    t.eventually(lambda: read(t, "status")["meta"]["voters"] == [1, 2], "who votes then")
    t.equal(first.is_running() and second.is_running(), True, "both run")
