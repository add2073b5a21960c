"""Print the whole book into one PDF: ``python -m tools.site.pdf``.

Belongs here: one page with all chapters, its cover and contents, the printing. Does
not belong here: how paper looks (`_static/print.css`), the link (`_ext/paper.py`).

Chromium prints the page twice: the first time tells on which page each heading
stands, the second time has these numbers in the table of contents.
"""

import io
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, TypeAlias

import pikepdf
import yaml
from playwright.sync_api import Page

from solutions.system.files import partial_of
from tools.site.browser import NoBrowserError, chromium

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "_build" / "pdf"
SINGLE = FOLDER / "_build" / "singlehtml"
PDF = FOLDER / "book.pdf"
ROUNDS = 4  # two are enough, unless a number is longer than the place it fills
PATIENCE = 300_000  # milliseconds to load the page on a busy machine
SMALLEST = 6  # CSS pixels, 4.5 points: smaller text is not read
WIDTH = 657  # CSS pixels between the margins of `_static/print.css`: 210 - 2 * 18 mm
HEADINGS = """() => [...document.querySelectorAll(".bd-article :is(h2, h3)")].map(
    h => [h.tagName, h.closest("section").id,
          h.firstChild.textContent + [...h.childNodes].slice(1)
              .filter(n => !n.matches?.(".headerlink"))
              .map(n => n.textContent).join("")])"""
# The theme's own cover and contents are for a single page. Everything is unfolded, and
# links to the other chapters are made links within the page.
PREPARE = """contents => {
    document.querySelector("#jb-print-docs-body").remove();
    document.querySelector(".bd-article").insertAdjacentHTML("afterbegin", contents);
    for (const details of document.querySelectorAll("details")) details.open = true;
    for (const folded of document.querySelectorAll(".toggle-hidden"))
        folded.classList.remove("toggle-hidden");
    for (const link of document.querySelectorAll(".bd-article a[href*='.html#']"))
        if (!/^[a-z]+:/.test(link.getAttribute("href")))
            link.setAttribute("href", link.hash);
}"""
HIDDEN = """() => [...document.querySelectorAll(".admonition > *")]
    .filter(node => !node.checkVisibility() && !node.matches("button"))
    .map(node => node.parentElement.textContent.trim().slice(0, 60))"""
# What is wider than the page grows smaller: measured again and again, for padding stays
# as it is. What sticks out even with the smallest text is returned.
FIT = """smallest => {
    const article = document.querySelector(".bd-article").getBoundingClientRect();
    const wide = ".bd-article :is(mjx-container, table, img, svg, pre)";
    const excess = node => node.getBoundingClientRect().right - article.right;
    for (const node of document.querySelectorAll(wide)) {
        let size = parseFloat(getComputedStyle(node).fontSize);
        while (excess(node) > 1 && size > smallest) {
            const width = node.getBoundingClientRect().width;
            size = Math.max(smallest, size * (1 - excess(node) / width) * 0.98);
            node.style.fontSize = size + "px";
            node.style.maxWidth = "100%";
        }
    }
    return [...document.querySelectorAll(wide)].filter(node => excess(node) > 1)
        .map(node => node.textContent.trim().slice(0, 60) || node.outerHTML);
}"""
NUMBER = """pages => {
    for (const span of document.querySelectorAll(".book-contents [data-id]"))
        span.textContent = pages[span.dataset.id];
}"""

Entry: TypeAlias = tuple[str, str, str]  # tag of the heading, its id, its text


class BookError(Exception):
    """The book cannot be printed as it is."""


def write_single_page() -> Path:
    """Let Sphinx write all chapters on one page.

    Returns:
        The page.

    Raises:
        BookError: if the build fails; Sphinx has said why.
    """
    jupyter_book = Path(sys.executable).with_name("jupyter-book")
    command = [str(jupyter_book), "build", str(ROOT), "--all"]
    command += ["-W", "-n", "--keep-going", "--quiet", "--path-output", str(FOLDER)]
    command += ["--builder", "custom", "--custom-builder", "singlehtml"]
    if subprocess.run(command, check=False).returncode:
        raise BookError("the single page could not be built, see above")
    # The page names its files as if it stood in the top folder, but it does not.
    return Path(shutil.copy(SINGLE / "chapters" / "index.html", SINGLE / "book.html"))


def entries(headings: Sequence[Entry]) -> list[Entry]:
    """Return the headings that the table of contents lists.

    Args:
        headings: those of the second and third level, in order.

    Returns:
        The chapters, and of the third level the exercises only.

    >>> entries([("H2", "pooling", "6.5. Pooling"), ("H3", "summary", "Summary")])
    [('H2', 'pooling', '6.5. Pooling')]
    """
    return [h for h in headings if h[0] == "H2" or h[1].startswith("exercise-")]


def front_matter(entries: Sequence[Entry], book: Mapping[str, Any]) -> str:
    """Write the cover and the table of contents, without the numbers.

    Args:
        entries: the headings to list.
        book: the content of ``CITATION.cff``.

    Returns:
        HTML; each number stands in an element whose ``data-id`` is the heading's.
    """
    lines = [
        f'<p class="{"chapter" if tag == "H2" else "exercise"}">'
        f'<a href="#{escape(anchor)}">{escape(text)}</a>'
        f'<span data-id="{escape(anchor)}">000</span></p>'
        for tag, anchor, text in entries
    ]
    [author] = book["authors"]
    return (
        f'<div class="book-cover"><div class="book-title">{escape(book["title"])}</div>'
        f"<div>{escape(author['name'])}</div>"
        f"<div>Version {book['version']}, {book['date-released']}</div></div>"
        f'<div class="book-contents"><h2>Contents</h2>{"".join(lines)}</div>'
    )


def pages_of(pdf: bytes) -> dict[str, int]:
    """Find the page of each anchor that a link of the PDF points to.

    Args:
        pdf: the file.

    Returns:
        Page numbers from 1 by the anchor's name.
    """
    with pikepdf.open(io.BytesIO(pdf)) as document:
        number = {page.obj.objgen: n for n, page in enumerate(document.pages, start=1)}
        places = document.Root.Dests.items()
        return {name[1:]: number[place[0].objgen] for name, place in places}


def print_page(page: Page) -> bytes:
    """Print a page with bookmarks and with tags for screen readers."""
    return page.pdf(
        outline=True, prefer_css_page_size=True, print_background=True, tagged=True
    )


def print_book(page: Page, address: str, book: Mapping[str, Any]) -> bytes:
    """Print the single page with cover and contents.

    Args:
        page: an empty tab of the browser.
        address: the address of the single page.
        book: the content of ``CITATION.cff``.

    Returns:
        The PDF.

    Raises:
        BookError: if something is folded or would be cut off, or has no page.
    """
    page.set_viewport_size({"width": WIDTH, "height": 900})
    page.emulate_media(media="print", color_scheme="light")
    page.goto(address, timeout=PATIENCE)
    page.evaluate("() => MathJax.startup.promise.then(() => document.fonts.ready)")
    listed = entries([tuple(heading) for heading in page.evaluate(HEADINGS)])
    page.evaluate(PREPARE, front_matter(listed, book))
    if hidden := page.evaluate(HIDDEN):
        raise BookError(f"not unfolded: {hidden}")
    if cut := page.evaluate(FIT, SMALLEST):
        raise BookError(f"wider than the paper: {cut}")
    numbers: dict[str, int] = {}
    for _ in range(ROUNDS):
        pdf = print_page(page)
        found = pages_of(pdf)
        if lost := sorted({anchor for _, anchor, _ in listed} - set(found)):
            raise BookError(f"on no page: {lost}")
        if found == numbers:
            return pdf
        numbers = found
        page.evaluate(NUMBER, numbers)
    raise BookError("the page numbers change with every printing")


def compress(pdf: bytes, path: Path) -> None:
    """Write a PDF with its many small objects compressed."""
    with pikepdf.open(io.BytesIO(pdf)) as document:
        document.save(
            partial_of(path), object_stream_mode=pikepdf.ObjectStreamMode.generate
        )
    os.replace(partial_of(path), path)


def main() -> None:
    """Write the PDF, and say where it is."""
    book = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    with chromium() as browser:
        single = write_single_page()
        compress(print_book(browser.new_page(), single.as_uri(), book), PDF)
    with pikepdf.open(PDF) as document:
        pages = len(document.pages)
    size = PDF.stat().st_size / 1e6
    print(f"The book has {pages} pages, {size:.1f} MB: {PDF.relative_to(ROOT)}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stops as Ctrl-C does
    try:
        main()
    except (BookError, NoBrowserError) as error:
        sys.exit(f"make: {error}")
