// LeNet to play with: the one number that is explained.
// Belongs here: which unit is chosen, its panel, and going to its neighbours and inputs.
// Does not belong here: the formulas (words.js), the maps in which one clicks (listen.js).
"use strict";

(globalThis.LeNet ??= {}).Unit = (() => {
  const { compute } = LeNet;
  const { button, element, format, heading, write } = LeNet.elements;
  const { explanation, nameOf } = LeNet.words;
  // Steps in maps, rows and columns.
  const STEPS = {
    ArrowUp: [0, -1, 0],
    ArrowDown: [0, 1, 0],
    ArrowLeft: [0, 0, -1],
    ArrowRight: [0, 0, 1],
    PageUp: [-1, 0, 0],
    PageDown: [1, 0, 0],
  };
  const FLAT_ARROWS = {
    ArrowLeft: ["←", "Unit before"],
    ArrowRight: ["→", "Unit after"],
  };
  const ARROWS = {
    ArrowLeft: ["←", "Column before"],
    ArrowRight: ["→", "Column after"],
    ArrowUp: ["↑", "Row above"],
    ArrowDown: ["↓", "Row below"],
    PageUp: ["map −", "Map before"],
    PageDown: ["map +", "Map after"],
  };

  const FIRST = { net: 0, layer: 0, index: (2 * 28 + 12) * 28 + 14 };

  return class Unit {
    /** Make the panel; `page` has `nets`, `outputs`, `input` and `drawFrames`. */
    constructor(page) {
      this.page = page;
      this.reset();
      this.panel = element("section", {
        class: "ln-explained",
        "aria-label": "One number explained",
      });
      this.panel.addEventListener("click", (event) => this.openTerm(event));
      this.panel.addEventListener("change", (event) => this.chooseByFields(event));
      this.shown = element("span", {});
      const down = button("How it comes about", () => this.panel.scrollIntoView());
      this.bar = element("div", { class: "ln-chosen-bar" }, this.shown, down);
    }

    /** Go back to a pixel of the first layer, which every net has. */
    reset() {
      Object.assign(this, FIRST, { chosenMap: 0 });
    }

    /** Say whether the nets that are shown have this unit. */
    isThere() {
      const layer = this.page.nets[this.net]?.layers[this.layer];
      return layer?.outShape.reduce((a, b) => a * b) > this.index;
    }

    explain() {
      const { net, layer, index } = this;
      return compute.explain(
        this.page.nets[net],
        this.page.input.X,
        this.page.outputs[net],
        layer,
        index,
      );
    }

    title() {
      const { net, layer, index } = this;
      const letter = this.page.nets.length > 1 ? `${"AB"[net]}: ` : "";
      const made = this.page.nets[net].layers[layer];
      const name =
        made.name === "output"
          ? `output, ${this.page.classesOf(this.page.nets[net])[index]}`
          : nameOf(made, index);
      return `${letter}${name} = ${format(this.page.outputs[net][layer].values[index])}`;
    }

    /** Keys that lead to a neighbour. */
    static steps = Object.keys(STEPS);

    /** Choose another unit; what is not named stays. */
    choose(unit) {
      Object.assign(this, unit, { chosenMap: 0 });
      this.showTitle();
      this.page.drawFrames();
      this.showExplanation();
    }

    /** Go to a neighbour; at the edge of a map nothing happens. */
    step(key) {
      const layer = this.page.nets[this.net].layers[this.layer];
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
      const place = compute.placeOf(layer, this.index);
      return place.length > 1 ? place : [0, 0, place[0]];
    }

    /** Write the number into the bar; this happens in every frame. */
    showTitle() {
      write(this.shown, this.title());
    }

    // ---- The panel --------------------------------------------------------------

    showExplanation(map = this.chosenMap) {
      const { net, layer, index } = this;
      const explained = this.explain();
      this.chosenMap = map;
      const isLast = layer === this.page.nets[net].layers.length - 1;
      const p = isLast
        ? compute.softmax(this.page.outputs[net][layer].values)[index]
        : null;
      const isOpen = this.panel.querySelector("details")?.open;
      const focus = this.focusOf();
      this.panel.replaceChildren(
        heading(this.title()),
        this.unitFields(),
        ...this.mapChoice(explained),
        ...explanation(this.page.nets[net], this, explained, map, p),
      );
      const details = this.panel.querySelector("details");
      if (details) details.open = isOpen;
      this.panel.querySelector(focus)?.focus();
    }

    /** What has the focus in the explanation, to find it again in the next one. */
    focusOf() {
      const node = document.activeElement;
      if (!this.panel.contains(node)) return ":not(*)";
      const { step, map, field } = node.dataset;
      return `[data-step="${step}"], [data-map="${map}"], [data-field="${field}"]`;
    }

    /** Fields and buttons that choose a unit, for keys and for thumbs. */
    unitFields() {
      const { layers } = this.page.nets[this.net];
      const layer = layers[this.layer];
      const isFlat = layer.outShape.length === 1;
      const names = isFlat ? ["unit"] : ["map", "row", "column"];
      const place = compute.placeOf(layer, this.index);
      const fields = names.map((name, axis) => {
        const max = layer.outShape[axis] - 1;
        const input = element("input", {
          type: "number",
          min: 0,
          max,
          value: place[axis],
          "data-field": axis,
        });
        return element("label", {}, `${name}, 0 to ${max}`, input);
      });
      const select = element("select", { "data-field": "layer" });
      for (const [n, { name }] of layers.entries())
        select.append(element("option", { value: n }, name));
      select.value = this.layer;
      const arrows = Object.entries(isFlat ? FLAT_ARROWS : ARROWS).map(
        ([key, [text, title]]) =>
          element(
            "button",
            { type: "button", "data-step": key, "aria-label": title },
            text,
          ),
      );
      return element(
        "div",
        { class: "ln-row" },
        element("label", {}, "layer", select),
        ...fields,
        element(
          "div",
          { class: "ln-arrows", role: "group", "aria-label": "Neighbours" },
          ...arrows,
        ),
      );
    }

    /** Buttons for the maps that a convolution sums over. */
    mapChoice({ parts = [] }) {
      if (parts.length < 2) return [];
      const buttons = parts.map((part, m) =>
        element(
          "button",
          { type: "button", "data-map": m, "aria-pressed": m === this.chosenMap },
          `map ${m}: ${format(part.sum)}`,
        ),
      );
      const label = "Each map of the layer before gives the sum of its products";
      return [
        element("p", {}, `${label}; choose one to see its products.`),
        element(
          "div",
          { class: "ln-row ln-sums", role: "group", "aria-label": label },
          ...buttons,
        ),
      ];
    }

    openTerm(event) {
      const { open, step, map } = event.target.dataset;
      if (open !== undefined) this.choose({ layer: this.layer - 1, index: Number(open) });
      if (step !== undefined) this.step(step);
      if (map !== undefined) this.showExplanation(Number(map));
    }

    chooseByFields(event) {
      const { field } = event.target.dataset;
      if (field === "layer")
        return this.choose({ layer: Number(event.target.value), index: 0 });
      const layer = this.page.nets[this.net].layers[this.layer];
      const place = compute.placeOf(layer, this.index);
      const most = layer.outShape[field] - 1;
      place[field] = Math.min(most, Math.max(0, Math.round(Number(event.target.value))));
      const [map, i = 0, j = 0] = place;
      const [, rows = 1, columns = 1] = layer.outShape;
      this.choose({ index: (map * rows + i) * columns + j });
    }
  };
})();
