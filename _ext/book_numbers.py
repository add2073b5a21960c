"""Sphinx extension: number pages and exercises as D2L chapter 6 does.

Belongs here: turning the site's own numbers (page 2) into the book's (6.2, 6.2.3).
Does not belong here: the exercises' text and labels, which stand in the notebooks.
"""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

CHAPTER = 6
LABEL = re.compile(r"ex-(\d+)-(\d+)-(\d+)")


def number_like_the_book(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Prefix every section number with the chapter, and number exercises by label."""
    for numbers in env.toc_secnumbers.values():
        for anchor, number in numbers.items():
            if number:  # a heading below the numbered depth has none
                numbers[anchor] = (CHAPTER, *number)
    for toc in env.tocs.values():
        for reference in toc.findall(nodes.reference):
            if reference.get("secnumber"):
                reference["secnumber"] = (CHAPTER, *reference["secnumber"])
    for title in env.titles.values():
        if title.get("secnumber"):
            title["secnumber"] = (CHAPTER, *title["secnumber"])
    for figures in env.toc_fignumbers.values():
        for kind, labels in figures.items():
            for label, number in labels.items():
                match = LABEL.fullmatch(label)
                if kind == "exercise" and match:
                    labels[label] = tuple(int(part) for part in match.groups())
                else:
                    labels[label] = (CHAPTER, *number)
    return []


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension; the numbers exist once `env-get-updated` was handled."""
    app.connect("env-get-updated", number_like_the_book, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
