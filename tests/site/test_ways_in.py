"""Every page can be downloaded, says with what it was checked, and leads on."""

import json

import pytest

from tools.notebooks import CHAPTERS, chapters
from tools.site.browser import SITE

PAGES = [f"chapters/{path.stem}.html" for path in chapters()]


@pytest.mark.parametrize("name", PAGES)
def test_a_chapter_can_be_downloaded_and_says_with_what_it_was_checked(open_page, name):
    page = open_page(name)
    page.locator(".dropdown-download-buttons > button").click()
    link = page.locator("a.btn-download-source-button")
    link.wait_for()
    offered = SITE / "chapters" / link.get_attribute("href")
    stored = (CHAPTERS / f"{(SITE / name).stem}.ipynb").read_bytes()
    assert offered.resolve().read_bytes() == stored

    checked = json.loads(stored)["metadata"]["checked"]
    line = page.locator(".checked").inner_text()
    assert line.startswith(f"Last checked on {checked['on']}, on {checked['machine']}")
    for package, version in checked["versions"].items():
        assert f"{package} {version}" in line


def test_previous_and_next_lead_through_all_pages(open_page):
    page = open_page("chapters/index.html")
    pages = list(SITE.glob("chapters/*.html"))
    titles = [page.title()]
    for _ in pages[1:]:
        following = page.locator("a.right-next")
        address = following.evaluate("link => link.href")
        following.click()
        page.wait_for_url(address)
        titles.append(page.title())
    assert len(set(titles)) == len(pages)
    assert not page.locator("a.right-next").count()


def test_a_word_leads_to_the_glossary_and_the_glossary_has_it(open_page):
    page = open_page("chapters/6_3_padding-and-strides.html")
    page.locator("a[href='glossary.html#term-stride']").click()
    page.locator("dt#term-stride").wait_for()  # until it is there and visible
