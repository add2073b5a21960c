"""What `show`, `show_table` and `show_source` put into an output cell."""

import base64
import inspect

import pytest

from solutions.convolution import Conv2D
from solutions.notebook import display
from solutions.notebook.figures import lines
from solutions.notebook.listing import algorithm
from solutions.padding_stride import receptive_field


@pytest.fixture
def shown(monkeypatch):
    """Collect the MIME bundles that would go to the notebook."""
    bundles = []

    def collect(bundle, raw):
        assert raw, "without raw=True, IPython would show the dict itself"
        bundles.append(bundle)

    monkeypatch.setattr(display, "display", collect)
    return bundles


def curve():
    named = {"a": [0.0, 1.0, 4.0], "b": [4.0, 1.0, 0.0]}
    return lines([0.0, 1.0, 2.0], named, xlabel="x", ylabel="y")


def test_the_same_figure_is_the_same_svg_byte_for_byte(shown):
    display.show(curve(), alt="two curves")
    display.show(curve(), alt="two curves")
    assert shown[0] == shown[1]
    picture = shown[0]["image/svg+xml"]
    assert "<svg" in picture
    assert "dc:date" not in picture
    assert "clip-path" in picture  # what carries the random ids, without the salt


def test_another_figure_is_another_svg(shown):
    other = lines([0.0, 1.0], {"a": [0.0, 1.0]}, xlabel="x", ylabel="y")
    display.show(curve(), alt="curves")
    display.show(other, alt="curves")
    assert shown[0]["image/svg+xml"] != shown[1]["image/svg+xml"]


@pytest.mark.parametrize("pixels", [False, True])
def test_the_alternative_text_is_the_plain_text(shown, pixels):
    display.show(curve(), alt="a rises, b falls", pixels=pixels)
    assert shown[0]["text/plain"] == "a rises, b falls"


def test_a_caption_follows_the_picture(shown):
    display.show(curve(), alt="a rises, b falls", caption="Which of the two *wins*.")
    picture, below = shown
    assert "image/svg+xml" in picture
    assert set(below.values()) == {"Which of the two *wins*."}
    assert set(below) == {"text/markdown", "text/plain"}


def test_pixels_are_a_png(shown):
    display.show(curve(), alt="two curves", pixels=True)
    assert set(shown[0]) == {"image/png", "text/plain"}
    assert base64.b64decode(shown[0]["image/png"]).startswith(b"\x89PNG\r\n")


def test_table_in_markdown_and_in_plain_text(shown):
    display.show_table(("n", "output"), [(8, (4, 4)), ("1,000", "0.50")])
    lines_of = {kind: text.splitlines() for kind, text in shown[0].items()}
    markdown, plain = lines_of["text/markdown"], lines_of["text/plain"]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in markdown]
    assert cells[0] == ["n", "output"]
    assert cells[2:] == [["8", "(4, 4)"], ["1,000", "0.50"]]
    assert [row.split() for row in plain[2:]] == [["8", "(4,", "4)"], ["1,000", "0.50"]]


@pytest.mark.parametrize("row", [("only one",), ("one", "two", "three")])
def test_a_ragged_table_is_refused(shown, row):
    with pytest.raises(ValueError, match=r"has not one value for each of"):
        display.show_table(("a", "b"), [("one", "two"), row])
    assert shown == []


def test_source_is_the_algorithm_that_inspect_reads(shown):
    display.show_source(receptive_field, Conv2D)
    first = algorithm(inspect.getsource(receptive_field))
    second = algorithm(inspect.getsource(Conv2D))
    assert shown[0]["text/plain"] == f"{first}\n\n{second}"
    assert shown[0]["text/markdown"] == f"```python\n{first}\n\n{second}\n```"
