"""What a check says, how it survives any function, and the command line."""

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from hypothesis import strategies as st
from torch.nn import functional as F

from solutions.check import check, forms, parts, registry
from solutions.check.__main__ import main
from solutions.check.factoring import how_it_factors
from solutions.check.forms import portable
from solutions.check.sandbox import Sandbox, sent
from solutions.check.search import smallest

ROOT = Path(__file__).parents[2]


def right(X, K):
    A = F.unfold(X[None, None], K.shape)[0].T
    return (A @ K.flatten()).reshape(X.shape[0] - K.shape[0] + 1, -1)


def said(answer, exercise="6.2.3"):
    return str(check(exercise, answer))


@pytest.fixture
def short_limit(monkeypatch):
    monkeypatch.setattr(check, "time_limit", 2.0)


def blank(x): ...


def blank_with_pass(x):
    pass


def blank_with_text(x):
    """What it would do."""


def zero(x):
    return 0


def same(x):
    return x


def forgets(x):
    y = x  # noqa: F841
    return None


@pytest.mark.parametrize("function", [blank, blank_with_pass, blank_with_text])
def test_a_function_that_was_left_blank_is_no_answer(function):
    assert parts.is_blank(function)
    assert said(function, "6.1.1") == "6.1.1: no answer yet"


@pytest.mark.parametrize("function", [zero, same, forgets, print, None])
def test_a_function_that_does_something_is_not_blank(function):
    assert not parts.is_blank(function)


def test_the_smallest_failing_input_is_shown_with_what_was_expected():
    assert said(lambda X, K: right(X, K.flip(0, 1))) == (
        "6.2.3: not right yet\n"
        "  Smallest input found: X = [[0, 1]] (shape (1, 2)), "
        "K = [[0, 1]] (shape (1, 2))\n"
        "  Expected: [[1]] (shape (1, 1))\n"
        "  Got:      [[0]] (shape (1, 1))\n"
        "  Hint: the kernel is flipped: cross-correlation takes it as it stands."
    )


def test_the_smallest_sizes_are_shown():
    def doubled(c, h, w, ph, pw, sh, sw, qh, qw):
        rows, columns = (h + 2 * qh - ph) // sh + 1, (w + 2 * qw - pw) // sw + 1
        return c * rows * columns * ph * pw

    assert said(doubled, "6.5.3") == (
        "6.5.3: not right yet\n"
        "  Smallest input found: c = 1, h = 1, w = 1, ph = 1, pw = 1, sh = 1, sw = 1, "
        "qh = 0, qw = 0\n"
        "  Expected: 0\n"
        "  Got:      1\n"
        "  Hint: a window of n pixels takes n - 1 comparisons."
    )


def test_a_failure_on_rare_inputs_is_found():
    def wide_strides_fail(n, k, p, s):
        return (n + 2 * p - k) // s + 1 + (s > k + 1)

    assert "s = 3" in said(wide_strides_fail, "6.3.1")


def test_the_result_is_true_if_and_only_if_the_answer_is_right():
    assert check("6.2.3", right)
    assert not check("6.2.3", lambda X, K: X)
    assert repr(check("6.2.3", right)) == "6.2.3: right"


def test_several_answers_are_checked_together():
    report = check("6.4.3", ratio=4, padding=2)
    assert not report
    assert [bool(result) for result in report.results] == [True, False]
    assert check("6.2.1", a=lambda X: X[:, :-1] - X[:, 1:], c=lambda X: X[:-1] - X[1:])


@pytest.mark.parametrize("answer", [None, ..., lambda X, K: None])
def test_no_answer_is_no_error(answer):
    assert said(answer) == "6.2.3: no answer yet"


def test_a_stub_is_no_answer():
    def stub(X, K):
        """Return the cross-correlation."""
        ...

    assert said(stub) == "6.2.3: no answer yet"
    assert str(check("6.4.3", ratio=None)) == "6.4.3 ratio: no answer yet"


def test_without_an_answer_the_calls_are_shown():
    assert 'check("6.2.3", matrix=f)' in str(check("6.2.3"))
    assert not check("6.2.3")


def test_a_function_that_raises():
    def raises(X, K):
        if K.shape[0] > 1:
            return X[100]
        return right(X, K)

    text = said(raises)
    assert "raises IndexError: index 100 is out of bounds" in text
    assert f"(test_check.py, line {raises.__code__.co_firstlineno + 2})" in text
    assert "X = [[0], [0]] (shape (2, 1))" in text


def test_in_a_notebook_the_line_is_counted_from_the_head_of_the_function():
    source = "x = 1\n\ndef raises(X, K):\n    y = X\n    return F.relu(y, 1, 2, 3)\n"
    cell = {"F": F}
    exec(compile(source, "/tmp/ipykernel_1/2.py", "exec"), cell)
    assert "raises TypeError: relu() takes" in said(cell["raises"])
    assert "(line 3 of raises)" in said(cell["raises"])


def test_a_line_of_a_library_is_none_of_the_readers():
    text = said(torch.nn.Conv2d(1, 1, 2))
    assert "raises TypeError: Conv2d.forward() takes 2 positional" in text
    assert "line" not in text


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, MemoryError])
def test_a_function_that_raises_what_ends_a_program(error):
    def raises(X, K):
        raise error("enough")

    assert f"raises {error.__name__}: enough" in said(raises)


@pytest.mark.usefixtures("short_limit")
def test_a_function_that_hangs_is_stopped(monkeypatch):
    def hangs(X, K):
        while X.shape[0] > 2:
            pass
        return right(X, K)

    text = said(hangs)
    assert "takes longer than 2 s" in text
    assert "Input: X = [[" in text
    monkeypatch.undo()
    assert check("6.2.3", right)  # with a new process


@pytest.mark.usefixtures("short_limit")
def test_a_function_that_hangs_only_on_generated_inputs_is_stopped():
    def hangs(n, k, p, s):
        while s == 4:
            pass
        return (n + 2 * p - k) // s + 1

    assert "takes longer than 2 s" in said(hangs, "6.3.1")


@pytest.fixture(scope="module")
def new_process():
    return Sandbox()


def test_recording_operations_imports_no_compiler(new_process):
    imported = sent(lambda X: (X + X, "torch._dynamo" in sys.modules)[1])
    ran = new_process.run(imported, (torch.ones(1),), 60.0, record=True)
    assert (ran.value, ran.operations) == (False, {"add"})


@pytest.mark.usefixtures("short_limit")
def test_a_hanging_function_leaves_no_process(new_process):
    seen = new_process.run(sent(os.getpid), (), 60.0).value
    assert (
        new_process.run(sent(lambda: exec("while True: pass")), (), 0.5).how == "hung"
    )
    with pytest.raises(ProcessLookupError):
        os.kill(seen, 0)


def test_a_function_that_is_stopped_for_a_while_does_not_hang(new_process):
    """Nor does one that a busy machine gives no processor."""
    script = "kill -STOP $PPID; sleep 3; kill -CONT $PPID"
    stopped = sent(lambda: subprocess.run(["sh", "-c", script]).returncode)
    assert new_process.run(stopped, (), 1.0).value == 0
    asleep = sent(lambda: time.sleep(60))
    assert new_process.run(asleep, (), 1.0).how == "hung"


def test_a_call_goes_on_where_the_process_was_replaced(new_process, monkeypatch):
    """By loky, as when one has taken much memory, so that its id is another one."""
    new_process.run(sent(os.getpid), (), 60.0)
    ended = subprocess.Popen(["true"])
    ended.wait()
    monkeypatch.setattr(new_process, "_pid", ended.pid)
    assert new_process.run(sent(lambda: time.sleep(1)), (), 60.0).how == "returned"
    assert new_process.run(sent(lambda: time.sleep(60)), (), 1.0).how == "hung"


def test_a_function_that_ends_its_process():
    assert "ends the process" in said(lambda X, K: os._exit(3))
    assert check("6.2.3", right)


def test_a_function_that_prints_is_told_so(capfd):
    def prints(X, K):
        print("computing")
        os.system("echo from a program")
        return right(X, K)

    assert said(prints) == "6.2.3: right\n  Note: it also prints."
    assert capfd.readouterr() == ("", "")


def test_a_function_that_prints_instead_of_returning():
    def prints(X, K):
        print(right(X, K))

    text = said(prints)
    assert "Got:      None" in text
    assert "end it with return instead" in text


def test_a_function_that_changes_its_input():
    def changes(X, K):
        Y = right(X, K)
        X += 1
        return Y

    text = said(changes)
    assert "changes its argument X in place" in text
    assert "Smallest input found: X = [[0]]" in text


def test_a_function_whose_result_is_a_view_is_told_so():
    def view(X, size):
        return (
            X.unfold(0, size[0], 1).unfold(1, size[1], 1).reshape(-1, size[0] * size[1])
        )

    report = check("6.2.3", windows=view)
    assert report
    assert "share its memory with X" in str(report)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda Y: Y * 1j, "a complex64 tensor, but should be a tensor"),
        (lambda Y: Y[..., None], ", but should be ("),
        (lambda Y: {1, 2}, "an object of type set, but should be a number"),
        (lambda Y: Y / 0, "Got:      [[nan]]"),
        (lambda Y: Y.new_zeros(1000, 1000), "of shape (1000, 1000)"),
        (lambda Y: Y.to_sparse() + 1, None),
    ],
)
def test_a_result_of_another_kind(change, message):
    text = said(lambda X, K: change(right(X, K)))
    assert "not right yet" in text
    assert message is None or message in text


def test_a_number_in_place_of_a_function():
    assert "is an int, but should be a function f(X, K)" in said(3)


def test_another_number_of_parameters():
    assert "raises TypeError" in said(lambda X: X)


def test_chance_is_recognised():
    def by_chance(X, K):
        return right(X, K) + random.random()

    assert "Called twice with the same input" in said(by_chance)


def test_a_function_that_cannot_be_sent():
    lock = threading.Lock()

    def locked(X, K):
        with lock:
            return right(X, K)

    assert "cannot be sent to the process" in said(locked)


def test_a_function_of_a_module_is_sent_as_it_is_now(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    source = "def f(n, k, p, s):\n    return (n + 2 * p - k) // s + {}\n"
    for constant, verdict in (("0", False), ("1", True)):
        (tmp_path / "my_positions.py").write_text(
            source.format(constant), encoding="utf-8"
        )
        sys.modules.pop("my_positions", None)
        import my_positions

        assert bool(check("6.3.1", my_positions.f)) is verdict


def test_a_function_that_computes_in_float64_gets_float64():
    K = torch.tensor([[[[1.0, -1.0]]]], dtype=torch.float64)
    assert check("6.2.1", a=lambda X: F.conv2d(X[None, None], K)[0, 0])


def test_numbers_in_other_forms_are_accepted():
    def as_tensor(n, k, p, s):
        return torch.tensor((n + 2 * p - k) // s + 1)

    assert check("6.3.1", as_tensor)
    assert check("6.3.1", lambda n, k, p, s: float((n + 2 * p - k) // s + 1))
    assert check("6.4.3", ratio=torch.tensor(4))


@pytest.mark.bad_input
def test_bad_calls_are_errors():
    with pytest.raises(ValueError, match="is no exercise that can be checked"):
        check("9.9", right)
    with pytest.raises(ValueError, match=r"6\.2\.3 takes no .*matrix=f"):
        check("6.2.3", kernel=right)
    with pytest.raises(ValueError, match="no answer without a name"):
        check("6.4.3", 4)
    with pytest.raises(ValueError, match="takes one answer without a name, but got 2"):
        check("6.2.3", right, right)
    with pytest.raises(ValueError, match="nothing that can be checked"):
        check.list("6.9")


def test_no_wrong_value_is_told_the_right_one():
    for label, wrong, right_value in (
        ("6.4.3 ratio", 7, "4"),
        ("6.4.2 backward", 7, "2"),
        ("6.3.1 shape", (5, 5), "(2, 2)"),
        ("6.6.1 parameters", 7, "61706"),
    ):
        exercise, name = label.split()
        text = str(check(exercise, **{name: wrong})).replace(exercise, "")
        assert right_value not in text


def test_the_list_names_every_question(capsys):
    check.list()
    printed = capsys.readouterr().out
    for question in registry.QUESTIONS:
        assert (
            f"{registry.call(question)}\n    {question.signature}\n" in printed + "\n"
        )


def test_the_list_can_be_shortened(capsys):
    check.list("6.2")
    printed = capsys.readouterr().out
    assert 'check("6.2.3", f)' in printed
    assert 'check("6.3.1", f)' not in printed
    check.list("6.4.1")
    assert capsys.readouterr().out.count("check(") == 4


@pytest.mark.parametrize("question", registry.QUESTIONS, ids=lambda q: q.label)
def test_every_known_mistake_is_one(question):
    """Each computes something, and something wrong, so that its hint can be given."""
    if not isinstance(question, parts.FunctionQuestion):
        return
    for hint, compute in question.mistakes.items():
        differences = []
        for arguments in question.examples:
            try:
                value = forms.portable(forms.in_float64(compute, arguments))
            except (RuntimeError, IndexError, ZeroDivisionError):
                continue  # the mistake has no sense for this input
            differences.append(question.fault(arguments, value))
        assert any(d is not None for d in differences), hint


@pytest.mark.parametrize("question", registry.QUESTIONS, ids=lambda q: q.label)
def test_generated_inputs_are_valid(question):
    """The oracle takes them all, but those for which an answer may refuse."""
    oracle = getattr(question, "oracle", None)
    may_refuse = getattr(question, "may_refuse", None) or (lambda *_: False)

    def is_impossible(a):
        return not may_refuse(*a) and forms.in_float64(oracle, a) is None

    if oracle is not None:
        assert smallest(question.inputs, is_impossible, 20.0) is None


def test_a_search_may_take_as_long_as_two_calls(monkeypatch):
    given = []
    monkeypatch.setattr(parts, "smallest", lambda *how: given.append(how[2]))
    monkeypatch.setattr(check, "time_limit", 3.0)
    assert check("6.1.3", size=lambda n, k, layers: n - layers * (k - 1))
    assert given == [6.0]


def test_a_search_ends_in_time():
    assert smallest(st.integers(0, 9), lambda n: n > 3, seconds=0.0) is None


@pytest.mark.parametrize(
    ("mistake", "hint"),
    [
        (lambda X, K: right(X, K).mT, "the result is transposed."),
        (lambda X, K: -right(X, K), "the sign is the wrong way round."),
    ],
)
def test_mistakes_that_every_computation_can_have(mistake, hint):
    assert f"Hint: {hint}" in said(mistake)


def test_kernels_of_one_channel_keep_their_values():
    kernel = torch.arange(6.0).reshape(2, 3)
    for shape in ((2, 3), (1, 2, 3), (1, 1, 2, 3)):
        read = forms.kernel(kernel.reshape(shape))
        assert torch.equal(read, kernel.double())
    assert forms.kernel([1, -2, 4]).tolist() == [[1.0, -2.0, 4.0]]


def test_differences():
    assert forms.difference(4, 4.0) is None
    assert forms.difference(4, True) is not None
    assert forms.difference(0.5, 0.5 + 1e-7) is None
    assert forms.difference((1, 2), [1, 2]) is None
    assert forms.difference((1, 2), torch.Size([1, 2])) is None
    assert "2 values" in (forms.difference((1, 2), 1) or "")
    assert "values, not 3" in (forms.difference((1, 2), (1, 2, 3)) or "")
    assert forms.difference(torch.ones(2), torch.ones(2) + 1e-6) is None
    assert forms.difference(torch.ones(2), torch.ones(2) + 1e-6, exact=True) == ""


def test_results_leave_the_process_without_risk():
    class Sly:
        def __reduce__(self):
            return os._exit, (1,)

    assert portable(Sly()).kind == "Sly"
    assert portable((torch.nn.Parameter(torch.ones(1)), 2))[0].requires_grad is False
    assert said(lambda X, K: Sly()).startswith("6.2.3: not right yet")


@pytest.mark.parametrize("kernel", [[[1, 0, 1]], [[1], [0], [1]], [[3, 1], [1, 3]]])
def test_kernels_that_do_not_factor(kernel):
    assert how_it_factors(kernel) is None


@pytest.mark.parametrize("seed", range(20))
def test_products_of_kernels_factor(seed):
    g = torch.Generator().manual_seed(seed)
    A, B = (torch.randint(-3, 4, (1, 1, 2, 2), generator=g).float() for _ in range(2))
    product = F.conv_transpose2d(A, B)[0, 0]
    if product.any():
        assert how_it_factors([[int(x) for x in row] for row in product.tolist()])


def test_factors_over_the_complex_numbers_alone_do_not_count():
    # 1 + x²y² = (1 + ixy)(1 - ixy), and x² - 2y² = (x - √2y)(x + √2y)
    assert how_it_factors([[1, 0, 0], [0, 0, 0], [0, 0, 1]]) is None
    assert "not rational" in (how_it_factors([[0, 0, -2], [0, 0, 0], [1, 0, 0]]) or "")
    # x³ + y³ + ... of degree 4 in one variable always splits over the reals
    assert how_it_factors([[1, 0, 0, 0, 1]]) is not None


@pytest.fixture
def answers(tmp_path):
    path = tmp_path / "my_answer.py"
    path.write_text(
        "import torch\n"
        "K = torch.tensor([1, 0, 1])\n"
        "def positions(n, k, p, s):\n    return (n + 2 * p - k) // s + 1\n"
        "def wrong(n, k, p, s):\n    return (n + p - k) // s + 1\n"
        "def stub(n, k, p, s):\n    ...\n",
        encoding="utf-8",
    )
    return path


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["6.3.1", "{}:positions"], 0, "6.3.1: right"),
        (["6.3.1", "{}:wrong"], 1, "counted once"),
        (["6.3.1", "{}:stub"], 1, "no answer yet"),
        (["6.4.1", "kernel={}:K"], 0, "6.4.1 kernel: right"),
        (["6.4.1", "kernel=[[1, 3, 2]]"], 1, "can be written as two"),
        (["6.4.3", "ratio=4"], 0, "6.4.3 ratio: right"),
        (["6.4.3", "ratio=4", "padding={}:K"], 1, "should be a function"),
        (["6.2.2", "error=''"], 0, "right"),
        (["--list", "6.2"], 0, 'check("6.2.3", f)'),
        (["--list"], 0, 'check("6.6.4", f)'),
    ],
)
def test_command_line(answers, capsys, arguments, status, text):
    assert main([a.format(answers) for a in arguments]) == status
    assert text in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "give an exercise and an answer"),
        (["6.3.1"], "give an exercise and an answer"),
        (["6.9.9", "ratio=4"], "no exercise that can be checked"),
        (["6.4.3", "factor=4"], "takes no answer named 'factor'"),
        (["6.4.3", "ratio=four"], "neither FILE.py:NAME nor a value"),
        (["6.3.1", "{}.py:positions"], "there is no file"),
        (["6.3.1", "{}:nothing"], "does not define nothing"),
        (["--list", "8"], "nothing that can be checked"),
    ],
)
def test_command_line_used_wrongly(answers, capsys, arguments, text):
    assert main([a.format(answers) for a in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert text in captured.err


@pytest.mark.parametrize(
    ("name", "source", "text"),
    [
        ("fails", "raise RuntimeError('no')", "RuntimeError: no (fails.py, line 1)."),
        ("exits", "\nimport sys\nsys.exit(3)", "SystemExit: 3 (exits.py, line 3)."),
        ("asks", "f = 1\nx = input('?')", "a line (asks.py, line 2)."),
        ("no-syntax", "\ndef f(X,K) X", "expected ':' (no-syntax.py, line 2)."),
        ("imports", "f = 1\nimport helper", "division by zero (helper.py, line 4)."),
        ("Lösung 答案", "def f(*_): return 1 / 0", "zero (Lösung 答案.py, line 1)."),
    ],
)
def test_a_file_that_fails_is_named_with_its_line(tmp_path, capsys, name, source, text):
    helper = tmp_path / "helper.py"
    helper.write_text("def g():\n\n\n    1 / 0\ng()\n", encoding="utf-8")
    path = tmp_path / f"{name}.py"
    path.write_text(source, encoding="utf-8")
    assert main(["6.3.1", f"{path}:f"]) == 1
    assert text in capsys.readouterr().out


@pytest.mark.usefixtures("short_limit")
def test_a_file_that_hangs_is_an_answer_that_is_not_right(tmp_path, capsys):
    path = tmp_path / "hangs.py"
    path.write_text("while True: pass", encoding="utf-8")
    assert main(["--time-limit", "2", "6.3.1", f"{path}:f"]) == 1
    assert "takes longer than 2 s" in capsys.readouterr().out


def test_help_says_what_the_exit_status_means(capsys):
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["--help"])
    assert "exit status" in capsys.readouterr().out


def test_command_line_as_a_program_leaves_nothing_behind(answers, monkeypatch):
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    before = list(answers.parent.iterdir())
    done = subprocess.run(
        [sys.executable, "-m", "solutions.check", "6.3.1", f"{answers.name}:wrong"],
        capture_output=True,
        text=True,
        cwd=answers.parent,
        encoding="utf-8",
    )
    assert done.returncode == 1
    assert done.stderr == ""
    assert "counted once" in done.stdout
    assert list(answers.parent.iterdir()) == before
