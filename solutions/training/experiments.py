"""Section 6.6, the experiments: every net that the study compares, by name.

Belongs here: recipes, each with the question that it answers.
Does not belong here: running them (`study`), what follows from them (the notebook).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from solutions.lenet import LeNetSpec
from solutions.training.loop import Recipe
from solutions.training.study import Experiment

# LeNet as the book trains it, and exercise 6.6.1's.
BOOK = Recipe(LeNetSpec(), lr=0.9, num_epochs=10)
MAX = replace(BOOK, spec=LeNetSpec(pooling="max"))

# What variants are compared with. Only the learning rate differs from the book: it
# falls to zero, because at a constant rate the last epochs jump by more than most
# variants differ.
BASE = Recipe(LeNetSpec(), lr=0.9, num_epochs=6, decay=True)
LENET = BASE.spec
THREE = LeNetSpec((6, 16, 32), 5, (2, 0, 2), pooled=(True, True, False))


# One change at a time (exercise 6.6.2 a to f); the first is what all are compared with.
KNOBS = {
    "LeNet": BASE,
    "a. window 3": replace(BASE, spec=replace(LENET, window=3, paddings=(1, 0))),
    "a. window 7": replace(BASE, spec=replace(LENET, window=7, paddings=(3, 0))),
    "b. half the channels": replace(BASE, spec=replace(LENET, channels=(3, 8))),
    "b. twice the channels": replace(BASE, spec=replace(LENET, channels=(12, 32))),
    "c. tanh, rate 0.3": replace(BASE, lr=0.3, spec=replace(LENET, activation="tanh")),
    "c. ReLU, rate 0.1": replace(BASE, lr=0.1, spec=replace(LENET, activation="relu")),
    "d. one convolution": replace(BASE, spec=LeNetSpec((6,), 5, (2,), (True,))),
    "d. three convolutions": replace(BASE, spec=THREE),
    "d. three, ReLU, rate 0.1": replace(
        BASE, lr=0.1, spec=replace(THREE, activation="relu")
    ),
    "d. three, batch norm": replace(BASE, spec=replace(THREE, batch_norm=True)),
    "e. one dense layer": replace(BASE, spec=replace(LENET, dense=())),
    "e. two dense layers": replace(BASE, spec=replace(LENET, dense=(84,))),
    "f. rate 0.3": replace(BASE, lr=0.3),
    "f. constant rate": replace(BASE, decay=False),
    "f. PyTorch's weights": replace(BASE, spec=replace(LENET, init="default")),
    "f. 3 epochs": replace(BASE, num_epochs=3),
    "f. 12 epochs": replace(BASE, num_epochs=12),
}

# The activations at three learning rates each, a factor of three apart.
GRID = {
    f"{activation}, rate {lr}": replace(
        BASE, lr=lr, spec=replace(LENET, activation=activation)
    )
    for activation, rates in (
        ("sigmoid", (0.3, 0.9, 2.7)),
        ("tanh", (0.1, 0.3, 0.9)),
        ("relu", (0.03, 0.1, 0.3)),
    )
    for lr in rates
}


def _with_relu(name: str, **changes: Any) -> Recipe:
    """Return a recipe of KNOBS with ReLU at its best rate."""
    recipe = KNOBS[name]
    spec = replace(recipe.spec, activation="relu", **changes)
    return replace(recipe, lr=0.1, spec=spec)


# The window, the channels and the dense layers again, under ReLU at its best rate.
SIZES = {name: r for name, r in KNOBS.items() if name == "LeNet" or name[0] in "abe"}
RELU_SIZES = {name: _with_relu(name) for name in SIZES}

# Edition 1.0 asks the same questions of a net with ReLU and max pooling.
MAX_CHANGES = {
    name: _with_relu(name, pooling="max")
    for name in (
        *(*SIZES, "d. one convolution", "d. three convolutions"),
        *("f. constant rate", "f. 12 epochs"),
    )
}
MAX_CHANGES |= {
    f"f. rate {lr}": replace(MAX_CHANGES["LeNet"], lr=lr) for lr in (0.03, 0.3)
}

# What gained together, with LeNet's own layers.
TANH_MAX = replace(BASE, lr=0.3, spec=LeNetSpec(activation="tanh", pooling="max"))
TOGETHER = {"tanh, max pooling, rate 0.3": TANH_MAX}

# A descendant of LeNet, and a wider one.
RECIPE = Recipe(
    LeNetSpec(channels=(16, 32), activation="relu", dense=(128,), batch_norm=True),
    lr=0.2,
    num_epochs=8,
    decay=True,
    warmup=0.2,
    momentum=0.9,
)
NET = RECIPE.spec
WIDE = replace(RECIPE, spec=replace(NET, channels=(32, 64)))
# A moved digit is the same digit.
DIGITS = replace(RECIPE, shift=2)

# The recipe without each of its ingredients, and with each of a few more.
ABLATIONS = {
    "all ingredients": RECIPE,
    "no batch norm": replace(RECIPE, spec=replace(NET, batch_norm=False)),
    "tanh instead of ReLU": replace(RECIPE, spec=replace(NET, activation="tanh")),
    "LeNet's channels": replace(RECIPE, spec=replace(NET, channels=(6, 16))),
    "LeNet's dense layers": replace(RECIPE, spec=replace(NET, dense=(120, 84))),
    "no momentum": replace(RECIPE, momentum=0.0),
    "no fall of the rate": replace(RECIPE, decay=False),
    "no warm-up": replace(RECIPE, warmup=0.0),
    "and max pooling": replace(RECIPE, spec=replace(NET, pooling="max")),
    "and mirroring": replace(RECIPE, mirror=True),
    "and weight decay": replace(RECIPE, weight_decay=5e-4),
    "and twice the channels": WIDE,
}
WIDER = {
    "twice the channels": WIDE,
    "and max pooling": replace(WIDE, spec=replace(WIDE.spec, pooling="max")),
    "and mirroring": replace(WIDE, mirror=True),
    "and weight decay": replace(WIDE, weight_decay=5e-4),
}
# Without momentum the sum of the steps that one gradient takes is a tenth, so the
# fair comparison is that at ten times the rate.
MATCHED = {"no momentum, rate 2": replace(RECIPE, momentum=0.0, lr=2.0)}
MOVED = {"moved": DIGITS, "not moved": RECIPE}

# One epoch at a constant rate, too large for some: how many seeds learn anything?
ONCE = replace(BASE, num_epochs=1, decay=False)
RELU = replace(ONCE, spec=replace(LENET, activation="relu"))
RATES = {
    "ReLU, rate 0.9": RELU,
    "ReLU, rate 0.1": replace(RELU, lr=0.1),
    "tanh, rate 0.9": replace(ONCE, spec=replace(LENET, activation="tanh")),
}

# Chance moves the mean of three seeds by as much as most ingredients do.
TWELVE = tuple(range(12))
# These are added to three seeds where they are too few.
MORE = TWELVE[3:]
# A share of seeds needs still more.
TWENTY = tuple(range(20))


def _named(
    group: str, recipes: Mapping[str, Recipe], **how: Any
) -> dict[str, Experiment]:
    """Return experiments whose validation set judges, under the name of their group."""
    return {f"{group}: {name}": Experiment(r, **how) for name, r in recipes.items()}


# In the order in which they run.
EXPERIMENTS = {
    "test: LeNet": Experiment(BOOK, final=True, seeds=tuple(range(5))),
    "test: LeNet, max pooling": Experiment(MAX, final=True, seeds=tuple(range(5))),
    "test: LeNet, digits": Experiment(BOOK, "MNIST", final=True),
    "test: wide": Experiment(WIDE, final=True),
    "test: recipe": Experiment(RECIPE, final=True),
    "test: digits": Experiment(DIGITS, "MNIST", final=True),
    **_named("knobs", KNOBS),
    **_named("grid", GRID),
    **_named("ReLU", RELU_SIZES),
    **_named("more knobs", SIZES, seeds=MORE),
    **_named("more ReLU", RELU_SIZES, seeds=MORE),
    **_named("ReLU, max pooling", MAX_CHANGES),
    **_named("together", TOGETHER),
    **_named("rates", RATES, seeds=TWENTY),
    **_named("ablation", ABLATIONS, seeds=TWELVE),
    **_named("matched", MATCHED),
    **_named("wider", WIDER, seeds=TWELVE),
    **_named("digits", MOVED, name="MNIST", seeds=TWELVE),
}
