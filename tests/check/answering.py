"""How the tests answer questions."""

from torch import nn

from solutions.check import check, registry
from solutions.check.parts import FunctionQuestion

QUESTIONS = {question.label: question for question in registry.QUESTIONS}
VALUES = [
    label for label, q in QUESTIONS.items() if not isinstance(q, FunctionQuestion)
]
NO_NUMBERS = {"6.1.2 label", "6.2.2 error", "7.1.4 sentences"}


def answered(label, answer):
    exercise, _, name = label.partition(" ")
    return check(exercise, **{name: answer})


class Layer(nn.Module):
    """A module that computes an answer."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *arguments):  # noqa: D102
        return self.function(*arguments)
