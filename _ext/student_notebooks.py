"""Sphinx extension: the notebooks without answers, and their links on the pages.

Belongs here: having `tools.site.student` write them beside the pages; offering them.
Does not belong here: what stands in them.
"""

import hashlib
import json
import subprocess
import sys
from pathlib import Path, PurePosixPath
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

FOLDER = "student"
TEXT = "Notebook without answers"


def chapter_of(app: Sphinx, page: str) -> Path | None:
    """Return the notebook that a page shows, None if it shows none."""
    notebook = Path(app.srcdir) / f"{page}.ipynb"
    return notebook if notebook.exists() else None


def address(page: str) -> str:
    """Return the address of a page's student notebook, relative to the page.

    >>> address("chapters/6_5_pooling")
    '../student/6_5_pooling.ipynb'
    """
    return "../" * page.count("/") + f"{FOLDER}/{PurePosixPath(page).name}.ipynb"


def link(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put a link below the title of a page."""
    if app.builder.name != "html" or chapter_of(app, docname) is None:
        return
    title = next(doctree.findall(nodes.title))
    reference = nodes.reference("", TEXT, refuri=address(docname))
    text = nodes.Text(": each exercise with a cell for your answer and its check.")
    place = title.parent.index(title) + 1
    title.parent.insert(place, nodes.paragraph("", "", reference, text))


def offer(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], _: Any
) -> None:
    """Add the notebook to the download button of a page."""
    for group in context.get("header_buttons", []):
        if group.get("label") == "download-buttons" and chapter_of(app, pagename):
            group["buttons"].append(
                {
                    "type": "link",
                    "url": address(pagename),
                    "text": "student .ipynb",
                    "tooltip": TEXT,
                    "icon": "fas fa-pencil-alt",
                    "label": "download-student-button",
                }
            )


def fingerprint(app: Sphinx, chapters: list[Path]) -> str:
    """Return a hash of what student notebooks are made from: no text of an answer."""
    root = Path(app.srcdir)
    sources = root / "tools/site/student.py", root / "chapters/questions.json"
    texts = [path.read_text(encoding="utf-8") for path in sources]
    for chapter in sorted(chapters):
        used = True  # the introduction, then each exercise up to its solution
        for cell in json.loads(chapter.read_text(encoding="utf-8"))["cells"]:
            source = "".join(cell["source"])
            used = "{exercise}" in source or (used and "{solution-start}" not in source)
            texts += [source] if used else []
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def deliver(app: Sphinx, exception: Exception | None) -> None:
    """Write the notebooks, unless they are made from the same exercises already."""
    if exception or app.builder.name != "html":
        return
    folder = Path(app.outdir) / FOLDER
    chapters = [c for page in app.env.found_docs if (c := chapter_of(app, page))]
    made_from, now = folder / "made-from", fingerprint(app, chapters)
    if made_from.exists() and made_from.read_text(encoding="utf-8") == now:
        return
    command = [sys.executable, "-m", "tools.site.student", str(folder)]
    subprocess.run(command, cwd=app.srcdir, check=True)
    made_from.write_text(now, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension; the theme has made its buttons before `offer`."""
    app.connect("doctree-resolved", link)
    app.connect("html-page-context", offer, priority=901)
    app.connect("build-finished", deliver)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
