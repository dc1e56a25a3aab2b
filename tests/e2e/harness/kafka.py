"""kcat, which is librdkafka at a terminal."""
import json

COMPRESSIONS = ["none", "gzip", "snappy", "lz4", "zstd"]
BEGINNING, END = "beginning", "end"


class Kcat:
    def __init__(self, t, *flags):
        # A topic that is made at this moment may take a few tries to show up.
        self.t, self.base = t, ["kcat", "-b", t.kafka, "-X", "socket.timeout.ms=20000", *flags]

    def produce(self, topic, lines, *flags):
        """One message per line; -K : in the flags makes what is before a colon the key."""
        self.t.run([*self.base, "-P", "-t", topic, *flags], stdin="".join(line + "\n" for line in lines))

    def consume(self, topic, *flags, partition=None, offset=BEGINNING, count=None):
        """Records as kcat's JSON has them, to the end of the partitions or up to a count."""
        where = [] if partition is None else ["-p", partition]
        until = ["-e"] if count is None else ["-c", count]
        out = self.t.run([*self.base, "-C", "-q", "-J", "-t", topic, *where, "-o", offset, *until, *flags])
        return [json.loads(line) for line in out.splitlines()]

    def payloads(self, topic, *flags, **more):
        return [r["payload"] for r in self.consume(topic, *flags, **more)]

    def metadata(self, *flags):
        return json.loads(self.t.run([*self.base, "-L", "-J", *flags]))

    def topics(self):
        return {topic["topic"]: topic for topic in self.metadata()["topics"]}

    def offset(self, topic, partition, at):
        """ListOffsets: of a time in ms, or -1 end, -2 beginning."""
        out = self.t.run([*self.base, "-Q", "-t", f"{topic}:{partition}:{at}"])
        return int(out.rsplit(" ", 1)[1])


def headers(record):
    flat = record.get("headers", [])
    return list(zip(flat[::2], flat[1::2]))
