"""Studies: what is run, what is kept, and what counts as made by other code."""

import ast
import json
from dataclasses import replace
from functools import partial

import pytest
import torch

from solutions.lenet import LeNetSpec
from solutions.notebook.reproducibility import generator
from solutions.training import study
from solutions.training.data import ImageSet
from solutions.training.loop import Recipe
from solutions.training.study import Experiment, collect, read, run

SMALL = Recipe(LeNetSpec(channels=(2, 3), dense=(7,)), lr=0.2, num_epochs=2)
TWO = {
    "first": Experiment(SMALL, seeds=(0, 1)),
    "second": Experiment(replace(SMALL, lr=0.1), "MNIST", final=True, seeds=(0,)),
}


@pytest.fixture(autouse=True)
def few_images(monkeypatch):
    def sets_of(experiment):
        X = torch.rand(30, 1, 28, 28, generator=generator(len(experiment.name)))
        both = ImageSet(X, torch.arange(30) % 10, tuple("abcdefghij"))
        return both, both[:10]

    monkeypatch.setattr(study, "sets_of", sets_of)


@pytest.fixture
def trained(monkeypatch):
    """Record how many jobs are trained."""
    counts = []

    def train_jobs(jobs, device):
        counts.append(len(jobs))
        return real(jobs, device)

    real = study.train_jobs
    monkeypatch.setattr(study, "train_jobs", train_jobs)
    return counts


def test_results_are_written_and_read_back(tmp_path):
    run(TWO, tmp_path / "runs")
    collect(TWO, tmp_path / "runs", tmp_path / "study.json")
    results = read(TWO, tmp_path / "study.json")
    assert {name: len(r.histories) for name, r in results.items()} == {
        "first": 2,
        "second": 1,
    }
    history = results["first"].histories[0]
    assert len(history.test_acc) == 2 and len(history.grad_norm[1]) == 4
    assert hash(history) is not None  # tuples all the way down, as it was trained
    assert results["first"].cpu_seconds > 0
    assert results["first"].answers == ()  # only the test images count
    [answers] = results["second"].answers
    assert len(answers) == 10 and answers.isdigit()
    for entry in json.loads(
        (tmp_path / "study.json").read_text(encoding="utf-8")
    ).values():
        assert entry["made_with"]["torch"] == torch.__version__


# joblib says that it drops the other run.
@pytest.mark.filterwarnings("ignore:.*have been cancelled")
def test_an_interrupted_study_goes_on_where_it_stopped(tmp_path, trained, monkeypatch):
    real = study.train_jobs

    def interrupted(jobs, device):
        results = real(jobs, device)
        yield next(results)
        results.close()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(study, "train_jobs", interrupted)
        run(TWO, tmp_path)
    assert len(list(tmp_path.glob("*.json"))) == 1
    run(TWO, tmp_path)
    run(TWO, tmp_path)
    assert trained == [2, 1, 0]
    assert [p.suffix for p in tmp_path.iterdir()] == [".json", ".json"]


def test_results_of_other_code_are_not_used(tmp_path, trained, monkeypatch):
    run(TWO, tmp_path / "runs")
    collect(TWO, tmp_path / "runs", tmp_path / "study.json")
    monkeypatch.setattr(study, "fingerprint", lambda: "of other code")
    with pytest.raises(ValueError, match=r"first, second; run `make study`"):
        read(TWO, tmp_path / "study.json")
    run(TWO, tmp_path / "runs")
    assert trained == [2, 2]


@pytest.mark.parametrize(
    "changes",
    [
        {"recipe": replace(SMALL, lr=0.3)},
        {"recipe": replace(SMALL, spec=replace(SMALL.spec, pooling="max"))},
        {"seeds": (0, 2)},
        {"final": True},
        {"name": "MNIST"},
    ],
    ids=str,
)
def test_a_changed_experiment_has_no_result(changes, tmp_path):
    run(TWO, tmp_path)
    collect(TWO, tmp_path, tmp_path / "study.json")
    changed = {**TWO, "first": replace(TWO["first"], **changes)}
    with pytest.raises(ValueError, match="for: first; run"):
        read(changed, tmp_path / "study.json")


def test_a_result_without_its_experiment_is_refused(tmp_path):
    run(TWO, tmp_path)
    collect(TWO, tmp_path, tmp_path / "study.json")
    with pytest.raises(ValueError, match="for: second; run"):
        read({"first": TWO["first"]}, tmp_path / "study.json")


@pytest.mark.parametrize("name", ["load", "_split_once", "sets_of"])
def test_what_loads_and_splits_the_data_counts(monkeypatch, name):
    [part] = [p for p in study.CODE if getattr(p, "__name__", "") == name]
    tree_of = study._tree
    assert [node.name for node in tree_of(part).body] == [name]
    changed = {part: ast.parse(f"def {name}(): pass")}
    found = set()
    for instead in ({}, changed):
        study.fingerprint.cache_clear()
        tree = partial(lambda p, trees: trees.get(p) or tree_of(p), trees=instead)
        monkeypatch.setattr(study, "_tree", tree)
        found.add(study.fingerprint())
    study.fingerprint.cache_clear()
    assert len(found) == 2


def test_an_experiment_with_two_names_runs_once(tmp_path, trained):
    run({"one": TWO["first"], "the same": replace(TWO["first"])}, tmp_path)
    assert trained == [1]


def test_code_counts_and_its_documentation_does_not(monkeypatch):
    def fingerprint_of(source, part=study):
        study.fingerprint.cache_clear()
        monkeypatch.setattr(study, "CODE", (part,))
        monkeypatch.setattr(study.inspect, "getsource", lambda part: source)
        return study.fingerprint()

    plain = fingerprint_of("def f(x):\n    '''Old.'''\n    return x + 1")
    assert plain == fingerprint_of("def f(x):  # why\n    '''New.'''\n    return x + 1")
    assert plain != fingerprint_of("def f(x):\n    '''Old.'''\n    return x + 2")
    one = fingerprint_of("@a\nclass Result: pass\nclass Other: pass", study.Result)
    assert one == fingerprint_of("@a\nclass Result: pass\nother = 1", study.Result)
    assert one != fingerprint_of("class Result: pass\nclass Other: pass", study.Result)
    study.fingerprint.cache_clear()
