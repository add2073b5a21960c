"""Progress bars: seen in a terminal, gone at the end, absent where asked."""

import io
import time

import pytest

from solutions.training import progress as module
from solutions.training.progress import progress


class _Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    shown, real = _Terminal(), module.tqdm
    monkeypatch.setattr(module, "tqdm", lambda *a, **kw: real(*a, file=shown, **kw))
    return shown


def slowly(seconds):
    for item in range(5):
        time.sleep(seconds / 5)
        yield item


def test_a_bar_shows_after_two_seconds_and_is_gone_at_the_end(terminal):
    assert list(progress(slowly(3), "runs", 5)) == [0, 1, 2, 3, 4]
    assert "runs" in terminal.getvalue() and "/5 [" in terminal.getvalue()
    assert terminal.getvalue().endswith(" \r")


def test_no_bar_for_what_is_quick(terminal):
    assert list(progress(slowly(0.1), "runs", 5)) == [0, 1, 2, 3, 4]
    assert terminal.getvalue().strip() == ""


def test_no_bar_where_outputs_are_compared(terminal, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    list(progress(slowly(2.5), "runs", 5))
    assert terminal.getvalue() == ""


def test_no_bar_in_a_file(capsys, monkeypatch):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    list(progress(slowly(2.5), "runs", 5))
    assert capsys.readouterr() == ("", "")
