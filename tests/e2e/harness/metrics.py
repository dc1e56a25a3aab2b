"""Prometheus' text format, version 0.0.4, read strictly."""
import re
import urllib.request

from harness.broker import Failure

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*,?)?\}})? (\S+)(?: (-?\d+))?")
KINDS = {"counter", "gauge", "histogram", "summary", "untyped"}


def parse(text):
    """{name: kind} and {sample with labels: value}."""
    if not text.endswith("\n"):
        raise Failure("metrics: the last line is not ended")
    kinds, samples, closed, family = {}, {}, set(), None
    for number, line in enumerate(text.splitlines(), 1):
        where = f"metrics, line {number}: {line!r}"
        if not line:
            continue
        if line.startswith("#"):
            match = re.fullmatch(rf"# (HELP|TYPE) ({NAME}) (.*)", line)
            if not match:
                continue  # an ordinary comment
            name = match[2]
            if name in closed or (match[1] == "TYPE" and (name in kinds or match[3] not in KINDS)):
                raise Failure(f"{where}: a second or unknown TYPE, or a family in two pieces")
            if match[1] == "TYPE":
                kinds[name] = match[3]
        else:
            match = SAMPLE.fullmatch(line)
            if not match:
                raise Failure(f"{where}: no sample")
            base = re.sub(r"_(bucket|sum|count)$", "", match[1])
            name = base if kinds.get(base) in ("histogram", "summary") else match[1]
            value = float(match[3].replace("Inf", "inf"))
            if kinds.get(name) == "counter" and value < 0:
                raise Failure(f"{where}: a counter below 0")
            key = f"{match[1]}{{{match[2] or ''}}}"
            if key in samples or name in closed:
                raise Failure(f"{where}: twice, or its family in two pieces")
            samples[key] = value
        if family not in (None, name):
            closed.add(family)
        family = name
    return kinds, samples


def now(http, name):
    """A metric of a running broker, the sum over its labels."""
    with urllib.request.urlopen(f"http://{http}/metrics", timeout=20) as answer:
        _, samples = parse(answer.read().decode())
    return sum(value for key, value in samples.items() if key.split("{")[0] == name)
