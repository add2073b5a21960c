"""The book on paper: what is printed, and that the site offers it."""

import io

import pikepdf
import pytest

from tools.site.pdf import BookError, pages_of, print_book

BOOK = {
    "title": "A book",
    "authors": [{"name": "Nobody"}],
    "version": "1",
    "date-released": "2026-01-02",
}
PAGE = """<!doctype html><title>A book</title>
<style>@page { size: A4; margin: 18mm } section { break-before: page }</style>
<script>MathJax = { startup: { promise: Promise.resolve() } }</script>
<div id="jb-print-docs-body">The theme's own cover</div>
<div class="bd-article">
  <section id="one"><h2>One<a class="headerlink" href="#one">#</a></h2>
    <details class="admonition"><summary>Hint</summary><p id="hint">It.</p></details>
    <p><a href="chapters/index.html#two">there</a> BODY</p></section>
  <section id="exercise-6-1-1-a"><h3>Exercise 6.1.1: <em>a</em></h3></section>
  <section id="two"><h2>Two &amp; a half</h2></section>
</div>"""


def table(columns):
    """Return a table that is too wide for the page; its padding does not shrink."""
    cells = "<td>12345</td>" * columns
    return f"<table style='font-size: 20px'><tr>{cells}</tr></table>"


def font_names(pdf):
    """Return the names of the fonts that the pages of a PDF use."""
    with pikepdf.open(io.BytesIO(pdf)) as document:
        return {
            str(font.get("/FontDescriptor", {}).get("/FontName"))
            for page in document.pages
            for font in page.Resources.get("/Font", {}).values()
        }


@pytest.fixture
def write(tmp_path, browser):
    """Print a page with something in its body; return the tab and the PDF."""

    def write(body=""):
        path = tmp_path / "book.html"
        path.write_text(PAGE.replace("BODY", body), encoding="utf-8")
        tab = browser.new_page()
        return tab, print_book(tab, path.as_uri(), BOOK)

    return write


def test_contents_have_the_page_of_each_heading(write):
    tab, pdf = write()
    titles = tab.locator(".book-contents a").all_inner_texts()
    numbers = tab.locator(".book-contents span").all_inner_texts()
    assert titles == ["One", "Exercise 6.1.1: a", "Two & a half"]
    found = pages_of(pdf)
    anchors = ["one", "exercise-6-1-1-a", "two"]
    assert [int(number) for number in numbers] == [found[a] for a in anchors]
    assert len({found[a] for a in anchors}) == 3  # each section is on a page of its own
    with pikepdf.open(io.BytesIO(pdf)) as document:
        with document.open_outline() as outline:
            assert outline.root
        assert "/StructTreeRoot" in document.Root  # tagged for screen readers


def test_everything_is_unfolded_and_linked_within_the_book(write):
    tab, _ = write()
    assert tab.locator("#hint").is_visible()
    assert tab.locator("text=there").get_attribute("href") == "#two"
    assert not tab.locator("text=own cover").count()


def test_what_is_too_wide_grows_smaller(write):
    tab, _ = write(table(columns=13))
    box = tab.locator(".bd-article > section table").bounding_box()
    article = tab.locator(".bd-article").bounding_box()
    assert box["x"] + box["width"] <= article["x"] + article["width"] + 1


@pytest.mark.parametrize(
    "wide",
    [
        "<table><tr><td style='min-width: 900px'>wide</td></tr></table>",
        pytest.param(table(columns=80), id="its text could not be read any more"),
    ],
)
def test_what_would_be_cut_off_is_an_error(write, wide):
    with pytest.raises(BookError, match="wider than the paper"):
        write(wide)


def test_what_stays_folded_is_an_error(write):
    with pytest.raises(BookError, match="not unfolded"):
        write("<div class='admonition'><p style='display: none'>gone</p></div>")


def test_a_chapter_prints_unfolded_with_its_formulas(open_page):
    page = open_page("chapters/6_3_padding-and-strides.html")
    page.evaluate("document.fonts.ready.then(() => null)")
    answers = page.locator("article details.solution > section")
    assert answers.count() >= 4 and not answers.first.is_visible()
    names = font_names(page.pdf(prefer_css_page_size=True))
    assert any("MathJax_Size3" in name for name in names)  # large brackets
    page.emulate_media(media="print")
    assert all(answer.is_visible() for answer in answers.all())
    assert page.locator("details .math").count()
    assert not page.locator("details .math:not(:has(mjx-container))").count()
    assert not page.locator(".reveal-all").is_visible()


def test_the_site_offers_the_pdf_if_there_is_one(site):
    pages = [
        p.read_text(encoding="utf-8") for p in sorted(site.glob("chapters/*.html"))
    ]
    offered = [page for page in pages if 'href="../book.pdf"' in page]
    pdf = site / "book.pdf"
    assert len(offered) == (len(pages) if pdf.exists() else 0)


def test_the_pdf_is_whole(site):
    pdf = site / "book.pdf"
    if not pdf.exists():
        pytest.skip("the site was built without the PDF: make pdf")
    assert pdf.stat().st_size < 10e6
    with pikepdf.open(pdf) as document:
        assert len(document.pages) > 100
    content = pdf.read_bytes()
    # The mathematics is drawn.
    assert any("MathJax_Math" in name for name in font_names(content))
    linked = pages_of(content)
    exercises = [name for name in linked if name.startswith("exercise-6-")]
    assert len(exercises) >= 30
