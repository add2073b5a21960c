"""Sphinx extension: the bibliography as everybody's reader can read it out.

Belongs here: what docutils writes and ARIA has dropped. Does not belong here: the
entries (`references.bib`), and how they are cited (sphinxcontrib-bibtex).
"""

from typing import Any

from sphinx.application import Sphinx

# The first is deprecated, and allowed on `li` alone; docutils gives it to a `div` whose
# parent has the role of a list.
DROPPED, ROLE = 'role="doc-biblioentry"', 'role="listitem"'


def replace_role(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], _: Any
) -> None:
    """Let the entries of a page be items of their list."""
    context["body"] = context.get("body", "").replace(DROPPED, ROLE)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("html-page-context", replace_role)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
