"""What a case is written with: the decorator that registers it, and the Test it is given.

Each case runs in a process of its own (see runner.py) with an empty directory, and ends by returning or by an
exception. Waits are bounded, so a case that hangs fails; no case asserts how long something took.
"""
import queue
import signal
import subprocess
import sys
import threading
import time

from harness.broker import Failure, Foreign, Mosquitto, Stele

CASES = {}
WAIT_S = 20  # for something that takes milliseconds on a quiet machine


class Case:
    def __init__(self, name, function, needs, timeout_s, starts):
        self.name, self.function, self.needs = name, function, needs
        self.timeout_s, self.starts = timeout_s, starts


def case(*needs, each=None, timeout=90, start=True):
    """Registers a case that needs a broker with these capabilities. `each` makes one case per entry, given its value.
    With start=False the case starts the broker itself."""

    def register(function):
        base = function.__module__.rsplit(".", 1)[-1] + "." + function.__name__
        for label, values in (each or {"": None}).items():
            name = f"{base}[{label}]" if label else base
            run = function if each is None else (lambda t, v=values: function(t, v))
            CASES[name] = Case(name, run, set(needs), timeout, start)
        return function

    return register


class Spawned:
    """A client in the background. Its lines, from both outputs, are kept in order."""

    def __init__(self, argv, log):
        self.argv, self.lines, self.log = argv, [], log
        self.queue = queue.Queue()
        self.process = subprocess.Popen(
            ["stdbuf", "-oL", *argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.log(f"{self.argv[0]}> {line.rstrip()}")
            self.queue.put(line.rstrip("\n"))
        self.queue.put(None)

    def wait_for(self, text, limit_s=WAIT_S):
        """The next line that contains `text`."""
        deadline = time.monotonic() + limit_s
        while True:
            try:
                line = self.queue.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                raise Failure(f"{' '.join(self.argv)}: no line with {text!r}; last lines {self.lines[-3:]}")
            self.lines.append(line)
            if text in line:
                return line

    def take(self, text):
        """The lines that are there and contain `text`."""
        found = []
        while not self.queue.empty():
            if (line := self.queue.get()) is None:
                self.queue.put(None)
                break
            self.lines.append(line)
            if text in line:
                found.append(line)
        return found

    def end(self, limit_s=WAIT_S):
        """Waits until it ends by itself; all its lines."""
        try:
            self.process.wait(limit_s)
        except subprocess.TimeoutExpired as e:
            raise Failure(f"{' '.join(self.argv)}: still running after {limit_s} s") from e
        self.reader.join()
        while (line := self.queue.get()) is not None:
            self.lines.append(line)
        return self.lines

    def interrupt(self):
        """As Ctrl-C does; all its lines."""
        self.process.send_signal(signal.SIGINT)
        return self.end()

    def kill(self):
        self.process.kill()
        self.process.wait()


class Test:
    def __init__(self, options, directory, log):
        self.options, self.dir, self.log = options, directory, log
        self.brokers, self.spawned, self.names = [], [], 0
        self.broker = None

    # The broker.

    def new_broker(self, *flags, data=None, prefix=()):
        """Not yet started. Cases that name a directory or flags of their own need `stele`."""
        if self.options.peer == "mosquitto":
            broker = Mosquitto(data or self.dir / "data", self.dir / "broker.log")
        elif self.options.mqtt or self.options.kafka:
            broker = Foreign(self.options.mqtt, self.options.kafka)
        else:
            broker = Stele(self.options.stele, data or self.dir / "data", self.dir / "broker.log", flags, prefix)
        self.brokers.append(broker)
        return broker

    def start(self, *flags, **more):
        self.broker = self.new_broker(*flags, **more).start()
        return self.broker

    def restart(self, hard=True):
        """Down (kill -9 unless hard=False) and up again on the same directory. Ports change."""
        self.broker.kill() if hard else self.broker.stop()
        self.broker.start()

    @property
    def is_stele(self):
        return isinstance(self.broker, Stele)

    @property
    def mqtt(self):
        host, port = self.broker.mqtt.rsplit(":", 1)
        return host, int(port)

    @property
    def kafka(self):
        return self.broker.kafka

    def stele(self, *args, **more):
        """The command line against this case's broker."""
        return self.run([self.options.stele, *args, "--http", self.broker.http], **more)

    # Commands and checks.

    def name(self, base):
        """A name that nothing else on this broker uses: a foreign one is not fresh."""
        if isinstance(self.broker, Foreign):
            self.names += 1
            return f"{base}-{self.dir.name}-{self.names}"
        return base

    def run(self, argv, stdin="", ok=True, limit_s=60):
        """Standard output of a command that must succeed (ok=False: fail; ok=None: either)."""
        argv = [str(a) for a in argv]
        self.log("$ " + " ".join(argv))
        try:
            done = subprocess.run(argv, input=stdin, capture_output=True, text=True, errors="replace", timeout=limit_s)
        except subprocess.TimeoutExpired as e:
            raise Failure(f"{' '.join(argv)}: still running after {limit_s} s; {e.stdout!r} {e.stderr!r}") from e
        self.log(clip(done.stdout) + clip(done.stderr))
        self.stderr, self.status = done.stderr, done.returncode
        if ok is not None and ok != (done.returncode == 0):
            wanted = "success" if ok else "a failure"
            tail = (done.stderr or done.stdout)[-500:].strip()
            raise Failure(f"{' '.join(argv)}: exit status {done.returncode} where {wanted} was expected: {tail}")
        return done.stdout

    def spawn(self, argv):
        argv = [str(a) for a in argv]
        self.log("& " + " ".join(argv))
        self.spawned.append(Spawned(argv, self.log))
        return self.spawned[-1]

    def equal(self, actual, expected, what):
        if actual != expected:
            raise Failure(f"{what}: {shorten(actual)} where {shorten(expected)} was expected")

    def true(self, condition, what):
        if not condition:
            raise Failure(what)

    def eventually(self, condition, what, limit_s=WAIT_S):
        """The first truthy result of condition()."""
        deadline = time.monotonic() + limit_s
        while not (result := condition()):
            if time.monotonic() > deadline:
                raise Failure(f"{what}: not within {limit_s} s")
            time.sleep(0.02)
        return result

    def close(self):
        for client in self.spawned:
            client.kill()
        for broker in self.brokers:
            if broker.is_running():
                broker.stop()


def clip(text):
    return text if len(text) <= 8000 else f"{text[:4000]}\n… {len(text) - 8000} characters …\n{text[-4000:]}"


def shorten(value):
    text = repr(value)
    return text if len(text) <= 600 else f"{text[:300]} … {text[-200:]} ({len(text)} characters)"


def report(line):
    print(line, flush=True)
    sys.stdout.flush()
