"""The brokers that the cases run against: a Stele of their own, a mosquitto of their own, or one that already runs.

`capabilities` says what a case may ask of it:
    mqtt, kafka    the protocol is served
    restart        the case may stop it and start it again on what it kept
    stele          it is Stele, with a process, a command line and a data directory that belong to the case
"""
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import time

START_LIMIT_S = 30
STOP_LIMIT_S = 30


class Failure(Exception):
    """A case did not see what it expects."""


def read_line(pipe, limit_s, what):
    """One line of a pipe that nobody else reads; fails after `limit_s`, or when the pipe ends first."""
    deadline, line = time.monotonic() + limit_s, b""
    while not line.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([pipe], [], [], left)[0]:
            raise Failure(f"{what}: nothing after {limit_s} s, only {line!r}")
        byte = os.read(pipe.fileno(), 1)
        if not byte:
            raise Failure(f"{what}: the output ended after {line!r}")
        line += byte
    return line.decode()


class Stele:
    """One `stele serve` on one data directory; start, kill or stop, and start again."""

    capabilities = {"mqtt", "kafka", "restart", "stele"}

    def __init__(self, binary, data, log, flags=(), prefix=()):
        self.binary, self.data, self.log = binary, data, log
        self.flags, self.prefix = list(flags), list(prefix)
        self.process = None
        self.mqtt = self.kafka = self.http = None
        self.tls = {}

    def command(self):
        listen = []
        for protocol in ("--mqtt", "--kafka", "--http"):
            if protocol not in self.flags:
                listen += [protocol, "127.0.0.1:0"]
        return [*self.prefix, self.binary, "serve", "--data", str(self.data), *listen, *self.flags]

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=subprocess.PIPE, stderr=log)
        line = read_line(self.process.stdout, START_LIMIT_S, "the ready line")
        match = re.fullmatch(r"ready mqtt=(\S+) kafka=(\S+) http=(\S+)((?: \w+-tls=\S+)*)(?: rpc=\S+)?\n", line)
        if not match:
            raise Failure(f"the ready line is {line!r}")
        self.mqtt, self.kafka, self.http, tls = match.groups()
        self.tls = dict(word.split("-tls=") for word in tls.split())  # by protocol
        return self

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """As if the plug were pulled on the process."""
        self.process.kill()
        self.process.wait(STOP_LIMIT_S)

    def stop(self):
        """SIGTERM; the broker must end by itself and without complaint, having said nothing but the ready line."""
        self.process.send_signal(signal.SIGTERM)
        try:
            more, _ = self.process.communicate(timeout=STOP_LIMIT_S)
        except subprocess.TimeoutExpired as e:
            raise Failure(f"still running {STOP_LIMIT_S} s after SIGTERM") from e
        if more:
            raise Failure(f"standard output holds more than the ready line: {more!r}")
        if self.process.returncode != 0:
            raise Failure(f"exit status {self.process.returncode} after SIGTERM")


class Mosquitto:
    """A mosquitto of its own, for proving the MQTT cases. It keeps its state on SIGTERM only, so `kill` is one too."""

    capabilities = {"mqtt", "restart"}

    def __init__(self, data, log):
        self.binary = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")
        if not self.binary:
            raise Failure("mosquitto is not installed: tools/install peers")
        self.data, self.log = pathlib.Path(data), log
        self.process = self.mqtt = self.kafka = self.http = None

    def start(self):
        self.data.mkdir(exist_ok=True)
        for _ in range(5):  # somebody else may take the port first
            if self._start_on_free_port():
                return self
        raise Failure("mosquitto does not start")

    def _start_on_free_port(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        conf = self.data / "mosquitto.conf"
        conf.write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\npersistence true\n"
            f"persistence_location {self.data}/\nmax_queued_messages 0\nmax_inflight_messages 0\n"
            "set_tcp_nodelay true\n"
        )
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([self.binary, "-c", str(conf)], stdout=log, stderr=log)
        deadline = time.monotonic() + START_LIMIT_S
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                self.mqtt = f"127.0.0.1:{port}"
                return True
            except OSError:
                time.sleep(0.01)
        return False

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def stop(self):
        self.process.terminate()
        self.process.wait(STOP_LIMIT_S)

    def kill(self):
        self.stop()


class Foreign:
    """A broker that somebody else started and that is only talked to."""

    http = None

    def __init__(self, mqtt, kafka):
        self.mqtt, self.kafka = mqtt, kafka
        self.capabilities = {name for name, at in (("mqtt", mqtt), ("kafka", kafka)) if at}

    def start(self):
        return self

    def is_running(self):
        return False

    def stop(self):
        pass
