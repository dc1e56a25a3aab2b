"""The clients that Debian has not, or too old: fetched and compiled once into .cache/e2e, and again when their sources
change."""
import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

from harness.broker import Failure

HERE = pathlib.Path(__file__).resolve().parent.parent
ROOT = HERE.parent.parent
CACHE = ROOT / ".cache/e2e"
BUILD_LIMIT_S = 600


@contextlib.contextmanager
def up_to_date(directory, inputs):
    """Yields whether `directory` must be made anew; notes at the end that it was made of `inputs`."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(b"".join(p.read_bytes() for p in inputs)).hexdigest()
    stamp = directory / "made-of"
    with open(directory.parent / (directory.name + ".lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fresh = stamp.exists() and stamp.read_text(encoding="utf-8") == digest
        if not fresh:
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()
        yield not fresh
        stamp.write_text(digest, encoding="utf-8")


def build(argv, **more):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=BUILD_LIMIT_S, **more)
    if done.returncode != 0:
        raise Failure(f"{' '.join(map(str, argv))}: {(done.stdout + done.stderr)[-1500:]}")


def java_command():
    libs, classes = CACHE / "java-libs", CACHE / "java-classes"
    pom, source = HERE / "java/pom.xml", HERE / "java/src/Cases.java"
    with up_to_date(libs, [pom]) as stale:
        if stale:
            build(["mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", f"-DoutputDirectory={libs}"])
    with up_to_date(classes, [pom, source]) as stale:
        if stale:
            build(["javac", "-cp", f"{libs}/*", "-d", classes, source])
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    return ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m", quiet, "-cp", f"{classes}:{libs}/*", "Cases"]


def go_command():
    made, sources = CACHE / "go", HERE / "go"
    with up_to_date(made, sorted(sources.iterdir())) as stale:
        if stale:
            build([ROOT / "tools/go", "build", "-o", made / "franz", "."], cwd=sources, env={**os.environ, "GOFLAGS": ""})
    return [str(made / "franz")]


def python_command():
    libs, wanted = CACHE / "python", HERE / "python/requirements.txt"
    with up_to_date(libs, [wanted]) as stale:
        if stale:
            build([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--require-hashes", "--target", libs, "-r", wanted])
    return ["env", f"PYTHONPATH={libs}", sys.executable, "-B", str(HERE / "python/cases.py")]


def js_command(script="pair.js"):
    """A script with MQTT.js, which is Debian's."""
    return ["env", "NODE_PATH=/usr/share/nodejs", "node", str(HERE / "js" / script)]
