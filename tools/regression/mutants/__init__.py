"""The regression, tested itself: mutants that it must find.

``python -m tools.regression.mutants``. A mutant is a copy of one file of the project
with one small mistake. The suite must turn red for each; a mutant for which it stays
green survives, and tells where a check is missing. The working tree is never changed.

Belongs here: what a mutant is. Does not belong here: mistakes in outputs and what finds
them (`outputs`, `replay`), mistakes in source and what finds them (`sources`, `suite`),
the command (`__main__`).
"""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parents[3]
SEED = "d2l-6"


@dataclass(frozen=True)
class Mutant:
    """One file of the project with one mistake.

    Attributes:
        kind: what sort of mistake it is.
        path: the file, relative to the project.
        place: the cell by its number, or the function, in which the mistake stands.
        line: the line of a source file, 0 in a notebook.
        change: what was changed into what.
        text: the text of the whole file with the mistake.
    """

    kind: str
    path: str
    place: str
    line: int
    change: str
    text: str

    def __str__(self) -> str:
        """Return where it is, and what was changed."""
        line = f":{self.line}" if self.line else ""
        return f"{self.path}{line}, {self.place}: {self.kind}: {self.change}"

    @property
    def name(self) -> str:
        """Return what stays the same when other lines of the file change."""
        return f"{self.path}, {self.place}: {self.change}"


@dataclass(frozen=True)
class Verdict:
    """What the suite said about a mutant.

    Attributes:
        mutant: the mutant.
        by: what found it, or "" if it survived.
    """

    mutant: Mutant
    by: str


def rank(*identity: object) -> str:
    """Return a key that sorts things as if at random, but always alike.

    A change of one thing does not move the others, unlike a shuffle of all.

    Args:
        identity: what distinguishes the thing from the others.

    >>> sorted("abc", key=rank)
    ['c', 'a', 'b']
    """
    text = "\0".join([SEED, *map(str, identity)])
    return sha256(text.encode()).hexdigest()
