"""The runs on other machines: tolerances follow from them, and tables show them."""

import json
import os
import subprocess
import sys
from decimal import Decimal

import nbformat
import pytest
import torch

from tools.notebooks import ROOT
from tools.regression import distances, portability
from tools.regression.distances import TABLES, judged_alike, stored, trained_cells
from tools.regression.variants import (
    DRAW,
    PERTURBED,
    PROOF,
    VARIABLE,
    VARIANTS,
    perturbed,
)

# What a tolerance may be however close the runs were: thirty test images of 10,000.
FLOOR = Decimal("0.003")


def each_trained_cell():
    return [pytest.param(c, id=c.name) for c in trained_cells(stored())]


@pytest.mark.parametrize("cell", each_trained_cell())
def test_a_tolerance_follows_from_the_distances_that_were_measured(cell):
    largest = max(cell.distances.values())
    assert 3 * largest <= cell.tolerance, "it may cry wolf"
    assert cell.tolerance <= max(5 * largest, FLOOR), "it was loosened"


@pytest.mark.parametrize("cell", each_trained_cell())
def test_each_trained_cell_ran_under_twenty_roundings(cell):
    assert cell.roundings >= 20
    assert {PERTURBED} < set(cell.distances)


def test_a_tolerance_for_cuda_is_held_against_the_runs_on_a_gpu():
    runs = {"here": {"device": "cpu"}, "a GPU": {"device": "cuda"}}
    entry = {"atol": 0.002, "why": "a", "cuda": {"atol": 0.02, "why": "b"}}
    cpu, cuda = judged_alike({"nbval": entry}, runs)
    assert (cpu[0].atol, list(cpu[1])) == (Decimal("0.002"), ["here"])
    assert (cuda[0].atol, list(cuda[1])) == (Decimal("0.02"), ["a GPU"])
    del entry["cuda"]
    [(_, both)] = judged_alike({"nbval": entry}, runs)
    assert both == runs


PROVED = {
    "one thread": {"threads": "1"},
    "two threads": {"threads": "2"},
    "AVX2 at most": {"ATen": "AVX2", "oneDNN": "jit:avx2"},
    "neither AVX-512 nor AVX2": {"ATen": "DEFAULT", "oneDNN": "jit:sse41"},
    "without oneDNN": {"oneDNN": "not used"},
    "contiguous instead of channels last": {"channels last": "False"},
}


@pytest.mark.parametrize("name", PROVED)
def test_the_stored_runs_computed_as_they_say(name):
    assert PROVED[name].items() <= stored()[name]["proof"].items()


def test_all_variants_have_run_and_agree():
    runs = stored()
    assert set(VARIANTS) <= set(runs)
    assert not any(run["failed"] for run in runs.values())


def test_tables_show_the_stored_results():
    for name, text in distances.tables(stored()).items():
        assert (TABLES / f"{name}.md").read_text("utf-8") == text + "\n"


def test_results_of_another_machine_are_added(tmp_path, monkeypatch):
    before = stored()
    monkeypatch.setattr(distances, "RESULTS", tmp_path / "portability.json")
    monkeypatch.setattr(distances, "TABLES", tmp_path)
    distances.store(before)
    trained = next(trained_cells({}))
    notebook, cell = trained.name.split()
    found = {"notebook": notebook, "cell": cell, "compared": True, "passed": False}
    found |= {"deviation": "0.02", "device": "cuda"}
    others = [found | {"notebook": "_build/student/6_6_lenet.ipynb"}]
    (tmp_path / "found.json").write_text(json.dumps([found, *others]), encoding="utf-8")
    portability.add("a new machine", tmp_path / "found.json")
    assert list(stored()) == [*before, "a new machine"]
    assert stored()["a new machine"]["trained"] == {trained.name: 0.02}
    [row] = [
        line
        for line in (tmp_path / "runs.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| a new machine")
    ]
    assert [c.strip() for c in row.split("|")[2:-1]] == [
        "1",
        "1",
        "0",
        "0.02",
        "1 differ",
    ]


def test_a_variant_is_not_taken_for_another_machine(tmp_path):
    with pytest.raises(SystemExit, match="'one thread' is a variant"):
        portability.add("one thread", tmp_path / "found.json")


@pytest.mark.parametrize(
    "found, is_done",
    [([{"passed": True}], True), ([{"passed": True}, {"passed": False}], False)],
)
def test_a_run_with_a_failed_cell_is_done_again(tmp_path, found, is_done):
    (tmp_path / "a.json").write_text(
        json.dumps({"found": found, "proof": []}), encoding="utf-8"
    )
    assert portability.is_done(tmp_path / "a.json") == is_done
    assert not portability.is_done(tmp_path / "b.json")


def test_a_process_that_is_not_the_variant_ends(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(portability.START, encoding="utf-8")
    wanted = {VARIABLE: "no variant", PROOF: str(tmp_path / "proof")}
    path = f"{tmp_path}{os.pathsep}{ROOT}"
    done = subprocess.run(
        [sys.executable, "-c", "print('went on')"],
        env={**os.environ, **wanted, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert "no variant" in done.stderr


@pytest.mark.parametrize(
    "name, key, value",
    [
        ("neither AVX-512 nor AVX2", "ATen", "DEFAULT"),
        ("without oneDNN", "oneDNN", "not used"),
        ("contiguous instead of channels last", "channels last", "False"),
        ("two threads", "threads", "2"),
    ],
)
def test_a_process_is_the_variant_that_it_is_called(name, key, value, tmp_path):
    changed = {VARIABLE: name, DRAW: "1", PROOF: str(tmp_path / "proof")}
    subprocess.run(
        [sys.executable, "-c", "from tools.regression.variants import enter; enter()"],
        env={**os.environ, **VARIANTS[name].environment, **changed},
        cwd=ROOT,
        check=True,
    )
    assert json.loads((tmp_path / "proof").read_text(encoding="utf-8"))[key] == value


@pytest.mark.parametrize("draws", ["a function", "a method"])
def test_perturbed_weights_differ_by_their_size(draws):
    layer = torch.nn.Linear(100, 100)
    before = layer.weight.clone()
    if draws == "a function":
        changed = perturbed(lambda seed: layer, 1e-6, 1)(0)
    else:
        assert perturbed(lambda self: None, 1e-6, 1)(layer) is None
        changed = layer
    relative = (changed.weight / before - 1).std()
    assert 0.8e-6 < relative < 1.2e-6


def test_each_matrix_draws_other_changes_and_an_interrupted_one_goes_on(tmp_path):
    first = portability.fresh_draws(tmp_path / "draws.json")
    assert portability.fresh_draws(tmp_path / "draws.json") == first
    assert len(set(first)) == portability.ROUNDINGS
    assert portability.fresh_draws(tmp_path / "others.json") != first


def test_a_training_in_a_variant_has_a_third_of_its_tolerance(tmp_path):
    wanted = {VARIABLE: PERTURBED, DRAW: "1", PROOF: str(tmp_path / "proof")}
    code = """
from solutions.training.retraining import KINKED, SMOOTH
before = [*SMOOTH.values(), *KINKED.values()]
from tools.regression.variants import enter
enter()
assert [*SMOOTH.values(), *KINKED.values()] == [allowed / 3 for allowed in before]
"""
    subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **wanted}, cwd=ROOT, check=True
    )


JOB = ("one thread", 0, portability.SHORTEST)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of one notebook and one module, as `portability` reads it."""
    cell = nbformat.v4.new_code_cell("1 + 1", metadata={"nbval": {"atol": 0.01}})
    notebook = tmp_path / portability.SHORTEST
    tools = [
        f"tools/regression/{n}.py"
        for n in ("agreement", "execution", "nbtol", "variants")
    ]
    for path in (
        notebook,
        *(tmp_path / module for module in ("solutions/one.py", *tools)),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x = 1\n", encoding="utf-8")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), notebook)
    monkeypatch.setattr(portability, "ROOT", tmp_path)
    return tmp_path


def replace(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    "name, old, new",
    [
        (portability.SHORTEST, "1 + 1", "1 + 2"),
        ("solutions/one.py", "1", "2"),
        ("tools/regression/agreement.py", "1", "2"),
        ("tools/regression/execution.py", "1", "2"),
        ("tools/regression/nbtol.py", "1", "2"),
        ("tools/regression/variants.py", "1", "2"),
    ],
)
def test_a_job_is_done_again_after_a_change_of_code(project, name, old, new):
    before = portability.label(JOB)
    replace(project / name, old, new)
    assert before != portability.label(JOB)


@pytest.mark.parametrize(
    "name, old, new",
    [(portability.SHORTEST, "0.01", "0.02"), ("solutions/one.py", "1", "1  # why")],
)
def test_a_result_outlives_a_change_of_tolerance_or_comment(project, name, old, new):
    before = portability.label(JOB)
    replace(project / name, old, new)
    assert before == portability.label(JOB)


def test_jobs_of_two_variants_or_draws_are_two_jobs(project):
    jobs = [(name, draw, JOB[2]) for name in VARIANTS for draw in (1, 2)]
    assert len({portability.label(job) for job in jobs}) == len(jobs)
