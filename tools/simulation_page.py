"""The tables of docs/simulation.md that scripts write, and the commit that they were measured on."""
import datetime
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/simulation.md"


def commit():
    """This commit, and whether there is more than is committed."""
    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True).stdout.strip()
    try:
        return git("rev-parse", "--short=12", "HEAD"), git("status", "--porcelain") != ""
    except (subprocess.CalledProcessError, FileNotFoundError):
        return "unknown", False


def write_between_marks(name, lines):
    """Between `<!-- NAME -->` and `<!-- end of NAME -->`, with the commit and the day."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, found, rest = PAGE.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise SystemExit(f"{PAGE} has no marks for {name}")
    head, changed = commit()
    source = f"On {head}{'+changes' if changed else ''}, {datetime.date.today()}."
    text = "\n".join([source, "", *lines])
    PAGE.write_text(f"{before}{begin}\n{text}\n\n{end}{after}", encoding="utf-8")
