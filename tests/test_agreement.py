"""When outputs agree: what must pass, and above all what must not."""

from decimal import Decimal

import nbformat.v4 as v4
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tools.agreement import Tolerance, snap, snap_outputs, snap_svg, tolerance_of

TRAINED = {"nbval": {"atol": 0.02, "why": "trained accuracy"}}
DRAWN = {"nbval": {"svg_atol": 2, "why": "a trained curve"}}
GLYPH = '<use xlink:href="#DejaVuSans-{0}"/>'
CURVE = (
    '<g><path id="p{0}" d="M {1} 3\nL {4} 12.5"/><use xlink:href="#p{0}"/>{2}'
    '<image xlink:href="data:image/png;base64,iVBORw0KGgo{3}=="/></g>'
)


def curve(y="10.25", name="0a1b2c3d4e", glyph=38, image="A1e5", outline=7, extra=""):
    return CURVE.format(name, y, GLYPH.format(glyph), image, outline) + extra


def stream(text, name="stdout"):
    return v4.new_output("stream", name=name, text=text)


def shown(kind, text):
    return v4.new_output("display_data", {kind: text})


# What the cell prints or shows, what is stored, its metadata, whether they agree.
PRINTED = {
    "equal": ("loss 0.1234", "loss 0.1234", {}, True),
    "one unit in the last place": ("loss 0.1235", "loss 0.1234", {}, True),
    "two units": ("loss 0.1236", "loss 0.1234", {}, False),
    "few digits are exact": ("acc 0.90", "acc 0.89", {}, False),
    "19. for 20.": ("tensor([19.])", "tensor([20.])", {}, False),
    "19. for 20., with atol": ("tensor([19.])", "tensor([20.])", TRAINED, False),
    "10001. for 10000.": ("tensor([10001.])", "tensor([10000.])", {}, False),
    "an integer": ("44426", "44425", TRAINED, False),
    "accuracy falls by 0.02": ("acc 0.8700", "acc 0.8900", TRAINED, True),
    "accuracy falls by 0.0201": ("acc 0.8699", "acc 0.8900", TRAINED, False),
    "accuracy falls, no metadata": ("acc 0.8700", "acc 0.8900", {}, False),
    "one of two accuracies": ("0.8700 0.5000", "0.8900 0.9000", TRAINED, False),
    "shape": ("torch.Size([2, 3])", "torch.Size([2, 4])", TRAINED, False),
    "sign": ("tensor([-0.5000])", "tensor([0.5000])", {}, False),
    "sign near zero": (
        "tensor([[-0.0000, 1.0000]])",
        "tensor([[0.0000,  1.0000]])",
        {},
        True,
    ),
    "another row": ("[[0.5],\n [0.5]]", "[[0.5]]", {}, False),
    "word": ("device cuda, 0.1234", "device cpu, 0.1234", TRAINED, False),
    "version": ("torch 2.14.1", "torch 2.14.2", TRAINED, False),
    "nan": ("loss nan", "loss 0.1234", TRAINED, False),
    "sign of inf": ("loss -inf", "loss inf", TRAINED, False),
    "blank between integers": ("shape 1 2", "shape 12", {}, False),
    "number of digits": ("loss 0.12", "loss 0.1234", {}, False),
    "small number": ("1.0001e-07", "1.0000e-07", {}, True),
    "much smaller number": ("9.0000e-07", "1.0000e-07", {}, False),
}
TABLE = "| net | acc |\n|-----|-----|\n| a | {} |"
SHOWN = {
    "table": (
        "text/markdown",
        TABLE.format("0.1235"),
        TABLE.format("0.1234"),
        {},
        True,
    ),
    "table's number": (
        "text/markdown",
        TABLE.format("0.1244"),
        TABLE.format("0.1234"),
        {},
        False,
    ),
    "table's rule": (
        "text/markdown",
        TABLE.format("-0.0001").replace("|-----|-", "|-----|--"),
        TABLE.format("0.0000"),
        {},
        True,
    ),
    "table's column": (
        "text/markdown",
        TABLE.format("0.1234") + " 0.1234 |",
        TABLE.format("0.1234"),
        {},
        False,
    ),
    "html": ("text/html", "<td>0.1236</td>", "<td>0.1234</td>", {}, False),
    "source code": (
        "text/markdown",
        "```python\nlr = 0.001\n```",
        "```python\nlr = 0.002\n```",
        TRAINED,
        False,
    ),
    "latex is exact": ("text/latex", "$0.1235$", "$0.1234$", {}, False),
    "curve, rounded": ("image/svg+xml", curve("10.27"), curve(), {}, True),
    "curve, moved": ("image/svg+xml", curve("10.28"), curve(), {}, False),
    "curve, moved within": ("image/svg+xml", curve("12.25"), curve(), DRAWN, True),
    "curve, moved beyond": ("image/svg+xml", curve("12.26"), curve(), DRAWN, False),
    "curve, atol is no points": (
        "image/svg+xml",
        curve("10.28"),
        curve(),
        TRAINED,
        False,
    ),
    "curve, id renamed": ("image/svg+xml", curve(name="f" * 10), curve(), {}, True),
    "curve, other glyph": ("image/svg+xml", curve(glyph=39), curve(), DRAWN, False),
    "curve, other outline": ("image/svg+xml", curve(outline=8), curve(), DRAWN, False),
    "curve, other image": ("image/svg+xml", curve(image="A2e5"), curve(), DRAWN, False),
    "curve, more drawn": ("image/svg+xml", curve(extra="<g/>"), curve(), DRAWN, False),
    "curve, rounded to an integer": (
        "image/svg+xml",
        curve("10"),
        curve("10.01"),
        {},
        True,
    ),
}


def agree(new, old, metadata):
    """Say whether one output, once snapped, is the stored one."""
    return snap_outputs([new], [old], tolerance_of(metadata)) == [old]


@pytest.mark.parametrize(
    ("new", "old", "metadata", "expected"), PRINTED.values(), ids=PRINTED
)
def test_printed_texts_agree_or_not(new, old, metadata, expected):
    assert agree(stream(new), stream(old), metadata) == expected


@pytest.mark.parametrize(
    ("kind", "new", "old", "metadata", "expected"), SHOWN.values(), ids=SHOWN
)
def test_shown_texts_agree_or_not(kind, new, old, metadata, expected):
    assert agree(shown(kind, new), shown(kind, old), metadata) == expected


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("0.1", "must set some of"),
        ({}, "must set some of"),
        ({"why": "because"}, "must set some of"),
        ({"atol": 0.01}, 'no "why"'),
        ({"atol": 0.01, "why": " "}, 'no "why"'),
        ({"atol": 0.01, "why": 3}, 'no "why"'),
        ({"atol": 0.01, "why": "w", "rtol": 1}, r"unknown keys \['rtol'\]"),
        ({"atol": 0.051, "why": "w"}, "atol is 0.051, .* at most 0.05"),
        ({"atol": 0, "why": "w"}, "atol is 0, but must be above 0"),
        ({"atol": float("nan"), "why": "w"}, "atol is nan"),
        ({"atol": True, "why": "w"}, "atol is True"),
        ({"atol": "0.01", "why": "w"}, "atol is '0.01'"),
        ({"svg_atol": 10.1, "why": "w"}, "svg_atol is 10.1, .* at most 10"),
        ({"atol": 0.01, "why": "w", "cuda": {"atol": 0.02}}, 'cuda has no "why"'),
        (
            {"atol": 0.01, "why": "w", "cuda": {"svg_atol": 11, "why": "w"}},
            "nbval.cuda.svg_atol is 11",
        ),
    ],
)
def test_refuses_metadata(entry, message):
    for device in ("cpu", "cuda"):
        with pytest.raises(ValueError, match=message):
            tolerance_of({"nbval": entry}, device)


def test_the_largest_tolerances_are_allowed_themselves():
    entry = {"atol": 0.05, "svg_atol": 10, "why": "w"}
    for device in ("cpu", "cuda"):
        found = tolerance_of({"nbval": entry | {"cuda": entry}}, device)
        assert (found.atol, found.svg_atol) == (Decimal("0.05"), 10)


def test_reads_metadata():
    assert tolerance_of({"tags": ["x"]}) == Tolerance(Decimal(0), Decimal("0.02"))
    assert tolerance_of(DRAWN) == Tolerance(Decimal(0), Decimal(2))


@given(st.text())
def test_a_text_agrees_with_itself(text):
    assert snap(text, text) == text
    assert snap_svg(text, text) == text


@given(new=st.integers(-99999, 99999), near=st.integers(-3, 3))
def test_four_digits_agree_up_to_one_unit(new, near):
    fresh, stored = (f"x = {n / 10**4:.4f}" for n in (new, new + near))
    assert (snap(fresh, stored) == stored) == (abs(near) <= 1)


@given(
    new=st.integers(-99999, 99999),
    near=st.integers(-300, 300),
    atol=st.integers(1, 300),
)
def test_atol_is_the_bound(new, near, atol):
    fresh, stored = (f"x = {n / 10**4:.4f}" for n in (new, new + near))
    agrees = snap(fresh, stored, Decimal(atol).scaleb(-4)) == stored
    assert agrees == (abs(near) <= atol)


@given(st.lists(st.integers(), min_size=1), st.lists(st.integers(), min_size=1))
def test_integers_are_exact(new, old):
    for form in (str, lambda x: repr(tuple(x)), lambda x: " ".join(map(str, x))):
        agrees = snap(form(new), form(old), Decimal("0.05")) == form(old)
        assert agrees == (new == old)


WORDS = st.lists(st.sampled_from(["cpu", "a", "b", "3", "1.", "-"]), max_size=4)


@given(new=WORDS, old=WORDS, number=st.floats(0.01, 1))
def test_words_are_exact(new, old, number):
    fresh, stored = (" ".join([*words, f"{number:.4f}"]) for words in (new, old))
    assert (snap(fresh, stored, Decimal("0.05")) == stored) == (new == old)


@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 5))
def test_printed_tensors_agree_after_rounding_errors(seed, rows, columns):
    draw = torch.Generator().manual_seed(seed)
    X = torch.randn(rows, columns, generator=draw, dtype=torch.float64)
    X[:, 0] *= 1e-5  # its sign may flip, which moves every column
    noise = 2e-5 * torch.rand(rows, columns, generator=draw, dtype=torch.float64) - 1e-5
    torch.set_printoptions(precision=4, sci_mode=False, linewidth=40)
    fresh, stored = str(X + noise), str(X)
    torch.set_printoptions(profile="default")
    assert snap(fresh, stored) == stored


def test_outputs_are_paired_by_kind_and_not_changed():
    stored = [stream("0.1234"), shown("text/plain", "0.5001"), shown("text/plain", "2")]
    fresh = [shown("text/plain", "0.5002"), stream("0.1235"), shown("text/plain", "3")]
    snapped = snap_outputs(fresh, stored, Tolerance())
    assert [snapped[0].data, snapped[2].data] == [
        {"text/plain": "0.5001"},
        {"text/plain": "3"},
    ]
    assert snapped[1].text == "0.1234"
    assert fresh[1].text == "0.1235"
