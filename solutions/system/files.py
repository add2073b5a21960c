"""Writing a file so that it is there as it was or completely new, never in between.

Belongs here: that alone. Does not belong here: what is written.
"""

import os
from pathlib import Path


class NotWrittenError(RuntimeError):
    """A file cannot be written; the message names it, and it is as it was."""


def partial_of(path: Path) -> Path:
    """Return where the new text of a file stands until it is complete.

    >>> partial_of(Path("chapters/6_6_lenet.ipynb")).name
    '6_6_lenet.ipynb.new'
    """
    return path.with_name(f"{path.name}.new")


def write_whole(path: Path, text: str) -> None:
    """Write a file in one step: whatever interrupts, it has its old text or the new.

    The new text is written beside it first. Only a process that is killed leaves that
    behind, and the next one that writes the file writes over it.

    Args:
        path: the file.
        text: its new text.

    Raises:
        NotWrittenError: if the disk is full, or the folder cannot be written.
    """
    partial = partial_of(path)
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())  # some disks say only here that they are full
        os.replace(partial, path)
    except OSError as error:
        raise NotWrittenError(
            f"{path} cannot be written ({error.strerror}); it is left as it was"
        ) from error
    finally:
        partial.unlink(missing_ok=True)
