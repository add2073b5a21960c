"""LeNet to play with: its numbers are PyTorch's, and everything on it can be done."""

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from solutions.notebook.reproducibility import generator
from solutions.padding_stride import receptive_field
from solutions.training.data import load
from tools.site.lenet import NETS, WEIGHTS, content, distances, outputs

PAGE = "chapters/lenet-play.html"
READY = "#lenet[data-ready]"
FIRST_LOADED = 300_000  # bytes
FRAME = 1000 / 30  # milliseconds
# What the page names for images, put into it one after the other.
NAMED = """images => images.map(X => {
    const { page } = LeNet;
    page.input.show(Float32Array.from(X));
    page.render();
    page.settle();
    return document.querySelector("#lenet .ln-status").textContent;
})"""
# All that the explanations of some units say, of the net that is shown.
EXPLAINED = """units => units.map(([layer, index]) => {
    const { nets, outputs, input: { X } } = LeNet.page;
    const field = LeNet.compute.receptiveField(nets[0], layer);
    const e = LeNet.compute.explain(nets[0], X, outputs[0], layer, index);
    return { place: e.place, z: e.z, value: e.value, pixels: e.pixels, field,
        sums: e.parts?.map(part => part.sum), bias: e.bias,
        products: e.parts?.map(part => part.taps.map(tap => tap.product)),
        terms: e.terms?.map(term => term.product) };
})"""
CHANGED = """([X, change]) => {
    const { changed, UNCHANGED } = LeNet.image;
    return [...changed(Float32Array.from(X), { ...UNCHANGED, ...change })];
}"""
TIMES = """count => {
    const { page } = LeNet;
    return Array.from({ length: count }, (_, n) => {
        page.input.base = LeNet.image.noise(n);
        const start = performance.now();
        page.render();
        return performance.now() - start;
    });
}"""


@pytest.fixture
def play(open_page):
    """Open the page, and wait until it has put into words what it shows."""

    def play(at="file", anchor="", **options):
        page = open_page(f"{PAGE}{anchor}", at=at, **options)
        page.wait_for_selector(READY, state="attached")
        return page

    return play


@pytest.fixture(scope="module")
def described():
    return {name: content(WEIGHTS / f"{name}.js") for name in NETS}


def rebuilt(described):
    """Build a net for PyTorch from the description that the page reads."""
    numbers = np.frombuffer(base64.b64decode(described["numbers"]), dtype="<f2")
    rest, layers = torch.tensor(numbers.astype(np.float32)), []
    activations = {"sigmoid": nn.Sigmoid, "relu": nn.ReLU}
    for layer in described["layers"]:
        if layer["kind"] == "pool":
            layers.append(
                {"average": nn.AvgPool2d, "max": nn.MaxPool2d}[layer["pooling"]](2)
            )
            continue
        shape = layer["shape"]
        if layer["kind"] == "conv":
            made = nn.Conv2d(shape[1], shape[0], shape[2], padding=layer["padding"])
        else:
            layers += [] if isinstance(layers[-2], nn.Linear) else [nn.Flatten()]
            made = nn.Linear(shape[1], shape[0])
        for parameter in made.parameters():
            parameter.data = rest[: parameter.numel()].reshape(parameter.shape)
            rest = rest[parameter.numel() :]
        layers.append(made)
        if "activation" in layer:
            layers.append(activations[layer["activation"]]())
    assert not len(rest)
    return nn.Sequential(*layers).requires_grad_(False)


def images_of(name):
    return load(name, train=False).images[:50]


@pytest.mark.parametrize("name", NETS)
def test_every_layer_is_pytorchs(play, described, name):
    net, noise = described[name], torch.rand(50, 1, 28, 28, generator=generator(1))
    spikes = (noise > 0.9).float()
    X = torch.cat([images_of("FashionMNIST"), images_of("MNIST"), noise, spikes])
    measured = distances(play(), net, rebuilt(net), X)
    print(name, *(f"{distance:.1e}" for distance in measured))
    largest = [Y.abs().max().item() for Y in outputs(rebuilt(net), X)]
    for distance, most in zip(measured, largest, strict=True):
        assert distance < 5e-6 * max(most, 1)  # PyTorch adds up in single precision


@pytest.mark.parametrize("name", NETS)
def test_the_stated_distances_are_small(described, name):
    stated = described[name]["distances"]
    assert len(stated) == len(described[name]["layers"])
    assert 0 < max(stated) < 0.05


def test_the_page_names_the_class_that_pytorch_names(play, described):
    page = play()
    images = load("FashionMNIST", train=False)
    named = page.evaluate(NAMED, images.images[:100].flatten(1).tolist())
    classes = rebuilt(described["average"])(images.images[:100]).argmax(dim=1)
    for text, c in zip(named, classes.tolist(), strict=True):
        assert text.startswith(f"{images.classes[c]}: ")


def pick(page, net, beside=""):
    page.evaluate("names => LeNet.page.chooseNets(...names)", [net, beside])
    page.evaluate("LeNet.page.render()")


def units(net):
    """Yield some units of each layer: the first, the last, and two drawn at random."""
    g = generator(2)
    for layer, Y in enumerate(outputs(net, torch.zeros(1, 1, 28, 28))):
        drawn = torch.randint(Y.shape[1], (2,), generator=g).tolist()
        yield from ((layer, index) for index in (0, Y.shape[1] - 1, *drawn))


@pytest.mark.parametrize("name", ["average", "max", "recipe"])
def test_every_explanation_adds_up_to_pytorchs_number(play, described, name):
    page, net = play(), rebuilt(described[name])
    pick(page, name)
    X = torch.tensor(page.evaluate("[...LeNet.page.input.X]")).reshape(1, 1, 28, 28)
    linear = nn.Sequential(*(m for m in net if not isinstance(m, nn.Sigmoid | nn.ReLU)))
    assert len(outputs(linear, X)) == len(outputs(net, X))
    chosen = list(units(net))
    for (layer, index), said in zip(
        chosen, page.evaluate(EXPLAINED, chosen), strict=True
    ):
        value = outputs(net, X)[layer][0, index].item()
        assert said["value"] == pytest.approx(value, rel=1e-5, abs=1e-5)
        if said["pixels"]:
            together = max if name == "max" else (lambda four: sum(four) / 4)
            assert together(said["pixels"]) == pytest.approx(value, abs=1e-5)
            continue
        parts = said["sums"] or said["terms"]
        assert sum(parts) + said["bias"] == pytest.approx(said["z"], abs=1e-6)
        for total, products in zip(
            said["sums"] or [], said["products"] or [], strict=True
        ):
            assert sum(products) == pytest.approx(total, abs=1e-6)
        z = torch.tensor(said["z"])
        bounded = torch.relu(z) if name == "recipe" else torch.sigmoid(z)
        is_last = layer == max(chosen)[0]
        assert (z if is_last else bounded).item() == pytest.approx(
            value, rel=1e-5, abs=1e-5
        )


def test_what_a_unit_sees_is_what_its_gradient_reaches(play, described):
    page, net = play(), rebuilt(described["average"])
    chain = [(5, 1, 2), (2, 2, 0), (5, 1, 0), (2, 2, 0)]
    X = torch.rand(1, 1, 28, 28, generator=generator(3), requires_grad=True)
    chosen = [unit for unit in units(net) if unit[0] < 4]
    for (layer, index), said in zip(
        chosen, page.evaluate(EXPLAINED, chosen), strict=True
    ):
        field = said["field"]
        assert (field["size"], field["jump"], field["start"]) == receptive_field(
            chain[: layer + 1]
        )
        Y = net[: (2, 3, 5, 6)[layer]](X).flatten()[index]
        reached = torch.autograd.grad(Y, X)[0][0, 0].abs() > 0
        for axis, i in ((1, said["place"][1]), (0, said["place"][2])):
            first = field["start"] + i * field["jump"]
            seen = range(max(0, first), min(28, first + field["size"]))
            assert reached.any(dim=axis).nonzero().flatten().tolist() == list(seen)


def test_an_image_is_changed_as_pytorch_would(play):
    page = play()
    X = images_of("FashionMNIST")[0, 0]

    def changed(**change):
        return torch.tensor(page.evaluate(CHANGED, [X.flatten().tolist(), change]))

    def expect(Y, **change):
        torch.testing.assert_close(
            changed(**change).reshape(28, 28), Y, rtol=0, atol=1e-6
        )

    expect(X)
    expect(F.pad(X, (3, -3, -2, 2)), right=3, down=-2)
    expect(X.flip(1), mirror=True)
    expect(1 - X, invert=True)
    expect((X - 0.25).clamp(0, 1), brightness=-0.25)
    taps = torch.exp(-(torch.arange(-3.0, 4.0) ** 2) / 2)
    kernel = torch.outer(taps, taps)[None, None] / taps.sum() ** 2
    expect(F.conv2d(X[None, None], kernel, padding=3)[0, 0], blur=1)
    noisy = changed(noise=0.3).reshape(28, 28) - X
    assert 0.1 < noisy.abs().max() <= 0.3 + 1e-6


def test_maps_move_with_the_image_where_the_stride_allows_it(play):
    page = play()
    rows = """[...document.querySelectorAll("#lenet .ln-heading + .ln-wide tr")]
        .map(row => row.innerText)"""
    for right, moved in ((4, 4), (2, 3), (1, 1)):
        page.evaluate("right => LeNet.page.input.setChange({ right })", right)
        page.evaluate("() => { LeNet.page.render(); LeNet.page.settle(); }")
        layers = page.evaluate(rows)[1:5]
        assert [("largest difference 0 " in row) for row in layers] == [
            n < moved for n in range(4)
        ]
        assert all("no whole number" in row for row in layers[moved:])


def test_other_maps_would_not_count_as_moved(play):
    page = play()
    found = page.evaluate("""() => {
        const { nets: [net], input: { base }, outputs: [after] } = LeNet.page;
        const other = LeNet.compute.forward(net, LeNet.image.changed(base,
            { ...LeNet.image.UNCHANGED, mirror: true }));
        const [one, two] = [other[0].values, after[0].values];
        return LeNet.compute.distanceToMoved(net, 0, one, two, [0, 0]);
    }""")
    assert found["largest"] > 0.1


def test_a_picture_is_chosen(play):
    page = play()
    page.get_by_role("button", name="Trouser, picture 1").click()
    shown = "[...LeNet.page.input.base].map(v => Math.round(255 * v))"
    images = load("FashionMNIST", train=False)
    trouser = images.images[images.labels == 1][0] * 255
    assert page.evaluate(shown) == trouser.flatten().tolist()
    page.locator(".ln-choose select").select_option("MNIST")
    page.get_by_role("button", name="7, picture 1").click()
    digits = load("MNIST", train=False)
    assert page.evaluate(shown) == (digits.images[0] * 255).flatten().tolist()


def test_drawing_by_pointer_and_by_key(play):
    page = play(width=375)
    pixel = "([i, j]) => LeNet.page.input.base[28 * i + j]"
    page.get_by_role("button", name="Clear").click()
    canvas = page.get_by_role("application", name="Input")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    step = box["width"] / 28
    page.mouse.move(box["x"] + 5.5 * step, box["y"] + 10.5 * step)
    page.mouse.down()
    page.mouse.move(box["x"] + 20.5 * step, box["y"] + 10.5 * step)
    page.mouse.up()
    assert all(page.evaluate(pixel, [10, j]) > 0.9 for j in range(5, 21))
    assert page.evaluate(pixel, [20, 10]) == 0
    canvas.focus()
    for key in (
        "ArrowDown",
        "Enter",
        "ArrowRight",
        "Enter",
        "ArrowRight",
        "ArrowRight",
    ):
        page.keyboard.press(key)
    assert [page.evaluate(pixel, [15, j]) for j in (14, 15, 17)] == [1, 1, 0]
    page.keyboard.press("Space")
    assert page.evaluate(pixel, [15, 17]) == 1
    page.keyboard.press("Delete")
    assert page.evaluate(pixel, [15, 17]) == 0
    page.wait_for_function(
        "() => /^Row 15, column 17: 0, pen up/.test("
        "document.querySelector('.ln-status').textContent)"
    )


def test_a_finger_draws_and_does_not_scroll(play):
    page = play(width=375, has_touch=True)
    page.get_by_role("button", name="Clear").tap()
    canvas = page.get_by_role("application", name="Input")
    box = canvas.bounding_box()
    step = box["width"] / 28
    page.touchscreen.tap(box["x"] + 8.5 * step, box["y"] + 9.5 * step)
    assert page.evaluate("LeNet.page.input.base[28 * 9 + 8]") > 0.9
    assert canvas.evaluate("canvas => getComputedStyle(canvas).touchAction") == "none"


def test_what_is_drawn_on_is_what_is_seen(play):
    page = play()
    page.evaluate("LeNet.page.input.setChange({ mirror: true, right: 2 })")
    seen = page.evaluate(
        "() => { LeNet.page.render(); return [...LeNet.page.input.X]; }"
    )
    page.get_by_role("application", name="Input").focus()
    page.keyboard.press("Space")
    page.evaluate("LeNet.page.render()")
    now = page.evaluate("[...LeNet.page.input.X]")
    changed = {n for n in range(784) if seen[n] != now[n]}
    assert changed and all(
        abs(n // 28 - 14) < 3 and abs(n % 28 - 14) < 3 for n in changed
    )
    assert not page.get_by_label("Mirror").is_checked()


def test_nets_come_on_demand_and_two_stand_side_by_side(play):
    page = play()
    options = page.locator(".ln-side select").first.locator("option")
    values = [option.get_attribute("value") for option in options.all()]
    assert values == list(NETS)
    loaded = "Object.keys(LeNet.files).sort()"
    assert page.evaluate(loaded) == ["average", "images"]
    page.get_by_label("Beside it").select_option("max")
    page.locator("#lenet figcaption", has_text="A − B").first.wait_for()
    assert page.evaluate(loaded) == ["average", "images", "max"]
    assert page.locator("#lenet canvas[data-net='1']").count() == 6
    largest = page.evaluate("""() => {
        const [one, other] = LeNet.page.outputs.map(outputs => outputs[1].values);
        return Math.max(...one.map((v, n) => Math.abs(v - other[n])));
    }""")
    label = page.locator("#lenet canvas[role=img]").nth(1).get_attribute("aria-label")
    assert float(label.split()[-1]) == pytest.approx(largest, rel=0.06)
    page.get_by_label("Beside it").select_option("recipe")
    page.locator("#lenet canvas[data-layer='0'][width='115']").wait_for()
    assert page.locator("#lenet canvas[role=img]").count() == 0
    page.wait_for_function(
        "() => /^A: .*; B: /.test(document.querySelector('.ln-status').textContent)"
    )


def test_a_unit_is_opened_and_followed_to_the_products(play):
    page = play()
    title = page.locator(".ln-explained .ln-heading")
    page.locator(".ln-answer button").nth(3).click()
    assert title.inner_text().startswith("output, Dress = ")
    page.locator(".ln-terms button").first.click()
    assert title.inner_text().startswith("dense 2, unit ")
    page.locator(".ln-terms button").first.click()
    page.locator(".ln-terms button").first.click()
    assert title.inner_text().startswith("pool 2, map ")
    canvas = page.locator("#lenet canvas[data-layer='2']")
    canvas.click(position={"x": 3, "y": 3})
    assert title.inner_text().startswith("conv 2, map 0, row 0, column 0")
    canvas.focus()
    for key in (
        "ArrowDown",
        "ArrowRight",
        "ArrowRight",
        "PageDown",
        "ArrowUp",
        "ArrowUp",
    ):
        page.keyboard.press(key)
    assert title.inner_text().startswith("conv 2, map 1, row 0, column 2")
    page.locator(".ln-sums button").nth(4).click()
    assert page.locator(".ln-grid caption").first.inner_text() == "Window of map 4"
    assert page.locator(".ln-grid td").count() == 75
    page.get_by_role("button", name="Row below").click()
    assert title.inner_text().startswith("conv 2, map 1, row 1, column 2")
    page.get_by_label("column, 0 to 9").fill("99")
    page.keyboard.press("Tab")
    assert title.inner_text().startswith("conv 2, map 1, row 1, column 9")


def png(width, height):
    """Return a PNG of this size; one without pixels has a header alone."""
    if width * height:
        file = io.BytesIO()
        Image.new("L", (width, height)).save(file, "PNG")
        return file.getvalue()
    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + size + b"\x08\0\0\0\0" + bytes(4)


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="0" height="0"/>'
UNREADABLE = "is no picture that this browser can read"
BAD = {
    "text.png": ("image/png", b"These are words.", UNREADABLE),
    "none.png": ("image/png", png(0, 0), UNREADABLE),
    "none.svg": (
        "image/svg+xml",
        SVG,
        "has 0 × 0 pixels, but at least 1 × 1 is needed",
    ),
    "huge.png": (
        "image/png",
        png(10_000, 5000),
        "has 10000 × 5000 = 50 million pixels, but at most 40 million are read here",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_photograph_is_refused_in_one_sentence(play, name):
    kind, data, words = BAD[name]
    page = play()
    before = page.evaluate("[...LeNet.page.input.base]")
    file = {"name": name, "mimeType": kind, "buffer": data}
    page.locator("#lenet input[type=file]").set_input_files(file)
    error = page.locator("#lenet [role=alert]")
    error.wait_for()
    assert error.inner_text().startswith(f"{name} {words}")
    assert page.evaluate("[...LeNet.page.input.base]") == before
    page.get_by_role("button", name="New noise").click()
    assert not error.is_visible()


def test_a_photograph_becomes_its_middle_square(play, tmp_path):
    pixels = np.zeros((56, 112, 3), dtype=np.uint8)
    pixels[:, 28:56] = (255, 0, 0)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    page = play()
    page.locator("#lenet input[type=file]").set_input_files(tmp_path / "photo.png")
    page.wait_for_function(
        "LeNet.page.input.base[0] > 0.2 && LeNet.page.input.base[0] < 0.4"
    )
    shown = np.array(page.evaluate("[...LeNet.page.input.base]")).reshape(28, 28)
    assert shown[:, :13] == pytest.approx(0.299, abs=0.01)
    assert shown[:, 15:] == pytest.approx(0, abs=0.01)


def test_a_net_that_cannot_be_loaded_is_named(play):
    page = play()
    page.evaluate("() => { LeNet.load = () => Promise.reject(new Error()); }")
    page.get_by_label("Beside it").select_option("recipe")
    error = page.locator("#lenet [role=alert]")
    error.wait_for()
    assert "could not be loaded: average, recipe" in error.inner_text()


def test_little_is_loaded_first(play):
    page = play(at="http")
    sizes = page.evaluate("""() => performance.getEntriesByType("resource")
        .filter(entry => /lenet/.test(entry.name))
        .map(entry => entry.encodedBodySize)""")
    print(f"{sum(sizes)} bytes in {len(sizes)} files")
    assert len(sizes) == 12 and 0 < sum(sizes) <= FIRST_LOADED


def test_a_frame_is_fast_enough_for_a_phone(play):
    page = play(width=375)
    page.context.new_cdp_session(page).send(
        "Emulation.setCPUThrottlingRate", {"rate": 4}
    )
    times = sorted(page.evaluate(TIMES, 60))
    print(f"a quarter of this processor: {times[6]:.1f} ms, median {times[30]:.1f} ms")
    # A machine that is busy with other things makes some frames late, not the fastest.
    assert times[6] < FRAME


def test_a_thousand_frames_keep_no_memory(play):
    page = play()
    session = page.context.new_cdp_session(page)

    def held():
        session.send("HeapProfiler.collectGarbage")
        nodes = session.send("Memory.getDOMCounters")["nodes"]
        return session.send("Runtime.getHeapUsage")["usedSize"], nodes

    page.evaluate(TIMES, 50)
    before = held()
    page.evaluate(TIMES, 1000)
    grown = [now - then for now, then in zip(held(), before, strict=True)]
    print(f"after 1000 frames: {grown[0]} bytes and {grown[1]} nodes more")
    assert grown[0] < 500_000 and grown[1] < 100


def test_maps_are_described_in_words(play):
    page = play()
    label = page.locator("#lenet canvas[data-layer='0']").get_attribute("aria-label")
    values = torch.tensor(page.evaluate("[...LeNet.page.outputs[0][0].values]"))
    maps = values.reshape(6, -1).mean(dim=1)
    assert f"strongest maps on average: {maps.argmax()} (" in label
    share = ((values < 0.05) | (values > 0.95)).double().mean().item()
    assert f"{100 * share:.1f} % of the numbers" in label


def test_every_example_works(play):
    page = play()
    examples = page.locator("button[data-lenet]").all()
    assert len(examples) > 8
    for button in examples:
        button.click()
        page.wait_for_function("LeNet.page.frame === null")
    assert not page.locator("#lenet [role=alert]").is_visible()


def test_an_address_may_name_an_example(play):
    page = play(anchor="#lenet-6-4")
    title = page.locator(
        ".ln-explained .ln-heading", has_text="conv 2, map 3, row 4, column 5"
    )
    title.wait_for()


@pytest.mark.parametrize(
    "nets", [("average", ""), ("average", "max"), ("max", "recipe")]
)
def test_a_phone_is_wide_enough(play, nets):
    page = play(width=375)
    pick(page, *nets)
    for layer in range(len(page.evaluate("LeNet.page.nets[0].layers"))):
        page.evaluate("layer => LeNet.page.unit.choose({ layer, index: 0 })", layer)
        assert page.evaluate("document.documentElement.scrollWidth") <= 375


def test_on_paper_there_is_a_still_without_controls(play):
    page = play()
    page.emulate_media(media="print")
    assert page.locator("#lenet canvas[data-layer]").count() == 6
    assert all(c.is_visible() for c in page.locator("#lenet canvas[data-layer]").all())
    name = "th => getComputedStyle(th, '::before').content"
    assert page.locator(".ln-answer th").nth(9).evaluate(name) == '"Ankle boot"'
    for control in ("fieldset", "select", "input", ".ln-pictures"):
        assert not any(c.is_visible() for c in page.locator(f"#lenet {control}").all())


def test_without_javascript_the_page_says_so(open_page):
    page = open_page(PAGE, java_script_enabled=False)
    assert "needs JavaScript" in page.locator("#lenet").inner_text()
    assert not any(b.is_visible() for b in page.locator("button[data-lenet]").all())
