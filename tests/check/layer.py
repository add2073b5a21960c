"""An answer as a module of PyTorch, for the tests of forms."""

from torch import nn


class Layer(nn.Module):
    """A module that computes an answer."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *arguments):  # noqa: D102
        return self.function(*arguments)
