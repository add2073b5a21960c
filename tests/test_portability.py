"""The runs on other machines: tolerances follow from them, and tables show them."""

import json
import os
import subprocess
import sys
from decimal import Decimal

import nbformat
import pytest
import torch

from tools import portability
from tools.nbtol import tolerance_of
from tools.portability import ROOT, TABLES, stored
from tools.variants import PROOF, VARIABLE, VARIANTS, perturbed


def measured_cells():
    """Yield each trained cell that was measured: name, tolerance, largest distance."""
    for path in sorted(ROOT.glob("chapters/*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            name = f"chapters/{path.name} {cell.id}"
            runs = [run["trained"] for run in stored().values()]
            if distances := [trained[name] for trained in runs if name in trained]:
                yield name, tolerance_of(cell.metadata).atol, max(distances)


@pytest.mark.parametrize("name, atol, distance", list(measured_cells()))
def test_no_tolerance_is_below_a_distance_ever_measured(name, atol, distance):
    assert Decimal(str(distance)) <= atol, "it would cry wolf"


def test_tables_show_the_stored_results():
    runs = stored()
    assert (TABLES / "runs.md").read_text("utf-8") == portability.table(runs) + "\n"
    assert runs and not any(run["failed"] for run in runs.values())


def test_results_of_another_machine_are_added(tmp_path, monkeypatch):
    monkeypatch.setattr(portability, "RESULTS", tmp_path / "portability.json")
    monkeypatch.setattr(portability, "TABLES", tmp_path)
    proof = {"threads": "1"}
    apart = {name: [0.0] for name in portability.TRAININGS}
    first = {"cells": 1, "plain": 0, "trained": {}, "failed": []}
    first |= {"proof": proof, "trainings": apart}
    portability.store({portability.FIRST: first})
    cell = {"notebook": "a.ipynb", "cell": "b", "compared": True, "passed": False}
    cell |= {"atol": "0.01", "deviation": "0.02", "svg_atol": "1"}
    found = [cell | {"svg_deviation": "2.5"}]
    (tmp_path / "found.json").write_text(json.dumps(found))
    portability.add("a GPU", tmp_path / "found.json")
    assert list(stored())[-1] == "a GPU"
    assert stored()["a GPU"]["drawn"] == {"a.ipynb b": 2.5}
    [row] = [
        line
        for line in (tmp_path / "runs.md").read_text().splitlines()
        if line.startswith("| a GPU")
    ]
    assert [c.strip() for c in row.split("|")[2:-1]] == ["1", "0", "0.02", "1 differ"]


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
    changed = {VARIABLE: name, PROOF: str(tmp_path / "proof")}
    subprocess.run(
        [sys.executable, "-c", "from tools.variants import enter; enter()"],
        env={**os.environ, **VARIANTS[name].environment, **changed},
        cwd=ROOT,
        check=True,
    )
    assert json.loads((tmp_path / "proof").read_text())[key] == value


def test_perturbed_weights_differ_by_their_size():
    build = perturbed(lambda seed: torch.nn.Linear(100, 100), 1e-6)
    torch.manual_seed(0)
    changed = build(0).weight
    torch.manual_seed(0)
    relative = (changed / torch.nn.Linear(100, 100).weight - 1).std()
    assert 0.8e-6 < relative < 1.2e-6


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of one notebook and one module, as `portability` reads it."""
    cell = nbformat.v4.new_code_cell("1 + 1", metadata={"nbval": {"atol": 0.01}})
    notebook = tmp_path / portability.SHORTEST
    module, plugin = tmp_path / "solutions/one.py", tmp_path / "tools/nbtol.py"
    for path in (notebook, module, plugin):
        path.parent.mkdir()
        path.write_text("x = 1\n")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), notebook)
    monkeypatch.setattr(portability, "ROOT", tmp_path)
    return tmp_path


def replace(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    "name, old, new",
    [
        (portability.SHORTEST, "1 + 1", "1 + 2"),
        ("solutions/one.py", "1", "2"),
        ("tools/nbtol.py", "1", "2"),
    ],
)
def test_a_job_is_done_again_after_a_change_of_code(project, name, old, new):
    before = portability.label(portability.FIRST, portability.SHORTEST)
    replace(project / name, old, new)
    assert before != portability.label(portability.FIRST, portability.SHORTEST)


@pytest.mark.parametrize(
    "name, old, new",
    [(portability.SHORTEST, "0.01", "0.02"), ("solutions/one.py", "1", "1  # why")],
)
def test_a_result_outlives_a_change_of_tolerance_or_comment(project, name, old, new):
    before = portability.label(portability.FIRST, portability.SHORTEST)
    replace(project / name, old, new)
    assert before == portability.label(portability.FIRST, portability.SHORTEST)


def test_jobs_of_two_variants_are_two_jobs(project):
    labels = [portability.label(name, portability.SHORTEST) for name in VARIANTS]
    assert len(set(labels)) == len(VARIANTS)
