"""Training again what the study stores: how much, and what counts as the same."""

from dataclasses import replace

import pytest
import torch

from solutions.lenet import LeNetSpec
from solutions.notebook.reproducibility import generator
from solutions.training import retraining, study
from solutions.training.data import ImageSet
from solutions.training.loop import Recipe
from solutions.training.retraining import KINKED, SMOOTH, demand_near, is_full, retrain
from solutions.training.study import Experiment, collect, read, run

SMALL = Recipe(LeNetSpec(channels=(2, 3), dense=(7,)), lr=0.2, num_epochs=3)
ONE = {"one": Experiment(SMALL, final=True, seeds=(4, 7))}


def few_images(experiment):
    X = torch.rand(600, 1, 28, 28, generator=generator(1))
    both = ImageSet(X, torch.arange(600) % 10, tuple("abcdefghij"))
    return both, both[:100]


@pytest.fixture
def result(tmp_path, monkeypatch):
    for module in (study, retraining):
        monkeypatch.setattr(module, "sets_of", few_images)
    run(ONE, tmp_path)
    collect(ONE, tmp_path, tmp_path / "study.json")
    return read(ONE, tmp_path / "study.json")["one"]


@pytest.fixture
def trained(monkeypatch):
    """Record which seeds are trained again, and for how many epochs."""
    seen = []
    real = retraining.demand_near

    def noting(result, seed, new):
        seen.append((seed, len(new.test_acc)))
        real(result, seed, new)

    monkeypatch.setattr(retraining, "demand_near", noting)
    return seen


@pytest.mark.parametrize(
    "full, how, expected, num_nets",
    [
        ("no", {"seed": 7}, [(7, 1)], 1),
        ("no", {"seed": 4, "first": 2}, [(4, 2)], 1),
        ("", {"seed": 7, "first": None}, [(7, 3)], 1),
        ("yes", {"seed": 7}, [(4, 3), (7, 3)], 2),
    ],
)
def test_a_part_is_trained_again_or_all(
    result, trained, monkeypatch, full, how, expected, num_nets
):
    monkeypatch.setenv("D2L_FULL", full)
    [nets] = retrain([result], **how)
    assert trained == expected
    last = result.answers[-1]
    assert len(nets) == num_nets
    if trained[-1][1] == 3:  # to the end
        answers = nets[-1].eval()(few_images(None)[1].images).argmax(dim=1)
        assert "".join(map(str, answers.tolist())) == last


def test_each_week_another_seed_has_its_turn(result, monkeypatch):
    class Clock(retraining.datetime):
        day = 0

        @classmethod
        def now(cls, tz):
            return cls.fromordinal(700_000 + cls.day)

    monkeypatch.setattr(retraining, "datetime", Clock)
    seen = []
    for Clock.day in (0, 7, 14, 15):
        seen.append(retraining.seed_of_the_week(result.experiment))
    assert set(seen[:2]) == {4, 7} and seen[2] == seen[3] == seen[0]


@pytest.mark.parametrize("activation, allowed", [("sigmoid", SMOOTH), ("relu", KINKED)])
@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("epoch", [0, 2])
def test_a_run_that_is_too_far_off_is_refused(result, activation, allowed, name, epoch):
    recipe = replace(SMALL, spec=replace(SMALL.spec, activation=activation))
    experiment = replace(result.experiment, recipe=recipe)
    result = replace(result, experiment=experiment)
    history = result.histories[1]
    curve = list(getattr(history, name))
    curve[epoch] += allowed[name] / 2
    demand_near(result, 7, replace(history, **{name: tuple(curve)}))
    curve[epoch] += allowed[name]
    changed = replace(history, **{name: tuple(curve)})
    if name == "test_acc" and epoch == 0:  # the test counts after the last epoch
        demand_near(result, 7, changed)
    else:
        with pytest.raises(ValueError, match=f"seed 7, epoch {epoch + 1}: {name} is"):
            demand_near(result, 7, changed)


def test_a_loss_that_is_no_number_is_refused(result):
    history = replace(result.histories[0], train_loss=(float("nan"),) * 3)
    with pytest.raises(ValueError, match="train_loss is nan"):
        demand_near(result, 4, history)


def test_other_code_is_noticed(result, monkeypatch):
    other = replace(result.experiment, recipe=replace(SMALL, lr=0.02))
    with pytest.raises(ValueError, match="does something else"):
        retrain([replace(result, experiment=other)], seed=4, first=None)


def test_an_unclear_wish_is_refused(monkeypatch):
    monkeypatch.setenv("D2L_FULL", "true")
    with pytest.raises(RuntimeError, match="D2L_FULL is 'true', but must be yes or no"):
        is_full()
