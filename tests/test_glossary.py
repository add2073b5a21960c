"""Every chapter links the words of the glossary, each once and from its first use."""

import re
from pathlib import Path

import nbformat
import pytest

from tools.notebooks import chapters

CHAPTERS = Path(__file__).parent.parent / "chapters"
NOTEBOOKS = chapters()
LINK = re.compile(r"\]\(glossary\.md#(term-[\w-]+)\)")
WORDS = (CHAPTERS / "glossary.md").read_text(encoding="utf-8").split(":::{glossary}")[1]


def text_of(path):
    cells = nbformat.read(path, as_version=4).cells
    return "\n".join(c.source for c in cells if c.cell_type == "markdown")


def words():
    found = re.findall(r"^(\w.*)$", WORDS, re.MULTILINE)
    return {f"term-{word.replace(' ', '-')}" for word in found}


def test_the_words_are_in_order_and_each_is_there_once():
    found = re.findall(r"^(\w.*)$", WORDS, re.MULTILINE)
    assert found == sorted(set(found), key=str.lower)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_chapter_links_no_word_twice(path):
    linked = LINK.findall(text_of(path))
    assert len(linked) > 10
    assert sorted(linked) == sorted(set(linked))
    assert set(linked) <= words()


def test_every_word_is_used_by_some_chapter():
    assert words() == {w for path in NOTEBOOKS for w in LINK.findall(text_of(path))}
