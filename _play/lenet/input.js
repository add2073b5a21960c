// LeNet to play with: the input that a reader chooses, draws, photographs or changes.
// Belongs here: the canvas, the pictures, the photograph and the sliders, with their
// events. Does not belong here: what images are computed with (image.js), the nets.
"use strict";

(globalThis.LeNet ??= {}).Input = (() => {
  const { draw, image } = LeNet;
  const { button, element, format, select } = LeNet.elements;
  const SETS = { FashionMNIST: "Clothes", MNIST: "Digits", foreign: "Foreign inputs" };
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

  return class Input {
    /** Make all controls; `page` has `fail`, `update` and `drawFrames`. */
    constructor(page) {
      this.page = page;
      this.base = image.empty();
      this.change = { ...image.UNCHANGED };
      this.pen = { row: 14, column: 14, isDown: false, value: 1, width: 2 };
      this.seed = 1;
      this.parts = [this.canvasPart(), this.picturePart(), this.changePart()];
    }

    /** Read the pictures of the page's file. */
    async readPictures(file) {
      this.images = {};
      for (const [name, { pixels, ...others }] of Object.entries(file)) {
        this.images[name] = {
          ...others,
          pictures: await image.decodeImages(pixels),
        };
      }
    }

    /** Choose a picture of a set by its number. */
    choosePicture(set, number) {
      this.showPictures(set);
      this.show(this.images[set].pictures[number].slice());
    }

    /** Compute the image that the nets see. */
    read() {
      this.X = image.changed(this.base, this.change);
      draw.paintImage(this.box.canvas, this.X);
      return this.X;
    }

    get hasFocus() {
      return document.activeElement === this.box.canvas;
    }

    /** Frame the place of the pen, for those who draw by key. */
    framePen() {
      if (this.hasFocus)
        draw.frame(this.box, 0, [this.pen.row, this.pen.column, 1, 1], "chosen");
    }

    // ---- Controls ---------------------------------------------------------------

    canvasPart() {
      this.box = draw.mapsBox(draw.GRAY, {
        tabindex: 0,
        role: "application",
        "aria-label": "Input, 28 × 28 pixels, to draw on",
        "aria-describedby": "ln-keys",
      });
      this.box.box.classList.add("ln-input");
      const { canvas } = this.box;
      canvas.addEventListener("pointerdown", (event) => this.beginStroke(event));
      canvas.addEventListener("pointermove", (event) => this.goOnStroke(event));
      for (const name of ["pointerup", "pointercancel"]) {
        canvas.addEventListener(name, () => (this.stroke = null));
      }
      canvas.addEventListener("keydown", (event) => this.drawByKey(event));
      canvas.addEventListener("focus", () => this.page.drawFrames());
      canvas.addEventListener("blur", () => this.page.drawFrames());
      const pen = select(
        "Pen",
        [
          [1, "draws"],
          [0, "erases"],
        ],
        (v) => (this.pen.value = Number(v)),
      );
      const width = select(
        "Width",
        [
          [2, "2"],
          [1, "1"],
          [3, "3"],
        ],
        (v) => (this.pen.width = Number(v)),
      );
      const keys =
        "Draw with mouse, finger or pen. By keyboard: arrow keys move, Space draws a dot, " +
        "Enter puts the pen down or lifts it, Delete erases.";
      return element(
        "div",
        { class: "ln-draw" },
        this.box.box,
        element(
          "div",
          { class: "ln-row" },
          pen.label,
          width.label,
          button("Clear", () => this.show(image.empty())),
        ),
        element("p", { class: "ln-hint", id: "ln-keys" }, keys),
      );
    }

    picturePart() {
      this.sets = select("Pictures", Object.entries(SETS), (name) =>
        this.showPictures(name),
      );
      this.pictures = element("div", {
        class: "ln-pictures",
        role: "group",
        "aria-label": "Pictures to choose from",
      });
      const file = element("input", { type: "file", accept: "image/*" });
      file.addEventListener("change", () => this.readPhotograph(file));
      const noise = button("New noise", () => this.show(image.noise(this.seed++)));
      return element(
        "div",
        { class: "ln-choose" },
        element(
          "div",
          { class: "ln-row" },
          this.sets.label,
          noise,
          element("label", {}, "A photograph of yours (it stays on this machine)", file),
        ),
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
      const switches = SWITCHES.map(([name, title]) =>
        field(name, title, { type: "checkbox" }),
      );
      const reset = button("Undo all", () => this.setChange(image.UNCHANGED));
      return element(
        "fieldset",
        { class: "ln-change" },
        element("legend", {}, "Change the input"),
        ...sliders,
        ...switches,
        reset,
      );
    }

    // ---- Pictures and photographs -----------------------------------------------

    showPictures(name) {
      const { classes, labels, pictures } = this.images[name];
      const buttons = pictures.map((X, n) => {
        const before = labels.slice(0, n).filter((label) => label === labels[n]).length;
        const title = `${classes[labels[n]]}, picture ${before + 1}`;
        const canvas = element("canvas", { width: 28, height: 28 });
        draw.paintImage(canvas, X);
        const made = button(canvas, () => this.show(X.slice()));
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
      this.page.fail("");
      this.page.update();
    }

    async readPhotograph(file) {
      const [chosen] = file.files;
      if (!chosen) return;
      try {
        this.show(await image.fromFile(chosen));
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        this.page.fail(error.message);
      }
      file.value = ""; // so that the same file may be chosen again
    }

    // ---- Changes ----------------------------------------------------------------

    readChange() {
      for (const [name, { input }] of Object.entries(this.controls)) {
        this.change[name] = input.type === "range" ? Number(input.value) : input.checked;
      }
      this.showChange();
      this.page.update();
    }

    setChange(change) {
      this.change = { ...image.UNCHANGED, ...change };
      for (const [name, { input }] of Object.entries(this.controls)) {
        if (input.type === "range") input.value = this.change[name];
        else input.checked = this.change[name];
      }
      this.showChange();
      this.page.update();
    }

    showChange() {
      for (const { input, shown } of Object.values(this.controls)) {
        if (input.type === "range") shown.textContent = format(Number(input.value));
      }
    }

    // ---- Drawing by hand and by key ---------------------------------------------

    /** Draw on what is seen: its changes become part of the image. */
    keepChanges() {
      if (!Object.values(this.change).some(Boolean)) return;
      this.base = image.changed(this.base, this.change);
      this.setChange(image.UNCHANGED);
    }

    placeOf(event) {
      const box = this.box.canvas.getBoundingClientRect();
      const scale = image.SIZE / box.width;
      return [
        (event.clientY - box.top) * scale - 0.5,
        (event.clientX - box.left) * scale - 0.5,
      ];
    }

    beginStroke(event) {
      this.keepChanges();
      this.box.canvas.setPointerCapture(event.pointerId);
      this.stroke = this.placeOf(event);
      this.goOnStroke(event);
    }

    /** Paint from the last place to this one, in steps of half a pixel. */
    goOnStroke(event) {
      if (!this.stroke) return;
      const [from, to] = [this.stroke, this.placeOf(event)];
      const steps = Math.max(
        1,
        Math.ceil(2 * Math.hypot(to[0] - from[0], to[1] - from[1])),
      );
      for (let n = 1; n <= steps; n++) {
        const at = (axis) => from[axis] + ((to[axis] - from[axis]) * n) / steps;
        image.paint(this.base, at(0), at(1), this.pen.width, this.pen.value);
      }
      this.stroke = to;
      this.page.update();
    }

    drawByKey(event) {
      const steps = {
        ArrowUp: [-1, 0],
        ArrowDown: [1, 0],
        ArrowLeft: [0, -1],
        ArrowRight: [0, 1],
      };
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
      this.page.drawFrames();
      this.page.update();
    }

    /** Say where the pen is, for those who draw by key. */
    penInWords() {
      const { row, column, isDown } = this.pen;
      const value = format(this.X[row * image.SIZE + column], 2);
      return `Row ${row}, column ${column}: ${value}, pen ${isDown ? "down" : "up"}. `;
    }
  };
})();
