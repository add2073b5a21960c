"""Sphinx extension: the book on paper, and its link on the site.

Belongs here: letting Sphinx write one single page, and offering the PDF that
`tools/site/pdf.py` printed from it. Does not belong here: printing.
"""

import shutil
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util.docutils import SphinxDirective

PDF = Path("_build/pdf/book.pdf")
SOURCES = ("chapters", "_static", "_play", "_config.yml", "_toc.yml", "CITATION.cff")


def write_solutions_on_a_single_page(app: Sphinx, config: Config) -> None:
    """Give the single page the HTML visitors that sphinx-exercise registers."""
    handlers = app.registry.translation_handlers
    handlers["singlehtml"] = handlers.get("html", {}) | handlers.get("singlehtml", {})


def current_pdf(root: Path) -> Path | None:
    """Return the PDF if it was made after the last change of what it shows.

    Args:
        root: the folder of the project.

    Returns:
        Its path; None if there is none, or if it is older than a source.
    """
    pdf = root / PDF
    if not pdf.exists():
        return None
    sources = [root / name for name in SOURCES]
    files = [path for source in sources for path in [source, *source.rglob("*.*")]]
    newest = max(path.stat().st_mtime for path in files if path.is_file())
    return pdf if pdf.stat().st_mtime >= newest else None


def link_of(pdf: Path, page: str) -> tuple[str, str]:
    """Return the address of the PDF relative to a page, and what the link says."""
    size = f"{pdf.stat().st_size / 1e6:.1f} MB"
    return "../" * page.count("/") + pdf.name, f"The whole book as one PDF ({size})"


class BookPdf(SphinxDirective):
    """A line that links to the PDF, or else says how to make it."""

    def run(self) -> list[nodes.Node]:
        """Return the line; it is decided whenever the site is built."""
        if self.env.app.builder.name != "html":
            return []
        self.env.note_reread()  # the PDF may come and go while the page stays
        pdf = current_pdf(Path(self.env.srcdir))
        if pdf is None:
            command = nodes.literal("", "make pdf")
            text = nodes.Text(" writes the whole book as one PDF.")
            return [nodes.paragraph("", "", command, text)]
        address, text = link_of(pdf, self.env.docname)
        return [nodes.paragraph("", "", nodes.reference("", text, refuri=address))]


def offer(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], _: Any
) -> None:
    """Add the PDF to the download button of a page."""
    pdf = current_pdf(Path(app.srcdir))
    for group in context.get("header_buttons", []):
        if pdf and group.get("label") == "download-buttons":
            address, text = link_of(pdf, pagename)
            group["buttons"].append(
                {
                    "type": "link",
                    "url": address,
                    "text": "book.pdf",
                    "tooltip": text,
                    "icon": "fas fa-book",
                    "label": "download-book-button",
                }
            )


def deliver(app: Sphinx, exception: Exception | None) -> None:
    """Put the PDF beside the pages that link to it."""
    pdf = current_pdf(Path(app.srcdir))
    if exception is None and pdf and app.builder.name == "html":
        shutil.copy2(pdf, Path(app.outdir) / pdf.name)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension; the theme has made its buttons before `offer`."""
    app.add_directive("book-pdf", BookPdf)
    app.connect("config-inited", write_solutions_on_a_single_page, priority=999)
    app.connect("html-page-context", offer, priority=900)
    app.connect("build-finished", deliver)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
