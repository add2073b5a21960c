"""The experiments, and whether their stored results are those of today's code."""

from pathlib import Path

import pytest

from solutions.lenet import build, layer_costs
from solutions.training.experiments import (
    ABLATIONS,
    EXPERIMENTS,
    GRID,
    KNOBS,
    RELU_SIZES,
    TOGETHER,
)
from solutions.training.study import read

RESULTS = Path(__file__).parents[2] / "chapters" / "study.json"


def test_stored_results_are_those_of_the_present_code():
    results = read(EXPERIMENTS, RESULTS)
    for name, experiment in EXPERIMENTS.items():
        histories = results[name].histories
        assert len(histories) == len(experiment.seeds), name
        for history in histories:
            assert len(history.test_acc) == experiment.recipe.num_epochs, name


def test_only_experiments_called_test_use_the_test_set():
    for name, experiment in EXPERIMENTS.items():
        assert experiment.final == name.startswith("test: ")


@pytest.mark.parametrize("recipes", [KNOBS, GRID, RELU_SIZES, TOGETHER, ABLATIONS])
def test_no_recipe_stands_under_two_names(recipes):
    assert len(set(recipes.values())) == len(recipes)


def test_every_net_can_be_built_and_counted():
    for experiment in EXPERIMENTS.values():
        costs = layer_costs(build(experiment.recipe.spec, seed=0))
        assert costs[-1].output_shape == (10,)
