"""Section 6.6: training results of the study again, to see that they still come out.

Belongs here: what is trained again in each run, and how near it must come.
Does not belong here: making and keeping the results (`study`).
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import torch
from torch import nn

from solutions.training.dispatch import Job, train_jobs, train_recipes
from solutions.training.loop import History, Recipe
from solutions.training.study import Experiment, Result, sets_of

# How far a run may be from the stored one, in the mean loss and in the accuracies.
# A smooth net forgets other rounding, and one with ReLU does not before its rate has
# fallen. `make portability` holds each rounding that it tries to a third of this.
SMOOTH = {"train_loss": 0.006, "train_acc": 0.003, "test_acc": 0.003}
KINKED = {"train_loss": 0.03, "train_acc": 0.012, "test_acc": 0.012}


def is_full() -> bool:
    """Say whether everything is to be trained again: ``D2L_FULL`` is `yes`.

    Raises:
        RuntimeError: if ``D2L_FULL`` is neither `yes`, `no` nor empty.
    """
    asked = os.environ.get("D2L_FULL") or "no"
    if asked not in ("yes", "no"):
        raise RuntimeError(f"D2L_FULL is {asked!r}, but must be yes or no")
    return asked == "yes"


def retrain(
    results: Sequence[Result],
    device: torch.device | None = None,
    *,
    seed: int | None = None,
    first: int | None = 1,
) -> list[list[nn.Sequential]]:
    """Train results of the study again, and demand that the code still gives them.

    With ``D2L_FULL=yes`` that is all of each result. Otherwise it is the first epoch
    of one seed, which is another one in each week.

    Args:
        results: what to train again, from `study.read`.
        device: where to train; None is the CPU.
        seed: which seed to train if it is not all; None is that of the week.
        first: how many of its epochs to train, the first ones; None is all.

    Returns:
        For each result the nets that were trained, on the CPU, in the order of seeds.

    Raises:
        ValueError: if a run is further from the stored one than `SMOOTH`, or `KINKED`
            for a net with ReLU, allows.
    """
    if is_full():
        return [_all_of(result, device) for result in results]
    seeds = [seed_of_the_week(r.experiment) if seed is None else seed for r in results]
    jobs = [
        Job(r.experiment.recipe, (s,), *sets_of(r.experiment), first)
        for r, s in zip(results, seeds, strict=True)
    ]
    done = sorted(train_jobs(jobs, device))
    for result, s, one in zip(results, seeds, done, strict=True):
        demand_near(result, s, one.histories[0])
    return [one.nets for one in done]


def _all_of(result: Result, device: torch.device | None) -> list[nn.Sequential]:
    """Train all seeds of a result again."""
    experiment = result.experiment
    [(nets, histories)] = train_recipes(
        [experiment.recipe], experiment.seeds, *sets_of(experiment), device
    )
    for seed, history in zip(experiment.seeds, histories, strict=True):
        demand_near(result, seed, history)
    return nets


def seed_of_the_week(experiment: Experiment) -> int:
    """Return one seed of an experiment: in time, each has its turn."""
    week = datetime.now(UTC).toordinal() // 7
    return experiment.seeds[week % len(experiment.seeds)]


def tolerance_of(recipe: Recipe) -> Mapping[str, float]:
    """Return how far a run may be from the stored one, for each quantity."""
    return KINKED if recipe.spec.activation == "relu" else SMOOTH


def demand_near(result: Result, seed: int, new: History) -> None:
    """Refuse a run that does not do what the stored run of its seed did.

    Args:
        result: of the study.
        seed: which of its seeds was trained.
        new: what that run measured, in all epochs or in the first ones.

    Raises:
        ValueError: naming the first quantity and epoch that is too far off.
    """
    stored = result.histories[result.experiment.seeds.index(seed)]
    tolerance = tolerance_of(result.experiment.recipe)
    for name, epoch, now, then in _pairs(new, stored):
        if not abs(now - then) <= tolerance[name]:  # a loss that is no number, too
            raise ValueError(
                f"seed {seed}, epoch {epoch}: {name} is {now:.4f}, but the study has "
                f"{then:.4f}: the code of today does something else; if that is meant, "
                "run `make study`"
            )


def _pairs(new: History, stored: History) -> Iterator[tuple[str, int, float, float]]:
    """Yield what is compared: training epoch by epoch, the test once it has ended.

    During a training with ReLU other rounding moves single test accuracies by several
    points, and the means over an epoch's examples by little.
    """
    for name in ("train_loss", "train_acc"):
        curves = zip(getattr(new, name), getattr(stored, name), strict=False)
        for epoch, (now, then) in enumerate(curves, start=1):
            yield name, epoch, now, then
    if (last := len(new.test_acc)) == len(stored.test_acc):
        yield "test_acc", last, new.test_acc[-1], stored.test_acc[-1]
