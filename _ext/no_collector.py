"""Sphinx extension: no search for cycles of garbage while the site is built.

The trees of the pages are millions of objects that are needed to the end. Python's
collector walks them again and again, finds next to nothing, and took a quarter of the
time. Does not belong here: anything that changes a page.
"""

import gc
from typing import Any

from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension, for the life of this short process."""
    gc.disable()
    return {"parallel_read_safe": True, "parallel_write_safe": True}
