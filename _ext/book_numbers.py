"""Sphinx extension: number pages and exercises as D2L chapter 6 does.

Belongs here: turning the site's own numbers (page 2) into the book's (6.2, 6.2.3).
Does not belong here: the exercises' text and labels, which stand in the notebooks.
"""

import copy
import re
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

CHAPTER = 6
LABEL = re.compile(r"ex-(\d+)-(\d+)-(\d+)")


class ExerciseReferences(SphinxPostTransform):
    """Write "Exercise 6.2.3" for a reference to an exercise: its label says the number.

    Sphinx would read the whole page of the exercise again for each of them.
    """

    default_priority = 4  # before sphinx-exercise makes them references by number

    def run(self, **_: Any) -> None:
        """Replace the references of one page that have no words of their own."""
        exercises = getattr(self.env, "sphinx_exercise_registry", {})
        for xref in list(self.document.findall(pending_xref)):
            target = xref["reftarget"]
            match = LABEL.fullmatch(target)
            if xref["refexplicit"] or not match or target not in exercises:
                continue
            text = nodes.inline("", f"Exercise {'.'.join(match.groups())}")
            here, there = self.env.docname, exercises[target]["docname"]
            builder = self.app.builder
            xref.replace_self(make_refnode(builder, here, there, target, text))


def restore(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Give Sphinx back its own numbers: it writes pages anew whose number changed."""
    if hasattr(env, "numbers_of_sphinx"):
        env.toc_secnumbers, env.toc_fignumbers = env.numbers_of_sphinx
    return []


def number_like_the_book(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Prefix every section number with the chapter, and number exercises by label."""
    env.numbers_of_sphinx = copy.deepcopy((env.toc_secnumbers, env.toc_fignumbers))
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
    app.add_post_transform(ExerciseReferences)
    app.connect("env-get-updated", restore, priority=100)
    app.connect("env-get-updated", number_like_the_book, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
