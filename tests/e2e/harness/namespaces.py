"""Mounts and networks that only the processes of one case see, and that vanish with them."""
import ctypes
import os

from harness.broker import Failure

NEWNS, NEWUSER, NEWNET = 0x00020000, 0x10000000, 0x40000000
MS_REC, MS_PRIVATE, MS_REMOUNT = 0x4000, 1 << 18, 32
libc = ctypes.CDLL(None, use_errno=True)


def check(status, what):
    if status != 0:
        raise Failure(f"{what}: {os.strerror(ctypes.get_errno())}")


def leave(*kinds):
    """This process leaves the namespaces it shares with others. Who is not root becomes it, in a user namespace."""
    flags, user, group = sum(kinds), os.geteuid(), os.getegid()
    if user == 0:
        return check(libc.unshare(flags), "unshare")
    check(libc.unshare(flags | NEWUSER), "unshare, without being root (unprivileged user namespaces must be on)")
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def mount_small_disk(where, size):
    """A tmpfs at the directory `where`. Returns what changes its size."""
    leave(NEWNS)
    where.mkdir()
    check(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "making mounts private")
    check(libc.mount(b"none", str(where).encode(), b"tmpfs", 0, f"size={size}".encode()), "mounting a small disk")

    def resize(bigger):
        flags = ctypes.c_ulong(MS_REMOUNT)
        check(libc.mount(b"none", str(where).encode(), b"tmpfs", flags, f"size={bigger}".encode()), "making it larger")

    return resize
