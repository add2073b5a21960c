"""Every icon is there, every link leads somewhere, and no name is given twice."""

import re
from html.parser import HTMLParser
from urllib.parse import unquote, urldefrag

import pytest
from fontTools.ttLib import TTFont


def test_every_icon_of_every_page_is_in_the_font(site):
    style = (site / "_static/styles/pydata-sphinx-theme.css").read_text(
        encoding="utf-8"
    )
    [font] = set(re.findall(r"[^/(]*fa-solid-900[^)]*", style))
    glyphs = TTFont(site / "_static/vendor/fontawesome/webfonts" / font).getBestCmap()
    pages = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.html"))
    names = set(re.findall(r"(?:fas|fa-solid)\s+fa-([a-z-]+)", pages))
    codes = {
        name: re.search(rf'\.fa-{name}:before[^{{}}]*{{content:"\\(\w+)"', style)
        for name in names
    }
    assert {"magnifying-glass", "bars", "download", "circle-half-stroke"} <= names
    assert not [name for name, code in codes.items() if not code]
    assert not [name for name, code in codes.items() if int(code[1], 16) not in glyphs]


def test_icons_are_seen(open_page):
    page = open_page("chapters/index.html")
    assert page.locator(".fa-download").bounding_box()["width"] > 5
    assert page.evaluate("document.fonts.check('900 16px \"Font Awesome 6 Free\"')")


def test_the_first_page_leads_to_the_book(open_page):
    open_page("index.html").wait_for_url("**/chapters/index.html")


class Page(HTMLParser):
    """The ids of a page, and the addresses that it names."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.named = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):  # noqa: D102, called by the parser
        values = dict(attributes)
        self.ids += [values[name] for name in ("id",) if name in values]
        self.named += [values[name] for name in ("href", "src") if values.get(name)]


@pytest.fixture(scope="module")
def parsed(site):
    """Every page by its path, the theme's own templates left out."""
    return {
        path: Page(path.read_text(encoding="utf-8"))
        for path in site.rglob("*.html")
        if path.relative_to(site).parts[0] != "_static"
    }


def test_every_link_and_anchor_resolves(parsed):
    broken = []
    for path, page in parsed.items():
        for address in page.named:
            if re.match(r"(https?|data|mailto|javascript):", address):
                continue
            name, anchor = urldefrag(address)
            name = unquote(name.split("?")[0])
            target = (path.parent / name).resolve() if name else path
            if not target.is_file():
                broken.append(f"{path.name}: {address} is no file")
            elif anchor and unquote(anchor) not in parsed[target].ids:
                broken.append(f"{path.name}: {address} is no anchor")
    assert sum(len(page.named) for page in parsed.values()) > 500
    assert not broken, "\n".join(sorted(set(broken)))


def test_no_id_occurs_twice(parsed):
    twice = {
        f"{path.name}: {name}"
        for path, page in parsed.items()
        for name in page.ids
        if page.ids.count(name) > 1
    }
    assert not twice, sorted(twice)
