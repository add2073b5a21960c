// The sliding window of chapters/play.md: input, kernel, padding, stride and dilation
// in, every window, its products and the output out.
// Belongs here: the page's arithmetic, its controls and its drawing. Does not belong
// here: what is worth trying (the page), colours and sizes (sliding-window.css).
// The arithmetic is compared with solutions/ and PyTorch in tests/site.
"use strict";

(() => {
  const AXES = ["vertical", "horizontal"];
  const LARGEST = 20; // rows or columns that are drawn
  const MILLISECONDS = 900; // that one window stays while the player runs

  // ---- Arithmetic: pure functions; a matrix is an array of rows -----------------

  const pair = (numbers) => `(${numbers.join(", ")})`;

  /** Read rows of numbers, one row per line; Python's brackets and commas may stay. */
  function parseMatrix(name, text) {
    const rows = text
      .split(/[\n;\]]/)
      .map((line) => line.replace(/[[,]/g, " ").replace(/\u2212/g, "-").trim())
      .filter((line) => line !== "")
      .map((line) => line.split(/\s+/));
    for (const [i, row] of rows.entries()) {
      for (const word of row) {
        if (!/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(word)) {
          throw new RangeError(`${name} has "${word}" in row ${i}, which is no number`);
        }
      }
    }
    if (rows.length === 0) {
      throw new RangeError(`${name} is empty, but must have at least one number`);
    }
    const other = rows.findIndex((row) => row.length !== rows[0].length);
    if (other > 0) {
      throw new RangeError(
        `${name} has ${rows[0].length} numbers in row 0 and ${rows[other].length} in ` +
          `row ${other}, but all rows must be of one length`,
      );
    }
    return rows.map((row) => row.map(Number));
  }

  /** Check one setting, in the words of `as_pair` in solutions/shapes.py. */
  function checkPair(name, value, minimum) {
    if (!value.every((v) => Number.isInteger(v) && v >= minimum)) {
      throw new RangeError(
        `${name} is ${pair(value)}, but must be an int or a pair of ints, ` +
          `each at least ${minimum}`,
      );
    }
  }

  /** Compute the output's shape; refuse what `conv_output_shape` refuses, as it does. */
  function outputShape(inputShape, kernelSize, { padding, stride, dilation }) {
    checkPair("stride", stride, 1);
    checkPair("padding", padding, 0);
    checkPair("dilation", dilation, 1);
    const padded = inputShape.map((n, axis) => n + 2 * padding[axis]);
    const span = kernelSize.map((k, axis) => dilation[axis] * (k - 1) + 1);
    if (span.some((reach, axis) => reach > padded[axis])) {
      throw new RangeError(
        `kernel_size is ${pair(kernelSize)} and spans ${pair(span)} pixels with ` +
          `dilation ${pair(dilation)}, but the padded input has only ${pair(padded)}`,
      );
    }
    return padded.map((n, axis) => Math.floor((n - span[axis]) / stride[axis]) + 1);
  }

  const shapeOf = (matrix) => [matrix.length, matrix[0].length];

  /** Cross-correlate: the padded input, and for each output its taps and its value. */
  function slide(X, K, settings) {
    const [rows, columns] = outputShape(shapeOf(X), shapeOf(K), settings);
    const { padding, stride, dilation } = settings;
    const [height, width] = shapeOf(X).map((n, axis) => n + 2 * padding[axis]);
    const padded = Array.from({ length: height }, (_, i) =>
      Array.from({ length: width }, (_, j) => X[i - padding[0]]?.[j - padding[1]] ?? 0),
    );
    const windows = Array.from({ length: rows }, (_, i) =>
      Array.from({ length: columns }, (_, j) => {
        const taps = K.flatMap((row, a) =>
          row.map((weight, b) => {
            const place = [i * stride[0] + a * dilation[0], j * stride[1] + b * dilation[1]];
            return { place, weight, pixel: padded[place[0]][place[1]] };
          }),
        );
        const value = taps.reduce((sum, tap) => sum + tap.pixel * tap.weight, 0);
        return { taps, value };
      }),
    );
    return { padded, windows };
  }

  // ---- Drawing ------------------------------------------------------------------

  function format(value) {
    const rounded = Number(value.toPrecision(6));
    return String(rounded).replace("-", "\u2212");
  }

  /** Make an element with attributes and children. */
  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  /** Make a table of numbers below its title; `attributes(i, j)` are a cell's own. */
  function table(title, matrix, attributes = () => ({}), role = "table") {
    const rows = matrix.map((row, i) =>
      element(
        "tr",
        {},
        ...row.map((value, j) =>
          element("td", { "data-value": value, ...attributes(i, j) }, format(value)),
        ),
      ),
    );
    const name = `${title}, ${shapeOf(matrix).join(" × ")}`;
    const body = element("tbody", {}, ...rows);
    return [
      element("p", { class: "sw-title", "aria-hidden": "true" }, name),
      element("table", { role, "aria-label": name }, body),
    ];
  }

  class SlidingWindow {
    constructor(mount) {
      this.mount = mount;
      this.place = [0, 0];
      this.timer = null;
      this.build();
      this.update();
    }

    build() {
      this.fields = { X: this.matrixField("Input X"), K: this.matrixField("Kernel K") };
      this.settings = {};
      const settings = [
        ["padding", "Padding, per side", 0],
        ["stride", "Stride", 1],
        ["dilation", "Dilation", 1],
      ].map(([name, title, minimum]) => this.pairField(name, title, minimum));
      const matrices = Object.values(this.fields).map(({ label }) => label);
      this.error = element("p", { class: "sw-error", role: "alert" });
      this.shape = element("p", { class: "sw-shape" });
      this.sum = element("p", { class: "sw-sum" });
      this.status = element("div", { role: "status" }, this.shape, this.sum);
      const button = (text, action) => {
        const made = element("button", { type: "button" }, text);
        made.addEventListener("click", action);
        return made;
      };
      this.player = button("Play", () => (this.timer ? this.pause() : this.play()));
      this.steps = element(
        "div",
        { class: "sw-player", role: "group", "aria-label": "Move the window" },
        button("Previous", () => this.step(-1)),
        this.player,
        button("Next", () => this.step(1)),
      );
      this.frame = element("div", { class: "sw-frame", "aria-hidden": "true" });
      this.grids = element("div", { class: "sw-grids" });
      const form = element(
        "form",
        {},
        element("div", { class: "sw-row" }, ...matrices),
        element("div", { class: "sw-row" }, ...settings),
      );
      form.addEventListener("submit", (event) => event.preventDefault());
      form.addEventListener("input", () => this.update());
      this.mount.replaceChildren(form, this.error, this.steps, this.status, this.grids);
      addEventListener("resize", () => this.result && this.select(this.place));
      this.load(this.mount.dataset);
    }

    matrixField(title) {
      const area = element("textarea", { rows: 5, spellcheck: "false", autocomplete: "off" });
      const label = element("label", { class: "sw-matrix" }, title, area);
      return { label, area };
    }

    pairField(name, title, minimum) {
      this.settings[name] = AXES.map((axis) =>
        element("input", { type: "number", min: minimum, step: 1, value: minimum }),
      );
      const labels = AXES.map((axis, i) =>
        element("label", {}, axis, this.settings[name][i]),
      );
      return element("fieldset", {}, element("legend", {}, title), ...labels);
    }

    /** Show an example: matrices with ";" between the rows, and pairs of numbers. */
    load({ x, k, padding = "0 0", stride = "1 1", dilation = "1 1" }) {
      this.pause();
      this.fields.X.area.value = x.split(/; */).join("\n");
      this.fields.K.area.value = k.split(/; */).join("\n");
      for (const [name, text] of Object.entries({ padding, stride, dilation })) {
        text.split(" ").forEach((word, axis) => (this.settings[name][axis].value = word));
      }
      this.place = [0, 0];
    }

    /** Compute everything anew from what the fields say. */
    update() {
      try {
        this.read();
        this.error.textContent = "";
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        this.pause();
        this.result = null;
        this.error.textContent = error.message;
      }
      const isWrong = this.result === null;
      this.error.hidden = !isWrong;
      for (const part of [this.steps, this.status, this.grids]) part.hidden = isWrong;
      if (!isWrong) this.draw();
    }

    read() {
      this.X = parseMatrix("X", this.fields.X.area.value);
      this.K = parseMatrix("K", this.fields.K.area.value);
      this.set = Object.fromEntries(
        Object.entries(this.settings).map(([name, inputs]) => [
          name,
          inputs.map((input) => (input.value === "" ? NaN : Number(input.value))),
        ]),
      );
      outputShape(shapeOf(this.X), shapeOf(this.K), this.set);
      const padded = shapeOf(this.X).map((n, axis) => n + 2 * this.set.padding[axis]);
      if (padded.some((n) => n > LARGEST)) {
        throw new RangeError(
          `the padded input has ${pair(padded)} pixels, but at most ` +
            `${pair([LARGEST, LARGEST])} are drawn here`,
        );
      }
      this.result = slide(this.X, this.K, this.set);
    }

    draw() {
      const { padded, windows } = this.result;
      const [rows, columns] = shapeOf(windows);
      this.place = [Math.min(this.place[0], rows - 1), Math.min(this.place[1], columns - 1)];
      const [p, q] = this.set.padding;
      const [h, w] = shapeOf(this.X);
      const isInside = (i, j) => p <= i && i < p + h && q <= j && j < q + w;
      const describe = (i, j) => (isInside(i, j) ? {} : { class: "sw-padding" });
      const values = windows.map((row) => row.map(({ value }) => value));
      const title = p || q ? "Padded input" : "Input X";
      const input = table(title, padded, describe);
      const output = table("Output Y", values, () => ({ tabindex: -1 }), "grid");
      [this.input, this.output] = [input[1], output[1]];
      this.products = element("div");
      this.output.addEventListener("click", (event) => this.choose(event));
      this.output.addEventListener("keydown", (event) => this.move(event));
      const wide = (...children) => element("div", { class: "sw-wide" }, ...children);
      this.grids.replaceChildren(
        wide(element("div", { class: "sw-framed" }, ...input, this.frame)),
        wide(...table("Kernel K", this.K)),
        wide(this.products),
        wide(...output),
      );
      for (const box of this.grids.children) {
        if (box.scrollWidth > box.clientWidth) box.tabIndex = 0; // scrolls by keyboard
      }
      this.shape.replaceChildren(
        element("strong", {}, `Output shape: ${rows} × ${columns}`),
        ...AXES.flatMap((axis, n) => [element("br"), `${axis}: ${this.formula(n)}`]),
      );
      this.select(this.place);
    }

    /** Write the formula of the output's size with the numbers of one axis. */
    formula(axis) {
      const n = shapeOf(this.X)[axis];
      const k = shapeOf(this.K)[axis];
      const [p, s, d] = ["padding", "stride", "dilation"].map((name) => this.set[name][axis]);
      const size = shapeOf(this.result.windows)[axis];
      return `⌊(${n} + 2·${p} − ${d}·(${k} − 1) − 1) / ${s}⌋ + 1 = ${size}`;
    }

    /** Show one window: its taps, its products, its output. */
    select([i, j]) {
      const isFocused = this.output.contains(document.activeElement);
      this.place = [i, j];
      const { taps, value } = this.result.windows[i][j];
      const cell = (grid, row, column) => grid.rows[row].cells[column];
      for (const tap of this.input.querySelectorAll(".sw-tap")) tap.classList.remove("sw-tap");
      for (const { place } of taps) cell(this.input, ...place).classList.add("sw-tap");
      const [first, last] = [taps[0], taps.at(-1)].map(({ place }) =>
        cell(this.input, ...place).getBoundingClientRect(),
      );
      const origin = this.frame.parentElement.getBoundingClientRect();
      Object.assign(this.frame.style, {
        left: `${first.left - origin.left}px`,
        top: `${first.top - origin.top}px`,
        width: `${last.right - first.left}px`,
        height: `${last.bottom - first.top}px`,
      });
      const width = this.K[0].length;
      const products = this.K.map((row, a) =>
        row.map((weight, b) => taps[a * width + b].pixel * weight),
      );
      this.products.replaceChildren(...table("Products", products));
      for (const other of this.output.querySelectorAll("td")) {
        other.tabIndex = -1;
        other.setAttribute("aria-selected", "false");
      }
      const chosen = cell(this.output, i, j);
      chosen.tabIndex = 0;
      chosen.setAttribute("aria-selected", "true");
      if (isFocused) chosen.focus();
      const signed = (v) => (v < 0 ? `(${format(v)})` : format(v));
      const terms = taps.map(({ pixel, weight }) => `${signed(pixel)}·${signed(weight)}`);
      this.sum.textContent = `Y[${i}, ${j}] = ${terms.join(" + ")} = ${format(value)}`;
    }

    /** Go to the n-th next window, row by row, and from the last to the first. */
    step(n) {
      const [rows, columns] = shapeOf(this.result.windows);
      const number = this.place[0] * columns + this.place[1] + n;
      const place = (number + rows * columns) % (rows * columns);
      this.select([Math.floor(place / columns), place % columns]);
    }

    play() {
      this.status.setAttribute("aria-live", "off"); // or it would talk without end
      this.player.textContent = "Pause";
      this.timer = setInterval(() => this.step(1), MILLISECONDS);
    }

    pause() {
      clearInterval(this.timer);
      this.timer = null;
      this.status.removeAttribute("aria-live");
      this.player.textContent = "Play";
    }

    choose(event) {
      const cell = event.target.closest("td");
      if (cell) this.select([cell.parentElement.rowIndex, cell.cellIndex]);
    }

    /** Move with the arrow keys, and to the ends of the row with Home and End. */
    move(event) {
      const [rows, columns] = shapeOf(this.result.windows);
      const [i, j] = this.place;
      const to = {
        ArrowUp: [i - 1, j],
        ArrowDown: [i + 1, j],
        ArrowLeft: [i, j - 1],
        ArrowRight: [i, j + 1],
        Home: [i, 0],
        End: [i, columns - 1],
      }[event.key];
      if (!to) return;
      event.preventDefault();
      const isThere = to[0] in this.result.windows && to[1] >= 0 && to[1] < columns;
      if (isThere) this.select(to);
    }
  }

  /** Show the example that the address names, such as play.html#play-6-3-1. */
  function loadFromAddress(player) {
    const target = document.getElementById(location.hash.slice(1));
    const isBelow = (button) =>
      target.compareDocumentPosition(button) & Node.DOCUMENT_POSITION_FOLLOWING;
    if (target?.id.startsWith("play-")) {
      [...document.querySelectorAll("button[data-x]")].find(isBelow).click();
    }
  }

  function start() {
    const mount = document.getElementById("sliding-window");
    if (!mount) return;
    const player = new SlidingWindow(mount);
    for (const button of document.querySelectorAll("button[data-x]")) {
      button.hidden = false;
      button.addEventListener("click", () => {
        player.load(button.dataset);
        player.update();
        mount.scrollIntoView({ block: "start" });
      });
    }
    loadFromAddress(player);
    addEventListener("hashchange", () => loadFromAddress(player));
  }

  if (document.readyState === "loading") addEventListener("DOMContentLoaded", start);
  else start();
})();
