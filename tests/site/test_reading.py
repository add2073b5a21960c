"""What a reader does on a page: open, find, copy, follow a link, change the theme."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from solutions.notebook.listing import algorithm
from tools.site.browser import SITE

ROOT = Path(__file__).parents[2]
CHAPTER = "chapters/6_2_conv-layer.html"
CHAPTERS = sorted(
    p.relative_to(SITE).as_posix() for p in SITE.glob("chapters/6_*.html")
)
PARTS = ["Hint", "Short answer", "Why", "Check", "Common mistakes", "Going deeper"]
IN_VIEW = """element => {
    const { top, bottom } = element.getBoundingClientRect();
    return top >= 0 && top < innerHeight && bottom > 0 && element.checkVisibility();
}"""
IN_VIEW_SOON = f"id => ({IN_VIEW})(document.getElementById(id))"
# Whether every formula of a fold that can be seen is set, and some can be seen.
SET = """id => {
    const seen = [...document.querySelectorAll(`[id='${id}'] .math`)]
        .filter(formula => formula.checkVisibility());
    return seen.length && seen.every(formula => formula.querySelector("mjx-container"));
}"""
OPEN_FOLDS = """() => [...document.querySelectorAll("article details")]
    .filter(fold => fold.open).map(fold => fold.id)"""


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_exercise_has_its_number_and_parts_that_can_be_linked_to(
    open_page, chapter
):
    page = open_page(chapter)
    exercises = page.locator("article .exercise.admonition")
    assert exercises.count() >= 4
    for exercise in exercises.all():
        label = exercise.get_attribute("id")
        number = label.removeprefix("ex-").replace("-", ".")
        title = exercise.locator("> .admonition-title").inner_text()
        assert title.strip() == f"Exercise {number}"
        parts = page.locator(f"[id='{label}'] + .answer-parts a")
        names = parts.all_inner_texts()
        assert names == [name for name in PARTS if name in names]
        assert {"Hint", "Short answer", "Check", "Common mistakes"} <= set(names)
        assert all(part.is_visible() for part in parts.all())
        for kind in ("hint", "solution"):
            fold = page.locator(f"details#{label}-{kind}")
            assert fold.locator("> summary").is_visible()
            assert fold.get_attribute("open") is None
        assert (
            f"Exercise {number}"
            in page.locator(f"#{label}-solution > summary").inner_text()
        )
    anchors = page.locator(".answer-parts a").evaluate_all(
        "links => links.map(link => link.hash.slice(1))"
    )
    for anchor in anchors:
        page.evaluate(f"location.hash = '{anchor}'")
        page.wait_for_function(IN_VIEW_SOON, arg=anchor)
    kinds = {anchor.split("-", 4)[-1] for anchor in anchors}
    assert kinds >= {"hint", "short-answer", "check", "common-mistakes"}


def test_formulas_are_set_when_their_fold_is_opened_and_the_place_is_kept(open_page):
    page = open_page(CHAPTER)
    fold = page.locator("#ex-6-2-1-solution")
    assert fold.locator(".math").count() and not fold.locator("mjx-container").count()
    summary = fold.locator("> summary")
    summary.scroll_into_view_if_needed()
    before = summary.bounding_box()
    summary.click()
    page.wait_for_function(SET, arg="ex-6-2-1-solution")
    assert summary.bounding_box() == before
    others = page.locator("details:not([open]) mjx-container")
    assert not others.count()


def test_a_part_that_is_linked_to_is_at_the_top_when_its_formulas_are_set(open_page):
    page = open_page(CHAPTER)
    page.locator("a[href='#ex-6-2-3-common-mistakes']").first.click()
    page.wait_for_function(SET, arg="ex-6-2-3-solution")
    part = page.locator("#ex-6-2-3-common-mistakes")
    assert 60 < part.bounding_box()["y"] < 140  # below the header


@pytest.mark.parametrize("at", ["file", "http"])
def test_a_link_from_elsewhere_opens_the_fold_it_points_into(open_page, at):
    page = open_page(f"{CHAPTER}#ex-6-2-3-check", at=at)
    page.wait_for_function(IN_VIEW_SOON, arg="ex-6-2-3-check")
    assert page.evaluate(OPEN_FOLDS) == ["ex-6-2-3-solution"]


def test_a_fold_opens_and_closes_by_mouse_and_by_keyboard(open_page):
    page = open_page(CHAPTER)
    fold = page.locator("#ex-6-2-1-solution")
    content = fold.locator("> section")
    for act in (fold.locator("> summary").click, lambda: page.keyboard.press("Enter")):
        act()
        content.wait_for(state="visible")
        page.keyboard.press("Space")
        content.wait_for(state="hidden")


def test_all_is_revealed_on_every_page_and_hidden_again(open_page):
    page = open_page(CHAPTER)
    folds = page.locator("article details").count()
    button = page.get_by_role("button", name="Reveal all hints and solutions")
    assert page.evaluate(OPEN_FOLDS) == [] and folds >= 8
    button.focus()
    page.keyboard.press("Enter")
    assert len(page.evaluate(OPEN_FOLDS)) == folds
    assert button.get_attribute("aria-pressed") == "true"
    page.locator("a.right-next").click()
    page.wait_for_url("**/6_3_*")
    page.wait_for_function("document.readyState == 'complete'")
    expect(button).to_have_attribute("aria-pressed", "true")  # its script has run
    folds = page.locator("article details").count()
    assert len(page.evaluate(OPEN_FOLDS)) == folds
    button.click()
    assert page.evaluate(OPEN_FOLDS) == []


def test_without_javascript_folds_work_and_mathematics_is_there_as_tex(open_page):
    page = open_page(CHAPTER, java_script_enabled=False)
    content = page.locator("#ex-6-2-1-solution > section")
    assert not content.is_visible()
    page.locator("#ex-6-2-1-solution > summary").click()
    assert content.is_visible() and r"\(X_{ij}" in content.inner_text()
    assert not page.locator(".reveal-all").is_visible()


def test_the_search_of_the_browser_opens_the_fold_that_has_the_words(open_page):
    # The address names words to be found as Ctrl+F does, and takes the same path.
    page = open_page(f"{CHAPTER}#:~:text=a%20pixel%20is%20copied%20up%20to")
    page.wait_for_function("document.querySelector('article details[open]')")
    [fold] = page.evaluate(OPEN_FOLDS)
    text = page.locator(f"[id='{fold}']").inner_text()
    assert "a pixel is copied up to" in text.replace("\n", " ")


@pytest.mark.parametrize("at", ["file", "http"])
def test_the_search_of_the_site_finds_what_is_folded_and_shows_it(open_page, at):
    page = open_page("chapters/index.html", at=at)
    page.keyboard.press("Control+k")
    page.keyboard.type("Toeplitz")
    page.keyboard.press("Enter")
    result = page.locator("#search-results a[href*='6_2_conv-layer.html']").first
    result.wait_for()
    page.wait_for_function(
        "/found \\d+ page/.test(document.querySelector('#search-results').innerText)"
    )
    if at == "http":
        page.locator("#search-results .context").first.wait_for()
    result.click()
    page.wait_for_function(
        f"[...document.querySelectorAll('article .highlighted')].some({IN_VIEW})"
    )
    hit = page.locator("article .highlighted:visible").first
    assert hit.inner_text().lower().startswith("toeplitz")
    counted = page.locator("article summary[data-hits]")
    assert counted.count() >= 1
    for summary in counted.all():
        fold = summary.locator("..")
        assert fold.locator(".highlighted").count() == int(
            summary.get_attribute("data-hits")
        )


def test_the_theme_is_remembered(open_page):
    page = open_page(CHAPTER, at="http", theme="light")
    theme = "document.documentElement.dataset.theme"
    button = page.locator(".theme-switch-button").first
    for _ in range(3):
        if page.evaluate(theme) == "dark":
            break
        button.click()
    assert page.evaluate(theme) == "dark"
    page.reload()
    assert page.evaluate(theme) == "dark"
    page.locator("a.right-next").click()
    page.wait_for_url("**/6_3_*")
    assert page.evaluate(theme) == "dark"
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(int(part) for part in re.findall(r"\d+", dark)[:3]) < 60


def test_shown_source_is_the_tested_text_with_a_link_to_it(open_page):
    seen, targets = 0, {}
    for chapter in CHAPTERS:
        page = open_page(chapter)
        for line in page.locator(".source-link").all():
            shown = line.locator("xpath=preceding-sibling::*[1]").locator("pre")
            text = shown.evaluate("pre => pre.textContent")
            for link in line.locator("a").all():
                file, name = link.text_content().split(": ")
                source = (ROOT / file).read_text(encoding="utf-8")
                [definition] = re.findall(
                    rf"^(?:@.*\n)*(?:def|class) {name}\b.*\n(?:(?:[ )].*)?\n)*",
                    text + "\n",
                    re.M,
                )
                assert definition.rstrip() in algorithm(source)
                address = link.evaluate("link => link.href")
                page_of_file, anchor = address.split("/html/", 1)[1].split("#")
                assert anchor == name
                if file not in targets:
                    targets[file] = open_page(page_of_file)
                target = targets[file]
                assert f"/{page_of_file}" in target.url
                code = target.locator("article pre").evaluate("pre => pre.textContent")
                assert code.rstrip() == source.rstrip()
                target.evaluate(f"location.hash = '{anchor}'")
                target.wait_for_function(IN_VIEW_SOON, arg=anchor)
                seen += 1
    assert seen >= 25


def test_the_copy_button_copies_the_shown_source(open_page):
    page = open_page(CHAPTER, at="http", permissions=["clipboard-read"])
    page.get_by_role("button", name="Reveal all hints and solutions").click()
    block = page.locator(".source-link").first.locator("xpath=preceding-sibling::*[1]")
    block.locator("button.copybtn").focus()
    page.keyboard.press("Enter")
    page.wait_for_function("navigator.clipboard.readText().then(text => text.length)")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert (
        copied.rstrip() == block.locator("pre").evaluate("p => p.textContent").rstrip()
    )
