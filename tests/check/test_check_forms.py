"""Answers in every form: the right stay right, the wrong wrong."""

import numpy as np
import pytest
import sympy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from solutions.check import check, forms
from tests.check.answering import NO_NUMBERS, VALUES, answered


class Hostile:
    """Nothing can be asked of it."""

    def __repr__(self):
        raise RuntimeError("no")

    def __float__(self):
        raise RuntimeError("no")

    def __len__(self):
        raise RuntimeError("no")


ENDLESS: list = []
ENDLESS.append(ENDLESS)
ENDLESS_DICT: dict = {}
ENDLESS_DICT[0] = ENDLESS_DICT
ODD = [
    *(float("nan"), float("inf"), -float("inf"), [], (), {}, "", "четыре", "答案"),
    *(10**4000, 1j, b"4", object(), Hostile(), ENDLESS, int, range(10**9)),
    *(torch.zeros(0), torch.zeros(2, 0, 3), torch.full((3,), float("nan"))),
    *(torch.ones(3) * 1j, torch.ones(10**6), torch.eye(3).to_sparse() / 0),
    *(np.array([None]), np.array(["a"]), np.full(3, np.inf), sympy.Symbol("x")),
    *(sympy.oo, [Hostile()], [[1], [2, 3]], ENDLESS_DICT, {0: Hostile()}, {1: 2}),
]
RANDOM = st.recursive(st.text() | st.floats(), lambda x: st.lists(x, max_size=4))
# Of these a random answer may be right: nearly all pairs of windows are.
PAIRS = ("6.5.2 windows", "6.5.4 windows", "7.5.2 windows", "6.1.6 pair")


@pytest.mark.parametrize("label", [v for v in VALUES if v not in NO_NUMBERS])
@settings(max_examples=25)
@given(value=RANDOM)
def test_no_random_value_is_right_or_crashes(label, value):
    assert not answered(label, value) or label in PAIRS


@pytest.mark.parametrize("label", [v for v in VALUES if v not in NO_NUMBERS])
def test_no_odd_value_is_right_or_crashes(label):
    for value in ODD:
        report = answered(label, value)
        assert len(str(report)) < 5000
        assert not report or label in PAIRS, report


@pytest.mark.parametrize(
    "label", ["6.1.1 parameters", "6.2.3", "6.5.6", "6.6.1 net", "7.5.3 net"]
)
def test_no_odd_result_is_right_or_crashes(label):
    for value in ODD:
        assert not answered(label, lambda *_, value=value: value), type(value)


def test_no_hint_stands_at_the_margin():
    report = check("6.5.6", lambda x, beta: x.mean().item())
    assert all(line.startswith("  ") for line in str(report).splitlines()[1:])


def test_what_differs_is_shown():
    text = str(check("7.1.5", response=lambda k, out: k * (k - out) * (1 + 2e-5)))
    assert "Expected: 1\n" in text
    assert "Got:      1.00002" in text


def test_numbers_of_edition_1():
    def average(X, k, s, p):
        W = torch.full((X.shape[1], 1, *k), 1 / (k[0] * k[1]))
        return torch.nn.functional.conv2d(X, W, None, s, p, groups=len(W))

    assert str(check("7.5.1", average)) == "6.5.1: right"
    assert check("7.6.1", parameters=61706)


def test_no_text_of_the_insides_of_pytorch():
    text = str(check("6.2.3", torch.nn.Conv2d(2, 1, 2)))
    assert "_wrapped_call_impl" not in text
    assert "_call_impl" not in text


def test_names_of_types_have_the_right_article():
    assert forms.kind_of(torch.zeros(2).long()) == "an int64 tensor"
    assert forms.kind_of(torch.zeros(2).byte()) == "a uint8 tensor"


@pytest.mark.parametrize(
    "shape",
    [
        (np.longdouble(2), 2),
        np.array([2, 2], dtype=np.longdouble),
        torch.tensor([2.0, 2.0]).to(torch.float8_e5m2),
    ],
)
def test_types_of_numbers_that_few_functions_know(shape):
    assert check("6.3.1", shape=shape)


@pytest.mark.parametrize("text", ["61,706", " 61706 ", "+61,706.0"])
def test_numbers_with_separators(text):
    assert check("6.6.1", parameters=text)


@pytest.mark.parametrize("text", ["61,70", "6,1706", "61,706,", "061,706", "61,,706"])
def test_separators_that_separate_no_thousands(text):
    assert "should be a number" in str(check("6.6.1", parameters=text))
