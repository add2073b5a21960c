// LeNet to play with: what a reader does, and what then is computed and drawn anew.
// Belongs here: the page's state, its controls and events, and loading nets on demand.
// Does not belong here: computing (compute.js, image.js) and drawing (draw.js).
"use strict";

(() => {
  const { compute, draw, image } = LeNet;
  const { element } = draw;
  const SETS = { FashionMNIST: "Clothes", MNIST: "Digits", foreign: "Foreign inputs" };
  const NETS = {
    average: "LeNet, average pooling",
    max: "LeNet, max pooling",
    untrained: "LeNet, untrained",
    recipe: "The recipe of exercise 6.6.2",
    digits: "LeNet, trained on digits",
  };
  const SLIDERS = [
    ["right", "Move right", -14, 14, 1],
    ["down", "Move down", -14, 14, 1],
    ["blur", "Blur", 0, 3, 0.25],
    ["brightness", "Brightness", -1, 1, 0.05],
    ["noise", "Noise", 0, 1, 0.05],
  ];
  const SWITCHES = [
    ["mirror", "Mirror"],
    ["invert", "Invert"],
  ];
  const SETTLED = 250; // milliseconds after the last change: then it is put into words
  // The printed book lists h2 and h3 in its contents, and these do not belong there.
  const heading = (text) =>
    element("p", { class: "ln-heading", role: "heading", "aria-level": 2 }, text);
  const UNIT = { net: 0, layer: 0, index: (2 * 28 + 12) * 28 + 14 };
  const FIRST = { set: "FashionMNIST", number: 27 }; // an ankle boot

  class Page {
    constructor(mount) {
      this.mount = mount;
      this.base = image.empty();
      this.change = { ...image.UNCHANGED };
      this.nets = [];
      this.unit = { ...UNIT };
      this.chosenMap = 0;
      this.pen = { row: 14, column: 14, isDown: false, value: 1, width: 2 };
      this.isStretched = false;
      this.frame = null; // the next one, if something has changed
      this.seed = 1;
      this.build();
    }

    /** Load what is shown first. */
    async start() {
      await LeNet.load("images");
      this.images = {};
      for (const [name, { pixels, ...others }] of Object.entries(LeNet.files.images)) {
        this.images[name] = { ...others, pictures: await image.decodeImages(pixels) };
      }
      this.showPictures("FashionMNIST");
      this.base = this.images[FIRST.set].pictures[FIRST.number].slice();
      await this.chooseNets("average", "");
    }

    // ---- The page's parts -------------------------------------------------------

    build() {
      this.error = element("p", { class: "ln-error", role: "alert", hidden: "" });
      this.status = element("p", { class: "ln-status", role: "status" });
      this.answers = element("div", { class: "ln-answers" });
      this.layers = element("div", { class: "ln-layers" });
      this.explained = element("section", { class: "ln-explained", "aria-label": "One number explained" });
      this.moved = element("div");
      this.distances = element("div");
      const side = element("div", { class: "ln-side" }, this.netChoice(), this.answers, this.status);
      this.mount.replaceChildren(
        element("div", { class: "ln-top" }, this.canvasPart(), side),
        this.error,
        this.picturePart(),
        this.changePart(),
        this.viewPart(),
        element("div", {}, this.layers, this.chosenPart()),
        this.explained,
        this.moved,
        this.distances,
      );
      this.layers.addEventListener("click", (event) => this.chooseByClick(event));
      this.layers.addEventListener("keydown", (event) => this.moveUnit(event));
      this.answers.addEventListener("click", (event) => this.chooseClass(event));
      this.explained.addEventListener("click", (event) => this.openTerm(event));
      this.explained.addEventListener("change", (event) => this.chooseByFields(event));
    }

    button(text, action) {
      const made = element("button", { type: "button" }, text);
      made.addEventListener("click", action);
      return made;
    }

    select(name, options, action) {
      const made = element("select", {});
      for (const [value, text] of options) made.append(element("option", { value }, text));
      made.addEventListener("change", () => action(made.value));
      return { made, label: element("label", {}, name, made) };
    }

    canvasPart() {
      this.input = draw.mapsBox(draw.GRAY, {
        tabindex: 0,
        role: "application",
        "aria-label": "Input, 28 × 28 pixels, to draw on",
        "aria-describedby": "ln-keys",
      });
      this.input.box.classList.add("ln-input");
      const { canvas } = this.input;
      canvas.addEventListener("pointerdown", (event) => this.beginStroke(event));
      canvas.addEventListener("pointermove", (event) => this.goOnStroke(event));
      for (const name of ["pointerup", "pointercancel"]) {
        canvas.addEventListener(name, () => (this.stroke = null));
      }
      canvas.addEventListener("keydown", (event) => this.drawByKey(event));
      canvas.addEventListener("focus", () => this.drawFrames());
      canvas.addEventListener("blur", () => this.drawFrames());
      const pen = this.select("Pen", [[1, "draws"], [0, "erases"]], (v) => (this.pen.value = Number(v)));
      const width = this.select("Width", [[2, "2"], [1, "1"], [3, "3"]], (v) => (this.pen.width = Number(v)));
      const keys =
        "Draw with mouse, finger or pen. By keyboard: arrow keys move, Space draws a dot, " +
        "Enter puts the pen down or lifts it, Delete erases.";
      return element(
        "div",
        { class: "ln-draw" },
        this.input.box,
        element("div", { class: "ln-row" }, pen.label, width.label, this.button("Clear", () => this.show(image.empty()))),
        element("p", { class: "ln-hint", id: "ln-keys" }, keys),
      );
    }

    netChoice() {
      const options = Object.entries(NETS);
      this.first = this.select("Net", options, () => this.rechoose());
      this.second = this.select("Beside it", [["", "none"], ...options], () => this.rechoose());
      return element("div", { class: "ln-row" }, this.first.label, this.second.label);
    }

    picturePart() {
      this.sets = this.select("Pictures", Object.entries(SETS), (name) => this.showPictures(name));
      this.pictures = element("div", { class: "ln-pictures", role: "group", "aria-label": "Pictures to choose from" });
      const file = element("input", { type: "file", accept: "image/*" });
      file.addEventListener("change", () => this.read(file));
      const noise = this.button("New noise", () => this.show(image.noise(this.seed++)));
      return element(
        "div",
        { class: "ln-choose" },
        element("div", { class: "ln-row" }, this.sets.label, noise, element("label", {}, "A photograph of yours (it stays on this machine)", file)),
        this.pictures,
      );
    }

    changePart() {
      this.controls = {};
      const field = (name, title, attributes) => {
        const input = element("input", attributes);
        const shown = element("output", {});
        this.controls[name] = { input, shown };
        input.addEventListener("input", () => this.readChange());
        return element("label", {}, title, input, shown);
      };
      const sliders = SLIDERS.map(([name, title, min, max, step]) =>
        field(name, title, { type: "range", min, max, step, value: 0 }),
      );
      const switches = SWITCHES.map(([name, title]) => field(name, title, { type: "checkbox" }));
      const reset = this.button("Undo all", () => this.setChange(image.UNCHANGED));
      return element(
        "fieldset",
        { class: "ln-change" },
        element("legend", {}, "Change the input"),
        ...sliders,
        ...switches,
        reset,
      );
    }

    viewPart() {
      const box = element("input", { type: "checkbox" });
      box.addEventListener("change", () => {
        this.isStretched = box.checked;
        this.update();
      });
      const label = element("label", { class: "ln-switch" }, box, "Stretch the colours of each layer to its own range");
      const hint = "Choose any pixel of a map, by click or by arrow keys (Page Up and Page Down: other map), to see how its number comes about.";
      return element("div", { class: "ln-view" }, label, element("p", { class: "ln-hint" }, hint));
    }

    /** A bar that stays in view below the maps: the chosen unit, and the way to it. */
    chosenPart() {
      this.chosen = element("span", {});
      const down = this.button("How it comes about", () => this.explained.scrollIntoView());
      return element("div", { class: "ln-chosen-bar" }, this.chosen, down);
    }

    // ---- Input ------------------------------------------------------------------

    showPictures(name) {
      const { classes, labels, pictures } = this.images[name];
      const buttons = pictures.map((X, n) => {
        const title = `${classes[labels[n]]}, picture ${labels.slice(0, n).filter((l) => l === labels[n]).length + 1}`;
        const canvas = element("canvas", { width: 28, height: 28 });
        draw.paintImage(canvas, X);
        const made = this.button(canvas, () => this.show(X.slice()));
        made.setAttribute("aria-label", title);
        made.title = title;
        return made;
      });
      this.sets.made.value = name;
      this.pictures.replaceChildren(...buttons);
    }

    /** Show another image; the changes stay. */
    show(X) {
      this.base = X;
      this.fail("");
      this.update();
    }

    async read(file) {
      const [chosen] = file.files;
      if (!chosen) return;
      try {
        this.show(await image.fromFile(chosen));
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        this.fail(error.message);
      }
      file.value = ""; // so that the same file may be chosen again
    }

    fail(message) {
      this.error.textContent = message;
      this.error.hidden = !message;
    }

    readChange() {
      for (const [name, { input }] of Object.entries(this.controls)) {
        this.change[name] = input.type === "range" ? Number(input.value) : input.checked;
      }
      this.showChange();
      this.update();
    }

    setChange(change) {
      this.change = { ...image.UNCHANGED, ...change };
      for (const [name, { input }] of Object.entries(this.controls)) {
        if (input.type === "range") input.value = this.change[name];
        else input.checked = this.change[name];
      }
      this.showChange();
      this.update();
    }

    showChange() {
      for (const { input, shown } of Object.values(this.controls)) {
        if (input.type === "range") shown.textContent = draw.format(Number(input.value));
      }
    }

    // ---- Drawing by hand and by key ---------------------------------------------

    /** Draw on what is seen: its changes become part of the image. */
    keepChanges() {
      this.base = this.X.slice();
      if (Object.values(this.change).some(Boolean)) this.setChange(image.UNCHANGED);
    }

    placeOf(event) {
      const box = this.input.canvas.getBoundingClientRect();
      const scale = image.SIZE / box.width;
      return [(event.clientY - box.top) * scale - 0.5, (event.clientX - box.left) * scale - 0.5];
    }

    beginStroke(event) {
      this.keepChanges();
      this.input.canvas.setPointerCapture(event.pointerId);
      this.stroke = this.placeOf(event);
      this.goOnStroke(event);
    }

    /** Paint from the last place to this one, in steps of half a pixel. */
    goOnStroke(event) {
      if (!this.stroke) return;
      const [from, to] = [this.stroke, this.placeOf(event)];
      const steps = Math.max(1, Math.ceil(2 * Math.hypot(to[0] - from[0], to[1] - from[1])));
      for (let n = 1; n <= steps; n++) {
        const at = (axis) => from[axis] + ((to[axis] - from[axis]) * n) / steps;
        image.paint(this.base, at(0), at(1), this.pen.width, this.pen.value);
      }
      this.stroke = to;
      this.update();
    }

    drawByKey(event) {
      const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
      const { pen } = this;
      const step = steps[event.key];
      if (!step && ![" ", "Enter", "Delete", "Backspace"].includes(event.key)) return;
      event.preventDefault();
      if (step) {
        const kept = (v) => Math.min(image.SIZE - 1, Math.max(0, v));
        [pen.row, pen.column] = [kept(pen.row + step[0]), kept(pen.column + step[1])];
      }
      if (event.key === "Enter") pen.isDown = !pen.isDown;
      const erases = event.key === "Delete" || event.key === "Backspace";
      if (pen.isDown || event.key === " " || erases) {
        this.keepChanges();
        image.paint(this.base, pen.row, pen.column, pen.width, erases ? 0 : pen.value);
      }
      this.drawFrames();
      this.update();
    }

    /** Say where the pen is, for those who draw by key. */
    penInWords() {
      const { row, column, isDown } = this.pen;
      const value = draw.format(this.X[row * image.SIZE + column], 2);
      return `Row ${row}, column ${column}: ${value}, pen ${isDown ? "down" : "up"}. `;
    }

    // ---- Nets -------------------------------------------------------------------

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
      this.nets = wanted.map((name) => (LeNet.files[name].decoded ??= compute.decodeNet(LeNet.files[name])));
      const { net, layer, index } = this.unit;
      const isThere = this.nets[net]?.layers[layer]?.outShape.reduce((a, b) => a * b) > index;
      if (!isThere) this.unit = { ...UNIT };
      this.buildLayers();
      this.buildDistances();
      this.update();
    }

    get isAlike() {
      const shapes = this.nets.map((net) => JSON.stringify(net.layers.map((l) => l.outShape)));
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
            tabindex: 0, role: "application", "data-net": n, "data-layer": number,
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
      return this.images[net.data].classes;
    }

    answerTable(net, n, letter) {
      const rows = this.classesOf(net).map((name, c) => {
        const bar = element("span", { class: "ln-bar" });
        const number = element("td", {});
        const open = element("button", { type: "button", "data-net": n, "data-class": c }, name);
        const row = element("tr", {}, element("th", { scope: "row" }, open), element("td", { class: "ln-bars" }, bar), number);
        return { row, bar, number };
      });
      const table = element("table", { class: "ln-answer" }, element("caption", {}, `${letter}${net.title}`));
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
      this.X = image.changed(this.base, this.change);
      this.outputs = this.nets.map((net) => compute.forward(net, this.X));
      draw.paintImage(this.input.canvas, this.X);
      for (const [n, outputs] of this.outputs.entries()) {
        for (const [number, box] of this.boxes[n].entries()) this.drawLayer(box, outputs[number]);
        this.drawAnswer(this.tables[n], outputs.at(-1).values);
      }
      this.differences.forEach((box, number) => this.drawDifference(box, number));
      draw.write(this.chosen, this.title());
    }

    drawLayer(box, output) {
      const range = draw.rangeOf(output, this.isStretched);
      draw.paintMaps(box.canvas, box.layer, output.values, range, "maps");
      const name = `${box.letter}${box.layer.name}, ${draw.sizeOf(box.layer)}`;
      draw.write(box.caption, `${name}: ${draw.scaleOf(range)}`);
    }

    drawAnswer({ rows }, logits) {
      const p = compute.softmax(logits);
      const best = p.indexOf(Math.max(...p));
      for (const [c, { row, bar, number }] of rows.entries()) {
        bar.style.width = `${100 * p[c]}%`;
        draw.write(number, draw.percent(p[c]));
        row.classList.toggle("ln-best", c === best);
      }
    }

    drawDifference({ canvas, layer, caption }, number) {
      const [one, other] = this.outputs.map((outputs) => outputs[number].values);
      const values = one.map((v, n) => v - other[n]);
      const largest = values.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
      draw.paintMaps(canvas, layer, values, [-largest, largest], "difference");
      const most = draw.format(largest, 2);
      draw.write(caption, largest ? `A − B: blue −${most}, red ${most}` : "A − B: no difference");
      canvas.setAttribute("aria-label", `${layer.name}, difference of A and B, at most ${most}`);
    }

    explain() {
      const { net, layer, index } = this.unit;
      return compute.explain(this.nets[net], this.X, this.outputs[net], layer, index);
    }

    drawFrames() {
      for (const old of this.mount.querySelectorAll(".ln-frame")) old.remove();
      const { net } = this.unit;
      draw.frameUnit(this.nets[net], this.unit, this.boxes[net], this.input, this.explain());
      if (document.activeElement === this.input.canvas) {
        draw.frame(this.input, 0, [this.pen.row, this.pen.column, 1, 1], "chosen");
      }
    }

    /** Put into words what is shown, once nothing changes any more. */
    settle() {
      if (this.frame) return this.update();
      const parts = this.nets.map((net, n) => {
        const letter = this.nets.length > 1 ? `${"AB"[n]}: ` : "";
        return letter + draw.verdict(this.outputs[n].at(-1).values, this.classesOf(net));
      });
      const pen = document.activeElement === this.input.canvas ? this.penInWords() : "";
      this.status.textContent = `${pen}${parts.join("; ")}.`;
      for (const [n, boxes] of this.boxes.entries()) {
        for (const [number, { canvas, letter, layer }] of boxes.entries()) {
          canvas.setAttribute("aria-label", `${letter}${layer.name}, ${draw.inWords(this.outputs[n][number])}`);
        }
      }
      this.drawFrames();
      this.showExplanation();
      this.showMoved();
      this.mount.dataset.ready = "";
    }

    // ---- One number explained ---------------------------------------------------

    choose(unit) {
      this.unit = { ...this.unit, ...unit };
      this.chosenMap = 0;
      draw.write(this.chosen, this.title());
      this.drawFrames();
      this.showExplanation();
    }

    chooseByClick(event) {
      const { net, layer } = event.target.dataset;
      if (net === undefined) return;
      const canvas = event.target;
      const box = canvas.getBoundingClientRect();
      const x = ((event.clientX - box.left) * canvas.width) / box.width;
      const y = ((event.clientY - box.top) * canvas.height) / box.height;
      const index = draw.unitAt(this.nets[net].layers[layer], x, y);
      if (index !== null) this.choose({ net: Number(net), layer: Number(layer), index });
    }

    chooseClass(event) {
      const { net, class: index } = event.target.dataset;
      if (net === undefined) return;
      this.choose({ net: Number(net), layer: this.nets[net].layers.length - 1, index: Number(index) });
    }

    openTerm(event) {
      const { open, step, map } = event.target.dataset;
      if (open !== undefined) this.choose({ layer: this.unit.layer - 1, index: Number(open) });
      if (step !== undefined) this.step(step);
      if (map !== undefined) this.showExplanation(Number(map));
    }

    moveUnit(event) {
      const { net, layer } = event.target.dataset;
      if (net === undefined || !(event.key in STEPS)) return;
      event.preventDefault();
      const isSame = Number(net) === this.unit.net && Number(layer) === this.unit.layer;
      if (isSame) this.step(event.key);
      else this.choose({ net: Number(net), layer: Number(layer), index: 0 });
      this.status.textContent = this.title();
    }

    /** Go to a neighbour; at the edge of a map nothing happens. */
    step(key) {
      const layer = this.nets[this.unit.net].layers[this.unit.layer];
      const [maps, rows, columns] = this.sizes(layer);
      const [dm, di, dj] = STEPS[key];
      const [map, i, j] = this.placeIn(layer);
      const to = [map + dm, i + di, j + dj];
      if (to.every((v, axis) => v >= 0 && v < [maps, rows, columns][axis])) {
        this.choose({ index: (to[0] * rows + to[1]) * columns + to[2] });
      }
    }

    /** Maps, rows and columns to move in; dense units lie in rows as they are drawn. */
    sizes(layer) {
      if (layer.outShape.length > 1) return layer.outShape;
      const [units] = layer.outShape;
      return [1, 1, units];
    }

    placeIn(layer) {
      const place = compute.placeOf(layer, this.unit.index);
      return place.length > 1 ? place : [0, 0, place[0]];
    }

    title() {
      const { net, layer, index } = this.unit;
      const letter = this.nets.length > 1 ? `${"AB"[net]}: ` : "";
      const made = this.nets[net].layers[layer];
      const name =
        made.name === "output" ? `output, ${this.classesOf(this.nets[net])[index]}` : draw.nameOf(made, index);
      return `${letter}${name} = ${draw.format(this.outputs[net][layer].values[index])}`;
    }

    showExplanation(map = this.chosenMap) {
      const { net, layer, index } = this.unit;
      const explained = this.explain();
      this.chosenMap = map;
      const isLast = layer === this.nets[net].layers.length - 1;
      const p = isLast ? compute.softmax(this.outputs[net][layer].values)[index] : null;
      const isOpen = this.explained.querySelector("details")?.open;
      const focus = this.focusOf();
      this.explained.replaceChildren(
        heading(this.title()),
        this.unitFields(),
        ...this.mapChoice(explained),
        ...draw.explanation(this.nets[net], this.unit, explained, map, p),
      );
      const details = this.explained.querySelector("details");
      if (details) details.open = isOpen;
      this.explained.querySelector(focus)?.focus();
    }

    /** What has the focus in the explanation, to find it again in the next one. */
    focusOf() {
      const node = document.activeElement;
      if (!this.explained.contains(node)) return ":not(*)";
      const { step, map, field } = node.dataset;
      return `[data-step="${step}"], [data-map="${map}"], [data-field="${field}"]`;
    }

    /** Fields and buttons that choose a unit, for keys and for thumbs. */
    unitFields() {
      const { layers } = this.nets[this.unit.net];
      const layer = layers[this.unit.layer];
      const isFlat = layer.outShape.length === 1;
      const names = isFlat ? ["unit"] : ["map", "row", "column"];
      const place = compute.placeOf(layer, this.unit.index);
      const fields = names.map((name, axis) => {
        const max = layer.outShape[axis] - 1;
        const input = element("input", { type: "number", min: 0, max, value: place[axis], "data-field": axis });
        return element("label", {}, `${name}, 0 to ${max}`, input);
      });
      const select = element("select", { "data-field": "layer" });
      for (const [n, { name }] of layers.entries()) select.append(element("option", { value: n }, name));
      select.value = this.unit.layer;
      const arrows = Object.entries(isFlat ? FLAT_ARROWS : ARROWS).map(([key, [text, title]]) =>
        element("button", { type: "button", "data-step": key, "aria-label": title }, text),
      );
      return element(
        "div",
        { class: "ln-row" },
        element("label", {}, "layer", select),
        ...fields,
        element("div", { class: "ln-arrows", role: "group", "aria-label": "Neighbours" }, ...arrows),
      );
    }

    chooseByFields(event) {
      const { field } = event.target.dataset;
      if (field === "layer") return this.choose({ layer: Number(event.target.value), index: 0 });
      const layer = this.nets[this.unit.net].layers[this.unit.layer];
      const place = compute.placeOf(layer, this.unit.index);
      const most = layer.outShape[field] - 1;
      place[field] = Math.min(most, Math.max(0, Math.round(Number(event.target.value))));
      const [map, i = 0, j = 0] = place;
      const [, rows = 1, columns = 1] = layer.outShape;
      this.choose({ index: (map * rows + i) * columns + j });
    }

    /** Buttons for the maps that a convolution sums over. */
    mapChoice({ parts = [] }) {
      if (parts.length < 2) return [];
      const buttons = parts.map((part, m) =>
        element(
          "button",
          { type: "button", "data-map": m, "aria-pressed": m === this.chosenMap },
          `map ${m}: ${draw.format(part.sum)}`,
        ),
      );
      const label = "Each map of the layer before gives the sum of its products";
      return [
        element("p", {}, `${label}; choose one to see its products.`),
        element("div", { class: "ln-row ln-sums", role: "group", "aria-label": label }, ...buttons),
      ];
    }

    // ---- Two tables -------------------------------------------------------------

    /** Say of each layer whether its maps have moved with the input. */
    showMoved() {
      const { right, down } = this.change;
      const title = heading("Do the maps move along?");
      if (!right && !down) {
        this.moved.replaceChildren(title, element("p", {}, "Move the input with the sliders, and this compares the maps."));
        return;
      }
      const [net] = this.nets;
      const before = compute.forward(net, image.changed(this.base, { ...this.change, right: 0, down: 0 }));
      const after = this.outputs[0];
      const rows = net.layers
        .filter(({ kind }) => kind !== "dense")
        .map(({ name }, n) => {
          const { jump } = compute.receptiveField(net, n);
          const found = compute.distanceToMoved(net, n, before[n].values, after[n].values, [down, right]);
          const place = `${draw.format(down / jump)} down, ${draw.format(right / jump)} right`;
          const answer = !found
            ? "no: that is no whole number of pixels here"
            : found.compared
              ? `largest difference ${draw.format(found.largest)} at ${found.compared} places`
              : "no place saw the same pixels before and after";
          return [name, place, answer];
        });
      const answers = [before, after].map((o) => draw.verdict(o.at(-1).values, this.classesOf(net), 1));
      rows.push(["output", "", `before: ${answers[0]}; after: ${answers[1]}`]);
      this.moved.replaceChildren(
        title,
        this.table(["layer", "moved by", "moved maps against maps of the moved input"], rows),
      );
    }

    /** Say how far the numbers are from PyTorch's. */
    buildDistances() {
      const rows = this.nets.flatMap((net) =>
        net.layers.map(({ name }, n) => [net.title, name, net.distances[n].toExponential(1)]),
      );
      const most = Math.max(...this.nets.flatMap((net) => net.distances));
      const text =
        "The weights are stored in half precision. Over 100 test images and 100 images of noise " +
        `no number shown here was further than ${most.toExponential(1)} from the one that PyTorch computes ` +
        "with the trained weights, when the files were made.";
      const folded = this.nets.some(({ batchNorm }) => batchNorm)
        ? " The recipe's batch normalisation is folded into its convolutions."
        : "";
      this.distances.replaceChildren(
        heading("How far from PyTorch?"),
        element("p", {}, text + folded),
        element("details", {}, element("summary", {}, "Layer by layer"), this.table(["net", "layer", "largest distance"], rows)),
      );
    }

    table(head, rows) {
      const cells = (tag, row, attributes) => row.map((text) => element(tag, attributes, text));
      const table = element(
        "table",
        { class: "ln-terms" },
        element("thead", {}, element("tr", {}, ...cells("th", head, { scope: "col" }))),
        element("tbody", {}, ...rows.map((row) => element("tr", {}, ...cells("td", row, {})))),
      );
      return element("div", { class: "ln-wide" }, table);
    }

    // ---- Examples ---------------------------------------------------------------

    /** Show what an example of the page describes. */
    async example({ picture = [FIRST.set, FIRST.number], nets = ["average"], change = {}, unit }) {
      const [set, number] = picture;
      this.showPictures(set);
      this.base = this.images[set].pictures[number].slice();
      this.setChange(change);
      await this.chooseNets(nets[0], nets[1] ?? "");
      this.render();
      this.choose(unit ? { net: 0, layer: unit[0], index: unit[1] } : UNIT);
      (unit ? this.layers : this.mount).scrollIntoView({ block: "start" });
    }
  }

  const STEPS = {
    ArrowUp: [0, -1, 0],
    ArrowDown: [0, 1, 0],
    ArrowLeft: [0, 0, -1],
    ArrowRight: [0, 0, 1],
    PageUp: [-1, 0, 0],
    PageDown: [1, 0, 0],
  };
  const FLAT_ARROWS = { ArrowLeft: ["←", "Unit before"], ArrowRight: ["→", "Unit after"] };
  const ARROWS = {
    ArrowLeft: ["←", "Column before"],
    ArrowRight: ["→", "Column after"],
    ArrowUp: ["↑", "Row above"],
    ArrowDown: ["↓", "Row below"],
    PageUp: ["map −", "Map before"],
    PageDown: ["map +", "Map after"],
  };

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
      button.addEventListener("click", () => page.example(JSON.parse(button.dataset.lenet)));
    }
    loadFromAddress();
    addEventListener("hashchange", loadFromAddress);
  }

  start();
})();
