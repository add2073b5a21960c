"""The budget of reading counts what a reader sees, and refuses what is too long."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from tools import reading_time
from tools.reading_time import parts, seen

DEEP = ":::{admonition} Going deeper: more\n:class: deeper\n\nOne two.\n:::"

HIDDEN = {"tags": ["hide-input"]}


def answer(*cells):
    start = ":::{solution-start} ex-6-1-1\n:class: dropdown\n:::"
    ends = new_markdown_cell(start), new_markdown_cell(":::{solution-end}\n:::")
    return [ends[0], *cells, ends[1]]


def source(lines):
    data = {"text/markdown": "```python\n" + "x\n" * lines + "```"}
    return new_output("display_data", data=data)


def test_what_is_seen():
    cells = [
        new_markdown_cell("Four words and $x + y$."),
        new_code_cell("a = 1\nb = 2"),
        new_code_cell(
            "show(a)", metadata={"tags": ["hide-input"]}, outputs=[source(3)]
        ),
        new_markdown_cell(DEEP),
        new_code_cell("not = counted"),
    ]
    expected = [("words", 4), ("lines", 2), ("lines", 5), ("deeper", 2)]
    assert list(seen(cells)) == expected


def test_the_parts_of_an_answer():
    cells = [
        new_markdown_cell("**Short answer.**\nTwo words, and $x$."),
        new_markdown_cell("**Why, part a.**\nBecause $$\na\n$$ one."),
        new_code_cell("a = 1"),
        new_markdown_cell("**Why.** It is so.\n\n**Check.** Run it."),
        new_markdown_cell(DEEP),
        new_markdown_cell("**Why.** Folded."),
    ]
    expected = {"Short answer": 3, "Why": 2 + 2 + 3, "Check": 2}
    assert parts(cells) == expected


@pytest.mark.parametrize("words, status", [(1000, 0), (1001, 1)])
def test_a_long_answer_is_refused(monkeypatch, tmp_path, capsys, words, status):
    path = tmp_path / "6_1_short.ipynb"
    cells = answer(new_markdown_cell("word " * words))
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    monkeypatch.setattr(reading_time, "chapters", lambda: [path])
    assert reading_time.main() == status
    assert ("ex-6-1-1: 5.0 min, more than 5" in capsys.readouterr().out) == bool(status)


def test_a_long_part_is_refused(monkeypatch, tmp_path, capsys):
    path = tmp_path / "6_1_short.ipynb"
    cells = answer(new_markdown_cell("**Why.** " + "word " * 251))
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    monkeypatch.setattr(reading_time, "chapters", lambda: [path])
    assert reading_time.main() == 1
    assert "ex-6-1-1, Why: 251 words, more than 250" in capsys.readouterr().out
