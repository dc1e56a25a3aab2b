"""flatbuffers_cc_library(name, srcs): C++ headers of FlatBuffers schemas, one X_generated.h for each X.fbs, with the object API."""

load("@rules_cc//cc:defs.bzl", "cc_library")

def flatbuffers_cc_library(name, srcs, visibility = None):
    outs = [src.replace(".fbs", "_generated.h") for src in srcs]
    native.genrule(
        name = name + "_generated",
        srcs = srcs,
        outs = outs,
        cmd = "/usr/bin/flatc --cpp --cpp-std c++17 --scoped-enums --gen-object-api -o $(@D) $(SRCS)",
    )
    cc_library(
        name = name,
        hdrs = outs,
        visibility = visibility,
        deps = ["@flatbuffers"],
    )
