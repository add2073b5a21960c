"""The test of the regression: it tells a survivor, and leaves the project alone."""

import ast
import os
import re
import subprocess
import sys
import time
from hashlib import sha256

import nbformat.v4 as v4
import pytest

from tools.regression.mutants import (
    ROOT,
    Mutant,
    Verdict,
    __main__,
    outputs,
    replay,
    suite,
)
from tools.regression.mutants import sources as tool
from tools.regression.nbtol import TolerantCell

MODULE = "solutions/training/augmentation.py"  # few tests, no notebook
TRAINED = {"nbval": {"atol": 0.01, "why": "trained"}}
SVG = '<path d="M 1 2.5 3.25"/><use href="#DejaVuSans-31" fill="#ffffff"/>'
SVG += '<g transform="scale(0.1)" style="opacity: 0.6; stroke-width: 0.8"/>'
DIGESTS = """
from tests.tools.regression.test_mutants import all_mutants, digest
print(digest(all_mutants()))
"""

ENDLESS = """
from tools.regression.mutants import Mutant, suite
if __name__ == "__main__":
    list(suite.judge([{mutant!r}]))
"""


def all_mutants():
    notebook = ROOT / "chapters" / "6_5_pooling.ipynb"
    return [*outputs.mutants(notebook), *tool.mutants("pooling")]


def digest(mutants):
    return sha256("\n".join(map(repr, mutants)).encode()).hexdigest()


def code(source, *found, metadata=None):
    return v4.new_code_cell(source, outputs=list(found), metadata=metadata or {})


def display(**data):
    names = {"plain": "text/plain", "svg": "image/svg+xml", "table": "text/markdown"}
    return v4.new_output("display_data", {names[k]: text for k, text in data.items()})


@pytest.fixture
def notebook(tmp_path):
    """Return a notebook that has a place for a mistake of each kind."""
    cells = [
        code("a", v4.new_output("stream", text="loss 0.1234\nshape (2, 3)\n")),
        code("b", display(plain="acc 0.89, n 20.", table="acc 0.89"), metadata=TRAINED),
        code(
            "s", v4.new_output("stream", text="at rate 0.1\neps=1e-05, 1.25+0.125j\n")
        ),
        code("c", display(svg=SVG, plain="A line."), display(plain="-1 × 2")),
    ]
    for count, cell in enumerate(cells, start=1):
        cell.id, cell.execution_count = f"cell-{count}", count
    path = tmp_path / "book.ipynb"
    path.write_text(v4.writes(v4.new_notebook(cells=cells)), encoding="utf-8")
    return path


def kinds(verdicts, *, survived):
    return {v.mutant.kind for v in verdicts if (not v.by) == survived}


def test_draws_the_same_mutants_each_time():
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", DIGESTS]
    other = subprocess.run(
        command, capture_output=True, text=True, env=environment, encoding="utf-8"
    )
    assert other.stdout.strip() == digest(all_mutants()), other.stderr


def test_finds_each_kind_of_mistake_in_outputs(notebook):
    verdicts = replay.judge(list(outputs.mutants(notebook)))
    assert kinds(verdicts, survived=False) == set(outputs.KINDS)
    assert not kinds(verdicts, survived=True)


def test_a_comparison_that_always_agrees_lets_them_survive(notebook, monkeypatch):
    monkeypatch.setattr(TolerantCell, "compare_outputs", lambda *_: True)
    verdicts = replay.judge(list(outputs.mutants(notebook)))
    assert kinds(verdicts, survived=False) == {"a cell not run"}
    assert kinds(verdicts, survived=True) == set(outputs.KINDS) - {"a cell not run"}
    faults = __main__.problems(verdicts, whole=False)
    assert sum("Cell 1: a shape: (2, 3) -> " in fault for fault in faults) == 1


def test_says_nothing_if_all_is_red_anyway(notebook, monkeypatch):
    monkeypatch.setattr(TolerantCell, "compare_outputs", lambda *_: False)
    with pytest.raises(RuntimeError, match="is not green without a mistake"):
        replay.judge(list(outputs.mutants(notebook))[:1])


def test_replay_and_kernel_agree(notebook):
    cell = code("print('loss 0.1234')", v4.new_output("stream", text="loss 0.1234\n"))
    cell.execution_count = 1
    notebook.write_text(v4.writes(v4.new_notebook(cells=[cell])), encoding="utf-8")
    mutants = list(outputs.mutants(notebook))
    assert replay.judge(mutants, real=True) == replay.judge(mutants)


def test_a_replay_that_a_kernel_contradicts_is_an_error(monkeypatch):
    def judge(mutants, real=False):
        return [Verdict(mutant, "" if real else "Cell 3") for mutant in mutants]

    monkeypatch.setattr(replay, "judge", judge)
    assert len(replay.judge_notebook("6_5_pooling.ipynb", again=0)) > 40
    with pytest.raises(RuntimeError, match="'Cell 3', now ''"):
        replay.judge_notebook("6_5_pooling.ipynb", again=2)


def test_red_elsewhere_does_not_count():
    mutant = Mutant("", "book.ipynb", "Cell 2", 0, "", "")
    assert (
        replay.found(mutant, ["Cell 1", "refused: book.ipynb: cell 22 `a` was"]) == ""
    )
    assert replay.found(mutant, ["Cell 1", "Cell 2"]) == "Cell 2"
    assert "cell 2" in replay.found(mutant, ["refused: a.ipynb: cell 2 `a` was"])


@pytest.mark.parametrize("module", tool.MODULES)
def test_mistakes_in_source_change_behaviour_only(module):
    original = (ROOT / f"solutions/{module}.py").read_text(encoding="utf-8")
    mutants = tool.mutants(module)
    assert (
        len({m.text for m in mutants} - {original}) == len(mutants) == tool.PER_MODULE
    )
    for mutant in mutants:
        trees = ast.parse(original), ast.parse(mutant.text)
        assert ast.dump(trees[0]) != ast.dump(trees[1])
        docs, signatures = zip(*map(documented, trees), strict=True)
        assert docs[0] == docs[1] and signatures[0] == signatures[1], str(mutant)


def documented(tree):
    """Return the docstrings of a module, and the types in its signatures."""
    nodes = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    types = [n.annotation for n in ast.walk(tree) if isinstance(n, ast.arg)]
    texts = [ast.unparse(t) for t in types if t is not None]
    return [ast.get_docstring(n) for n in nodes], texts


@pytest.mark.parametrize(
    ("source", "changes"),
    [
        ("def f(X, K):\n    return X * K.flip(0, 1)", {"X * K", "X + K.flip(0, 1)"}),
        ("y = (n + 2 * p) // s", {"n // s", "(n + 2 * 0) // s", "(n + 2 * p) // 1"}),
        ("if i < n: pass", {"i <= n"}),
        ("Y = X[i, j]", {"X[j, i]"}),
        ("Y = Y + bias", {"Y - bias", "Y", "Y + 0 * bias"}),
        ("for i in range(n): pass", {"range(n - 1)"}),
        ("raise ValueError(f'{n + 1}')", set()),
        ("x: Float[Tensor, 3] = y", set()),
    ],
)
def test_knows_the_mistakes_of_convolutions(source, changes):
    lines = source.splitlines()
    found = {tool.made("x.py", source, e).text for e in tool.edits(ast.parse(source))}
    plain = {re.sub(r"[()]", "", text) for text in found}
    for change in changes:
        wanted = re.sub(r"[()]", "", change)
        assert any(wanted in text.splitlines()[-1] for text in plain), (change, plain)
    assert bool(found) == bool(changes)
    assert all(len(text.splitlines()) == len(lines) for text in found)


def test_tells_survivors_in_source_and_leaves_the_project_alone(monkeypatch):
    original = (ROOT / MODULE).read_text(encoding="utf-8")
    texts = {
        "a comment": original + "# no mistake\n",
        "another sign": original.replace("w - 1 +", "w + 1 +"),
        "no module": "raise ImportError",
    }
    mutants = [Mutant(kind, MODULE, "f", 1, "", t) for kind, t in texts.items()]
    assert texts["another sign"] != original
    found = {v.mutant.kind: v.by for v in suite.judge(mutants)}
    tests = "the unit tests"
    assert found == {"a comment": "", "another sign": tests, "no module": tests}
    monkeypatch.setattr(suite, "LIMIT", 3)
    hangs = Mutant("hangs", MODULE, "f", 1, "", original + "while True: pass\n")
    assert [v.by for v in suite.judge([hangs])] == [suite.BY_LIMIT]
    assert (ROOT / MODULE).read_text(encoding="utf-8") == original


def test_a_mutant_ends_with_the_command_that_tries_it(tmp_path):
    file = tmp_path / "pid"
    text = (
        f"import os, pathlib; pathlib.Path({str(file)!r}).write_text(str(os.getpid()))"
    )
    mutant = Mutant("", MODULE, "", 1, "", f"{text}\nwhile True: pass\n")
    script = tmp_path / "try.py"
    script.write_text(ENDLESS.format(mutant=mutant), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = subprocess.Popen([sys.executable, script], env=environment)
    try:
        wait_until(lambda: file.exists() and file.read_text(encoding="utf-8"))
    finally:
        command.kill()
        command.wait()
    wait_until(lambda: not is_running(int(file.read_text(encoding="utf-8"))))


def wait_until(is_so):
    """Wait for something, some minutes if need be, and fail if it does not come."""
    deadline = time.monotonic() + 300
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_what_a_notebook_shows_is_no_test(tmp_path):
    original = (ROOT / MODULE).read_text(encoding="utf-8")
    mutant = Mutant("", MODULE, "", 0, "", original.replace("w - 1 +", "w + 1 +"))
    shown = [suite.definitions(text)[1] for text in (original, mutant.text)]
    path = tmp_path / "book.ipynb"
    cell = code("show_source(moved)", display(table=f"```python\n{shown[0]}\n```"))
    path.write_text(v4.writes(v4.new_notebook(cells=[cell])), encoding="utf-8")
    suite.show_as_changed(path, mutant)
    stored = v4.reads(path.read_text(encoding="utf-8")).cells[0].outputs[0].data
    assert stored["text/markdown"] == f"```python\n{shown[1]}\n```"


def test_ends_with_an_error_for_survivors_only(monkeypatch, capsys, tmp_path):
    mutant = Mutant("the stride 1", "solutions/a.py", "f", 3, "s -> 1", "")
    monkeypatch.setattr(__main__, "PAGE", tmp_path / "mutants.md")
    monkeypatch.setattr(__main__, "ACCEPTED", {})
    for by, status in [("the unit tests", 0), ("", 1)]:
        monkeypatch.setattr(__main__, "tried", lambda _, by=by: [Verdict(mutant, by)])
        assert __main__.main([]) == status
    assert (
        "add a test for: solutions/a.py:3, f: the stride 1: s -> 1"
        in capsys.readouterr().out
    )
    monkeypatch.setattr(__main__, "ACCEPTED", {mutant.name: "nobody can see it"})
    assert __main__.main([]) == 0
    assert "nobody can see it" in (tmp_path / "mutants.md").read_text(encoding="utf-8")
    monkeypatch.setattr(__main__, "tried", lambda _: [Verdict(mutant, "a notebook")])
    assert __main__.main([]) == 1  # nothing may stay accepted that is found


def test_the_stored_results_are_whole():
    text = __main__.PAGE.read_text(encoding="utf-8")
    rows = [re.findall(r"[^|]+", line) for line in text.splitlines() if "|" in line]
    counts = {row[0].strip(): [int(n) for n in row[1:]] for row in rows[2:]}
    total = counts.pop("all")
    assert total == [sum(column) for column in zip(*counts.values(), strict=True)]
    tried, found, _, survived = total
    assert tried >= 200 and tried == found + survived
    assert survived == len(__main__.ACCEPTED)
    expected = {f"outputs: {kind}" for kind in outputs.KINDS}
    assert set(counts) == expected | {f"source: {kind}" for kind in tool.KINDS}
