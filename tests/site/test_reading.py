"""What a reader does on a page: open, find, copy, follow a link, change the theme."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

ROOT = Path(__file__).parents[2]
CHAPTER = "chapters/6_2_conv-layer.html"
PARTS = ["Hint", "Short answer", "Why", "Check", "Common mistakes"]
IN_VIEW = """element => {
    const { top, bottom } = element.getBoundingClientRect();
    return top >= 0 && top < innerHeight && bottom > 0 && element.checkVisibility();
}"""
IN_VIEW_SOON = f"id => ({IN_VIEW})(document.getElementById(id))"
OPEN_FOLDS = """() => [...document.querySelectorAll("article details")]
    .filter(fold => fold.open).map(fold => fold.id)"""


@pytest.fixture
def chapters(site):
    return sorted(
        p.relative_to(site).as_posix() for p in site.glob("chapters/6_*.html")
    )


def test_every_exercise_has_its_number_and_its_parts_at_a_glance(open_page, chapters):
    for chapter in chapters:
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


def test_every_part_of_an_answer_can_be_linked_to(open_page, chapters):
    for chapter in chapters:
        page = open_page(chapter)
        anchors = page.locator(".answer-parts a").evaluate_all(
            "links => links.map(link => link.hash.slice(1))"
        )
        for anchor in anchors:
            page.evaluate(f"location.hash = '{anchor}'")
            page.wait_for_function(IN_VIEW_SOON, arg=anchor)
        kinds = {anchor.split("-", 4)[-1] for anchor in anchors}
        assert kinds >= {"hint", "short-answer", "check", "common-mistakes"}


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
    page = open_page(f"{CHAPTER}#:~:text=doubly%20blocked%20Toeplitz%20matrix")
    page.wait_for_function("document.querySelector('article details[open]')")
    [fold] = page.evaluate(OPEN_FOLDS)
    text = page.locator(f"[id='{fold}']").inner_text()
    assert "doubly blocked Toeplitz matrix" in text.replace("\n", " ")


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
    hit = page.locator("article .highlighted").first
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


def test_shown_source_is_the_tested_text_with_a_link_to_it(open_page, chapters):
    seen = 0
    for chapter in chapters:
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
                assert definition.rstrip() in source
                address = link.evaluate("link => link.href")
                target = open_page(address.split("/html/", 1)[1])
                code = target.locator("article pre").evaluate("pre => pre.textContent")
                assert code.rstrip() == source.rstrip()
                assert target.locator(f"[id='{name}']").evaluate(IN_VIEW)
                target.close()
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


def test_on_paper_every_answer_is_unfolded(open_page):
    page = open_page(CHAPTER)
    page.emulate_media(media="print")
    answers = page.locator("article details.solution > section")
    assert answers.count() >= 4
    assert all(answer.is_visible() for answer in answers.all())
    assert not page.locator(".reveal-all").is_visible()
