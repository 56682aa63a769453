"""Follow a worked page of docs/extending: make its changes of files in a copy of the tree, and run its commands.

    git worktree add /tmp/copy && cd /tmp/copy
    python tests/support/worked_pages.py docs/extending/activation.md    # adds the page's code, then runs its commands

A page names a place in one of three ways; the next fenced block has the code for that place:

    Add to `FILE`, after the line that begins with `TEXT`:      (or "before the line")
    Replace in `FILE` the line that begins with `TEXT` by:
    Make the file `FILE`:

Leading spaces of a line are ignored, and exactly one line of the file must begin with the text. Blocks of the language
`sh` are commands. The tree to change is the working folder.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CODE = r"(?:`` (?P<{0}_2>.+?) ``|`(?P<{0}>[^`]+)`)"
PLACES = [
    re.compile(
        rf"^Add to {CODE.format('file')}, (?P<where>after|before) the line that begins with {CODE.format('text')}:$"
    ),
    re.compile(rf"^(?P<where>Replace) in {CODE.format('file')} the line that begins with {CODE.format('text')} by:$"),
    re.compile(rf"^(?P<where>Make) the file {CODE.format('file')}:$"),
]
BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Step:
    """A block of a page: code for a place in a file (`where`: after, before, Replace, Make), or commands (run)."""

    where: str
    code: str
    file: str = ""
    text: str = ""

    def line(self, lines: list[str]) -> int:
        """Return the index of the only line that begins with the text."""
        found = [i for i, line in enumerate(lines) if line.strip().startswith(self.text)]
        if len(found) != 1:
            raise LookupError(f"{self.file}: {len(found)} lines begin with {self.text!r}, expected one")
        return found[0]

    def add(self, top: Path) -> None:
        """Insert the code at its place in the tree `top`."""
        path = top / self.file
        if self.where == "Make":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.code, encoding="utf-8")
            return
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        i = self.line(lines)
        first, last = {"after": (i + 1, i + 1), "before": (i, i), "Replace": (i, i + 1)}[self.where]
        path.write_text("".join([*lines[:first], self.code, *lines[last:]]), encoding="utf-8")


def steps(page: Path) -> Iterator[Step]:
    """Yield the steps of a page in order; a place without a block, or a block without a place, is a LookupError."""
    text = page.read_text(encoding="utf-8")
    places = {
        match.end(): match.groupdict()
        for pattern in PLACES
        for match in re.compile(pattern.pattern, re.MULTILINE).finditer(text)
    }
    for block in BLOCK.finditer(text):
        before = text[: block.start()].rstrip("\n")
        place = places.pop(len(before), None)
        if place is not None:
            named = {key: place.get(key) or place.get(f"{key}_2") or "" for key in ("file", "text")}
            yield Step(place["where"], block["code"], **named)
        elif block["language"] == "sh":
            yield Step("run", block["code"])
        elif block["language"] != "text":
            line = text.count("\n", 0, block.start()) + 1
            raise LookupError(f"{page.name}, line {line}: the sentence before this block names no place")
    if places:
        raise LookupError(f"{page.name}: no block follows {next(iter(places.values()))['where']}")


def follow(page: Path, top: Path) -> int:
    """Do what the page says in the tree `top`, and return the exit status of the first command that fails, or 0."""
    for step in list(steps(page)):
        if step.where != "run":
            step.add(top)
        elif status := subprocess.run(["bash", "-e", "-x", "-c", step.code], cwd=top, check=False).returncode:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(follow(Path(sys.argv[1]), Path.cwd()))
