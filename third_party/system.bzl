"""Libraries of the system (Debian packages): linked by name, headers found in /usr/include.

libuv is the exception: its header is copied into its own repository, and the system copy is blocked in the
sandbox, so that only //runtime/uv can include it.
"""

def _uv_repository_impl(ctx):
    ctx.file("WORKSPACE", "workspace(name = \"libuv\")\n")
    ctx.file("include/uv.h", ctx.read("/usr/include/uv.h"), executable = False)
    for header in ctx.path("/usr/include/uv").readdir():
        ctx.file("include/uv/" + header.basename, ctx.read(header), executable = False)
    ctx.symlink(Label("@stele//third_party:libuv.BUILD"), "BUILD.bazel")

uv_repository = repository_rule(implementation = _uv_repository_impl, local = True)

def _system_repository_impl(ctx):
    ctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % ctx.name)
    ctx.symlink(Label("@stele//third_party:%s.BUILD" % ctx.name), "BUILD.bazel")

system_repository = repository_rule(implementation = _system_repository_impl, local = True)
