"""The regression of notebooks: what it runs, refuses and reports."""

import json
from decimal import Decimal

import nbformat.v4 as v4
import pytest
import torch

from tests.tools.regression.samples import TRAINED, curve, shown, stream
from tools.notebooks import ROOT
from tools.regression.agreement import SVG

pytest_plugins = ["pytester"]


def code(source, outputs=(), metadata=None, count=None):
    return v4.new_code_cell(
        source,
        outputs=list(outputs),
        metadata=metadata or {},
        execution_count=count,
    )


def save(pytester, cells, numbered=True):
    """Write a notebook of code cells, run in order, into the test's folder."""
    for count, cell in enumerate(cells, start=1):
        if numbered:
            cell.execution_count = count
    notebook = v4.new_notebook(cells=cells)
    path = pytester.path / "book.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")


def run(pytester, *more):
    return pytester.runpytest_inprocess(
        "--nbval",
        "-p",
        "tools.regression.nbtol",
        "-p",
        "no:randomly",
        *more,
    )


# A cell with its stored outputs, and whether it must pass.
CELLS = {
    "rounded": (code("print('loss 0.1235')", [stream("loss 0.1234\n")]), True),
    "changed": (code("print('loss 0.1236')", [stream("loss 0.1234\n")]), False),
    "a wider tolerance": (code("print(0.81)", [stream("0.80\n")], TRAINED), True),
    "output is missing": (code("_ = 0.5", [stream("0.5\n")]), False),
    "output is new": (code("print(0.5)"), False),
    "output of another kind": (code("0.5", [stream("0.5\n")]), False),
    "outputs in another order": (
        code(
            "print(1)\n2",
            [v4.new_output("execute_result", {"text/plain": "2"}), stream("1\n")],
        ),
        False,
    ),
    "warning": (
        code(
            "import sys; print('careful', file=sys.stderr); print(1)", [stream("1\n")]
        ),
        False,
    ),
    "a number on stderr is exact": (
        code(
            "import sys; _ = sys.stderr.write('0.1235')", [stream("0.1234", "stderr")]
        ),
        False,
    ),
    "error": (code("raise ValueError", []), False),
    "marker": (code("# NBVAL_IGNORE_OUTPUT\nprint(1)", [stream("2\n")]), True),
}


def test_passes_what_agrees_and_nothing_else(pytester):
    save(pytester, [cell for cell, _ in CELLS.values()])
    result = run(pytester)
    reports = result.reprec.getreports("pytest_runtest_logreport")
    passed = [r.passed for r in reports if r.when == "call"]
    expected = {name: passes for name, (_, passes) in CELLS.items()}
    assert dict(zip(CELLS, passed, strict=True)) == expected
    wider = sum("nbval" in cell.metadata for cell, _ in CELLS.values())
    with_outputs = sum(bool(cell.outputs) for cell, _ in CELLS.values()) - 1
    result.stdout.fnmatch_lines(
        [
            "*If the change is meant: python -m tools.regression.refresh book.ipynb*",
            f"nbtol: 1 notebooks, {len(CELLS)} cells run, {with_outputs} compared with "
            f"stored outputs, {wider} with a wider tolerance",
        ]
    )


def test_report_shows_only_what_changed(pytester):
    cell = code("print('0.1235', '0.8000')", [stream("0.1234 0.9000\n")])
    save(pytester, [v4.new_markdown_cell("text"), cell], numbered=False)
    cell.execution_count = 1
    save(pytester, [v4.new_markdown_cell("text"), cell], numbered=False)
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*Cell 2: Cell outputs differ*", "*0.1234 0.8000*"])
    assert "0.1235 0.8000" not in result.stdout.str().split("Traceback")[1]


def test_dead_kernel_is_reported_at_once(pytester):
    save(pytester, [code("import os; os._exit(1)"), code("1")])
    result = run(pytester)
    result.assert_outcomes(failed=2)
    assert result.duration < 60
    result.stdout.fnmatch_lines(
        [
            "*book.ipynb: cell 1 `import os; os._exit(1)`: the kernel died*",
            "*cell 2 `1`: not run, for the kernel died in cell 1 `import os*",
        ]
    )


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([code("1", count=1), code("x = 0.5")], "*cell 2 `x = 0.5` was never run*"),
        ([code("1", count=2)], "*cell 1 `1` was run out of order: count 2, but*1*"),
        (
            [code("1", metadata={"nbval": {"atol": 0.01}}, count=1)],
            '*cell 1 `1` metadata nbval has no "why"*',
        ),
    ],
)
def test_refuses_to_collect(pytester, cells, message):
    save(pytester, cells, numbered=False)
    result = run(pytester)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([message])


def test_deviations_are_written_cell_by_cell(pytester, monkeypatch):
    monkeypatch.setenv("D2L_DEVICE", "cpu")
    old, new = curve("10.25"), curve("10.26", name="ffffffffff")
    cells = [
        code("print('0.81, 12 of 0.5')", [stream("0.80, 12 of 0.7\n")], TRAINED),
        code(f"display({{{SVG!r}: {new!r}}}, raw=True)", [shown(SVG, old)]),
        code("x = 1"),
    ]
    save(pytester, cells)
    run(pytester, "--deviations", "found.json")
    found = json.loads((pytester.path / "found.json").read_text("utf-8"))
    assert [cell["compared"] for cell in found] == [True, True, False]
    assert [cell["passed"] for cell in found] == [False, True, True]
    assert [cell["deviation"] for cell in found] == ["0.2", None, None]
    assert [cell["atol"] for cell in found] == ["0.02", "0", "0"]
    assert {cell["device"] for cell in found} == {"cpu"}


def test_several_processes_count_and_write_the_same(pytester, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name in ("b", "a"):
        cells = [code("print(0.81)", [stream("0.80\n")], TRAINED), code("1 / 0")]
        save(pytester, cells)
        (pytester.path / "book.ipynb").rename(pytester.path / f"{name}.ipynb")
    found = []
    for processes in ("0", "2"):
        options = ("-n", processes, "--dist", "loadfile", "--deviations", "found.json")
        result = pytester.runpytest_subprocess(
            "--nbval", "-p", "tools.regression.nbtol", *options, timeout=600
        )
        result.assert_outcomes(passed=2, failed=2)
        said = "nbtol: 2 notebooks, 4 cells run, 2 compared with stored outputs, 2 with"
        result.stdout.fnmatch_lines([f"{said} a wider tolerance"])
        found.append((pytester.path / "found.json").read_bytes())
    assert found[0] == found[1]
    cells = json.loads(found[0])
    assert [(c["notebook"], c["number"]) for c in cells] == [
        (f"{name}.ipynb", number) for name in "ab" for number in (1, 2)
    ]
    assert cells[0]["outputs"] == cells[2]["outputs"] != cells[1]["outputs"] is None


def test_options_that_would_compare_less_are_refused(pytester):
    save(pytester, [code("1")])
    result = run(pytester, "--nbval-lax")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: --nbval-lax has no use here: see tools/regression/nbtol*"]
    )


def test_the_report_says_what_stands_on_stderr(pytester):
    save(pytester, [code("import sys\nprint('careful', file=sys.stderr)")])
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["On stderr stands:", "careful"])


@pytest.mark.parametrize(("device", "atol"), [("cpu", "0.01"), ("cuda", "0.04")])
def test_device_chooses_the_tolerance(pytester, monkeypatch, device, atol):
    entry = {"atol": 0.01, "why": "a", "cuda": {"atol": 0.04, "why": "b"}}
    # The best device present counts, so a GPU's tolerance needs no D2L_DEVICE.
    monkeypatch.delenv("D2L_DEVICE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: device == "cuda")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    save(pytester, [code("1", metadata={"nbval": entry})])
    items, _ = pytester.inline_genitems("--nbval", "-p", "tools.regression.nbtol")
    assert [item.tolerance.atol for item in items] == [Decimal(atol)]


def test_a_notebook_does_not_run_on_another_device_than_it_says(pytester, monkeypatch):
    monkeypatch.delenv("D2L_DEVICE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    save(pytester, [code("1")])
    changes = "import os\ndef test(): os.environ['D2L_DEVICE'] = 'cpu'\n"
    (pytester.path / "test_a.py").write_text(changes, encoding="utf-8")
    result = run(pytester, "test_a.py", "book.ipynb")
    result.assert_outcomes(passed=1, errors=1)
    said = "*book.ipynb was collected for cuda, but would run on cpu*"
    result.stdout.fnmatch_lines([said])
