"""Sphinx extension: leave out what makes a page ask another host.

Belongs here: removing a request that Jupyter Book's defaults would make.
Does not belong here: anything that changes what a page says or looks like.
"""

from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config


def drop_thebe(app: Sphinx, config: Config) -> None:
    """Disconnect sphinx-thebe, which is unused and names a script on another host."""
    for event in ("env-before-read-docs", "doctree-resolved", "html-page-context"):
        for listener in list(app.events.listeners[event]):
            if listener.handler.__module__.startswith("sphinx_thebe"):
                app.disconnect(listener.id)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("config-inited", drop_thebe, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
