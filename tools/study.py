"""Run the study of section 6.6, and write its results for the notebook to read.

Belongs here: the command behind `make study`.
Does not belong here: the experiments (`solutions.experiments`), or how one is run.
"""

from pathlib import Path

from solutions.data import cache_root
from solutions.experiments import EXPERIMENTS
from solutions.study import collect, run

RESULTS = Path(__file__).parent.parent / "chapters" / "study.json"


def main() -> None:
    """Run what is missing, and collect the results."""
    folder = cache_root() / "study"
    run(EXPERIMENTS, folder)
    collect(EXPERIMENTS, folder, RESULTS)
    print(f"The results of {len(EXPERIMENTS)} experiments are in {RESULTS.name}.")


if __name__ == "__main__":
    main()
