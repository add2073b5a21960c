"""Run the book as other machines would, and say how far its numbers move.

``python -m tools.portability`` runs everything, or goes on where it stopped;
``... slice`` runs a few minutes of it, and fails if an output differs; ``... add NAME
FILE`` adds what ``--deviations`` wrote elsewhere, on a GPU for example.
Belongs here: starting the runs, and collecting what they found. Does not belong here:
what changes inside a process (`variants`), what the runs found (`distances`).
"""

import ast
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import joblib
import nbformat
import torch
from tqdm import tqdm

from solutions.data import cache_root
from solutions.experiments import RECIPE
from solutions.files import NotWrittenError, write_whole
from solutions.lenet import LeNetSpec
from solutions.study import code_of, fingerprint
from solutions.training import Recipe
from tools.distances import ROOT, apart, runs_table, store, stored, summary
from tools.variants import PROOF, VARIABLE, VARIANTS

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
START = """
import os, traceback
try:
    from tools.variants import enter
    enter()
except BaseException:
    traceback.print_exc()
    os._exit(3)  # Python itself would go on as if nothing had been asked for
"""
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
    texts = [variant, repr(VARIANTS[variant]), work, sys.version, torch.__version__]
    sources = [ROOT / "tools/variants.py"]
    if work in TRAININGS:
        texts += [fingerprint(), repr(TRAININGS[work]), TRAIN]
    else:
        sources += sorted(ROOT.glob("solutions/**/*.py"))
        sources += [ROOT / "tools/agreement.py", ROOT / "tools/nbtol.py"]
        cells = nbformat.read(ROOT / work, as_version=4).cells
        code = [cell for cell in cells if cell.cell_type == "code"]
        texts += [json.dumps([cell.source, cell.outputs]) for cell in code]
    texts += [code_of(ast.parse(path.read_text("utf-8"))) for path in sources]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:20]


def run(variant: str, work: str, folder: Path) -> None:
    """Do one job in processes of its own, unless it is done.

    Args:
        variant: the name of the variant.
        work: a notebook, by its path in the project, or the name of a training.
        folder: where results are kept, in JSON.

    Raises:
        RuntimeError: with what the processes wrote, if they wrote no result.
    """
    path = folder / f"{label(variant, work)}.json"
    if is_done(path):
        return
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "sitecustomize.py").write_text(START, "utf-8")
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
            encoding="utf-8",
        )
        result = found.read_text("utf-8") if found.exists() else done.stdout
        if done.returncode not in (0, 1) or not result:
            raise RuntimeError(f"{work}, {variant}: {done.stderr or done.stdout}")
        proofs = (Path(scratch) / "proof").read_text("utf-8").splitlines()
    content = {"found": json.loads(result), "proof": sorted(set(proofs))}
    write_whole(path, json.dumps(content))


def is_done(path: Path) -> bool:
    """Say whether a job has a result in which no cell failed: others run again."""
    if not path.exists():
        return False
    found = json.loads(path.read_text("utf-8"))["found"]
    return all(cell["passed"] for cell in found if isinstance(cell, dict))


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
    own = collect(folder)
    store(own | others)
    print(runs_table(stored()))
    demand_agreement(own)


def demand_agreement(runs: Mapping[str, Any]) -> None:
    """Refuse runs of which an output differs.

    Raises:
        SystemExit: naming these runs.
    """
    if red := [name for name, run in runs.items() if run["failed"]]:
        raise SystemExit(f"other outputs than the stored ones: {', '.join(red)}")


def some() -> None:
    """Run the shortest notebook under each variant, and demand that outputs agree."""
    with tempfile.TemporaryDirectory() as scratch:
        run_all([(variant, SHORTEST) for variant in VARIANTS], Path(scratch))
        runs = {
            variant: summary(json.loads(path.read_text("utf-8"))["found"])
            for variant in VARIANTS
            for path in [Path(scratch) / f"{label(variant, SHORTEST)}.json"]
        }
    print(runs_table(runs))
    demand_agreement(runs)


def add(name: str, path: Path) -> None:
    """Store what ``--deviations`` wrote on another machine, under a name.

    Args:
        name: of the run, for the table.
        path: what ``--deviations`` wrote; only the chapters are taken from it.

    Raises:
        SystemExit: if the name is one of this machine's own variants.
    """
    if name in VARIANTS:
        raise SystemExit(f"{name!r} is a variant of this machine: choose another name")
    cells = json.loads(path.read_text("utf-8"))
    chapters = [c for c in cells if c["notebook"].startswith("chapters/")]
    store({**stored(), name: summary(chapters)})


def main(arguments: Sequence[str]) -> None:
    """Do what the command line asks for."""
    match arguments:
        case []:
            matrix()
        case ["slice"]:
            some()
        case ["add", name, file]:
            add(name, Path(file))
        case _:
            sys.exit("usage: python -m tools.portability [slice | add NAME FILE]")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stops as Ctrl-C does
    try:
        main(sys.argv[1:])
    except NotWrittenError as error:
        sys.exit(f"make: {error}; the results so far are kept")
    except KeyboardInterrupt:
        sys.exit("make: stopped; the results so far are kept")
