"""Run the book as other machines would, and say how far its numbers move.

``python -m tools.portability`` runs everything, or goes on where it stopped;
``... slice`` runs a few minutes of it, and fails if an output differs; ``... add NAME
FILE`` adds what ``--deviations`` wrote elsewhere, on a GPU for example.
Belongs here: starting the runs, collecting and showing what they found. Does not belong
here: what changes inside a process (`variants`), when outputs agree (`nbtol`).
"""

import ast
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import joblib
import nbformat
from tabulate import tabulate
from tqdm import tqdm

from solutions.data import cache_root
from solutions.experiments import RECIPE
from solutions.files import write_whole
from solutions.lenet import LeNetSpec
from solutions.study import code_of, fingerprint
from solutions.training import Recipe
from tools.nbtol import SVG_ATOL
from tools.variants import PROOF, VARIABLE, VARIANTS

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "chapters" / "portability.json"
TABLES = ROOT / "chapters" / "portability"
PLAIN = sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("chapters/6_[1-5]_*.ipynb"))
TRAINED = "chapters/6_6_lenet.ipynb"
# The nets of 6.6, one seed each. The whole notebook runs only under the variant that
# changes most and under the one that a reader is likeliest to have: it takes long.
TRAININGS = {
    "LeNet, average pooling": Recipe(LeNetSpec(), lr=0.9, num_epochs=10),
    "LeNet, max pooling": Recipe(LeNetSpec(pooling="max"), lr=0.9, num_epochs=10),
    "the recipe": RECIPE,
}
WHOLE = ("weights changed by one millionth", "AVX2 instead of AVX-512")
FIRST = "one thread"
SHORTEST = "chapters/6_2_conv-layer.ipynb"
TRAIN = """
import json, sys
from solutions.data import load
from solutions.training import train_seeds
from tools.portability import TRAININGS
sets = load("FashionMNIST", True), load("FashionMNIST", False)
_, [history] = train_seeds(TRAININGS[sys.argv[1]], (0,), *sets)
print(json.dumps(history.test_acc))
"""


def jobs(variant: str) -> list[tuple[str, str]]:
    """Return what is run under a variant, each with its name."""
    whole = [TRAINED] if variant in WHOLE else []
    return [(variant, work) for work in (*whole, *TRAININGS, *PLAIN)]


def label(variant: str, work: str) -> str:
    """Return a hash of a job and of all that its result depends on.

    Comments and prose are not among it, nor are tolerances: they follow from results.
    """
    texts = [variant, repr(VARIANTS[variant]), work, fingerprint(), sys.version]
    if work.endswith(".ipynb"):
        sources = [*sorted(ROOT.glob("solutions/**/*.py")), ROOT / "tools/nbtol.py"]
        texts += [code_of(ast.parse(path.read_text("utf-8"))) for path in sources]
        cells = nbformat.read(ROOT / work, as_version=4).cells
        code = [cell for cell in cells if cell.cell_type == "code"]
        texts += [json.dumps([cell.source, cell.outputs]) for cell in code]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:20]


def run(variant: str, work: str, folder: Path) -> None:
    """Do one job in processes of its own, unless a folder has its result.

    Args:
        variant: the name of the variant.
        work: a notebook, by its path in the project, or the name of a training.
        folder: where results are kept, in JSON.
    """
    path = folder / f"{label(variant, work)}.json"
    if path.exists():
        return
    with tempfile.TemporaryDirectory() as scratch:
        start = "from tools.variants import enter\nenter()\n"
        (Path(scratch) / "sitecustomize.py").write_text(start, "utf-8")
        found = Path(scratch) / "found.json"
        environment = environment_of(variant, Path(scratch))
        if work in TRAININGS:
            command = ["-c", TRAIN, work]
        else:
            nbval = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout", "3600"]
            command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", *nbval, work]
            command += ["--deviations", str(found)]
            # `enter` has imported what pytest would have liked to read first.
            command += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
        done = subprocess.run(
            [sys.executable, *command],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        result = found.read_text("utf-8") if found.exists() else done.stdout
        if done.returncode not in (0, 1) or not result:
            raise RuntimeError(f"{work}, {variant}: {done.stderr or done.stdout}")
        proofs = (Path(scratch) / "proof").read_text("utf-8").splitlines()
    content = {"found": json.loads(result), "proof": sorted(set(proofs))}
    write_whole(path, json.dumps(content))


def environment_of(variant: str, scratch: Path) -> dict[str, str]:
    """Return the environment of the processes of a variant."""
    threads = VARIANTS[variant].threads
    return {
        **os.environ,
        **VARIANTS[variant].environment,
        VARIABLE: variant,
        PROOF: str(scratch / "proof"),
        "PYTHONPATH": f"{scratch}{os.pathsep}{ROOT}",
        "OMP_NUM_THREADS": str(threads),
        "LOKY_MAX_CPU_COUNT": "1",  # two jobs run at once
        "D2L_DEVICE": "cpu",
    }


def summary(cells: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Reduce what ``--deviations`` wrote to what the book shows.

    Args:
        cells: one entry per cell.

    Returns:
        How many were compared, the largest deviation of a plain number, that of the
        numbers of each trained cell and of the coordinates of each trained figure, and
        the cells that did not agree.
    """

    def name(cell: Mapping[str, Any]) -> str:
        return f"{cell['notebook']} {cell['cell']}"

    compared = [c for c in cells if c["compared"]]
    measured = [c for c in compared if c["deviation"] is not None]
    return {
        "cells": len(compared),
        "plain": max(
            (float(c["deviation"]) for c in measured if not float(c["atol"])),
            default=0.0,
        ),
        "trained": {
            name(c): float(c["deviation"]) for c in measured if float(c["atol"])
        },
        "drawn": {
            name(c): float(c["svg_deviation"])
            for c in compared
            if c["svg_deviation"] is not None and Decimal(c["svg_atol"]) != SVG_ATOL
        },
        "failed": [name(c) for c in cells if not c["passed"]],
    }


def collect(folder: Path) -> dict[str, Any]:
    """Bring the results of all jobs together, one entry per variant."""
    runs = {}
    for variant in VARIANTS:
        paths = {w: folder / f"{label(v, w)}.json" for v, w in jobs(variant)}
        found = {w: json.loads(p.read_text("utf-8")) for w, p in paths.items()}
        runs[variant] = entry(variant, found)
    for run in runs.values():
        run["trainings"] = {
            w: apart(accuracies, runs[FIRST]["accuracies"][w])
            for w, accuracies in run["accuracies"].items()
        }
    return runs


def apart(one: Sequence[float], other: Sequence[float]) -> list[float]:
    """Return how far two curves lie apart, epoch by epoch.

    >>> apart([0.5, 0.75], [0.5, 0.5])
    [0.0, 0.25]
    """
    return [abs(a - b) for a, b in zip(one, other, strict=True)]


def entry(variant: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the book keeps of one variant.

    Args:
        variant: its name.
        found: what each of its jobs wrote, by notebook or training.

    Raises:
        RuntimeError: if the processes of its runs did not all compute alike.
    """
    cells = [c for w in found if w not in TRAININGS for c in found[w]["found"]]
    proofs = {proof for w in found for proof in found[w]["proof"]}
    if len(proofs) != 1:
        raise RuntimeError(f"{variant}: its processes differ: {sorted(proofs)}")
    return {
        **summary(cells),
        "accuracies": {name: found[name]["found"] for name in TRAININGS},
        "proof": json.loads(proofs.pop()),
    }


def table(runs: Mapping[str, Any]) -> str:
    """Write the table of all runs, in Markdown.

    >>> one = {"cells": 9, "plain": 0.0, "trained": {"a b": 0.001}, "failed": []}
    >>> print(table({"a GPU": one}))
    | run   | cells compared   | plain numbers   | trained numbers   | outputs   |
    |-------|------------------|-----------------|-------------------|-----------|
    | a GPU | 9                | 0               | 0.001             | agree     |
    """
    rows = [
        [
            name,
            run["cells"],
            f"{run['plain']:g}",
            f"{max(run['trained'].values()):g}" if run["trained"] else "",
            f"{len(run['failed'])} differ" if run["failed"] else "agree",
        ]
        for name, run in runs.items()
    ]
    heads = ["run", "cells compared", "plain numbers", "trained numbers", "outputs"]
    return tabulate(rows, heads, tablefmt="github", disable_numparse=True)


def trainings_table(runs: Mapping[str, Any]) -> str:
    """Write how far test accuracies came to lie apart: in any epoch, and in the last.

    >>> apart = {name: [0.01, 0.002] for name in TRAININGS}
    >>> print(trainings_table({"x": {"trainings": apart}}).splitlines()[-1])
    | x     | 0.0100, 0.0020           | 0.0100, 0.0020       | 0.0100, 0.0020 |
    """
    rows = [
        [name, *(f"{max(r[t]):.4f}, {r[t][-1]:.4f}" for t in TRAININGS)]
        for name, r in ((n, run.get("trainings")) for n, run in runs.items())
        if r is not None and name != FIRST
    ]
    heads = ["run", *TRAININGS]
    return tabulate(rows, heads, tablefmt="github", disable_numparse=True)


def proofs_table(runs: Mapping[str, Any]) -> str:
    """Write what the processes of each variant computed with, by their own account."""
    proofs = {name: run["proof"] for name, run in runs.items() if "proof" in run}
    rows = [[name, *found.values()] for name, found in proofs.items()]
    heads = ["run", *proofs[FIRST]]
    return tabulate(rows, heads, tablefmt="github", disable_numparse=True)


def store(runs: Mapping[str, Any]) -> None:
    """Write the results, and the tables that the page on reproducibility includes."""
    write_whole(RESULTS, json.dumps(runs, indent=1) + "\n")
    tables = {"runs": table(runs)}
    if FIRST in runs:  # what the others are compared with
        tables |= {"trainings": trainings_table(runs), "proofs": proofs_table(runs)}
    TABLES.mkdir(exist_ok=True)
    for name, text in tables.items():
        write_whole(TABLES / f"{name}.md", text + "\n")


def stored() -> dict[str, Any]:
    """Read the results that are kept, those of other machines among them."""
    return json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}


def run_all(work: Sequence[tuple[str, str]], folder: Path) -> None:
    """Run what has no result: first what needs both cores, then two jobs at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    for at_once in (1, 2):
        now = [job for job in work if VARIANTS[job[0]].threads * at_once == 2]
        parallel = joblib.Parallel(at_once, backend="threading", return_as="generator")
        done = parallel(joblib.delayed(run)(*job, folder) for job in now)
        list(tqdm(done, "runs", len(now), disable=not sys.stderr.isatty()))


def matrix() -> None:
    """Run what is missing, the longest first; store it beside other machines' runs."""
    folder = cache_root() / "portability"
    work = [job for variant in VARIANTS for job in jobs(variant)]
    run_all(sorted(work, key=lambda job: job[1] != TRAINED), folder)
    others = {name: r for name, r in stored().items() if name not in VARIANTS}
    store(collect(folder) | others)
    print(table(stored()))


def some() -> None:
    """Run the shortest notebook under each variant.

    Raises:
        SystemExit: naming the runs whose outputs differ.
    """
    with tempfile.TemporaryDirectory() as scratch:
        run_all([(variant, SHORTEST) for variant in VARIANTS], Path(scratch))
        runs = {
            variant: summary(json.loads(path.read_text("utf-8"))["found"])
            for variant in VARIANTS
            for path in [Path(scratch) / f"{label(variant, SHORTEST)}.json"]
        }
    print(table(runs))
    if red := [name for name, run in runs.items() if run["failed"]]:
        raise SystemExit(f"other outputs than the stored ones: {', '.join(red)}")


def add(name: str, path: Path) -> None:
    """Store what ``--deviations`` wrote on another machine, under a name."""
    store({**stored(), name: summary(json.loads(path.read_text("utf-8")))})


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            matrix()
        case ["slice"]:
            some()
        case ["add", name, file]:
            add(name, Path(file))
        case _:
            sys.exit("usage: python -m tools.portability [slice | add NAME FILE]")
