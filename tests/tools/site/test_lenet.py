"""The nets of the page LeNet to play with are the study's, of the code of today."""

import base64

import numpy as np
import pytest
import torch

from solutions.lenet import build
from solutions.training.data import load
from solutions.training.experiments import EXPERIMENTS
from solutions.training.retraining import tolerance_of
from solutions.training.study import label, read
from tools.site.lenet import NETS, WEIGHTS, content, folded, layers_of, outputs
from tools.study import RESULTS


@pytest.fixture(scope="module", params=NETS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def described(name):
    return content(WEIGHTS / f"{name}.js")


def net_of(name, described):
    """Build a net as the notebook does, and give it the weights of the file."""
    spec = EXPERIMENTS[NETS[name].experiment].recipe.spec
    net = folded(build(spec, seed=0).eval())
    assert layers_of(net) == described["layers"]
    numbers = np.frombuffer(base64.b64decode(described["numbers"]), dtype="<f2")
    torch.nn.utils.vector_to_parameters(
        torch.tensor(numbers.astype(np.float32)), net.parameters()
    )
    return net


def test_the_weights_are_of_the_code_of_today(name, described):
    experiment = EXPERIMENTS[NETS[name].experiment]
    assert described["label"] == label(experiment), "run `make weights`"


def test_a_trained_net_answers_as_in_the_study(name, described):
    if not NETS[name].trained:
        return
    result = read(EXPERIMENTS, RESULTS)[NETS[name].experiment]
    test_set = load(described["data"], train=False)
    ours = outputs(net_of(name, described), test_set.images)[-1].argmax(dim=1)
    accuracy = (ours == test_set.labels).double().mean().item()
    far = abs(accuracy - result.histories[0].test_acc[-1])
    assert far <= tolerance_of(result.experiment.recipe)["test_acc"]
    for answers in result.answers[:1]:  # of seed 0, if they were kept
        theirs = torch.tensor([int(c) for c in answers])
        agreement = (ours == theirs).double().mean().item()
        print(f"{name}: {agreement:.4f} of the test images as in the study")
        assert agreement > 0.98


def test_the_untrained_net_has_the_initial_weights():
    described = content(WEIGHTS / "untrained.js")
    net = net_of("untrained", described)
    fresh = build(EXPERIMENTS["test: LeNet"].recipe.spec, seed=0)
    for one, other in zip(net.parameters(), fresh.parameters(), strict=True):
        assert torch.equal(one, other.half().float())


def test_folding_batch_normalisation_changes_nothing():
    net = build(EXPERIMENTS["test: recipe"].recipe.spec, seed=0)
    X = torch.rand(64, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    for _ in range(3):
        net(X)  # the running means and variances become others than 0 and 1
    net.eval()
    for one, other in zip(outputs(net, X), outputs(folded(net), X), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-4)


def test_pictures_are_the_first_of_their_class():
    described = content(WEIGHTS / "images.js")
    for name in ("FashionMNIST", "MNIST"):
        labels = load(name, train=False).labels
        for c in range(10):
            first = (labels == c).nonzero()[:3, 0].tolist()
            assert described[name]["indices"][3 * c : 3 * c + 3] == first
