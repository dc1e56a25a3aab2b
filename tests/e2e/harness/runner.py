"""Runs cases, each in a child process that leads a process group, and counts them."""
import concurrent.futures
import fnmatch
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

from harness.broker import Failure, Foreign, Mosquitto, Stele
from harness.case import CASES, Test

TAIL_LINES = 25


def capabilities(options):
    if options.peer == "mosquitto":
        return Mosquitto.capabilities
    if options.mqtt or options.kafka:
        return Foreign(options.mqtt, options.kafka).capabilities
    return Stele.capabilities


def select(options):
    """The cases that the patterns name and this broker can take, and how many it cannot."""
    named = [c for n, c in CASES.items() if any(fnmatch.fnmatch(n, p) or n.startswith(p) for p in options.cases or ["*"])]
    able = [c for c in named if c.needs <= capabilities(options)]
    return able, len(named) - len(able)


def run_inside(name, options, directory):
    """In the child: runs the case; the exit status says how it went and `error` why."""
    case = CASES[name]
    with open(directory / "case.log", "a", encoding="utf-8", errors="replace") as log_file:
        def log(text):
            log_file.write(f"{text.rstrip()}\n")
            log_file.flush()

        t = Test(options, directory, log)
        error = None
        try:
            if case.starts:
                t.start()
            case.function(t)
        except Failure as e:
            error = str(e)
        except Exception:  # a fault of the case itself, or a client library's complaint
            error = traceback.format_exc()
        try:
            t.close()
        except Exception as e:
            error = error or f"at the end: {e}"
        if error:
            (directory / "error").write_text(error, encoding="utf-8")
        return 1 if error else 0


def end_group(leader):
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        pass


def run_case(case, options, argv, scratch):
    """In the parent: starts the child, bounds its time, ends what it left behind."""
    directory = scratch / case.name.replace("[", "-").replace("]", "").replace(" ", "-")
    directory.mkdir()
    began = time.monotonic()
    child = subprocess.Popen(
        [sys.executable, sys.argv[0], *argv, "--inside", case.name, str(directory)], start_new_session=True,
        stdin=subprocess.DEVNULL,
    )
    error = None
    try:
        if child.wait(case.timeout_s) != 0:
            text = directory / "error"
            error = text.read_text(encoding="utf-8") if text.exists() else f"exit status {child.returncode}"
    except subprocess.TimeoutExpired:
        error = f"not done after {case.timeout_s} s"
    finally:
        end_group(child.pid)
        child.wait()
    return case.name, error, time.monotonic() - began, directory


def tail(path):
    if not path.exists() or path.stat().st_size == 0:
        return
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    print(f"  --- {path.name}, last {min(len(lines), TAIL_LINES)} of {len(lines)} lines")
    for line in lines[-TAIL_LINES:]:
        print("  " + line[:300])


def run_all(options, argv):
    cases, beyond = select(options)
    if options.list:
        print("\n".join(c.name for c in cases))
        return 0
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="stele-e2e-"))
    passed, failed = 0, []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        running = [pool.submit(run_case, c, options, argv, scratch) for c in cases]
        for done in concurrent.futures.as_completed(running):
            name, error, seconds, directory = done.result()
            if error is None:
                passed += 1
                print(f"PASS {name} ({seconds:.1f} s)", flush=True)
                shutil.rmtree(directory, ignore_errors=True)
                continue
            failed.append(name)
            print(f"FAIL {name} ({seconds:.1f} s): {error.rstrip()}")
            tail(directory / "case.log")
            tail(directory / "broker.log")
            print(f"  --- all of it: {directory}", flush=True)
    if not failed:
        shutil.rmtree(scratch, ignore_errors=True)
    if beyond:
        print(f"{beyond} cases left out: this broker does not offer what they need")
    for name in sorted(failed):
        print(f"FAILED {name}")
    print(f"{passed} passed, {len(failed)} failed", flush=True)
    return 0 if passed and not failed else 1
