// LeNet to play with: how it looks.
// Belongs here: elements, colours, maps, tables and sentences made of computed numbers.
// Does not belong here: computing them (compute.js), what a reader does (listen.js).
"use strict";

(globalThis.LeNet ??= {}).draw = (() => {
  const { placeOf, receptiveField, softmax, summary, windowOf } = LeNet.compute;
  const SHOWN_TERMS = 8; // of a dense unit's products, the largest
  const ATLAS_COLUMNS = { 6: 2, 16: 4, 32: 6, 84: 12, 120: 12, 128: 12 };

  // ---- Elements and numbers -----------------------------------------------------

  /** Make an element with attributes and children. */
  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  /** Change the text of an element; one text node serves for all frames. */
  function write(node, text) {
    if (!node.firstChild) node.append("");
    if (node.firstChild.data !== text) node.firstChild.data = text;
  }

  /** Write a number with three digits, and a minus sign that is as wide as a plus. */
  function format(value, digits = 3) {
    if (value === 0) return "0";
    const isSmall = Math.abs(value) < 0.001;
    const text = isSmall ? value.toExponential(1) : String(Number(value.toPrecision(digits)));
    return text.replaceAll("-", "−");
  }

  const signed = (value) => (value < 0 ? `(${format(value)})` : format(value));
  const percent = (share) => `${(100 * share).toFixed(share < 0.995 ? 1 : 0)} %`;

  // ---- Colours ------------------------------------------------------------------

  // Matplotlib's viridis as a polynomial of degree 6, from the constant term on.
  const VIRIDIS = [
    [0.2777273272, 0.0054073445, 0.3340998053],
    [0.1050930431, 1.4046135299, 1.3845901626],
    [-0.3308618287, 0.2148475595, 0.095095163],
    [-4.634230499, -5.7991009734, -19.332440956],
    [6.2282699363, 14.1799333668, 56.6905526007],
    [4.7763849977, -13.745145377, -65.353032633],
    [-5.4354558559, 4.6458526122, 26.3124352496],
  ];
  const LEVELS = 256;

  /** Make a palette from a function of [0, 1] to red, green and blue in [0, 1]. */
  const palette = (color) =>
    Uint8ClampedArray.from({ length: 3 * LEVELS }, (_, n) => {
      return 255 * color(Math.floor(n / 3) / (LEVELS - 1))[n % 3];
    });
  const horner = (x) => [0, 1, 2].map((c) => VIRIDIS.reduceRight((sum, k) => sum * x + k[c], 0));
  const mixed = (end, share) => end.map((v) => (1 - share) * 0.97 + share * v);
  const PALETTES = {
    gray: palette((x) => [x, x, x]),
    maps: palette(horner),
    // Okabe and Ito's blue and vermilion, and nearly white between them.
    difference: palette((x) =>
      x < 0.5 ? mixed([0, 0.447, 0.698], 1 - 2 * x) : mixed([0.835, 0.369, 0], 2 * x - 1),
    ),
  };

  /** Choose what the darkest and the brightest colour of a layer mean. */
  function rangeOf({ values, layer }, isStretched) {
    let [low, high] = [Infinity, -Infinity];
    for (const v of values) [low, high] = [Math.min(low, v), Math.max(high, v)];
    if (isStretched) return [low, high];
    return layer.isBounded ? [0, 1] : [0, high];
  }

  // ---- Maps ---------------------------------------------------------------------

  /** Say how the maps of a layer are laid out on one canvas, one pixel apart. */
  function atlasOf(layer) {
    const [maps, rows = 1, columns = 1] = layer.outShape;
    const across = ATLAS_COLUMNS[maps];
    const gap = rows > 1 ? 1 : 0;
    const down = Math.ceil(maps / across);
    const width = across * (columns + gap) - gap;
    const height = down * (rows + gap) - gap;
    return { across, rows, columns, gap, width, height };
  }

  /** The first row and column of a map on its canvas. */
  const cornerOf = ({ across, rows, columns, gap }, map) => [
    Math.floor(map / across) * (rows + gap),
    (map % across) * (columns + gap),
  ];

  /** Find the number of the unit at a place of the canvas; null between the maps. */
  function unitAt(layer, x, y) {
    const { across, rows, columns, gap } = atlasOf(layer);
    const [row, column] = [Math.floor(y), Math.floor(x)];
    const map = Math.floor(row / (rows + gap)) * across + Math.floor(column / (columns + gap));
    const [i, j] = [row % (rows + gap), column % (columns + gap)];
    if (i >= rows || j >= columns || map >= layer.outShape[0]) return null;
    return (map * rows + i) * columns + j;
  }

  /** Paint values onto a canvas; `range` are those of the first and the last colour. */
  function paintMaps(canvas, layer, values, [low, high], colors) {
    const atlas = atlasOf(layer);
    const context = canvas.getContext("2d");
    const picture = (canvas.picture ??= context.createImageData(atlas.width, atlas.height));
    const scale = (LEVELS - 1) / (high - low);
    const { rows, columns } = atlas;
    for (let map = 0, n = 0; map < layer.outShape[0]; map++) {
      const [top, left] = cornerOf(atlas, map);
      for (let i = 0; i < rows; i++) {
        let to = 4 * ((top + i) * atlas.width + left);
        for (let j = 0; j < columns; j++, n++, to += 4) {
          const level = high > low ? Math.round(scale * (values[n] - low)) : LEVELS / 2;
          const from = 3 * Math.min(LEVELS - 1, Math.max(0, level));
          picture.data[to] = PALETTES[colors][from];
          picture.data[to + 1] = PALETTES[colors][from + 1];
          picture.data[to + 2] = PALETTES[colors][from + 2];
          picture.data[to + 3] = 255;
        }
      }
    }
    context.putImageData(picture, 0, 0);
  }

  const GRAY = { outShape: [1, 28, 28] };
  ATLAS_COLUMNS[1] = 1;
  /** Paint an input, black to white. */
  const paintImage = (canvas, X) => paintMaps(canvas, GRAY, X, [0, 1], "gray");

  /** Make a canvas for a layer's maps with room for frames above it. */
  function mapsBox(layer, attributes) {
    const { width, height } = atlasOf(layer);
    const canvas = element("canvas", { width, height, ...attributes });
    const box = element("div", { class: "ln-maps" }, canvas);
    return { box, canvas, layer };
  }

  /** Frame rows and columns of one map; what lies outside the map is cut off. */
  function frame({ box, layer }, map, [top, left, height, width], kind) {
    const atlas = atlasOf(layer);
    const [first, right] = [Math.max(0, left), Math.min(atlas.columns, left + width)];
    const [above, bottom] = [Math.max(0, top), Math.min(atlas.rows, top + height)];
    const [row, column] = cornerOf(atlas, map);
    const made = element("i", { class: `ln-frame ln-${kind}` });
    Object.assign(made.style, {
      left: `${(100 * (column + first)) / atlas.width}%`,
      top: `${(100 * (row + above)) / atlas.height}%`,
      width: `${(100 * (right - first)) / atlas.width}%`,
      height: `${(100 * (bottom - above)) / atlas.height}%`,
    });
    box.append(made);
  }

  /** Frame a unit, what it reads in the layer before, and what it sees of the input. */
  function frameUnit(net, unit, boxes, inputBox, explained) {
    const layer = net.layers[unit.layer];
    const [map, i, j] = placeOf(layer, unit.index);
    const before = unit.layer ? boxes[unit.layer - 1] : null;
    if (boxes[unit.layer]) frame(boxes[unit.layer], map, [i ?? 0, j ?? 0, 1, 1], "chosen");
    const window = windowOf(layer, [map, i, j]);
    const field = receptiveField(net, unit.layer);
    if (before && window) {
      for (const m of window.maps) {
        frame(before, m, [window.top, window.left, window.size, window.size], "window");
      }
    }
    if (before && !window) {
      for (const { index } of explained.terms.slice(0, SHOWN_TERMS)) {
        const [m, row = 0, column = 0] = placeOf(net.layers[unit.layer - 1], index);
        frame(before, m, [row, column, 1, 1], "window");
      }
    }
    if (field) {
      const { size, jump, start } = field;
      frame(inputBox, 0, [start + i * jump, start + j * jump, size, size], "window");
    }
  }

  // ---- Words --------------------------------------------------------------------

  /** Name one unit: "conv 2, map 3, row 4, column 5". */
  function nameOf(layer, index) {
    const [map, i, j] = placeOf(layer, index);
    if (i === undefined) return `${layer.name}, unit ${map}`;
    return `${layer.name}, map ${map}, row ${i}, column ${j}`;
  }

  /** Say how large a layer is. */
  function sizeOf({ outShape: [maps, rows, columns] }) {
    return rows ? `${maps} maps of ${rows} × ${columns}` : `${maps} units`;
  }

  /** Say what colours mean. */
  const scaleOf = ([low, high]) => `dark ${format(low, 2)}, bright ${format(high, 2)}`;

  /** Describe a layer's output for those who do not see its maps. */
  function inWords(output) {
    const { mean, means, share, strongest } = summary(output);
    const { layer } = output;
    const what = layer.isBounded ? "lie below 0.05 or above 0.95" : "are 0";
    const unit = layer.outShape.length > 1 ? "map" : "unit";
    const best = strongest.slice(0, 3).map((m) => `${m} (${format(means[m], 2)})`);
    return (
      `${sizeOf(layer)}: mean ${format(mean, 2)}; ${percent(share)} of the numbers ${what}; ` +
      `strongest ${unit}s on average: ${best.join(", ")}.`
    );
  }

  /** Name the classes that a net holds for most likely. */
  function verdict(logits, classes, count = 2) {
    const p = softmax(logits);
    const order = p.map((_, c) => c).sort((a, b) => p[b] - p[a]);
    return order.slice(0, count).map((c) => `${classes[c]} ${percent(p[c])}`).join(", then ");
  }

  // ---- One number explained -----------------------------------------------------

  /** Make a table of numbers, tinted by their size. */
  function grid(title, numbers, size, attributes = () => ({})) {
    const largest = Math.max(...numbers.map(Math.abs)) || 1;
    const cell = (v, n) => {
      const tint = `--ln-share: ${((30 * Math.abs(v)) / largest).toFixed(0)}%`;
      const kind = v < 0 ? "ln-negative" : "ln-positive";
      return element("td", { class: kind, style: tint, ...attributes(n) }, format(v, 2));
    };
    const rows = Array.from({ length: numbers.length / size }, (_, i) =>
      element("tr", {}, ...numbers.slice(i * size, (i + 1) * size).map((v, j) => cell(v, i * size + j))),
    );
    const table = element("table", { class: "ln-grid" }, element("caption", {}, title));
    table.append(element("tbody", {}, ...rows));
    return table;
  }

  /** Write an activation with its numbers. */
  function activated({ activation }, z, value) {
    if (activation === "sigmoid") return `σ(${format(z)}) = 1 / (1 + exp(${format(-z)})) = ${format(value)}`;
    if (activation === "relu") return `max(${format(z)}, 0) = ${format(value)}`;
    return "";
  }

  const formula = (text) => element("p", { class: "ln-formula" }, text);

  /** Explain a number of a convolution: one input map in full, and the sum of all. */
  function explainedConv({ layer, parts, bias, z, size, value }, chosen) {
    const { taps, sum } = parts[chosen];
    const outside = (n) => (taps[n].isInside ? {} : { "data-padding": "" });
    const grids = element(
      "div",
      { class: "ln-grids" },
      grid(parts.length > 1 ? `Window of map ${chosen}` : "Window", taps.map((t) => t.pixel), size, outside),
      grid("times the kernel", taps.map((t) => t.weight), size),
      grid("gives products", taps.map((t) => t.product), size),
    );
    const terms = taps.map((t) => `${signed(t.pixel)}·${signed(t.weight)}`).join(" + ");
    const of = parts.length > 1 ? ` of map ${chosen}` : "";
    const long = element("details", {}, element("summary", {}, `Their sum${of}, written out`));
    long.append(formula(`${terms} = ${format(sum)}`));
    const sums = parts.map((part) => signed(part.sum)).join(" + ");
    const index = (n, tap) => (layer.padding ? `${n} + ${tap} − ${layer.padding}` : `${n} + ${tap}`);
    return [
      formula(`z[o, i, j] = Σ over c, a, b of X[c, ${index("i", "a")}, ${index("j", "b")}] · K[o, c, a, b] + bias[o]`),
      formula(`z = ${sums} + bias ${signed(bias)} = ${format(z)}`),
      formula(`value = ${activated(layer, z, value)}`),
      grids,
      long,
    ];
  }

  function explainedPool({ layer, pixels, value }) {
    const numbers = pixels.map((v) => format(v));
    const text =
      layer.pooling === "max"
        ? `max(${numbers.join(", ")}) = ${format(value)}`
        : `(${numbers.join(" + ")}) / 4 = ${format(value)}`;
    const taps = "X[c, 2i, 2j], X[c, 2i, 2j + 1], X[c, 2i + 1, 2j], X[c, 2i + 1, 2j + 1]";
    return [
      formula(`Y[c, i, j] = ${layer.pooling === "max" ? "max" : "mean"}(${taps})`),
      formula(text),
      element("div", { class: "ln-grids" }, grid("The four numbers", pixels, 2)),
    ];
  }

  /** Explain a dense unit: its largest products, and what the others add up to. */
  function explainedDense({ layer, terms, bias, z, value }, before, probability) {
    const shown = terms.slice(0, SHOWN_TERMS);
    const rest = terms.slice(SHOWN_TERMS).reduce((sum, t) => sum + t.product, 0);
    const sums = shown.map((t) => signed(t.product)).join(" + ");
    const last = probability
      ? `probability = exp(${format(z)}) / sum over the classes = ${percent(probability)}`
      : `value = ${activated(layer, z, value)}`;
    const row = (name, ...cells) =>
      element("tr", {}, element("th", { scope: "row" }, name), ...cells.map((c) => element("td", {}, c)));
    const button = ({ index }) =>
      element("button", { type: "button", "data-open": index }, nameOf(before, index));
    const head = ["input", "its value", "times weight", "product"].map((name) =>
      element("th", { scope: "col" }, name),
    );
    const rows = shown.map((t) => row(button(t), ...[t.pixel, t.weight, t.product].map((v) => format(v))));
    rows.push(row(`the other ${terms.length - shown.length} together`, "", "", format(rest)));
    const table = element(
      "table",
      { class: "ln-terms" },
      element("caption", {}, "The products that count most"),
      element("thead", {}, element("tr", {}, ...head)),
      element("tbody", {}, ...rows),
    );
    return [
      formula("z[n] = Σ over m of W[n, m] · X[m] + bias[n]"),
      formula(`z = ${sums} + the others ${signed(rest)} + bias ${signed(bias)} = ${format(z)}`),
      formula(last),
      element("div", { class: "ln-wide" }, table),
    ];
  }

  /** Say which pixels of the input a unit sees. */
  function seen(net, { layer, index }) {
    const field = receptiveField(net, layer);
    if (!field) return "It sees all 28 × 28 pixels of the input.";
    const [, i, j] = placeOf(net.layers[layer], index);
    const { size, jump, start } = field;
    const span = (n) => `${format(start + n * jump)} to ${start + n * jump + size - 1}`;
    return `It sees ${size} × ${size} pixels of the input: rows ${span(i)}, columns ${span(j)} (framed; outside 0 to 27 is padding).`;
  }

  /** Show how one number comes about. */
  function explanation(net, unit, explained, chosenMap, probability) {
    const before = net.layers[unit.layer - 1];
    const parts = {
      conv: () => explainedConv(explained, chosenMap),
      pool: () => explainedPool(explained),
      dense: () => explainedDense(explained, before, probability),
    };
    return [...parts[explained.layer.kind](), element("p", { class: "ln-seen" }, seen(net, unit))];
  }

  return {
    atlasOf,
    element,
    explanation,
    format,
    frame,
    frameUnit,
    GRAY,
    inWords,
    mapsBox,
    nameOf,
    paintImage,
    paintMaps,
    percent,
    rangeOf,
    scaleOf,
    sizeOf,
    unitAt,
    verdict,
    write,
  };
})();
