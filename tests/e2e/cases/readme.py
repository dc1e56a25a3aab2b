"""What the README prints works as printed, and ./run is quick when nothing has changed."""
import os
import re
import select
import subprocess
import time

from harness import namespaces
from harness.broker import Failure
from harness.case import case
from harness.clients import BUILD_LIMIT_S, ROOT

DONE = "--done--"


def private_network(t):
    """Ports of its own, so that the defaults are free; loopback is up."""
    namespaces.leave(namespaces.NEWNET)
    t.run(["ip", "link", "set", "lo", "up"])


def fresh_directory(t):
    """As a fresh clone looks to somebody who types ./run in it, except that it is built already."""
    t.run([ROOT / "run", "--build"], limit_s=BUILD_LIMIT_S)
    where = t.dir / "clone"
    where.mkdir()
    for name in ("run", ".cache"):
        (where / name).symlink_to(ROOT / name)
    return where


def console_blocks(heading):
    """The console blocks below a heading of the README: lists of (command, expected output)."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    part = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    if not part:
        raise Failure(f"README.md has no heading {heading!r}")
    blocks = []
    for block in re.findall(r"^```console\n(.*?)^```", part[1], re.M | re.S):
        steps = []
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append([line[2:].split("   #")[0].rstrip(), ""])
            else:
                steps[-1][1] += line + "\n"
        blocks.append(steps)
    return blocks


class Terminal:
    """A shell that remembers, as a terminal does."""

    def __init__(self, where):
        self.shell = subprocess.Popen(["bash", "--norc"], cwd=where, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT)

    def type(self, command):
        self.shell.stdin.write(f"{command}\necho {DONE}\n".encode())
        self.shell.stdin.flush()
        return self.read(DONE + "\n")[:-len(DONE) - 1]

    def read(self, end, limit_s=60):
        out, deadline = b"", time.monotonic() + limit_s
        while not out.endswith(end.encode()):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.shell.stdout], [], [], left)[0]:
                raise Failure(f"no {end!r} in {limit_s} s, only {out.decode()!r}")
            byte = os.read(self.shell.stdout.fileno(), 1)
            if not byte:
                raise Failure(f"the shell ended after {out.decode()!r}")
            out += byte
        return out.decode()


@case("stele", start=False, timeout=BUILD_LIMIT_S + 120)
def first_minute(t):
    """Each block is a terminal; ./run occupies one until its broker ends."""
    where = fresh_directory(t)
    private_network(t)
    blocks = console_blocks("The first minute")
    t.true(len(blocks) >= 2, "README.md has the commands of the first minute in blocks of ```console")
    other = Terminal(where)
    for block in blocks:
        for command, expected in block:
            t.log(f"$ {command}")
            if command.split()[0] == "./run":
                occupied = Terminal(where)
                occupied.shell.stdin.write(f"{command} 2>run.log\n".encode())
                occupied.shell.stdin.flush()
                got = occupied.read("\n")
            else:
                got = other.type(command)
            t.log(got)
            t.equal(got, expected, f"output of {command}")


@case("stele", start=False, timeout=BUILD_LIMIT_S + 60)
def run_does_not_build_twice(t):
    """With Bazel and the package manager out of reach, ./run still starts what is built."""
    where = fresh_directory(t)
    private_network(t)
    log = open(t.dir / "run.log", "wb")
    broker = subprocess.Popen(["env", "PATH=/usr/bin:/bin", "HOME=/nonexistent", "bash", "-c",
                               "bazel() { exit 9; }; apt-get() { exit 9; }; export -f bazel apt-get; exec ./run"],
                              cwd=where, stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL)
    try:
        line = broker.stdout.readline().decode()
        t.equal(line, "ready mqtt=127.0.0.1:1883 kafka=127.0.0.1:9092 http=127.0.0.1:8080\n", "the ready line")
        t.true((where / "stele-data").is_dir(), "the data lies in ./stele-data")
        hints = (t.dir / "run.log").read_text(errors="replace")
        t.true("mosquitto_pub" in hints and "kcat" in hints, "standard error says what to type next")
    finally:
        broker.terminate()
        t.equal(broker.wait(30), 0, "exit status")


@case("stele", start=False, timeout=BUILD_LIMIT_S + 60)
def run_passes_flags_on(t):
    where = fresh_directory(t)
    broker = subprocess.Popen(["./run", "--", "--mqtt", "127.0.0.1:0", "--kafka", "off", "--http", "127.0.0.1:0", "--data", "x"],
                              cwd=where, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    try:
        t.true(" kafka=off " in broker.stdout.readline().decode(), "the ready line")
        t.true((where / "x").is_dir() and not (where / "stele-data").exists(), "--data is heeded")
    finally:
        broker.terminate()
        broker.wait(30)
