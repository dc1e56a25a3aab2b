"""kafka-python; what each case does is in ../python/cases.py."""
from harness.case import case
from harness.clients import BUILD_LIMIT_S, python_command

NAMES = ("produce_and_consume", "not_idempotent", "compressed", "group", "group_offsets", "group_admin", "topics", "configs",
         "delete_records")


@case("kafka", each={name: name for name in NAMES}, timeout=BUILD_LIMIT_S + 120)
def client(t, name):
    command = python_command()
    out = t.run([*command, t.kafka, name, t.name("p")], ok=None, limit_s=120)
    t.true(out.endswith("done\n"), f"{out[-600:]}{t.stderr[-600:]}")
