"""Sphinx extension: Markdown links to the words of the glossary.

``[feature maps](glossary.md#term-feature-map)`` is a link on the site, in Jupyter and
on GitHub; the role ``{term}`` would be one on the site alone. Does not belong here: the
words themselves.
"""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx


def let_myst_find_words(app: Sphinx, doctree: nodes.document) -> None:
    """Add the anchors of a glossary to the headings that MyST can link to."""
    anchors = app.env.metadata[app.env.docname].get("myst_slugs")
    for word in doctree.findall(nodes.term):
        for anchor in word["ids"]:
            anchors[anchor] = (word.line, anchor, word.astext())


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("doctree-read", let_myst_find_words)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
