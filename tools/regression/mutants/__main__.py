"""Try every mutant, and report those that the suite does not find.

``python -m tools.regression.mutants [--sample N]``. Belongs here: the command, its
report, the survivors that are accepted. Does not belong here: making or judging
mutants.
"""

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import chain, zip_longest

from tabulate import tabulate

from solutions.system.files import NotWrittenError, write_whole
from tools.regression.mutants import (
    ROOT,
    Mutant,
    Verdict,
    outputs,
    replay,
    sources,
    suite,
)

PAGE = ROOT / "chapters" / "mutants.md"
CHECKED_TWICE = "6_1_why-conv.ipynb"  # some of its mutants a real kernel judges as well
AGAIN = 3

# Survivors that no test can find, because nothing that a reader can see differs.
ACCEPTED: dict[str, str] = {
    "solutions/training/augmentation.py, augment: torch.rand(n, generator=generator) < "
    "(0.5 if mirror else 0.0) -> torch.rand(n, generator=generator) <= "
    "(0.5 if mirror else 0.0)": (
        "a draw is equal to the bound for one image in 16 million"
    ),
    "solutions/lenet.py, layer_costs: layer.weight -> layer.weight.flip(-1)": (
        "the weights are only counted"
    ),
}


def main(arguments: Sequence[str]) -> int:
    """Try the mutants and print what became of them; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.regression.mutants")
    text = "try N mutants of source, and those of the notebooks 6.1 to 6.5"
    parser.add_argument("--sample", type=int, metavar="N", help=text)
    sample = parser.parse_args(arguments).sample
    os.environ |= {"D2L_DEVICE": "cpu", "OMP_NUM_THREADS": "1"}
    verdicts = list(tried(sample))
    report, faults = table(verdicts), problems(verdicts, whole=sample is None)
    print(report, *faults, sep="\n")
    if sample is None:
        write_whole(PAGE, page(report))
    return 1 if faults else 0


def tried(sample: int | None) -> Iterable[Verdict]:
    """Judge the mutants: of outputs, some of these again with a kernel, of source.

    Args:
        sample: how many of source; None means all, and those of 6.6 as well.

    Yields:
        The verdicts. Survivors are printed at once.
    """
    names = outputs.NOTEBOOKS if sample is None else outputs.CHEAP
    again = [AGAIN if name == CHECKED_TWICE else 0 for name in names]
    pool = ProcessPoolExecutor(suite.AT_ONCE, suite.prepared(), suite.work_here)
    with suite.stoppable(pool) as processes:
        for verdicts in processes.map(replay.judge_notebook, names, again):
            yield from map(told, verdicts)
    made = of_source(sample)
    notebooks = outputs.CHEAP if sample is None else []
    suite.check_green(dict.fromkeys(map(suite.module_of, made)), notebooks)
    yield from map(told, suite.judge(made))


def of_source(sample: int | None) -> list[Mutant]:
    """Return the mutants of source that are tried.

    Args:
        sample: how many, of all modules and kinds as far as possible; None means all.
    """
    by_module = [sources.mutants(module) for module in sources.MODULES]
    turned = [
        row[i % len(row) :] + row[: i % len(row)] for i, row in enumerate(by_module)
    ]
    mixed = chain.from_iterable(zip_longest(*turned))
    return [mutant for mutant in mixed if mutant is not None][:sample]


def told(verdict: Verdict) -> Verdict:
    """Print a survivor, and return its verdict."""
    if not verdict.by:
        print(f"survived: {verdict.mutant}", flush=True)
    return verdict


def table(verdicts: Sequence[Verdict]) -> str:
    """Return a table of what became of the mutants of each kind, in Markdown."""
    by_row: dict[str, list[Verdict]] = {
        f"outputs: {kind}": [] for kind in outputs.KINDS
    }
    by_row |= {f"source: {kind}": [] for kind in sources.KINDS}
    for verdict in verdicts:
        where = "source" if verdict.mutant.line else "outputs"
        by_row[f"{where}: {verdict.mutant.kind}"].append(verdict)
    rows = [[name, *counts(row)] for name, row in by_row.items()]
    rows.append(["all", *counts(verdicts)])
    heads = ["What is changed", "tried", "found", "by the time limit", "survived"]
    return tabulate(rows, heads, tablefmt="github")


def counts(verdicts: Iterable[Verdict]) -> list[int]:
    """Count the mutants: tried, found, found by the time limit only, survived."""
    by = [verdict.by for verdict in verdicts]
    survived = by.count("")
    return [len(by), len(by) - survived, by.count(suite.BY_LIMIT), survived]


def problems(verdicts: Sequence[Verdict], whole: bool) -> list[str]:
    """Return what has to be done about survivors: nothing, if all is well.

    Args:
        verdicts: the verdicts.
        whole: whether all mutants were tried, so that each accepted one must be there.
    """
    survivors = {v.mutant.name: v.mutant for v in verdicts if not v.by}
    new = [f"add a test for: {survivors[n]}" for n in survivors if n not in ACCEPTED]
    old = [
        f"no survivor any more: {name}" for name in ACCEPTED if name not in survivors
    ]
    return new + old if whole else new


def page(report: str) -> str:
    """Return the part of the page about reproducibility that shows the results."""
    reasons = "\n".join(f"- `{name}`\n  {why}" for name, why in ACCEPTED.items())
    accepted = (
        f"\nThe survivors, in which no reader can see a difference:\n\n{reasons}\n"
    )
    return f"{report}\n{accepted if ACCEPTED else ''}"


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except NotWrittenError as error:
        sys.exit(f"make: {error}")
