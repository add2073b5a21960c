"""The sliding window of chapters/play.md: its arithmetic, its words, its controls."""

import random
from itertools import product

import pytest
import torch
from torch.nn import functional as F

from solutions.convolution import conv2d_matmul, im2col
from solutions.padding_stride import conv_output_shape

PAGE = "chapters/play.html"
# Fills the fields as a reader does, and reads what the page shows then.
FILL = """([x, k, padding, stride, dilation]) => {
    const [X, K] = document.querySelectorAll("#sliding-window textarea");
    [X.value, K.value] = [x, k];
    const numbers = [...padding, ...stride, ...dilation];
    document.querySelectorAll("#sliding-window input").forEach((input, i) => {
        input.value = numbers[i];
    });
    X.dispatchEvent(new Event("input", { bubbles: true }));
}"""
SHOWN = """() => {
    const read = (table) => [...table.rows].map((row) =>
        [...row.cells].map((cell) => Number(cell.dataset.value)));
    const [padded, kernel, products, output] =
        [...document.querySelectorAll("#sliding-window table")];
    const taps = [...padded.rows].flatMap((row, i) => [...row.cells].flatMap(
        (cell, j) => cell.classList.contains("sw-tap") ? [[i, j]] : []));
    return {
        padded: read(padded), kernel: read(kernel), products: read(products),
        output: read(output), taps,
        shape: document.querySelector(".sw-shape").innerText,
        sum: document.querySelector(".sw-sum").innerText,
    };
}"""
SELECTED = """() => {
    const cell = document.querySelector("[role=grid] [aria-selected=true]");
    return [cell.parentElement.rowIndex, cell.cellIndex];
}"""


def rows(matrix):
    return "\n".join(" ".join(str(v) for v in row) for row in matrix.tolist())


def cases(count):
    """Yield inputs, kernels and settings whose window fits, and one of the windows."""
    draw, entries = random.Random(6), torch.Generator().manual_seed(6)
    while count:
        h, w, k_h, k_w = (draw.randint(1, 9) for _ in range(4))
        settings = [
            (draw.randint(low, high), draw.randint(low, high))
            for low, high in ((0, 3), (1, 4), (1, 3))
        ]
        padding, stride, dilation = settings
        try:
            o_h, o_w = conv_output_shape((h, w), (k_h, k_w), stride, padding, dilation)
        except ValueError:
            continue
        X, K = (
            torch.randint(-9, 10, size, generator=entries)
            for size in ((h, w), (k_h, k_w))
        )
        count -= 1
        yield X, K, *settings, draw.randrange(o_h * o_w)


def test_every_number_is_that_of_solutions_and_of_pytorch(open_page):
    page = open_page(PAGE)
    for X, K, padding, stride, dilation, number in cases(80):
        page.evaluate(FILL, [rows(X), rows(K), padding, stride, dilation])
        cell = page.locator("[role=grid] td").nth(number)
        cell.evaluate("cell => cell.click()")
        shown = page.evaluate(SHOWN)
        batch = X[None, None]
        expected = F.conv2d(
            batch.double(), K[None, None].double(), None, stride, padding, dilation
        )
        ours = conv2d_matmul(
            batch, K[None, None], None, stride, padding=padding, dilation=dilation
        )
        assert shown["output"] == expected[0, 0].tolist() == ours[0, 0].tolist()
        assert shown["kernel"] == K.tolist()
        padded = F.pad(X, (padding[1], padding[1], padding[0], padding[0]))
        assert shown["padded"] == padded.tolist()
        window = im2col(batch, tuple(K.shape), stride, padding, dilation)[0, :, number]
        assert shown["products"] == (window.reshape(K.shape) * K).tolist()
        assert [padded[i, j] for i, j in shown["taps"]] == window.tolist()
        o_h, o_w = expected.shape[2:]
        assert shown["shape"].startswith(f"Output shape: {o_h} × {o_w}\n")
        assert shown["shape"].count(f"= {o_h}") and shown["shape"].endswith(f"= {o_w}")
        i, j = divmod(number, o_w)
        value = str(int(expected[0, 0, i, j])).replace("-", "−")
        assert shown["sum"].startswith(f"Y[{i}, {j}] = ")
        assert shown["sum"].endswith(f" = {value}")


def test_fractions_are_computed_as_pytorch_does(open_page):
    page = open_page(PAGE)
    generator = torch.Generator().manual_seed(62)
    X, K = (
        torch.randn(size, generator=generator, dtype=torch.float64)
        for size in ((6, 7), (3, 2))
    )
    page.evaluate(FILL, [rows(X), rows(K), (1, 0), (2, 1), (1, 2)])
    output = torch.tensor(page.evaluate(SHOWN)["output"], dtype=torch.float64)
    expected = F.conv2d(X[None, None], K[None, None], None, (2, 1), (1, 0), (1, 2))
    torch.testing.assert_close(output, expected[0, 0], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "text", ["[[0, 1], [2, 3]]", "0 1; 2 3", "0,1\n2,3\n", "0 1\n2 3"]
)
def test_a_matrix_may_be_written_as_python_writes_it(open_page, text):
    page = open_page(PAGE)
    page.evaluate(FILL, [text, "1", (0, 0), (1, 1), (1, 1)])
    assert page.evaluate(SHOWN)["output"] == [[0, 1], [2, 3]]


def test_what_python_refuses_is_refused_in_the_same_words(open_page):
    page = open_page(PAGE)
    seen = set()
    for k, padding, stride, dilation in product(
        [(3, 3), (1, 5)],
        [(0, 0), (-1, 0), (1, 1)],
        [(1, 1), (0, 2)],
        [(1, 1), (2, 3), (1, 0)],
    ):
        page.evaluate(
            FILL,
            [
                rows(torch.ones(2, 3).int()),
                rows(torch.ones(k).int()),
                padding,
                stride,
                dilation,
            ],
        )
        error = page.locator("#sliding-window [role=alert]")
        try:
            conv_output_shape((2, 3), k, stride, padding, dilation)
        except ValueError as refusal:
            assert error.inner_text() == str(refusal)
            assert not page.locator(".sw-grids").is_visible()
            seen.add(str(refusal).split()[0])
        else:
            assert not error.is_visible() and page.locator(".sw-grids").is_visible()
            seen.add("fits")
    assert seen == {"kernel_size", "padding", "stride", "dilation", "fits"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 2\n3", "X has 2 numbers in row 0 and 1 in row 1"),
        ("1 a\n3 4", 'X has "a" in row 0, which is no number'),
        (" \n", "X is empty"),
        ("1 " * 21, "at most (20, 20) are drawn here"),
    ],
)
def test_input_that_is_no_matrix_is_refused_and_forgotten(open_page, text, words):
    page = open_page(PAGE)
    page.evaluate(FILL, [text, "1", (0, 0), (1, 1), (1, 1)])
    assert words in page.locator("#sliding-window [role=alert]").inner_text()
    page.evaluate(FILL, ["5", "2", (0, 0), (1, 1), (1, 1)])
    assert page.evaluate(SHOWN)["output"] == [[10]]
    assert not page.locator("#sliding-window [role=alert]").is_visible()


def test_an_empty_setting_is_refused(open_page):
    page = open_page(PAGE)
    page.get_by_role("group", name="Stride").get_by_label("horizontal").fill("")
    refusal = page.locator("#sliding-window [role=alert]").inner_text()
    assert refusal.startswith(
        "stride is (1, NaN), but must be an int or a pair of ints"
    )


def test_typing_changes_the_output_at_once(open_page):
    page = open_page(PAGE)
    page.get_by_role("textbox", name="Kernel K").fill("1")
    page.get_by_role("group", name="Padding, per side").get_by_label("vertical").fill(
        "1"
    )
    output = [[0, 0, 0], [0, 1, 2], [3, 4, 5], [6, 7, 8], [0, 0, 0]]
    assert page.evaluate(SHOWN)["output"] == output


def test_the_window_moves_by_keyboard_alone(open_page):
    page = open_page(PAGE)
    page.get_by_role("button", name="Next").focus()
    page.keyboard.press("Enter")
    assert page.evaluate(SELECTED) == [0, 1]
    page.keyboard.press("Tab")  # to the one output that can be reached
    for key, place in [
        ("ArrowDown", [1, 1]),
        ("ArrowRight", [1, 1]),  # there is none further right
        ("Home", [1, 0]),
        ("ArrowUp", [0, 0]),
        ("End", [0, 1]),
    ]:
        page.keyboard.press(key)
        assert page.evaluate(SELECTED) == place
        assert page.evaluate("document.activeElement.ariaSelected") == "true"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('[role=grid]')") is None


def test_the_player_runs_until_it_is_paused(open_page):
    page = open_page(PAGE)
    status = page.locator("#sliding-window [role=status]")
    page.clock.install()
    page.get_by_role("button", name="Play").click()
    assert status.get_attribute("aria-live") == "off"
    places = []
    for _ in range(5):
        page.clock.run_for(900)
        places.append(page.evaluate(SELECTED))
    assert places == [[0, 1], [1, 0], [1, 1], [0, 0], [0, 1]]
    page.get_by_role("button", name="Pause").click()
    page.clock.run_for(5000)
    assert page.evaluate(SELECTED) == [0, 1]
    assert status.get_attribute("aria-live") is None


@pytest.mark.parametrize(
    ("motion", "duration"), [("no-preference", "0.35s"), ("reduce", "0s")]
)
def test_the_window_glides_only_for_those_who_want_motion(open_page, motion, duration):
    page = open_page(PAGE, reduced_motion=motion)
    frame = page.locator(".sw-frame")
    assert frame.evaluate("f => getComputedStyle(f).transitionDuration") == duration


def test_the_frame_lies_around_the_taps(open_page):
    page = open_page(f"{PAGE}#play-dilation", reduced_motion="reduce")
    page.get_by_role("button", name="Next").click()
    taps = [tap.bounding_box() for tap in page.locator(".sw-tap").all()]
    frame = page.locator(".sw-frame").bounding_box()
    assert frame["x"] == pytest.approx(min(t["x"] for t in taps), abs=1)
    assert frame["y"] == pytest.approx(min(t["y"] for t in taps), abs=1)
    assert frame["width"] == pytest.approx(
        taps[-1]["x"] + taps[-1]["width"] - frame["x"], abs=1
    )
    assert frame["height"] == pytest.approx(
        taps[-1]["y"] + taps[-1]["height"] - frame["y"], abs=1
    )


@pytest.mark.parametrize(
    ("anchor", "output"),
    [("play-6-2", [[19, 25], [37, 43]]), ("play-6-3-1", [[30, 90], [66, 75]])],
)
def test_an_address_may_name_an_example(open_page, anchor, output):
    assert open_page(f"{PAGE}#{anchor}").evaluate(SHOWN)["output"] == output


def test_every_example_works_and_only_the_last_is_refused(open_page):
    page = open_page(PAGE)
    refused = []
    for button in page.locator("button[data-x]").all():
        button.click()
        refused.append(page.locator("#sliding-window [role=alert]").is_visible())
    assert refused == [False] * (len(refused) - 1) + [True]


def test_the_four_windows_leave_two_rows_unread(open_page):
    page = open_page(f"{PAGE}#play-6-3-1")
    read = set()
    for _ in range(4):
        read |= {i for i, _ in page.evaluate(SHOWN)["taps"]}
        page.get_by_role("button", name="Next").click()
    assert read == set(range(6))


def test_numbers_in_the_gaps_of_a_stride_change_no_output(open_page):
    page = open_page(f"{PAGE}#play-skip")
    before = page.evaluate(SHOWN)
    changed = torch.tensor(before["padded"]).int()
    changed[2], changed[5], changed[:, 2], changed[:, 5] = 9, 9, 9, 9
    page.get_by_role("textbox", name="Input X").fill(rows(changed))
    after = page.evaluate(SHOWN)
    assert after["output"] == before["output"] and after["padded"] != before["padded"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_largest_input_does_not_widen_a_phone(open_page, theme):
    page = open_page(PAGE, theme=theme, width=375)
    X = torch.full((20, 20), -1234)
    page.evaluate(FILL, [rows(X), "1 2\n3 4", (0, 0), (1, 1), (1, 1)])
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    wide = page.locator(".sw-wide").first
    assert wide.evaluate("box => box.scrollWidth > box.clientWidth")
    assert wide.get_attribute("tabindex") == "0"  # the arrow keys scroll it


def test_on_paper_there_is_a_still_without_controls(open_page):
    page = open_page(PAGE)
    page.emulate_media(media="print")
    for control in ("form", ".sw-player"):
        assert not page.locator(f"#sliding-window {control}").is_visible()
    assert page.locator("#sliding-window table").count() == 4
    assert all(t.is_visible() for t in page.locator("#sliding-window table").all())


def test_without_javascript_the_page_says_so(open_page):
    page = open_page(PAGE, java_script_enabled=False)
    assert "needs JavaScript" in page.locator("#sliding-window").inner_text()
    assert not any(b.is_visible() for b in page.locator("button[data-x]").all())
