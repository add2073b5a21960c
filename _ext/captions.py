"""Sphinx extension: make a picture and the Markdown below it a figure with its caption.

Belongs here: joining what `show` puts into a cell as two outputs, so
that Jupyter shows both. Does not belong here: the text of captions (the notebooks).
"""

from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx


def is_bundle(node: nodes.Node) -> bool:
    """Say whether a node is one output of a cell, in all the forms it has."""
    return isinstance(node, nodes.container) and node.get("nb_element") == "mime_bundle"


def is_output(node: nodes.Node) -> bool:
    """Say whether a node holds all outputs of a cell."""
    return isinstance(node, nodes.container) and "cell_output" in node["classes"]


def join(app: Sphinx, doctree: nodes.document) -> None:
    """Put each picture that an output of one paragraph follows into a numbered figure.

    The n-th figure of page ``6_2_name`` gets the anchor ``fig-6-2-n``.
    """
    page = PurePosixPath(app.env.docname).name
    section = "-".join(page.split("_")[:2])
    number = 0
    for outputs in doctree.findall(is_output):
        for bundle, after in pairwise(list(outputs.children)):
            images = list(bundle.findall(nodes.image))
            if not (images and is_bundle(bundle) and is_bundle(after)):
                continue
            below = after.children[0].children
            if [type(node) for node in below] != [nodes.paragraph]:
                continue
            number += 1
            for image in images:
                figure = nodes.figure("", ids=[f"fig-{section}-{number}"])
                figure.source, figure.line = bundle.source, bundle.line
                image.replace_self(figure)
                figure += image
                figure += nodes.caption("", "", *below[0].deepcopy().children)
            outputs.children.remove(after)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("doctree-read", join)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
