"""franz-go; what each case does is in ../go/main.go."""
from harness.case import case
from harness.clients import BUILD_LIMIT_S, go_command

NAMES = ("produce_and_consume", "not_idempotent", "compressed", "admin", "log_dirs", "group")


@case("kafka", each={name: name for name in NAMES}, timeout=BUILD_LIMIT_S + 90)
def client(t, name):
    command = go_command()
    out = t.run([*command, t.kafka, name, t.name("g")], ok=None)
    t.true(out.endswith("done\n"), f"{out[-600:]}{t.stderr[-600:]}")
