"""Many runs in several processes, against the same runs one after the other."""

from dataclasses import replace

import pytest
import torch
from distributed import LocalCluster

from solutions.lenet import LeNetSpec
from solutions.training import dispatch
from solutions.training.dispatch import Job, _tasks, train_jobs, train_recipes
from solutions.training.loop import Recipe, train_seeds

SMALL = Recipe(LeNetSpec(channels=(2, 3), dense=(7,)), lr=0.2, num_epochs=2)
OTHER = replace(SMALL, spec=LeNetSpec((3,), 5, (2,), (True,), dense=(4, 6)))


@pytest.fixture(scope="module")
def sets(random_set):
    return random_set(70), random_set(30)


@pytest.fixture(scope="module")
def cluster():
    settings = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**settings) as two_workers:
        yield two_workers


def assert_as_alone(nets, histories, recipe, seeds, sets):
    expected_nets, expected = train_seeds(recipe, seeds, *sets)
    for k in range(len(seeds)):
        torch.testing.assert_close(
            torch.tensor(histories[k].train_loss),
            torch.tensor(expected[k].train_loss),
            rtol=1e-5,
            atol=0,
        )
        for p, q in zip(
            nets[k].parameters(), expected_nets[k].parameters(), strict=True
        ):
            torch.testing.assert_close(p, q, rtol=0, atol=1e-5)


@pytest.mark.parametrize("seeds", [(0, 1), (5, 6, 7)])
@pytest.mark.parametrize("recipes", [[SMALL, OTHER], [SMALL]], ids=len)
def test_recipes_in_processes_give_the_same_in_order(recipes, seeds, sets, capfd):
    results = train_recipes(recipes, seeds, *sets)
    for recipe, (nets, histories) in zip(recipes, results, strict=True):
        assert_as_alone(nets, histories, recipe, seeds, sets)
    assert capfd.readouterr() == ("", "")


def test_a_dask_cluster_gives_the_same(cluster, sets, monkeypatch):
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", cluster.scheduler_address)
    results = train_recipes([SMALL, OTHER], (0, 1), *sets)
    for recipe, (nets, histories) in zip((SMALL, OTHER), results, strict=True):
        assert_as_alone(nets, histories, recipe, (0, 1), sets)


def test_both_workers_of_a_cluster_do_jobs(cluster, sets, monkeypatch):
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", cluster.scheduler_address)
    monkeypatch.setattr(dispatch, "_train_here", _name_of_worker)
    names = set(train_jobs([Job(SMALL, (k,), *sets) for k in range(8)]))
    workers = cluster.scheduler_info["workers"].values()
    assert names == {worker["name"] for worker in workers} and len(names) == 2


def _name_of_worker(*job):
    import time

    from distributed import get_worker

    time.sleep(0.3)  # so that one worker cannot do all eight
    return get_worker().name


def test_no_scheduler_at_the_address(sets, monkeypatch):
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://127.0.0.1:9")
    with pytest.raises(RuntimeError, match=r"127\.0\.0\.1:9', but no scheduler"):
        train_recipes([SMALL], (0,), *sets)


def test_an_accelerator_takes_one_job_after_the_other(sets, monkeypatch):
    # The meta device computes shapes alone: to read a number from it is an error,
    # so reaching that point shows that every tensor was moved there.
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "not used")
    with pytest.raises(NotImplementedError, match="meta"):
        train_recipes([SMALL], (0,), *sets, device=torch.device("meta"))


def test_work_is_divided_longest_first_and_keeps_every_core_busy():
    short, long = replace(SMALL, num_epochs=1), SMALL
    assert _tasks([short, long], (3, 4), 2) == [(1, [3, 4]), (0, [3, 4])]
    assert _tasks([short, short, long], (3,), 2) == [(2, [3]), (0, [3]), (1, [3])]
    assert _tasks([short], (3, 4, 5), 2) == [(0, [3, 4]), (0, [5])]
    assert _tasks([short], (3, 4), 16) == [(0, [3]), (0, [4])]
