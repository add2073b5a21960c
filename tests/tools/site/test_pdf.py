"""The parts of the PDF that need no browser; `tests/site/test_pdf.py` prints."""

import io
import os

import pikepdf
import pytest

from _ext import paper
from tools.site.pdf import Entry, entries, front_matter, pages_of

BOOK = {
    "title": "Convolutions & pooling",
    "authors": [{"name": "Nobody"}],
    "version": "1.2",
    "date-released": "2026-01-02",
}


def test_contents_link_to_chapters_and_exercises_and_escape_their_titles():
    listed: list[Entry] = [
        ("H2", "pooling", "6.5. Pooling"),
        ("H3", "exercise-6-5-1-a-b", "Exercise 6.5.1: a < b"),
        ("H3", "summary", "Summary"),
    ]
    html = front_matter(entries(listed), BOOK)
    assert "Convolutions &amp; pooling" in html
    assert '<p class="chapter"><a href="#pooling">6.5. Pooling</a>' in html
    assert 'href="#exercise-6-5-1-a-b">Exercise 6.5.1: a &lt; b</a>' in html
    assert '<span data-id="exercise-6-5-1-a-b">' in html
    assert "Summary" not in html


def test_pages_of_anchors():
    document = pikepdf.new()
    for _ in range(3):
        document.add_blank_page()
    places = {
        f"/on-{n}": pikepdf.Array([document.pages[n - 1].obj, pikepdf.Name.Fit])
        for n in (3, 1)
    }
    document.Root.Dests = pikepdf.Dictionary(places)
    file = io.BytesIO()
    document.save(file)
    assert pages_of(file.getvalue()) == {"on-3": 3, "on-1": 1}


@pytest.mark.parametrize("name", ["chapters/a.md", "_static/css/a.css", "_toc.yml"])
def test_a_pdf_older_than_a_source_is_not_offered(tmp_path, name):
    source, pdf = tmp_path / name, tmp_path / paper.PDF
    for path in (source, pdf):
        path.parent.mkdir(parents=True, exist_ok=True)
    source.touch()
    os.utime(source, (1000, 1000))
    assert paper.current_pdf(tmp_path) is None
    pdf.touch()
    for made, is_offered in ((999, False), (1001, True)):
        os.utime(pdf, (made, made))
        assert paper.current_pdf(tmp_path) == (pdf if is_offered else None)


def test_the_link_finds_the_pdf_from_each_page(tmp_path):
    pdf = tmp_path / "book.pdf"
    pdf.write_bytes(bytes(2_340_000))
    assert paper.link_of(pdf, "index") == (
        "book.pdf",
        "The whole book as one PDF (2.3 MB)",
    )
    assert paper.link_of(pdf, "chapters/6_1_why-conv")[0] == "../book.pdf"
