"""Record the operations that an answer really runs, and which lead to its result.

Belongs here: what PyTorch and NumPy compute from the inputs, below the level of Python
functions, and the rules about it. Does not belong here: which question has which rule.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def _words(text: str) -> list[str]:
    """Return the words of a text."""
    return text.split()


PRODUCT, CONVOLUTION, MASK = "a matrix product", "convolution", "mul of two inputs"
PRODUCTS = _words(
    "mm bmm mv dot vdot addmm addmv addbmm baddbmm _sparse_mm _sparse_addmm sspaddmm "
    "matmul inner einsum tensordot linear multi_dot vecdot matvec vecmat"
)
CONVOLUTIONS = _words(
    "convolution _convolution convolution_overrideable mkldnn_convolution convolve "
    "correlate"
)
KINDS = {
    **dict.fromkeys(PRODUCTS, PRODUCT),
    **dict.fromkeys(CONVOLUTIONS, CONVOLUTION),
    "_local_scalar_dense": "item",
}
LINEAR = frozenset(
    _words(
        "relu mul div add sub rsub neg sum mean cumsum view _unsafe_view reshape "
        "_reshape_alias permute transpose t unsqueeze squeeze expand slice select "
        "as_strided unfold im2col col2im constant_pad_nd cat stack split "
        "split_with_sizes unbind clone copy detach alias lift_fresh fill zero _to_copy "
        "flip roll repeat index index_select gather index_put scatter slice_scatter "
        "select_scatter set contiguous diagonal _conj replication_pad2d "
        "reflection_pad2d"
    )
) | {PRODUCT, CONVOLUTION}
FRESH = ("empty", "zeros", "ones", "full", "new_", "rand")  # take only a shape
LEAVING = frozenset(_words("numpy array tolist item"))  # PyTorch


@dataclass(frozen=True)
class Rule:
    """Which operations on the inputs an exercise allows.

    Attributes:
        why: what the exercise asks for.
        needs: the kind of operation that must lead to the result.
        forbids: operations that must not be used.
        allows: if not empty, the only ones that may be used.
    """

    why: str
    needs: str = ""
    forbids: frozenset[str] = frozenset()
    allows: frozenset[str] = frozenset()

    def fault(self, used: frozenset[str], origin: frozenset[str]) -> str | None:
        """Say which of the operations on the inputs breaks the rule.

        `origin` are the kinds of those that lead to the result.
        """
        wrong = used - self.allows if self.allows else used & self.forbids
        if wrong - {MASK} or (wrong and self.needs in origin | {""}):
            name = min(wrong - {MASK} or wrong).strip("_")
            return f"It calls {name}: {self.why}."
        if self.needs and self.needs not in origin:
            name = self.needs.removeprefix("a ")
            return f"No {name} was seen that leads to its result: {self.why}."
        return None


WITHOUT_CONVOLUTION = Rule(
    "the exercise asks for the layer without a convolution",
    forbids=frozenset({CONVOLUTION}),
)
BY_PRODUCT = Rule(
    "the exercise asks for a matrix product",
    needs=PRODUCT,
    forbids=frozenset({CONVOLUTION, MASK}),
)
BY_CONVOLUTION = Rule(
    "the exercise asks for a convolution",
    needs=CONVOLUTION,
    forbids=frozenset(_words("avg_pool2d avg_pool3d _adaptive_avg_pool2d mean")),
)
RELU_ONLY = Rule("the exercise allows convolutions and ReLU only", allows=LINEAR)


class Recorder(TorchDispatchMode):
    """Sees each operation of PyTorch on something that depends on the inputs.

    Attributes:
        used: the names of the operations.
        elsewhere: the kinds of operations that NumPy did.
        relu_channels: how many channels each ReLU had.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.used: set[str] = set()
        self.elsewhere: set[str] = set()
        self.relu_channels: list[int] = []
        self.contracts = False  # whether einsum runs, whose sums of products are one
        self._left: Counter[float] = Counter()  # the numbers that left PyTorch
        self._origins: dict[int, frozenset[str]] = {}
        self._kept: list[Tensor] = []  # so that no place in memory is used again

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Spare PyTorch the import of its compiler, which takes seconds."""
        return False

    def watch(self, tensor: Tensor, origin: frozenset[str] = frozenset()) -> None:
        """Follow a tensor, which may be an input or depend on one."""
        place = _place(tensor)
        self._origins[place] = self._origins.get(place, frozenset()) | origin
        self._kept.append(tensor)

    def origin(self, value: object) -> frozenset[str]:
        """Return the kinds of operations that lead to a result."""
        found = [self._origins.get(_place(t)) for t in _tensors(value)]
        known = [origin for origin in found if origin is not None]
        return frozenset().union(*known) if known else frozenset(self.elsewhere)

    def leave(self, name: str, tensor: Tensor) -> None:
        """Note that the numbers of a tensor leave PyTorch, and cannot be followed."""
        self.used.add(name)
        self._left.update(tensor.detach().flatten().tolist())
        self.elsewhere |= self.origin(tensor)

    def operations(self, result: object) -> frozenset[str]:
        """Return the operations that lead to a result, which is plain.

        If all numbers that left PyTorch are in the result as they are, then nothing
        was computed with them, and only the result has another form.
        """
        numbers = Counter(_numbers(result))
        return frozenset(self.used - LEAVING if self._left <= numbers else self.used)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        origins = [
            self._origins[_place(t)]
            for t in _tensors((args, kwargs))
            if _place(t) in self._origins
        ]
        name = func._schema.name.partition("::")[2].rstrip("_")
        if origins and not name.startswith(FRESH):
            name = _named(name, args, len(origins))
            name = PRODUCT if self.contracts and name == MASK else name
            self.used.add(name)
            if name in LEAVING:
                self.leave(name, args[0])
            if name == "relu" and made.dim() > 2:
                self.relu_channels.append(made.shape[-3])
            kind = frozenset({name} & {PRODUCT, CONVOLUTION})
            for tensor in _tensors(made):
                self.watch(tensor, kind.union(*origins))
        return made


def _tensors(value: object) -> list[Tensor]:
    """Return all tensors in something."""
    try:
        return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]
    except RecursionError:  # a list that contains itself
        return []


def _numbers(result: object) -> list[float]:
    """Return all numbers in a plain result."""
    if isinstance(result, (list, tuple)):
        return [number for item in result for number in _numbers(item)]
    if isinstance(result, Tensor):
        return [] if result.is_meta else result.flatten().tolist()
    if isinstance(result, np.ndarray):
        return result.ravel().tolist()
    return [result] if isinstance(result, (int, float)) else []


def _place(tensor: Tensor) -> int:
    """Return what views of one memory have in common."""
    if tensor.layout != torch.strided:
        return id(tensor)
    return tensor.untyped_storage()._cdata


def _named(name: str, args: Any, inputs: int) -> str:
    """Return the kind of an operation: ReLU and products have many names."""
    if name in ("mul", "div", "addcmul") and inputs > 1:
        return MASK
    others = [x for x in args[1:] if x is not None]
    if name == "maximum":
        is_relu = any(not t.any() for t in args[:2])
    else:
        is_zero = all(not isinstance(x, Tensor) and x == 0 for x in others)
        is_relu = name in ("clamp_min", "clamp", "threshold") and args[1] is not None
        is_relu = is_relu and is_zero and (name != "clamp" or len(others) == 1)
    return "relu" if is_relu else KINDS.get(name, name)


class _Conversions(TorchFunctionMode):
    """Sees tensors become arrays or lists, and makes the arrays say what they do."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.recorder = recorder

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        equation = str(args[0]) if func.__name__ == "einsum" else ""
        inputs, _, output = equation.replace(",", "").partition("->")
        self.recorder.contracts = not set(inputs) <= set(output)
        made = func(*args, **(kwargs or {}))
        self.recorder.contracts = False
        if (name := func.__name__.strip("_")) in LEAVING:
            self.recorder.leave(name, args[0])
        return watched(made, self.recorder) if isinstance(made, np.ndarray) else made


class Watched(np.ndarray):
    """An array that tells a recorder which operations it takes part in."""

    recorder: Recorder

    def __array_finalize__(self, other: Any) -> None:
        if isinstance(other, Watched) and hasattr(other, "recorder"):
            self.recorder = other.recorder

    def __array_ufunc__(
        self, ufunc: Any, method: str, *inputs: Any, **more: Any
    ) -> Any:
        both = sum(isinstance(x, Watched) for x in inputs) > 1
        name = MASK if ufunc is np.multiply and both else ufunc.__name__
        if method == "__call__" or ufunc is not np.multiply:
            self.recorder.elsewhere.add(KINDS.get(name, name))
            self.recorder.used |= {MASK} & {name}
        out = {"out": tuple(map(_bare, more["out"]))} if "out" in more else {}
        made = getattr(ufunc, method)(*map(_bare, inputs), **{**more, **out})
        return watched(made, self.recorder)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        kind = KINDS.get(func.__name__, func.__name__)
        self.recorder.elsewhere.add(kind)
        self.recorder.used |= {CONVOLUTION} & {kind}
        return watched(
            super().__array_function__(func, types, args, kwargs), self.recorder
        )


def watched(value: Any, recorder: Recorder) -> Any:
    """Let an array tell what it does; all else stays as it is."""
    if not isinstance(value, np.ndarray):
        return value
    seen = value.view(Watched)
    seen.recorder = recorder
    return seen


def _bare(value: Any) -> Any:
    """Return an array that tells nothing."""
    return value.view(np.ndarray) if isinstance(value, Watched) else value


_current: list[Recorder] = []


def watch(X: Tensor) -> Tensor:
    """Follow a tensor that a check made itself, if anything is recorded."""
    for recorder in _current:
        recorder.watch(X)
    return X


def relu_channels() -> list[int]:
    """Return how many channels each ReLU had that was recorded."""
    return [channels for recorder in _current for channels in recorder.relu_channels]


@contextlib.contextmanager
def recorded(arguments: object) -> Iterator[Recorder]:
    """Record the operations on these arguments."""
    recorder = Recorder()
    for tensor in _tensors(arguments):
        recorder.watch(tensor)

    def kept(make: Any) -> Any:
        return lambda x, *a, **k: (
            watched(make(x, *a, **k), recorder)
            if isinstance(x, (Tensor, Watched))
            else make(x, *a, **k)
        )

    arrays = mock.patch.multiple(np, array=kept(np.array), asarray=kept(np.asarray))
    _current.append(recorder)
    try:
        with arrays, recorder, _Conversions(recorder):
            yield recorder
    finally:
        _current.remove(recorder)
