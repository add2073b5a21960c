"""How far a long computation is, in a terminal and in Jupyter.

Belongs here: the one way in which this project shows a progress bar.
Does not belong here: anything that is stored or compared; bars are neither.
"""

import os
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm.auto import tqdm

T = TypeVar("T")


def progress(items: Iterable[T], name: str, total: int) -> Iterator[T]:
    """Pass items on, and show how many have come, if all take over two seconds.

    There is no bar when ``TQDM_DISABLE`` is set, as it is wherever outputs are stored
    or compared, nor in a file that takes the place of a terminal.

    Args:
        items: what is passed on.
        name: what an item is, in the plural.
        total: how many there will be.

    >>> list(progress(range(3), "steps", 3))
    [0, 1, 2]
    """
    # None lets tqdm decide: it shows no bar where there is no terminal.
    off = True if os.environ.get("TQDM_DISABLE") else None
    return iter(tqdm(items, name, total, delay=2, leave=False, disable=off))
