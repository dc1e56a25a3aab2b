"""tools/local-cluster as a module, and what programs that put load on a cluster have in common."""
import argparse
import importlib
import importlib.machinery
import importlib.util
import pathlib
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests/e2e"), str(ROOT / ".cache/e2e/python")]
sys.dont_write_bytecode = True

loader = importlib.machinery.SourceFileLoader("local_cluster", str(ROOT / "tools/local-cluster"))
local_cluster = importlib.util.module_from_spec(importlib.util.spec_from_loader("local_cluster", loader))
loader.exec_module(local_cluster)


def parser(text: str, directory: str) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--binary", type=pathlib.Path, default=ROOT / ".cache/bin/stele")
    made.add_argument("--dir", type=pathlib.Path, default=pathlib.Path(directory))
    made.add_argument("--keep", action="store_true", help="data and logs stay, though the ledger holds")
    return made


def new_cluster(options: argparse.Namespace):
    """With clients that are there, and nothing of an earlier run."""
    from harness import clients
    clients.python_command()
    importlib.invalidate_caches()
    shutil.rmtree(options.dir, ignore_errors=True)
    return local_cluster.Cluster(options.dir, options.binary.resolve())
