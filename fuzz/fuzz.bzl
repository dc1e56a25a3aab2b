"""One fuzz target per decoder and per on-disk reader, with its corpus."""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_library", "cc_test")

def fuzz_target(name, srcs, deps, corpus):
    """Declares the two forms of a fuzz target.

    `<name>_corpus_test` runs every file of the corpus once, in any build. `<name>` is the libFuzzer binary:
    bazel build --config=fuzz //fuzz:<name> && bazel-bin/fuzz/<name> /tmp/new fuzz/<corpus>

    Args:
      name: of the libFuzzer binary.
      srcs: define LLVMFuzzerTestOneInput.
      deps: what srcs include.
      corpus: a folder of this package, one input per file.
    """
    cc_library(
        name = name + "_lib",
        testonly = True,
        srcs = srcs,
        deps = deps,
        alwayslink = True,
    )
    cc_test(
        name = name + "_corpus_test",
        size = "small",
        srcs = ["//fuzz:standalone_main.cc"],
        args = [native.package_name() + "/" + corpus],
        data = native.glob([corpus + "/**"]),
        deps = [":" + name + "_lib"],
    )
    cc_binary(
        name = name,
        testonly = True,
        tags = ["manual"],
        deps = [":" + name + "_lib"],
    )
