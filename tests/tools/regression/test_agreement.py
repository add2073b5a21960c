"""When outputs agree: what must pass, and above all what must not."""

from decimal import Decimal
from io import StringIO

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import rc_context
from matplotlib.figure import Figure
from tabulate import tabulate

from tests.tools.regression.samples import TRAINED, curve, shown, stream
from tools.regression.agreement import (
    Tolerance,
    snap,
    snap_outputs,
    snap_svg,
    tolerance_of,
)

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
    "two significant digits": ("loss 0.0013", "loss 0.0012", {}, False),
    "two, with atol": ("loss 0.0013", "loss 0.0012", TRAINED, True),
    "two, the last is 0": ("loss 0.0011", "loss 0.0010", {}, False),
    "three significant digits": ("loss 0.00124", "loss 0.00123", {}, True),
    "three, the last are 0": ("loss 0.0101", "loss 0.0100", {}, True),
    "number of digits": ("loss 0.12", "loss 0.1234", {}, False),
    "small number": ("1.0001e-07", "1.0000e-07", {}, True),
    "much smaller number": ("9.0000e-07", "1.0000e-07", {}, False),
}
# Pairs of texts that a reader would not take for the same.
REALLY_CHANGED = {
    "exponent of a setting": ("eps=1e-12", "eps=1e-05"),
    "only digit of a setting": ("lr=0.002", "lr=0.001"),
    "setting beside a measurement": (
        "lr=0.0004, loss=0.1234",
        "lr=0.0003, loss=0.1234",
    ),
    "setting in a dict": ("{'lr': 0.0004, 'a': 0.1234}", "{'lr': 0.0003, 'a': 0.1234}"),
    "setting in another line": ("0.0004\n0.1234", "0.0003\n0.1234"),
    "coarser number in the row": ("[0.002, 12.34]", "[0.001, 12.34]"),
    "exponent in the row": ("[0.1234, 1.6e-05]", "[0.1234, 1.5e-05]"),
    "zero by itself": ("error 0.0001", "error 0.0000"),
    "one digit in a row": ("betas=(0.8, 0.999)", "betas=(0.9, 0.999)"),
    "more decimals, a zero": ("acc 0.8900", "acc 0.89"),
    "fewer decimals, no zero": ("acc 0.5", "acc 0.50"),
    "scientific": ("1.0000e-01", "0.1000"),
    "explicit plus": ("+0.1234", "0.1234"),
    "other exponent": ("1.2345e-08", "1.2345e-07"),
    "hash like a number": ("1235e45", "1234e45"),
    "name with a number": ("run1.2346a1", "run1.2345a1"),
    "version of three parts": ("numpy 2.1.1", "numpy 2.1.0"),
    "whole number in a row": ("[20., 0.1234]", "[19., 0.1234]"),
    "large whole number in a row": ("[10001., 0.1234]", "[10000., 0.1234]"),
    "thousands": ("2,234.5678", "1,234.5678"),
    "few digits of a percentage": ("1.3%", "1.2%"),
    "sign of an imaginary part": ("1.2345-0.1235j", "1.2345+0.1235j"),
    "imaginary part": ("1.2345+0.1237j", "1.2345+0.1235j"),
    "minus for plus": ("0.5000 - 0.1234", "0.5000 + 0.1234"),
    "nan for inf": ("[nan, 0.1234]", "[inf, 0.1234]"),
    "unit": ("0.1234ms", "0.1234s"),
    "colour": ("\x1b[32m0.1234\x1b[0m", "\x1b[31m0.1234\x1b[0m"),
    "Chinese word": ("精度0.1234", "损失0.1234"),
    "drawing of blanks": ("# #\n###", "##\n###"),
    "block of integers": ("0 1\n2 3\n4 5", "0 1 2\n3 4 5"),
    "length of a rule": ("a ----------", "a ------"),
    "blanks in strings": ("['', 'a,b']", "[' ', 'a , b']"),
    "indentation": ("if x:\n    y\nz", "if x:\n    y\n    z"),
    "tensor of another shape": ("[[0.12], [0.5]]", "[[0.12, 0.5]]"),
    "line break between numbers": ("0.1234\n0.5678", "0.1234 0.5678"),
    "line break, rounded": ("0.1235\n0.5678", "0.1234 0.5678"),
    "line break in brackets": ("[0.1234,\n 0.5678]", "[0.1234, 0.5678]"),
    "line break in a row of words": ("a\nb -0.0000", "a b 0.0000"),
    "empty line": ("0.1234\n\n0.5678", "0.1234\n0.5678"),
    "blank at the end": ("0.1234 \n", "0.1234\n"),
    "tab": ("a\t-0.0000", "a 0.0000"),
    "words above nothing": ("a  b -0.0000", "a b 0.0000"),
    "integers in its brackets": ("([1  2], -0.0000)", "([1 2], 0.0000)"),
    "lines of integers in its brackets": ("([1\n 2], -0.0000)", "([1 2], 0.0000)"),
    "other brackets": ("[-0.0000] [1.,\n 2.]", "[0.0000] [1., 2.]"),
    "rule of another column": (
        "net   acc\n----  -------\na     -0.0000",
        "net  acc\n---  ------\na    0.0000",
    ),
    "rule longer by two": ("acc\n--------\n-0.0000", "acc\n------\n0.0000"),
    "rule of another sign": ("acc\n=======\n-0.0000", "acc\n------\n0.0000"),
    "gap wider by two": ("x   -0.0000", "x 0.0000"),
    "gap in a tensor wider by two": ("[0.1234,   -0.0000]", "[0.1234, 0.0000]"),
    "another table": ("a  b\n\nx -0.0000", "a b\n\nx 0.0000"),
    "attribute of HTML": ('<td width="0.1235">1</td>', '<td width="0.1234">1</td>'),
}
# Pairs of texts between which a rounding error, or the sign of a zero, may decide.
ONLY_ROUNDED = {
    "imaginary part": ("1.2345+0.0001j", "1.2345+0.0002j"),
    "sign of an imaginary zero": ("1.0000-0.0000j", "1.0000+0.0000j"),
    "sign of a complex zero": ("[1.-0.j 2.+0.j]", "[1.+0.j 2.+0.j]"),
    "complex tensor": (
        "tensor([1.2345+0.0001j, -0.0000+1.0000j])",
        "tensor([1.2345+0.0002j, 0.0000+1.0000j])",
    ),
    "colour": ("\x1b[31m0.1235\x1b[0m", "\x1b[31m0.1234\x1b[0m"),
    "many colours": ("\x1b[1;38;5;9m0.1235\x1b[K s", "\x1b[1;38;5;9m0.1234\x1b[K s"),
    "Chinese": ("损失0.1235，精度0.5678", "损失0.1234，精度0.5678"),
    "Chinese unit": ("用了0.1235秒", "用了0.1234秒"),
    "units": ("0.1235s, 1.2346x", "0.1234s, 1.2345x"),
    "unit after an exponent": ("1.235e+03ms", "1.234e+03ms"),
    "percentage": ("12.35%", "12.34%"),
    "degrees": ("12.35°", "12.34°"),
    "thousands": ("1,234.5679", "1,234.5678"),
    "setting with enough digits": ("loss=0.1235", "loss=0.1234"),
    "end of a sentence": ("It is 0.1235.", "It is 0.1234."),
    "range": ("0.1235-0.5679", "0.1234-0.5678"),
    "interval": ("(0.1235, 0.5679]", "(0.1234, 0.5678]"),
    "quotient": ("0.1235/1.2345", "0.1234/1.2345"),
    "capital exponent": ("1.2346E-07", "1.2345E-07"),
    "exponent falls": ("9.9999e-06", "1.0000e-05"),
    "exponent rises": ("1.0000e-05", "9.9999e-06"),
    "wider by a digit": ("loss  10.000\nacc    9.500", "loss   9.999\nacc    9.500"),
    "sign of 0.": ("tensor([-0., 1.])", "tensor([0., 1.])"),
    "sign of 0., aligned": ("array([-0.,  1.])", "array([0., 1.])"),
    "sign of 0.0": ("[-0.0, 1.5]", "[0.0, 1.5]"),
    "small in a row": ("[0.1234, 0.0004]", "[0.1234, 0.0003]"),
    "small in another row": ("[[0.1234],\n [0.0004]]", "[[0.1234],\n [0.0003]]"),
    "small beside nan": ("[0.1234, nan, 0.0004]", "[0.1234, nan, 0.0003]"),
    "small in a list of strings": ("['27.861', '0.010']", "['27.861', '0.009']"),
    "small standard deviation": ("0.9253 ± 0.0010", "0.9253 ± 0.0009"),
    "zeros not printed": ("[0.1234 0.03  ]", "[0.1234 0.0301]"),
    "zeros not printed, whole": ("[0.     0.1234]", "[0.0001 0.1234]"),
    "zeros not printed, sign": ("[-0.      0.1234]", "[0.     0.1234]"),
    "padded on both sides": ("[0.5786 -0.459   0.    ]", "[0.5786 -0.4589 -0.    ]"),
    "round": ("[0.123, 0.4567]", "[0.1231, 0.4567]"),
    "lines broken elsewhere": (
        "tensor([-0.0000, 0.5000,\n         0.2500])",
        "tensor([0.0000, 0.5000, 0.2500])",
    ),
    "dtype in a line of its own": (
        "tensor([-0.0000,  0.5000],\n       dtype=torch.float64)",
        "tensor([0.0000, 0.5000], dtype=torch.float64)",
    ),
    "table": (
        "net    acc      n\n-----  -------  ---\na      -0.0000  1\nb      0.5000   2",
        "net    acc     n\n-----  ------  ---\na      0.0000  1\nb      0.5000  2",
    ),
    "table aligned to the right": (
        "        a  b\n0 -0.0000  1\n1  0.5000  2",
        "       a  b\n0 0.0000  1\n1 0.5000  2",
    ),
    "table in Markdown": (
        "| net | acc     | n |\n|-----|---------|---|\n| a   | -0.0000 | 1 |",
        "| net | acc    | n |\n|-----|--------|---|\n| a   | 0.0000 | 1 |",
    ),
    "row in HTML": (
        "<tr>\n<td>0.1234</td>\n<td>0.0004</td>\n</tr>",
        "<tr>\n<td>0.1234</td>\n<td>0.0003</td>\n</tr>",
    ),
    "matrix in LaTeX": (
        r"\begin{bmatrix}0.1234 & -0.0\\0.0004 & 1\end{bmatrix}",
        r"\begin{bmatrix}0.1234 & 0.0\\0.0003 & 1\end{bmatrix}",
    ),
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
        TABLE.format("-0.0000").replace("|-----|-", "|-----|--"),
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
    "LaTeX, rounded": ("text/latex", "$x = 0.1235$", "$x = 0.1234$", {}, True),
    "LaTeX, changed": ("text/latex", "$x = 0.1236$", "$x = 0.1234$", {}, False),
    "curve, rounded": ("image/svg+xml", curve("10.27"), curve(), {}, True),
    "curve, moved": ("image/svg+xml", curve("10.28"), curve(), {}, False),
    "curve, atol is no points": (
        "image/svg+xml",
        curve("10.28"),
        curve(),
        TRAINED,
        False,
    ),
    "curve, id renamed": ("image/svg+xml", curve(name="f" * 10), curve(), {}, True),
    "curve, other glyph": ("image/svg+xml", curve(glyph=39), curve(), TRAINED, False),
    "curve, other outline": (
        "image/svg+xml",
        curve(outline=8),
        curve(),
        TRAINED,
        False,
    ),
    "curve, other image": (
        "image/svg+xml",
        curve(image="A2e5"),
        curve(),
        TRAINED,
        False,
    ),
    "curve, more drawn": (
        "image/svg+xml",
        curve(extra="<g/>"),
        curve(),
        TRAINED,
        False,
    ),
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


@pytest.mark.parametrize(("new", "old"), REALLY_CHANGED.values(), ids=REALLY_CHANGED)
def test_a_real_change_is_seen(new, old):
    assert snap(new, old) != old
    assert snap(old, new) != new


@pytest.mark.parametrize(("new", "old"), ONLY_ROUNDED.values(), ids=ONLY_ROUNDED)
def test_rounding_is_no_change(new, old):
    assert snap(new, old) == old
    assert snap(old, new) == new


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
        ({"atol": 0.01, "why": "w", "cuda": {"atol": 0.02}}, 'cuda has no "why"'),
        (
            {"atol": 0.01, "why": "w", "cuda": {"atol": 11, "why": "w"}},
            "nbval.cuda.atol is 11",
        ),
    ],
)
def test_refuses_metadata(entry, message):
    for device in ("cpu", "cuda"):
        with pytest.raises(ValueError, match=message):
            tolerance_of({"nbval": entry}, device)


def test_the_largest_tolerances_are_allowed_themselves():
    entry = {"atol": 0.05, "why": "w"}
    for device in ("cpu", "cuda"):
        found = tolerance_of({"nbval": entry | {"cuda": entry}}, device)
        assert found.atol == Decimal("0.05")


def drawing(size=10, width=0.8, alpha=0.5, text="abc", end=1.0):
    """Draw a line and a word, as matplotlib does in a notebook."""
    figure = Figure(figsize=(4, 3))
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, end], lw=width, alpha=alpha)
    axes.text(0.1, 0.8, text, fontsize=size)
    axes.set_ylim(0, 2)
    file = StringIO()
    with rc_context({"svg.hashsalt": str(end)}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"size": 12}, False),
        ({"size": 10.1}, False),
        ({"width": 0.81}, False),
        ({"alpha": 0.51}, False),
        ({"text": "abx"}, False),
        ({"end": 1.01}, False),
        ({"end": 1.00001}, True),
    ],
)
def test_of_a_figure_only_coordinates_have_slack(changed, expected):
    new, old = drawing(**changed), drawing()
    assert new != old
    assert (snap_svg(new, old) == old) == expected


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (' d="M {} 3"', True),
        (' x="{}"', True),
        (' y="{}"', True),
        (' transform="translate({} 3) scale(0.1)"', True),
        (' transform="translate(1.5 3) scale({})"', False),
        (' transform="rotate({})"', False),
        (' style="opacity: {}"', False),
        (' style="stroke: #000000; stroke-width: {}"', False),
        (' style="font: {}px serif"', False),
        (' width="{}"', False),
        (' height="{}"', False),
        (' viewBox="0 0 {} 9"', False),
        (' rx="{}"', False),
    ],
)
def test_each_part_of_an_svg_has_slack_or_not(part, expected):
    new, old = (f"<use{part.format(value)}/>" for value in ("0.52", "0.51"))
    assert (snap_svg(new, old) == old) == expected
    assert snap_svg(old, old) == old


def test_the_sign_of_a_zero_coordinate_does_not_count():
    new, old = '<use x="-0" y="0"/>', '<use x="0" y="0"/>'
    assert snap_svg(new, old) == old


def test_reads_metadata():
    assert tolerance_of({"tags": ["x"]}) == Tolerance(Decimal(0))
    assert tolerance_of(TRAINED) == Tolerance(Decimal("0.02"))


@given(st.text())
def test_a_text_agrees_with_itself(text):
    assert snap(text, text) == text
    assert snap_svg(text, text) == text


@given(new=st.integers(-99999, 99999), near=st.integers(-3, 3))
def test_four_decimals_agree_up_to_one_unit(new, near):
    old = new + near
    fresh, stored = (f"x = {n / 10**4:.4f}" for n in (new, old))
    assert (snap(fresh, stored) == stored) == (abs(near) <= (abs(old) >= 100))
    fresh, stored = (f"0.1234 ± {n / 10**4:.4f}" for n in (new, old))
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


def near(seed, rows, columns):
    """Return two arrays that rounding errors make different, signs near 0 too."""
    chance = np.random.default_rng(seed)
    X = chance.normal(size=(rows, columns))
    X[chance.random(X.shape) < 0.3] *= 1e-5
    X[:, 0] = 1.2345  # a row of small numbers alone would be exact
    return X + chance.uniform(-2e-5, 2e-5, X.shape), X


@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 5))
@pytest.mark.parametrize("mode", ["fixed", "maxprec"])
def test_printed_arrays_agree_after_rounding_errors(mode, seed, rows, columns):
    options = {"precision": 4, "suppress": True, "linewidth": 40, "floatmode": mode}
    with np.printoptions(**options):
        fresh, stored = map(str, near(seed, rows, columns))
    assert snap(fresh, stored) == stored


@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 5))
@pytest.mark.parametrize("is_right", [True, False])
@pytest.mark.parametrize("form", ["simple", "github", "grid", "plain", "html"])
def test_tables_agree_after_rounding_errors(form, is_right, seed, rows, columns):
    heads = ["net", *("mean", "sd", "long heading", "±", "x")[:columns], "seeds"]
    fresh, stored = (
        tabulate(
            [["net", *(f"{x:.4f}" for x in row), 12] for row in X],
            heads,
            tablefmt=form,
            floatfmt=".4f",
            disable_numparse=not is_right,
        )
        for X in near(seed, rows, columns)
    )
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
