"""The landing page's table of editions, against the exercises in the notebooks."""

import re
from pathlib import Path

import nbformat

CHAPTERS = Path(__file__).parent.parent / "chapters"
ROW = re.compile(r"^\| \{ref\}`([\d.]+) <(ex-[\d-]+)>` \| .+ \| (.+) \|$", re.MULTILINE)


def labels_in_notebooks():
    for path in sorted(CHAPTERS.glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "markdown":
                yield from re.findall(r"^:label: (ex-[\d-]+)$", cell.source, re.M)


def test_every_exercise_is_listed_once_and_in_order():
    rows = ROW.findall((CHAPTERS / "index.md").read_text())
    assert [label for _, label, _ in rows] == list(labels_in_notebooks())
    assert [f"ex-{number.replace('.', '-')}" for number, _, _ in rows] == [
        label for _, label, _ in rows
    ]


def test_no_exercise_of_the_other_edition_is_listed_twice():
    rows = ROW.findall((CHAPTERS / "index.md").read_text())
    others = [other for _, _, other in rows if other != "not in it"]
    assert len(set(others)) == len(others)
    for number, _, other in rows:
        same_section = other.startswith(f"7.{number.split('.')[1]}.")
        assert same_section or other == "not in it"
