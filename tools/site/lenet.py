"""Write the nets of the page LeNet to play with: ``python -m tools.site.lenet [NET]``.

Belongs here: which nets the page has, training them as the notebook of section 6.6
does, their files and the pictures', and how far the page's numbers are from PyTorch's.
Does not belong here: what the page computes and shows (`_play/lenet`).

A file of the page is a script that calls `LeNet.register`: a page that was opened from
disk may load scripts, and nothing else. Weights are stored in half precision.
"""

import base64
import json
import signal
import sys
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from PIL import Image
from playwright.sync_api import Page
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from solutions.lenet import build
from solutions.notebook.reproducibility import (
    choose_device,
    generator,
    make_deterministic,
)
from solutions.system.files import NotWrittenError, write_whole
from solutions.training.data import DataError, ImageSet, load
from solutions.training.experiments import EXPERIMENTS
from solutions.training.retraining import retrain
from solutions.training.study import label, read
from tools.site.browser import NoBrowserError, chromium
from tools.study import RESULTS

FOLDER = Path(__file__).resolve().parents[2] / "_play" / "lenet"
WEIGHTS = FOLDER / "weights"
PER_CLASS = 3  # test images of each class that the page has
PROBES = 100  # test images, and as many images of noise, that the distance is taken of
# What the page computes for images that stand one after the other, all layers of the
# first image first: as base64, for millions of numbers are slow as text.
COMPUTED = """([net, images]) => {
    const { bytesOf, decodeNet, forward } = LeNet.compute;
    const decoded = decodeNet(net);
    const X = new Float32Array(bytesOf(images).buffer);
    const count = X.length / 784;
    const layers = Array.from({ length: count }, (_, n) =>
        forward(decoded, X.subarray(784 * n, 784 * (n + 1)))).flat();
    return new Promise(done => {
        const reader = new FileReader();
        reader.onload = () => done(reader.result.split(",")[1]);
        reader.readAsDataURL(new Blob(layers.map(layer => layer.values)));
    });
}"""


@dataclass(frozen=True)
class Source:
    """Where the weights of a net of the page come from.

    Args:
        experiment: of the study; its seed 0 is taken.
        trained: whether the net is trained at all.
    """

    experiment: str
    trained: bool = True


# By the names of their files; what a reader reads is in `listen.js`.
NETS = {
    "average": Source("test: LeNet"),
    "max": Source("test: LeNet, max pooling"),
    "untrained": Source("test: LeNet", trained=False),
    "recipe": Source("test: recipe"),
    "digits": Source("test: LeNet, digits"),
}


def nets(sources: Mapping[str, Source]) -> dict[str, nn.Sequential]:
    """Return every net of the page: trained anew, and held against the study.

    Args:
        sources: name and origin of each net.

    Raises:
        ValueError: if a training does not do what it did in the study.
    """
    study = read(EXPERIMENTS, RESULTS)
    made = {
        name: build(EXPERIMENTS[source.experiment].recipe.spec, seed=0)
        for name, source in sources.items()
    }
    wanted = [name for name, source in sources.items() if source.trained]
    results = [study[sources[name].experiment] for name in wanted]
    trained = retrain(results, choose_device(), seed=0, first=None)
    made |= {name: net for name, (net, *_) in zip(wanted, trained, strict=True)}
    return {name: net.eval() for name, net in made.items()}


def folded(net: nn.Sequential) -> nn.Sequential:
    """Return a net that computes the same, without batch normalisation.

    In evaluation it multiplies each channel by a number and adds another, which the
    convolution in front of it can do as well.

    >>> net = build(EXPERIMENTS["test: recipe"].recipe.spec, seed=0).eval()
    >>> [type(layer).__name__ for layer in folded(net)[:3]]
    ['Conv2d', 'ReLU', 'AvgPool2d']
    """
    layers = list(net)
    for i, (layer, after) in enumerate(pairwise(net)):
        if isinstance(layer, nn.Conv2d) and isinstance(after, nn.BatchNorm2d):
            layers[i] = fuse_conv_bn_eval(layer, after)
    return nn.Sequential(*(m for m in layers if not isinstance(m, nn.BatchNorm2d)))


def layers_of(net: nn.Sequential) -> list[dict[str, Any]]:
    """Describe the layers that the page shows: an activation belongs to its layer.

    Args:
        net: without batch normalisation.

    >>> net = build(EXPERIMENTS["test: LeNet"].recipe.spec, seed=0)
    >>> [layer["kind"] for layer in layers_of(net)]
    ['conv', 'pool', 'conv', 'pool', 'dense', 'dense', 'dense']
    """
    layers: list[dict[str, Any]] = []
    for layer in net:
        match layer:
            case nn.Conv2d():
                shape = list(layer.weight.shape)
                assert not isinstance(layer.padding, str)
                padding = layer.padding[0]
                layers.append({"kind": "conv", "shape": shape, "padding": padding})
            case nn.AvgPool2d() | nn.MaxPool2d():
                name = "average" if isinstance(layer, nn.AvgPool2d) else "max"
                layers.append({"kind": "pool", "pooling": name})
            case nn.Linear():
                layers.append({"kind": "dense", "shape": list(layer.weight.shape)})
            case nn.Sigmoid() | nn.ReLU():
                layers[-1]["activation"] = type(layer).__name__.lower()
    return layers


def outputs(net: nn.Sequential, X: Tensor) -> list[Tensor]:
    """Return what each layer of `layers_of` puts out, by PyTorch.

    Args:
        net: a net in evaluation, with or without batch normalisation.
        X: images, shape (n, 1, 28, 28).

    Returns:
        One matrix (n, numbers) per layer, the last one of logits.
    """
    shown: list[Tensor] = []
    with torch.no_grad():
        for layer in net:
            X = layer(X)
            if isinstance(layer, nn.Conv2d | nn.Linear | nn.AvgPool2d | nn.MaxPool2d):
                shown.append(X)
            else:
                shown[-1] = X if not isinstance(layer, nn.Flatten) else shown[-1]
    return [layer.flatten(1) for layer in shown]


def numbers_of(net: nn.Sequential) -> str:
    """Return all weights and biases, layer by layer, in half precision and base64."""
    flat = torch.cat([p.detach().flatten() for p in net.parameters()])
    return encoded(flat.half().numpy().astype("<f2").tobytes())


def encoded(data: bytes) -> str:
    """Return bytes in base64."""
    return base64.b64encode(data).decode("ascii")


def entry(source: Source, net: nn.Sequential) -> dict[str, Any]:
    """Describe a net for its file, all but the distances."""
    experiment = EXPERIMENTS[source.experiment]
    plain = folded(net)
    return {
        "experiment": source.experiment,
        "label": label(experiment),
        "data": experiment.name,
        "batchNorm": len(plain) < len(net),
        "layers": layers_of(plain),
        "probes": PROBES,
        "numbers": numbers_of(plain),
    }


def probes(name: str) -> Tensor:
    """Return the images that distances are taken of: test images, and noise."""
    noise = torch.rand(PROBES, 1, 28, 28, generator=generator(664))
    return torch.cat([load(name, train=False).images[:PROBES], noise])


def distances(
    page: Page, described: Mapping[str, Any], net: nn.Sequential, X: Tensor
) -> list[float]:
    """Return how far each layer of the page is from PyTorch's, at most.

    Args:
        page: a tab that has loaded `compute.js`.
        described: the net as in its file, for the page.
        net: the net for PyTorch.
        X: images, shape (n, 1, 28, 28).
    """
    answer = page.evaluate(COMPUTED, [described, encoded(X.numpy().tobytes())])
    theirs = outputs(net, X)
    ours = torch.tensor(np.frombuffer(base64.b64decode(answer), dtype="<f4"))
    layers = ours.reshape(len(X), -1).split([Y.shape[1] for Y in theirs], dim=1)
    pairs = zip(layers, theirs, strict=True)
    return [(Y - Z).abs().max().item() for Y, Z in pairs]


def pictures(images: ImageSet) -> dict[str, Any]:
    """Describe the first test images of each class."""
    labels = images.labels
    chosen = torch.cat([(labels == c).nonzero()[:PER_CLASS, 0] for c in range(10)])
    return {
        "classes": [name.split(" - ")[0] for name in images.classes],
        "indices": chosen.tolist(),
        "labels": labels[chosen].tolist(),
        "pixels": pixels_of(images.images[chosen]),
    }


def pixels_of(images: Tensor) -> str:
    """Return images with values in [0, 1] as bytes, compressed and in base64."""
    pixels = (images * 255).round().to(torch.uint8).numpy()
    return encoded(zlib.compress(pixels.tobytes(), 9))


def foreign(clothes: Tensor) -> dict[str, Any]:
    """Describe the first images of each foreign kind, drawn as in exercise 7.6.5.

    Args:
        clothes: 1,000 test images.
    """
    path = Path(matplotlib.get_data_path(), "sample_data", "grace_hopper.jpg")
    gray = np.asarray(Image.open(path).convert("L"), dtype=np.float32) / 255
    g = generator(765)
    cut_outs = []
    for _ in range(len(clothes)):
        times = int(torch.randint(1, 17, (), generator=g))
        i, j = (
            int(torch.randint(0, n - 28 * times + 1, (), generator=g))
            for n in gray.shape
        )
        square = torch.tensor(gray[None, i : i + 28 * times, j : j + 28 * times])
        cut_outs.append(F.avg_pool2d(square, times))
    places = torch.rand(len(clothes), 784, generator=g).argsort(dim=1)
    shuffled = clothes.flatten(1).gather(1, places).reshape(clothes.shape)
    noise = torch.rand(len(clothes), 1, 28, 28, generator=g)
    kinds = {
        "Cut-out of a photograph": torch.stack(cut_outs)[:6],
        "Shuffled garment": shuffled[:PER_CLASS],
        "Noise": noise[:PER_CLASS],
    }
    names = list(kinds)
    return {
        "classes": names,
        "labels": [names.index(name) for name in names for _ in kinds[name]],
        "pixels": pixels_of(torch.cat(list(kinds.values()))),
    }


def script(name: str, content: Any) -> str:
    """Return the text of a file of the page."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return f'LeNet.register("{name}", {text});\n'


def content(path: Path) -> Any:
    """Return what a file of the page registers."""
    text = path.read_text("utf-8")
    return json.loads(text[text.index("{") : text.rindex("}") + 1])


def write_images() -> None:
    """Write the file of the images."""
    sets = {name: load(name, train=False) for name in ("FashionMNIST", "MNIST")}
    described = {name: pictures(images) for name, images in sets.items()}
    described["foreign"] = foreign(sets["FashionMNIST"].images[:1000])
    write_whole(WEIGHTS / "images.js", script("images", described))


def write_nets(made: Mapping[str, nn.Sequential]) -> Iterable[str]:
    """Write the file of each net; yield a line about each."""
    with chromium() as browser:
        page = browser.new_page()
        page.add_script_tag(path=FOLDER / "compute.js")
        for name, net in made.items():
            described = entry(NETS[name], net)
            X = probes(described["data"])
            described["distances"] = distances(page, described, net, X)
            path = WEIGHTS / f"{name}.js"
            write_whole(path, script(name, described))
            largest = max(described["distances"])
            size = path.stat().st_size / 1000
            yield f"{name}: {size:.0f} kB, at most {largest:.1e} from PyTorch's"


def main(names: Sequence[str]) -> None:
    """Write the files of all nets, or of those that are named, and of the images."""
    make_deterministic()
    WEIGHTS.mkdir(parents=True, exist_ok=True)
    write_images()
    for line in write_nets(nets({name: NETS[name] for name in names or NETS})):
        print(line)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stops as Ctrl-C does
    try:
        main(sys.argv[1:])
    except (DataError, NoBrowserError, NotWrittenError, ValueError) as error:
        sys.exit(f"make: {error}")
