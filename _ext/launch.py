"""Sphinx extension: buttons that need the repository's address, if there is one.

Belongs here: what follows from `repository: url:` in `_config.yml`, the one place.
Does not belong here: the set-up in Colab (`colab`) and on Binder (`.binder`).
"""

from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config


def follow_repository(app: Sphinx, config: Config) -> None:
    """Show the buttons to Colab, Binder and the repository, or none of them."""
    options = config.html_theme_options
    if options.get("repository_url"):
        options |= {"use_repository_button": True, "use_issues_button": True}
    else:
        options["launch_buttons"] = {}


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension; the theme reads its options later."""
    app.connect("config-inited", follow_repository, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
