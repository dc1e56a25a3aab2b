"""A short run of ../../field, which is the long one: the simulator's clients against a process, under faults."""
import pathlib

from harness.broker import Failure
from harness.case import case

FIELD = pathlib.Path(__file__).resolve().parents[2] / "field"
PROGRAM = FIELD.parents[1] / "bazel-bin/tests/field/field"


# A seed that draws a full file system, a core that pauses and a clock that drifts, besides what all draw.
@case("stele", start=False, timeout=600)
def brief(t):
    if not PROGRAM.exists():
        raise Failure(f"no program at {PROGRAM}: bazel build -c opt //tests/field:field")
    said = t.run([FIELD / "run", "--seed", "4", "--brief", "--stele", t.options.stele, "--field", PROGRAM, "--dir", t.dir],
                 limit_s=580)
    t.true("field seed=4 result=ok" in said.splitlines()[-1], f"the last line is {said.splitlines()[-1]!r}")
