"""The worked pages of docs/extending name places that exist, and a page is followed as it is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from worked_pages import Step, follow, steps

TOP = Path(__file__).parents[2]
PAGES = sorted(page for page in (TOP / "docs" / "extending").glob("*.md") if page.name != "README.md")


def test_there_are_pages() -> None:
    assert len(PAGES) >= 1


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_place_is_there(page: Path) -> None:
    """Each place is one line of an existing file, or of a file that the page makes; and the page runs tests."""
    made: dict[str, str] = {}
    for step in steps(page):
        if step.where == "Make":
            assert not (TOP / step.file).exists()
            made[step.file] = step.code
        elif step.where != "run":
            text = made.get(step.file) or (TOP / step.file).read_text(encoding="utf-8")
            step.line(text.splitlines())
    assert any(step.where == "run" and "pytest" in step.code for step in steps(page))


def test_a_page_is_followed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    parts = [
        "Add to `list.txt`, after the line that begins with `b`:\n\n```text\nc\n```\n",
        "Add to `list.txt`, before the line that begins with ``  `a` ``:\n\n```text\n0\n```\n",
        "Replace in `list.txt` the line that begins with `x` by:\n\n```text\nd\n```\n",
        "Make the file `new/file.txt`:\n\n```text\nnew\n```\n",
        "```sh\ntest -e new/file.txt\nexit 3\n```\n",
    ]
    page.write_text("\n".join(parts).replace("``  `a` ``", "`` `a` ``"), encoding="utf-8")
    (tmp_path / "list.txt").write_text("`a`\n    b\nx y\n", encoding="utf-8")
    assert follow(page, tmp_path) == 3
    assert (tmp_path / "list.txt").read_text(encoding="utf-8") == "0\n`a`\n    b\nc\nd\n"
    assert (tmp_path / "new" / "file.txt").read_text(encoding="utf-8") == "new\n"


def test_a_page_that_is_not_clear_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("Some code:\n\n```python\npass\n```\n", encoding="utf-8")
    with pytest.raises(LookupError, match="line 3: the sentence before this block names no place"):
        list(steps(page))
    page.write_text("Make the file `a`:\n\nThat was all.\n", encoding="utf-8")
    with pytest.raises(LookupError, match="no block follows"):
        list(steps(page))
    with pytest.raises(LookupError, match="2 lines begin with 'a', expected one"):
        Step("after", "", "file", "a").line(["a", " ab"])
