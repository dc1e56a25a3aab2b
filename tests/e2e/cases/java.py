"""The Java client; what each case does is in ../java/src/Cases.java."""
from harness.case import case
from harness.clients import BUILD_LIMIT_S, java_command

NAMES = ("topics", "topic_errors", "cluster", "configs", "idempotent_producer", "plain_producer", "compressed", "seek",
         "fetch_sessions", "log_dirs", "delete_records", "grow", "alter_configs", "times", "poll_waits", "auto_create",
         "group_offsets", "group_rebalance", "group_cooperative", "group_static", "group_admin")


@case("kafka", each={name: name for name in NAMES}, timeout=BUILD_LIMIT_S + 90)
def client(t, name):
    command = java_command()
    out = t.run([*command, t.kafka, name, t.name("j") + "-"], ok=None)
    t.true(out.endswith("done\n"), f"{out[-600:]}{t.stderr[-600:]}")
