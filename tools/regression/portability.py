"""Run the book as other machines would, and say how far its numbers move.

``python -m tools.regression.portability`` runs everything, or goes on where it stopped;
``... slice`` runs a few minutes of it, and fails if an output differs; ``... add NAME
FILE`` adds what ``--deviations`` wrote elsewhere, on a GPU for example.
Belongs here: starting the runs, and collecting what they found. Does not belong here:
what changes inside a process (`variants`), what the runs found (`distances`).
"""

import ast
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import joblib
import torch
from tqdm import tqdm

from solutions.system.files import NotWrittenError, write_whole
from solutions.training.data import cache_root
from solutions.training.study import code_of
from tools.notebooks import ROOT, NotebookError, chapters, read
from tools.regression.distances import runs_table, store, stored, summary
from tools.regression.variants import DRAW, PERTURBED, PROOF, VARIABLE, VARIANTS

TRAINED = ("chapters/6_6_lenet.ipynb", "chapters/6_1_why-conv.ipynb")
SHORTEST = "chapters/6_2_conv-layer.ipynb"
ROUNDINGS = 10  # changes of the initial weights, for the notebooks that train
START = """
import os, traceback
try:
    from tools.regression.variants import enter
    enter()
except BaseException:
    traceback.print_exc()
    os._exit(3)  # Python itself would go on as if nothing had been asked for
"""

# A variant, the draw of its changes, and the notebook that is run, by its path.
Job: TypeAlias = tuple[str, int, str]


def jobs(draws: Iterable[int]) -> list[Job]:
    """Return what is run, the longest first: 6.6 trains most.

    Args:
        draws: of the changes of weights.
    """
    whole = sorted((str(p.relative_to(ROOT)) for p in chapters()), reverse=True)
    others = [name for name in VARIANTS if name != PERTURBED]
    return [(PERTURBED, draw, work) for work in TRAINED for draw in draws] + [
        (name, 0, work) for work in whole for name in others
    ]


def label(job: Job) -> str:
    """Return a hash of a job and of all that its result depends on.

    Comments and prose are not among it, nor are tolerances: they follow from results.
    """
    variant, draw, work = job
    texts = [variant, str(draw), repr(VARIANTS[variant]), work]
    texts += [sys.version, torch.__version__]
    sources = [
        ROOT / "tools/regression/variants.py",
        *sorted(ROOT.glob("solutions/**/*.py")),
    ]
    names = ("agreement", "execution", "nbtol")
    sources += [ROOT / f"tools/regression/{name}.py" for name in names]
    code = [cell for cell in read(ROOT / work).cells if cell.cell_type == "code"]
    texts += [json.dumps([cell.source, cell.outputs]) for cell in code]
    texts += [code_of(ast.parse(path.read_text("utf-8"))) for path in sources]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:20]


def run(job: Job, folder: Path) -> None:
    """Do one job in processes of its own, unless it is done.

    Args:
        job: the variant, the draw and the notebook.
        folder: where results are kept, in JSON.

    Raises:
        RuntimeError: with what the processes wrote, if they wrote no result.
    """
    path = folder / f"{label(job)}.json"
    if is_done(path):
        return
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "sitecustomize.py").write_text(START, "utf-8")
        found = Path(scratch) / "found.json"
        command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval", job[2]]
        command += ["--deviations", str(found)]
        # `enter` has imported what pytest would have liked to read first.
        command += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
        done = subprocess.run(
            [sys.executable, *command],
            env=environment_of(job, Path(scratch)),
            cwd=ROOT,
            capture_output=True,
            text=True,
            encoding="utf-8",
        )
        if done.returncode not in (0, 1) or not found.exists():
            raise RuntimeError(f"{job[2]}, {job[0]}: {done.stderr or done.stdout}")
        proofs = (Path(scratch) / "proof").read_text("utf-8").splitlines()
        cells = json.loads(found.read_text("utf-8"))
    write_whole(path, json.dumps({"found": cells, "proof": sorted(set(proofs))}))


def is_done(path: Path) -> bool:
    """Say whether a job has a result in which no cell failed: others run again."""
    if not path.exists():
        return False
    return all(cell["passed"] for cell in json.loads(path.read_text("utf-8"))["found"])


def environment_of(job: Job, scratch: Path) -> dict[str, str]:
    """Return the environment of the processes of a job."""
    variant, draw, _ = job
    return {
        **os.environ,
        **VARIANTS[variant].environment,
        VARIABLE: variant,
        DRAW: str(draw),
        PROOF: str(scratch / "proof"),
        "PYTHONPATH": f"{scratch}{os.pathsep}{ROOT}",
        "OMP_NUM_THREADS": str(VARIANTS[variant].threads),
        "LOKY_MAX_CPU_COUNT": "1",  # two jobs run at once
        "D2L_DEVICE": "cpu",
        "CELL_LIMIT": "3600",  # some variants are slow
    }


def collect(work: Sequence[Job], folder: Path) -> dict[str, Any]:
    """Bring the results of all jobs together, one entry per variant."""
    runs = {}
    for variant in VARIANTS:
        mine = [job for job in work if job[0] == variant]
        found = [
            json.loads((folder / f"{label(j)}.json").read_text(encoding="utf-8"))
            for j in mine
        ]
        draws = list(dict.fromkeys(draw for _, draw, _ in mine if draw))
        runs[variant] = entry(variant, found, draws)
    return runs


def entry(
    variant: str, found: Sequence[Mapping[str, Any]], draws: Sequence[int]
) -> dict[str, Any]:
    """Return what the book keeps of one variant.

    Args:
        variant: its name.
        found: what each of its jobs wrote.
        draws: of the changes of weights, if that is the variant.

    Raises:
        RuntimeError: if the processes of its runs did not all compute alike.
    """
    proofs = {proof for one in found for proof in one["proof"]}
    if len(proofs) != 1:
        raise RuntimeError(f"{variant}: its processes differ: {sorted(proofs)}")
    cells = [cell for one in found for cell in one["found"]]
    return {
        **summary(cells, runs=max(1, len(draws))),
        "proof": json.loads(proofs.pop()),
        "draws": draws,
    }


def run_all(work: Sequence[Job], folder: Path) -> None:
    """Run what has no result: first what needs both cores, then two jobs at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    for at_once in (1, 2):
        now = [job for job in work if VARIANTS[job[0]].threads * at_once == 2]
        parallel = joblib.Parallel(at_once, backend="threading", return_as="generator")
        done = parallel(joblib.delayed(run)(job, folder) for job in now)
        list(tqdm(done, "runs", len(now), disable=not sys.stderr.isatty()))


def fresh_draws(path: Path) -> list[int]:
    """Return the draws of this matrix; one that was interrupted goes on with its own.

    Args:
        path: where they are noted until the matrix is complete.
    """
    if not path.exists():
        source = random.SystemRandom()
        draws = [source.randrange(1, 2**31) for _ in range(ROUNDINGS)]
        write_whole(path, json.dumps(draws))
    found: list[int] = json.loads(path.read_text("utf-8"))
    return found


def matrix() -> None:
    """Run what is missing, and store it beside other machines' runs."""
    folder = cache_root() / "portability"
    folder.mkdir(parents=True, exist_ok=True)
    noted = folder / "draws.json"
    work = jobs(fresh_draws(noted))
    run_all(work, folder)
    others = {name: r for name, r in stored().items() if name not in VARIANTS}
    own = collect(work, folder)
    store(own | others)
    print(runs_table(stored()))
    demand_agreement(own)
    noted.unlink()


def demand_agreement(runs: Mapping[str, Any]) -> None:
    """Refuse runs of which an output differs.

    Raises:
        SystemExit: naming these runs.
    """
    if red := [name for name, run in runs.items() if run["failed"]]:
        raise SystemExit(f"other outputs than the stored ones: {', '.join(red)}")


def some() -> None:
    """Run the shortest notebook under each variant, and demand that outputs agree."""
    work = [(variant, 1, SHORTEST) for variant in VARIANTS]
    with tempfile.TemporaryDirectory() as scratch:
        run_all(work, Path(scratch))
        runs = {
            job[0]: summary(json.loads(path.read_text("utf-8"))["found"])
            for job in work
            for path in [Path(scratch) / f"{label(job)}.json"]
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
            sys.exit(
                "usage: python -m tools.regression.portability [slice | add NAME FILE]"
            )


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stops as Ctrl-C does
    try:
        main(sys.argv[1:])
    except (NotebookError, NotWrittenError) as error:
        sys.exit(f"make: {error}; the results so far are kept")
    except KeyboardInterrupt:
        sys.exit("make: stopped; the results so far are kept")
