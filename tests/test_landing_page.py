"""The landing page's map of editions, against the exercises in the notebooks."""

import re
from functools import cache
from pathlib import Path

import nbformat
import pytest

from tools.lint_notebooks import EXERCISES
from tools.notebooks import EXERCISE

CHAPTERS = Path(__file__).parent.parent / "chapters"
MAP = (CHAPTERS / "index.md").read_text(encoding="utf-8")
EDITION_1 = {1: 6, 2: 4, 3: 6, 4: 7, 5: 7, 6: 5}  # section: exercises of chapter 7
DROPPED = {"6.3.2", "6.4.4"}  # what edition 1.0 leaves out
ANEW = {"7.1.2", "7.1.4", "7.1.5", "7.2.2", "7.4.1", "7.5.2", "7.6.1"}  # asks more
REF = re.compile(r"\{ref\}`([^`<]+) <([^`>]+)>`")


def numbers(chapter, exercises):
    """List the numbers of all exercises of a chapter, in order."""
    return [
        f"{chapter}.{section}.{n}"
        for section, count in exercises.items()
        for n in range(1, count + 1)
    ]


def label_of(number):
    return f"ex-{number.replace('.', '-')}"


@cache
def labels_in_notebooks():
    """Return the labels of all exercises, in the order of the book."""
    return [
        label
        for path in sorted(CHAPTERS.glob("*.ipynb"))
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "markdown"
        for label in EXERCISE.findall(cell.source)
    ]


def table(text, heading):
    """Return the rows of the table whose first column has this heading."""
    rows = []
    _, _, after = text.partition(f"\n| {heading} |")
    for line in after.splitlines()[2:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def faults(text, labels):
    """List what is wrong with the map, if the notebooks have these labels."""
    forward = table(text, "Exercise here")
    back = table(text, "In edition 1.0")
    refs = [ref for row in forward + back for cell in row for ref in REF.findall(cell)]
    targets = [target for _, target in refs]
    here = [n for first, _, _ in forward for n, _ in REF.findall(first)]
    there = [other for other, _, _ in back]
    pairs = {(n, row[2]) for n, row in zip(here, forward, strict=False)}
    pairs_back = {(n, row[0]) for row in back for n, _ in REF.findall(row[2])}
    pairs |= {(n, n) for n in there if label_of(n) in labels}
    pairs_back |= {(n, "not in it") for n in DROPPED}
    return [
        *(f"no notebook has {target}" for target in {*targets} - {*labels}),
        *(f"the map lacks {label}" for label in {*labels} - {*targets}),
        *(f"{n} leads to {target}" for n, target in refs if label_of(n) != target),
        *(["chapter 6 is not complete"] if here != numbers(6, EXERCISES) else []),
        *(["chapter 7 is not complete"] if there != numbers(7, EDITION_1) else []),
        *(f"{row[0]} has no answer" for row in back if not REF.search(row[2])),
        *(f"only one table pairs {n} with {o}" for n, o in pairs ^ pairs_back),
    ]


def test_the_map_is_complete_and_right():
    assert faults(MAP, labels_in_notebooks()) == []


def test_what_edition_1_adds_is_answered_under_its_own_number():
    shared = {other for _, _, other in table(MAP, "Exercise here")}
    added = [n for n in numbers(7, EDITION_1) if n in ANEW or n not in shared]
    found = [label for label in labels_in_notebooks() if label.startswith("ex-7-")]
    assert found == [label_of(n) for n in added]


def test_no_label_is_used_twice():
    labels = labels_in_notebooks()
    assert len(set(labels)) == len(labels)


def without_row(start):
    return re.sub(rf"^\| {re.escape(start)}.*\n", "", MAP, count=1, flags=re.M)


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        (without_row("{ref}`6.4.4 <ex-6-4-4>`"), "chapter 6 is not complete"),
        (without_row("7.5.3"), "chapter 7 is not complete"),
        (without_row("7.5.3"), "the map lacks ex-7-5-3"),
        (MAP.replace("<ex-7-4-6>", "<ex-7-4-8>"), "no notebook has ex-7-4-8"),
        (MAP.replace("`7.3.3 <ex-7-3-3>`", "`7.3.3 <ex-7-3-5>`"), "7.3.3 leads to"),
        (re.sub(r"(\| 7\.6\.4 .*\| ).* \|", r"\1 |", MAP), "7.6.4 has no answer"),
        (
            MAP.replace(", {ref}`6.2.4 <ex-6-2-4>` |", " |"),
            "only one table pairs 6.2.4 with 7.2.2",
        ),
        (
            MAP.replace("{ref}`7.2.2 <ex-7-2-2>`, ", ""),
            "only one table pairs 7.2.2 with 7.2.2",
        ),
        (
            re.sub(r"(<ex-6-3-1>` \| .*) 7\.3\.1 \|", r"\1 7.3.2 |", MAP, count=1),
            "only one table pairs 6.3.1 with 7.3.2",
        ),
        (
            re.sub(r"(<ex-6-3-1>` \| .*) 7\.3\.1 \|", r"\1 not in it |", MAP, count=1),
            "only one table pairs 6.3.1 with not in it",
        ),
    ],
)
def test_a_broken_map_is_noticed(broken, fault):
    assert broken != MAP
    found = faults(broken, labels_in_notebooks())
    assert any(message.startswith(fault) for message in found)


def test_a_new_exercise_must_be_listed():
    assert "the map lacks ex-7-3-4" in faults(MAP, [*labels_in_notebooks(), "ex-7-3-4"])
