// LeNet to play with: the page as a whole.
// Belongs here: which nets are shown, what is computed and drawn anew when something
// changes, clicks on maps and classes, the examples. Does not belong here: the input
// (input.js), the number that is explained (unit.js).
"use strict";

(() => {
  const { compute, draw, image, Input, Unit } = LeNet;
  const { element, format, heading, percent, select, table, write } = LeNet.elements;
  const { inWords, scaleOf, sizeOf, verdict } = LeNet.words;
  const NETS = {
    average: "LeNet, average pooling",
    max: "LeNet, max pooling",
    untrained: "LeNet, untrained",
    recipe: "The recipe of exercise 6.6.2",
    digits: "LeNet, trained on digits",
  };
  const SETTLED = 250; // milliseconds after the last change: then it is put into words
  const MOVED = "Do the maps move along?";
  const DISTANCES = "How far from PyTorch?";
  const FIRST = { set: "FashionMNIST", number: 27 }; // an ankle boot

  class Page {
    constructor(mount) {
      this.mount = mount;
      this.nets = [];
      this.input = new Input(this);
      this.unit = new Unit(this);
      this.isStretched = false;
      this.frame = null; // the next one, if something has changed
      this.build();
    }

    /** Load what is shown first. */
    async start() {
      await LeNet.load("images");
      await this.input.readPictures(LeNet.files.images);
      this.input.choosePicture(FIRST.set, FIRST.number);
      await this.chooseNets("average", "");
    }

    // ---- The page's parts -------------------------------------------------------

    build() {
      this.error = element("p", { class: "ln-error", role: "alert", hidden: "" });
      this.status = element("p", { class: "ln-status", role: "status" });
      this.answers = element("div", { class: "ln-answers" });
      this.layers = element("div", { class: "ln-layers" });
      const section = (name) => element("section", { "aria-label": name });
      this.moved = section(MOVED);
      this.distances = section(DISTANCES);
      const side = element(
        "div",
        { class: "ln-side" },
        this.netChoice(),
        this.answers,
        this.status,
      );
      const [canvas, pictures, change] = this.input.parts;
      this.mount.replaceChildren(
        element("div", { class: "ln-top" }, canvas, side),
        this.error,
        pictures,
        change,
        this.viewPart(),
        element("div", {}, this.layers, this.unit.bar),
        this.unit.panel,
        this.moved,
        this.distances,
      );
      this.layers.addEventListener("click", (event) => this.chooseByClick(event));
      this.layers.addEventListener("keydown", (event) => this.moveUnit(event));
      this.answers.addEventListener("click", (event) => this.chooseClass(event));
    }

    viewPart() {
      const box = element("input", { type: "checkbox" });
      box.addEventListener("change", () => {
        this.isStretched = box.checked;
        this.update();
      });
      const label = element(
        "label",
        { class: "ln-switch" },
        box,
        "Stretch the colours of each layer to its own range",
      );
      const hint =
        "Choose any pixel of a map, by click or by arrow keys (Page Up and Page Down: " +
        "other map), to see how its number comes about.";
      return element(
        "div",
        { class: "ln-view" },
        label,
        element("p", { class: "ln-hint" }, hint),
      );
    }

    /** Say in one sentence what went wrong, until another image is shown. */
    fail(message) {
      this.error.textContent = message;
      this.error.hidden = !message;
    }

    // ---- Nets -------------------------------------------------------------------

    netChoice() {
      const options = Object.entries(NETS);
      this.first = select("Net", options, () => this.rechoose());
      this.second = select("Beside it", [["", "none"], ...options], () => this.rechoose());
      return element("div", { class: "ln-row" }, this.first.label, this.second.label);
    }

    rechoose() {
      return this.chooseNets(this.first.made.value, this.second.made.value);
    }

    /** Show one net, or two on the same input. */
    async chooseNets(...names) {
      const wanted = names.filter(Boolean);
      [this.first.made.value, this.second.made.value] = names;
      try {
        await Promise.all(wanted.map((name) => LeNet.load(name)));
      } catch {
        this.fail(`The file of a net could not be loaded: ${wanted.join(", ")}.`);
        return;
      }
      const chosen = [this.first.made.value, this.second.made.value].filter(Boolean);
      if (chosen.join() !== wanted.join()) return; // another choice was made meanwhile
      this.nets = wanted.map((name) => this.decoded(name));
      if (!this.unit.isThere()) this.unit.reset();
      this.buildLayers();
      this.buildDistances();
      this.render();
      this.update();
    }

    /** Decode the file of a net, once. */
    decoded(name) {
      const file = LeNet.files[name];
      file.decoded ??= { ...compute.decodeNet(file), title: NETS[name] };
      return file.decoded;
    }

    get isAlike() {
      const shapes = this.nets.map((net) =>
        JSON.stringify(net.layers.map((l) => l.outShape)),
      );
      return shapes.length === 2 && shapes[0] === shapes[1];
    }

    /** Make a figure for each layer: the maps of each net, and their difference. */
    buildLayers() {
      const letters = this.nets.length > 1 ? ["A: ", "B: "] : [""];
      const depth = Math.max(...this.nets.map((net) => net.layers.length)) - 1;
      this.boxes = this.nets.map(() => []);
      this.differences = [];
      const figures = Array.from({ length: depth }, (_, number) => {
        const figure = element("figure", {});
        for (const [n, net] of this.nets.entries()) {
          const layer = net.layers[number];
          if (!layer || number === net.layers.length - 1) continue;
          const caption = element("figcaption", {});
          const box = draw.mapsBox(layer, {
            tabindex: 0,
            role: "application",
            "data-net": n,
            "data-layer": number,
          });
          this.boxes[n][number] = { ...box, caption, letter: letters[n] };
          figure.append(caption, box.box);
        }
        if (this.isAlike) {
          const caption = element("figcaption", {});
          const box = draw.mapsBox(this.nets[0].layers[number], { role: "img" });
          this.differences[number] = { ...box, caption };
          figure.append(caption, box.box);
        }
        return figure;
      });
      this.layers.replaceChildren(...figures);
      this.tables = this.nets.map((net, n) => this.answerTable(net, n, letters[n]));
      this.answers.replaceChildren(...this.tables.map(({ table }) => table));
    }

    classesOf(net) {
      return this.input.images[net.data].classes;
    }

    answerTable(net, n, letter) {
      const rows = this.classesOf(net).map((name, c) => {
        const bar = element("span", { class: "ln-bar" });
        const number = element("td", {});
        const open = element(
          "button",
          { type: "button", "data-net": n, "data-class": c },
          name,
        );
        const row = element(
          "tr",
          {},
          element("th", { scope: "row", "data-name": name }, open),
          element("td", { class: "ln-bars" }, bar),
          number,
        );
        return { row, bar, number };
      });
      const table = element(
        "table",
        { class: "ln-answer" },
        element("caption", {}, `${letter}${net.title}`),
      );
      table.append(element("tbody", {}, ...rows.map(({ row }) => row)));
      return { table, rows };
    }

    // ---- Computing and drawing anew ---------------------------------------------

    /** Compute and draw in the next frame, however many changes come before it. */
    update() {
      if (!this.nets.length) return;
      this.frame ??= requestAnimationFrame(() => this.render());
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.settle(), SETTLED);
    }

    render() {
      cancelAnimationFrame(this.frame);
      this.frame = null;
      const X = this.input.read();
      this.outputs = this.nets.map((net) => compute.forward(net, X));
      for (const [n, outputs] of this.outputs.entries()) {
        for (const [number, box] of this.boxes[n].entries())
          this.drawLayer(box, outputs[number]);
        this.drawAnswer(this.tables[n], outputs.at(-1).values);
      }
      this.differences.forEach((box, number) => this.drawDifference(box, number));
      this.unit.showTitle();
    }

    drawLayer(box, output) {
      const range = draw.rangeOf(output, this.isStretched);
      draw.paintMaps(box.canvas, box.layer, output.values, range, "maps");
      const name = `${box.letter}${box.layer.name}, ${sizeOf(box.layer)}`;
      write(box.caption, `${name}: ${scaleOf(range)}`);
    }

    drawAnswer({ rows }, logits) {
      const p = compute.softmax(logits);
      const best = p.indexOf(Math.max(...p));
      for (const [c, { row, bar, number }] of rows.entries()) {
        bar.style.width = `${100 * p[c]}%`;
        write(number, percent(p[c]));
        row.classList.toggle("ln-best", c === best);
      }
    }

    drawDifference({ canvas, layer, caption }, number) {
      const [one, other] = this.outputs.map((outputs) => outputs[number].values);
      const values = one.map((v, n) => v - other[n]);
      const largest = values.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
      draw.paintMaps(canvas, layer, values, [-largest, largest], "difference");
      const most = format(largest, 2);
      write(
        caption,
        largest ? `A − B: blue −${most}, red ${most}` : "A − B: no difference",
      );
      canvas.setAttribute(
        "aria-label",
        `${layer.name}, difference of A and B, at most ${most}`,
      );
    }

    drawFrames() {
      if (!this.outputs) return; // the first net is still loading
      for (const old of this.mount.querySelectorAll(".ln-frame")) old.remove();
      const { net } = this.unit;
      draw.frameUnit(
        this.nets[net],
        this.unit,
        this.boxes[net],
        this.input.box,
        this.unit.explain(),
      );
      this.input.framePen();
    }

    /** Put into words what is shown, once nothing changes any more. */
    settle() {
      if (this.frame) return this.update();
      const parts = this.nets.map((net, n) => {
        const letter = this.nets.length > 1 ? `${"AB"[n]}: ` : "";
        return letter + verdict(this.outputs[n].at(-1).values, this.classesOf(net));
      });
      const pen = this.input.hasFocus ? this.input.penInWords() : "";
      this.status.textContent = `${pen}${parts.join("; ")}.`;
      for (const [n, boxes] of this.boxes.entries()) {
        for (const [number, { canvas, letter, layer }] of boxes.entries()) {
          canvas.setAttribute(
            "aria-label",
            `${letter}${layer.name}, ${inWords(this.outputs[n][number])}`,
          );
        }
      }
      this.drawFrames();
      this.unit.showExplanation();
      this.showMoved();
      this.mount.dataset.ready = "";
    }

    // ---- Choosing a number -------------------------------------------------------

    chooseByClick(event) {
      const { net, layer } = event.target.dataset;
      if (net === undefined) return;
      const canvas = event.target;
      const box = canvas.getBoundingClientRect();
      const x = ((event.clientX - box.left) * canvas.width) / box.width;
      const y = ((event.clientY - box.top) * canvas.height) / box.height;
      const index = draw.unitAt(this.nets[net].layers[layer], x, y);
      if (index !== null)
        this.unit.choose({ net: Number(net), layer: Number(layer), index });
    }

    chooseClass(event) {
      const { net, class: index } = event.target.dataset;
      if (net === undefined) return;
      this.unit.choose({
        net: Number(net),
        layer: this.nets[net].layers.length - 1,
        index: Number(index),
      });
    }

    moveUnit(event) {
      const { net, layer } = event.target.dataset;
      if (net === undefined || !Unit.steps.includes(event.key)) return;
      event.preventDefault();
      const isSame = Number(net) === this.unit.net && Number(layer) === this.unit.layer;
      if (isSame) this.unit.step(event.key);
      else this.unit.choose({ net: Number(net), layer: Number(layer), index: 0 });
      this.status.textContent = this.unit.title();
    }

    // ---- Two tables -------------------------------------------------------------

    /** Say of each layer whether its maps have moved with the input. */
    showMoved() {
      const { base, change } = this.input;
      const { right, down } = change;
      const title = heading(MOVED);
      if (!right && !down) {
        this.moved.replaceChildren(
          title,
          element("p", {}, "Move the input with the sliders, and this compares the maps."),
        );
        return;
      }
      const [net] = this.nets;
      const before = compute.forward(
        net,
        image.changed(base, { ...change, right: 0, down: 0 }),
      );
      const after = this.outputs[0];
      const rows = net.layers
        .filter(({ kind }) => kind !== "dense")
        .map(({ name }, n) => {
          const { jump } = compute.receptiveField(net, n);
          const found = compute.distanceToMoved(net, n, before[n].values, after[n].values, [
            down,
            right,
          ]);
          const place = `${format(down / jump)} down, ${format(right / jump)} right`;
          const answer = !found
            ? "no: that is no whole number of pixels here"
            : found.compared
              ? `largest difference ${format(found.largest)} at ${found.compared} places`
              : "no place saw the same pixels before and after";
          return [name, place, answer];
        });
      const answers = [before, after].map((o) =>
        verdict(o.at(-1).values, this.classesOf(net), 1),
      );
      rows.push(["output", "", `before: ${answers[0]}; after: ${answers[1]}`]);
      this.moved.replaceChildren(
        title,
        table(["layer", "moved by", "moved maps against maps of the moved input"], rows),
      );
    }

    /** Say how far the numbers are from PyTorch's. */
    buildDistances() {
      const rows = this.nets.flatMap((net) =>
        net.layers.map(({ name }, n) => [
          net.title,
          name,
          net.distances[n].toExponential(1),
        ]),
      );
      const most = Math.max(...this.nets.flatMap((net) => net.distances));
      const text =
        `The weights are stored in half precision. Over ${this.nets[0].probes} test images ` +
        "and as many images of noise no number shown here was further than " +
        `${most.toExponential(1)} from the one that PyTorch computes with the trained ` +
        "weights, when the files were made.";
      const folded = this.nets.some(({ batchNorm }) => batchNorm)
        ? " The recipe's batch normalisation is folded into its convolutions."
        : "";
      this.distances.replaceChildren(
        heading(DISTANCES),
        element("p", {}, text + folded),
        element(
          "details",
          {},
          element("summary", {}, "Layer by layer"),
          table(["net", "layer", "largest distance"], rows),
        ),
      );
    }

    // ---- Examples ---------------------------------------------------------------

    /** Show what an example of the page describes. */
    async example({
      picture = [FIRST.set, FIRST.number],
      nets = ["average"],
      change = {},
      unit,
    }) {
      this.input.choosePicture(...picture);
      this.input.setChange(change);
      await this.chooseNets(nets[0], nets[1] ?? "");
      this.unit.reset();
      this.unit.choose(unit ? { layer: unit[0], index: unit[1] } : {});
      (unit ? this.layers : this.mount).scrollIntoView({ block: "start" });
    }
  }

  /** Show the example that the address names, such as lenet-play.html#lenet-6-4. */
  function loadFromAddress() {
    const target = document.getElementById(location.hash.slice(1));
    const isBelow = (button) =>
      target.compareDocumentPosition(button) & Node.DOCUMENT_POSITION_FOLLOWING;
    if (target?.id.startsWith("lenet-")) {
      [...document.querySelectorAll("button[data-lenet]")].find(isBelow)?.click();
    }
  }

  async function start() {
    const page = new Page(document.getElementById("lenet"));
    LeNet.page = page; // for the tests
    await page.start();
    for (const button of document.querySelectorAll("button[data-lenet]")) {
      button.hidden = false;
      button.addEventListener("click", () =>
        page.example(JSON.parse(button.dataset.lenet)),
      );
    }
    loadFromAddress();
    addEventListener("hashchange", loadFromAddress);
  }

  start();
})();
