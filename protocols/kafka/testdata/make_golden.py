#!/usr/bin/env python3
"""Writes golden.txt: messages as an independent implementation of the protocol encodes them.

Needs the Python package `kio`, whose messages are generated from Kafka's own schemas:

    pip install kio && ./make_golden.py > golden.txt

Each block is a line `<api key> <version> <request|response> <body in hex>`, then one line per field in wire order,
then an empty line; `-` stands for an empty body. The seed is fixed: the same version of kio gives the same file.
"""

import dataclasses
import datetime
import importlib
import io
import random
import types
import typing
import uuid

from kio.serial import entity_writer

APIS = [
    ("produce", 0, 3, 13),
    ("fetch", 1, 4, 18),
    ("list_offsets", 2, 1, 11),
    ("metadata", 3, 0, 13),
    ("offset_commit", 8, 2, 10),
    ("offset_fetch", 9, 1, 10),
    ("find_coordinator", 10, 0, 6),
    ("join_group", 11, 0, 9),
    ("heartbeat", 12, 0, 4),
    ("leave_group", 13, 0, 5),
    ("sync_group", 14, 0, 5),
    ("describe_groups", 15, 0, 6),
    ("list_groups", 16, 0, 5),
    ("sasl_handshake", 17, 0, 1),
    ("api_versions", 18, 0, 4),
    ("create_topics", 19, 2, 7),
    ("delete_topics", 20, 1, 6),
    ("delete_records", 21, 0, 2),
    ("init_producer_id", 22, 0, 5),
    ("offset_for_leader_epoch", 23, 2, 4),
    ("describe_configs", 32, 1, 4),
    ("describe_log_dirs", 35, 1, 4),
    ("sasl_authenticate", 36, 0, 2),
    ("create_partitions", 37, 0, 3),
    ("delete_groups", 42, 0, 2),
    ("incremental_alter_configs", 44, 0, 1),
    ("offset_delete", 47, 0, 0),
    ("describe_cluster", 60, 0, 2),
    ("alter_configs", 33, 0, 2),  # last: all share one stream of random numbers
]
WIDTHS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-_."


class Maker:
    """Builds a random message and notes its fields in the order in which they travel."""

    def __init__(self, rng, api, version):
        self.rng, self.api, self.version, self.lines = rng, api, version, []

    def entity(self, cls):
        hints = typing.get_type_hints(cls)
        fields = dataclasses.fields(cls)
        plain = [f for f in fields if "tag" not in f.metadata]
        tagged = sorted((f for f in fields if "tag" in f.metadata), key=lambda f: f.metadata["tag"])
        return cls(**{f.name: self.value(f, hints[f.name]) for f in plain + tagged})

    def value(self, field, hint):
        kind = field.metadata.get("kafka_type")
        name = field.name
        if kind in ("timedelta_i32", "timedelta_i64", "datetime_i64"):
            name += "_ms"
        optional = type(None) in typing.get_args(hint)
        if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
            hint = next(a for a in typing.get_args(hint) if a is not type(None))
        if optional and kind not in ("uuid", "datetime_i64") and self.rng.random() < 0.3:
            self.lines.append(f"{name}=null")
            return None
        if typing.get_origin(hint) is tuple:
            element = typing.get_args(hint)[0]
            # Before version 0 of Metadata had a null, empty said "all topics".
            low = 1 if (self.api, self.version) == ("metadata", 0) else 0
            size = self.rng.randint(low, 2)
            self.lines.append(f"{name}#{size}")
            return tuple(self.scalar(name, kind, element) for _ in range(size))
        return self.scalar(name, kind, hint)

    def scalar(self, name, kind, hint):
        if dataclasses.is_dataclass(hint):
            return self.entity(hint)
        wire, value = self.pair(kind)
        self.lines.append(f"{name}={wire}")
        return value

    def pair(self, kind):
        rng = self.rng
        if kind == "bool":
            value = rng.random() < 0.5
            return ("true" if value else "false"), value
        if kind in WIDTHS:
            bits = WIDTHS[kind]
            value = rng.getrandbits(bits) - 2 ** (bits - 1)
            return value, value
        if kind == "error_code":
            from kio.schema.errors import ErrorCode

            code = rng.choice(list(ErrorCode))
            return code.value, code
        if kind.startswith("timedelta"):
            ms = rng.randint(0, 2**31 - 1)
            return ms, datetime.timedelta(milliseconds=ms)
        if kind == "datetime_i64":
            ms = rng.randint(0, 4 * 10**12)
            at = datetime.datetime.fromtimestamp(ms // 1000, datetime.timezone.utc)
            return ms, at + datetime.timedelta(milliseconds=ms % 1000)
        if kind == "uuid":
            value = uuid.UUID(int=rng.getrandbits(128))
            return value.hex, value
        if kind == "string":
            value = "".join(rng.choice(LETTERS) for _ in range(rng.choice([0, 1, 5, 9, 130])))
            return f'"{value}"', value
        if kind in ("bytes", "records"):
            value = rng.randbytes(rng.choice([0, 1, 61, 150]))
            return value.hex(), value
        raise ValueError(kind)


def main():
    rng = random.Random(2026)
    for api, key, low, high in APIS:
        for version in range(low, high + 1):
            for side in ("request", "response"):
                module = importlib.import_module(f"kio.schema.{api}.v{version}.{side}")
                cls = getattr(module, "".join(w.capitalize() for w in api.split("_")) + side.capitalize())
                # Random messages are often almost empty; take the fullest of a few.
                makers = []
                for _ in range(6):
                    maker = Maker(rng, api, version)
                    makers.append((maker, maker.entity(cls)))
                maker, message = max(makers, key=lambda m: len(m[0].lines))
                out = io.BytesIO()
                write = entity_writer(cls)
                write(out, message)
                print(key, version, side, out.getvalue().hex() or "-")
                print("\n".join(maker.lines))
                print()


if __name__ == "__main__":
    main()
