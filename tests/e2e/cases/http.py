"""Health and metrics."""
import http.client
import json
import re

from harness import metrics
from harness.case import case
from harness.kafka import Kcat
from harness.mqtt import connection


def get(t, path, method="GET", body=None):
    host, port = t.broker.http.rsplit(":", 1)
    link = http.client.HTTPConnection(host, int(port), timeout=20)
    try:
        link.request(method, path, body)
        answer = link.getresponse()
        return answer.status, answer.read().decode(), answer.headers
    finally:
        link.close()


@case("stele")
def health(t):
    for path in ("/health/live", "/health/ready"):
        t.equal(get(t, path)[0], 200, path)


@case("stele")
def errors(t):
    t.equal(get(t, "/nothing/here")[0], 404, "unknown path")
    t.equal(get(t, "/health/live", "DELETE")[0], 405, "wrong method")
    t.equal(get(t, "/v1/topics/never")[0], 404, "unknown topic")
    status, body, _ = get(t, "/v1/topics", "POST", "{")
    t.equal(status, 400, f"broken JSON: {body}")


@case("stele")
def metrics_parse_and_count(t):
    status, before, headers = get(t, "/metrics")
    t.equal(status, 200, "status")
    t.true(headers["content-type"].startswith("text/plain"), f"content type {headers['content-type']}")
    metrics.parse(before)
    t.stele("topic", "create", "m", "--capture", "m/#")
    wire = connection(t)
    for i in range(10):
        wire.publish("m/x", "y")
    Kcat(t).produce("m", ["z"] * 10)
    kinds, samples = metrics.parse(get(t, "/metrics")[1])
    t.true(len(kinds) >= 5, f"only {sorted(kinds)}")
    t.true(all(re.fullmatch(r"(stele|process)_[a-z0-9_]+", name) for name in kinds), f"names {sorted(kinds)}")
    grown = [k for k, v in samples.items() if v >= 10 and v > metrics.parse(before)[1].get(k, 0)]
    t.true(grown, "no counter has seen the 20 messages")


@case("stele")
def api_is_json(t):
    t.stele("topic", "create", "one", "--partitions", 3)
    status, body, headers = get(t, "/v1/topics")
    t.equal(status, 200, "status")
    t.true(headers["content-type"].startswith("application/json"), f"content type {headers['content-type']}")
    t.true("one" in json.dumps(json.loads(body)), body)
