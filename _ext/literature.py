"""Sphinx extension: the bibliography as everybody's reader can read it out.

Belongs here: what docutils writes and ARIA has dropped. Does not belong here: the
entries (`references.bib`), and how they are cited (sphinxcontrib-bibtex).
"""

from typing import Any

from sphinx.application import Sphinx

# Allowed on items of a list alone, and deprecated; docutils gives it to a `div`.
ROLE = ' role="doc-biblioentry"'


def drop_role(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], _: Any
) -> None:
    """Take the role from the entries of a page."""
    context["body"] = context.get("body", "").replace(ROLE, "")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("html-page-context", drop_role)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
