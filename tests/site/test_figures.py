"""Figures on the site: captioned, numbered, described, and legible on a phone."""

import re

import pytest

CHAPTERS = [
    f"chapters/{name}.html"
    for name in (
        "6_1_why-conv",
        "6_2_conv-layer",
        "6_3_padding-and-strides",
        "6_4_channels",
        "6_5_pooling",
        "6_6_lenet",
    )
]
LEGIBLE = 7.5  # pixels, the size of the smallest text
# matplotlib writes text as outlines of 100 units: the scale is the size in points.
TEXT = re.compile(r"scale\((0?\.\d+) -\1\)")
WIDTH = re.compile(r'<svg [^>]*?width="([\d.]+)pt"', re.DOTALL)
# Loads every picture.
LOAD = """async () => {
    const images = [...document.querySelectorAll("article img")];
    for (const image of images) image.loading = "eager";
    await Promise.all(images.map((image) => image.decode()));
}"""
PICTURES = """() => [...document.querySelectorAll(".cell_output img")].map((image) => {
    const figure = image.closest("figure");
    return {
        file: image.src.split("/").pop(),
        alt: image.alt,
        width: image.getBoundingClientRect().width,
        right: image.getBoundingClientRect().right,
        caption: figure?.querySelector("figcaption .caption-text")?.innerText,
        number: figure?.querySelector(".caption-number")?.innerText.trim(),
        id: figure?.id,
    };
})"""
BEHIND = """() => [...document.querySelectorAll("article img")].map((image) => {
    const style = getComputedStyle(image);
    return [style.backgroundColor, style.filter];
})"""


def smallest_text(svg, width):
    """Return the size of the smallest text of a picture shown `width` pixels wide."""
    size = min(float(scale) * 100 for scale in TEXT.findall(svg))
    return size * width / float(WIDTH.search(svg)[1])


def check_described(pictures, section):
    """Every picture is described, and has a numbered caption."""
    assert pictures
    for n, picture in enumerate(pictures, start=1):
        assert len(picture["alt"]) >= 20, picture
        assert picture["caption"] and picture["caption"] not in picture["alt"], picture
        assert picture["number"] == f"Fig. 6.{section}.{n}"
        assert picture["id"] == f"fig-6-{section}-{n}"


def check_legible(pictures, site):
    """On a phone no picture is cut off, and its text can be read."""
    for picture in pictures:
        assert picture["right"] <= 375, picture
        if picture["file"].endswith(".svg"):
            svg = (site / "_images" / picture["file"]).read_text(encoding="utf-8")
            assert smallest_text(svg, picture["width"]) >= LEGIBLE, picture


def check_on_white(page):
    """Pictures stay on white in the dark theme."""
    looks = page.evaluate(BEHIND)
    assert looks
    for background, filters in looks:
        assert background == "rgb(255, 255, 255)"
        # The theme's own filter changes contrast, and with it colours.
        assert filters == "none" or re.fullmatch(r"brightness\(0\.\d+\)", filters)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_pictures_are_described_legible_on_a_phone_and_on_white(
    open_page, unfold, site, chapter
):
    page = open_page(chapter, theme="dark", width=375)
    unfold(page)
    page.evaluate(LOAD)
    pictures = page.evaluate(PICTURES)
    check_described(pictures, section=re.search(r"6_(\d)", chapter)[1])
    check_legible(pictures, site)
    check_on_white(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375


def test_the_picture_of_the_benchmark_is_on_white(open_page):
    check_on_white(open_page("chapters/benchmark.html", theme="dark"))


def test_smallest_text_is_measured_where_it_is_shown():
    svg = (
        '<svg height="1pt" width="300pt"><g transform="translate(1 2) scale(0.1 -0.1)">'
    )
    svg += '<g transform="scale(0.09 -0.09)"></g>'
    assert smallest_text(svg, width=300) == pytest.approx(9)
    assert smallest_text(svg, width=200) == pytest.approx(6)
