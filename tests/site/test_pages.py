"""What holds for every page: it needs nothing, is light, is set, and all can read it.

A page is opened once in each form, and everything is looked at there: to open it takes
longer than to look.
"""

from pathlib import Path

import axe_playwright_python
import pytest

AXE = (
    Path(axe_playwright_python.__file__)
    .with_name("axe.min.js")
    .read_text(encoding="utf-8")
)
# The rules of WCAG 2.0 to 2.2, levels A and AA, and axe's good practice beyond them.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# Contrast comes by itself, when each formula is one letter: for all of theirs axe takes
# minutes, and they have one colour, see FORMULAS.
RUN = """rules => axe.run({
    runOnly: rules, resultTypes: ["violations"], preload: false,
    rules: { "target-size": { enabled: true }, "color-contrast": { enabled: false } },
})"""
CONTRAST = ["color-contrast"]
ONE_LETTER = """document.querySelectorAll("mjx-container").forEach(
    formula => formula.innerHTML = "<span>x</span>")"""
STILL = "Promise.all(document.getAnimations().map(animation => animation.finished))"
BUDGET = 2_000_000  # bytes of a page and of all it loads at first, uncompressed
SIZES = """() => [...performance.getEntriesByType("navigation"),
                  ...performance.getEntriesByType("resource")]
    .map(entry => [entry.name, entry.encodedBodySize])"""
# Of the formulas that can be seen: how many are set, and set well.
FORMULAS = """() => {
    const written = [...document.querySelectorAll(".math.notranslate")]
        .filter(node => node.checkVisibility());
    const formulas = [...document.querySelectorAll("mjx-container")];
    const color = node => getComputedStyle(node).color;
    return {
        written: written.length,
        typeset: formulas.length,
        spoken: formulas.filter(
            f => f.querySelector("mjx-assistive-mml math")?.childElementCount).length,
        stops: formulas.filter(
            f => f.tabIndex === 0 && f.scrollWidth <= f.clientWidth).length,
        wrong: formulas.filter(
            f => [f, ...f.querySelectorAll("*")].some(node => node.matches("mjx-merror")
                || color(node) !== color(f.parentElement))).length,
        fonts: [...document.fonts].filter(
            f => f.family.startsWith("MJX") && f.status === "loaded").length,
    };
}"""
# What is cut off at the right edge of its box: lines of code, and tables.
CUT = """() => [...document.querySelectorAll(".cell pre, .cell_output:has(table)")]
    .filter(box => box.scrollWidth > box.clientWidth)
    .map(box => box.textContent.trim().slice(0, 60))"""
# Writes another formula in the place of the first.
REPLACE = """tex => {
    const formula = document.querySelector(".math:has(mjx-container)");
    formula.textContent = tex;
    return MathJax.typesetPromise([formula]).then(() => null);
}"""
FONTS = """() => [...document.fonts].filter(font => font.status === "loaded")
    .map(font => `${font.family} ${font.weight} ${font.style}`)"""
FORMS = [("file", "light", 1280), ("http", "dark", 1280), ("file", "light", 375)]


def check_weight(opened):
    """Everything that a page loads at first is counted, and is little."""
    opened.wait_for_load_state("networkidle")
    sizes = dict(opened.evaluate(SIZES))
    assert len(sizes) > 5 and all(size > 0 for size in sizes.values())
    assert sum(sizes.values()) <= BUDGET, sizes


def check_formulas(opened):
    """Every formula that can be seen is set, in one colour, and can be read out."""
    shown = opened.evaluate(FORMULAS)
    assert shown["typeset"] == shown["spoken"] == shown["written"], shown
    assert shown["wrong"] == shown["stops"] == 0, shown
    assert not shown["written"] or shown["fonts"], shown


def check_print(opened, unfold):
    """Printed is every formula, with fonts that were there before: none is awaited."""
    opened.evaluate("document.fonts.ready.then(() => null)")
    before = opened.evaluate(FONTS)
    opened.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert not opened.locator(".math.notranslate:not(:has(mjx-container))").count()
    unfold(opened)
    opened.evaluate("document.fonts.ready.then(() => null)")
    assert set(opened.evaluate(FONTS)) <= set(before)


def check_pictures(opened):
    """What is below the screen is asked for when it comes into view, and is there."""
    for image in opened.locator("article img").all():
        image.scroll_into_view_if_needed()
        assert image.evaluate("i => i.decode().then(() => i.naturalWidth)"), image
    opened.wait_for_load_state("networkidle")


def check_width(opened, width):
    """No page scrolls sideways; on a wide screen no code and no table of an answer."""
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.evaluate("document.querySelector('main').scrollWidth") <= width
    if width >= 1280:
        assert opened.evaluate(CUT) == []


def violations(opened, rules):
    """Return what axe complains about."""
    found = opened.evaluate(RUN, rules)
    assert found["passes"] or found["inapplicable"]
    return [
        f"{violation['id']}: {node['target']} {node['failureSummary']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


def check_axe(opened):
    """Axe finds nothing; this changes the page, and comes last."""
    opened.evaluate(STILL)
    opened.evaluate(AXE)
    found = violations(opened, RULES)
    opened.evaluate(ONE_LETTER)
    found += violations(opened, CONTRAST)
    assert not found, "\n\n".join(found)


@pytest.mark.parametrize(("at", "theme", "width"), FORMS)
def test_a_page_is_whole_light_and_for_everyone(
    open_page, unfold, page, at, theme, width
):
    opened = open_page(page, at=at, theme=theme, width=width)
    assert opened.evaluate("document.documentElement.dataset.theme") == theme
    if at == "http":
        check_weight(opened)
    check_formulas(opened)
    if at == "http":
        check_print(opened, unfold)
    unfold(opened)
    check_formulas(opened)
    check_pictures(opened)
    check_width(opened, width)
    check_axe(opened)


def test_axe_would_find_something(open_page):
    page = open_page("chapters/index.html")
    page.evaluate("document.querySelector('article p').style.color = '#ccc'")
    page.evaluate("document.querySelector('article').append(new Image())")
    with pytest.raises(AssertionError) as failure:
        check_axe(page)
    assert "color-contrast: " in str(failure.value)
    assert "image-alt: " in str(failure.value)


def test_wrong_formulas_would_be_found(open_page):
    page = open_page("chapters/6_2_conv-layer.html")
    check_formulas(page)
    for wrong in (r"\nosuchmacro", r"\color{yellow}{x}", r"\frac{1}"):
        page.evaluate(REPLACE, rf"\({wrong}\)")
        assert page.evaluate(FORMULAS)["wrong"] == 1
