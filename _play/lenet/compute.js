// LeNet to play with: what the nets compute.
// Belongs here: reading a net, every layer's numbers, how one of them comes about, and
// what of the input it sees. Does not belong here: the page (draw.js, listen.js), the
// input (image.js). There is no DOM here: the tests compare all of it with PyTorch.
"use strict";

(globalThis.LeNet ??= {}).compute = (() => {
  const ACTIVATIONS = {
    sigmoid: (z) => 1 / (1 + Math.exp(-z)),
    relu: (z) => Math.max(z, 0),
    none: (z) => z,
  };
  const POOL = 2; // window and stride of every pooling layer

  /** Turn 16 bits of IEEE 754 into the number that they mean. */
  function fromHalf(bits) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 31;
    const fraction = (bits & 1023) / 1024;
    return exponent
      ? sign * (1 + fraction) * 2 ** (exponent - 15)
      : sign * fraction * 2 ** -14;
  }

  /** Turn base64 into bytes. */
  const bytesOf = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

  const product = (sizes) => sizes.reduce((a, b) => a * b, 1);

  /** Turn the description of a net, as its file has it, into layers with weights. */
  function decodeNet(described) {
    const pairs = new DataView(bytesOf(described.numbers).buffer);
    let read = 0;
    const take = (count) =>
      Float32Array.from({ length: count }, () =>
        fromHalf(pairs.getUint16(2 * read++, true)),
      );
    const count = { conv: 0, pool: 0, dense: 0 };
    let inShape = [1, 28, 28];
    const isBounded = described.layers[0].activation === "sigmoid"; // from 0 to 1
    const layers = described.layers.map((layer, number) => {
      count[layer.kind] += 1;
      const isLast = number === described.layers.length - 1;
      const made = { activation: "none", ...layer, inShape, isBounded };
      made.name = isLast ? "output" : `${layer.kind} ${count[layer.kind]}`;
      made.outShape = inShape = outShape(layer, inShape);
      if (layer.shape) {
        made.weights = take(product(layer.shape));
        made.biases = take(layer.shape[0]);
      }
      return made;
    });
    return { ...described, layers };
  }

  /** Compute the shape of a layer's output, without the batch. */
  function outShape({ kind, shape, padding }, [channels, height, width]) {
    if (kind === "dense") return [shape[0]];
    if (kind === "pool")
      return [channels, Math.floor(height / POOL), Math.floor(width / POOL)];
    const size = (n) => n + 2 * padding - shape[2] + 1;
    return [shape[0], size(height), size(width)];
  }

  /** Compute every layer's output after its activation, the last one's are logits. */
  function forward(net, X) {
    const step = { conv: convolve, pool, dense };
    let values = X;
    return net.layers.map((layer) => {
      values = step[layer.kind](layer, values);
      return { values, layer };
    });
  }

  /** Cross-correlate all channels, in double precision up to the activation. */
  function convolve(layer, X) {
    const [channels, height, width] = layer.inShape;
    const [maps, rows, columns] = layer.outShape;
    const { padding, weights, biases, shape } = layer;
    const size = shape[2];
    const sums = new Float64Array(maps * rows * columns);
    let w = 0;
    for (let o = 0; o < maps; o++) {
      sums.fill(biases[o], o * rows * columns, (o + 1) * rows * columns);
      for (let c = 0; c < channels; c++) {
        for (let a = 0; a < size; a++) {
          for (let b = 0; b < size; b++) {
            const weight = weights[w++];
            // The places whose pixel under this weight lies in the input: others add 0.
            const [top, bottom] = [
              Math.max(0, padding - a),
              Math.min(rows, height + padding - a),
            ];
            const [left, right] = [
              Math.max(0, padding - b),
              Math.min(columns, width + padding - b),
            ];
            for (let i = top; i < bottom; i++) {
              const to = (o * rows + i) * columns;
              const from = (c * height + i + a - padding) * width + b - padding;
              for (let j = left; j < right; j++) sums[to + j] += weight * X[from + j];
            }
          }
        }
      }
    }
    return Float32Array.from(sums, ACTIVATIONS[layer.activation]);
  }

  /** Where the four pixels of a pooled pixel stand in the layer before. */
  function poolTaps({ inShape, outShape }, index) {
    const [, rows, columns] = outShape;
    const [, height, width] = inShape;
    const j = index % columns;
    const i = Math.floor(index / columns) % rows;
    const first =
      (Math.floor(index / columns / rows) * height + POOL * i) * width + POOL * j;
    return [first, first + 1, first + width, first + width + 1];
  }

  function pool(layer, X) {
    const { pooling, outShape } = layer;
    return Float32Array.from({ length: product(outShape) }, (_, index) => {
      const [a, b, c, d] = poolTaps(layer, index);
      return pooling === "max"
        ? Math.max(X[a], X[b], X[c], X[d])
        : (X[a] + X[b] + X[c] + X[d]) / 4;
    });
  }

  function dense({ weights, biases, shape, activation }, X) {
    const [units, inputs] = shape;
    return Float32Array.from({ length: units }, (_, unit) => {
      let sum = biases[unit];
      for (let n = 0, w = unit * inputs; n < inputs; n++) sum += weights[w + n] * X[n];
      return ACTIVATIONS[activation](sum);
    });
  }

  /** Turn logits into probabilities; the largest is taken away first, or exp overflows. */
  function softmax(logits) {
    const largest = Math.max(...logits);
    const powers = Array.from(logits, (z) => Math.exp(z - largest));
    const sum = powers.reduce((a, b) => a + b, 0);
    return powers.map((power) => power / sum);
  }

  /** Split the number of a unit into map, row and column; a dense unit is its number. */
  function placeOf({ outShape }, index) {
    if (outShape.length === 1) return [index];
    const [, rows, columns] = outShape;
    return [
      Math.floor(index / (rows * columns)),
      Math.floor(index / columns) % rows,
      index % columns,
    ];
  }

  /** Say how one number comes about: every factor, product and sum behind it. */
  function explain(net, X, outputs, number, index) {
    const layer = net.layers[number];
    const input = number ? outputs[number - 1].values : X;
    const explained = { conv: explainConv, pool: explainPool, dense: explainDense };
    return {
      layer,
      place: placeOf(layer, index),
      value: outputs[number].values[index],
      ...explained[layer.kind](layer, input, index),
    };
  }

  function explainConv(layer, X, index) {
    const [o, i, j] = placeOf(layer, index);
    const [channels, height, width] = layer.inShape;
    const { padding, shape, weights, biases } = layer;
    const size = shape[2];
    const parts = Array.from({ length: channels }, (_, c) => {
      const taps = Array.from({ length: size * size }, (_, n) => {
        const row = i - padding + Math.floor(n / size);
        const column = j - padding + (n % size);
        const isInside = row >= 0 && row < height && column >= 0 && column < width;
        const weight = weights[(o * channels + c) * size * size + n];
        const pixel = isInside ? X[(c * height + row) * width + column] : 0;
        return { pixel, weight, product: pixel * weight, isInside };
      });
      return { taps, sum: taps.reduce((sum, tap) => sum + tap.product, 0) };
    });
    const z = parts.reduce((sum, part) => sum + part.sum, biases[o]);
    return { parts, bias: biases[o], z, size };
  }

  function explainPool(layer, X, index) {
    return { pixels: poolTaps(layer, index).map((n) => X[n]) };
  }

  function explainDense({ weights, biases, shape }, X, index) {
    const inputs = shape[1];
    const terms = Array.from({ length: inputs }, (_, n) => {
      const weight = weights[index * inputs + n];
      return { index: n, pixel: X[n], weight, product: X[n] * weight };
    });
    terms.sort((one, other) => Math.abs(other.product) - Math.abs(one.product));
    const z = terms.reduce((sum, { product }) => sum + product, biases[index]);
    return { terms, bias: biases[index], z };
  }

  /** Size, step and start of a layer's receptive fields on one axis, as in section 6.3:
   *  r = 1 + Σ (k − 1)·j, where j is the product of the strides before a layer. */
  function receptiveField(net, number) {
    let [size, jump, start] = [1, 1, 0];
    for (const { kind, shape, padding = 0 } of net.layers.slice(0, number + 1)) {
      if (kind === "dense") return null; // it sees everything
      const [window, stride] = kind === "pool" ? [POOL, POOL] : [shape[2], 1];
      size += (window - 1) * jump;
      start -= padding * jump;
      jump *= stride;
    }
    return { size, jump, start };
  }

  /** The windows of a unit in the layer before: maps, first row and column, and size. */
  function windowOf({ kind, shape, padding, inShape }, [map, i, j]) {
    if (kind === "dense") return null;
    if (kind === "pool") return { maps: [map], top: POOL * i, left: POOL * j, size: POOL };
    const maps = Array.from({ length: inShape[0] }, (_, c) => c);
    return { maps, top: i - padding, left: j - padding, size: shape[2] };
  }

  /** Mean, share of saturated numbers and strongest maps of a layer's output. */
  function summary({ values, layer }) {
    const maps = layer.outShape[0];
    const per = values.length / maps;
    const means = Array.from({ length: maps }, (_, m) => {
      let sum = 0;
      for (let n = m * per; n < (m + 1) * per; n++) sum += values[n];
      return sum / per;
    });
    const strongest = means.map((_, m) => m).sort((a, b) => means[b] - means[a]);
    // Exercise 7.6.5 calls a sigmoid saturated below 0.05 and above 0.95; a ReLU is at 0.
    const isSaturated = layer.isBounded ? (v) => v < 0.05 || v > 0.95 : (v) => v === 0;
    const share = values.reduce((n, v) => n + isSaturated(v), 0) / values.length;
    return { mean: means.reduce((a, b) => a + b, 0) / maps, means, share, strongest };
  }

  /** How far a layer's maps of a moved image are from the moved maps of the image.
   *  Only places count whose receptive field saw, before and after, the same pixels. */
  function distanceToMoved(net, number, before, after, [down, right]) {
    const [maps, rows, columns] = net.layers[number].outShape;
    const { size, jump, start } = receptiveField(net, number);
    if (down % jump || right % jump) return null; // no whole pixels of this layer
    const [di, dj] = [down / jump, right / jump];
    const range = (count, shift, moved) => {
      const sees = (i) => [start + i * jump, start + i * jump + size - 1];
      const isKept = (i) => {
        const [first, last] = sees(i);
        return (
          first >= Math.max(0, moved) && last < Math.min(28, 28 + moved) && i - shift >= 0
        );
      };
      return Array.from({ length: count }, (_, i) => i).filter(
        (i) => isKept(i) && i - shift < count,
      );
    };
    let largest = 0;
    const places = [range(rows, di, down), range(columns, dj, right)];
    for (let m = 0; m < maps; m++) {
      for (const i of places[0]) {
        for (const j of places[1]) {
          const now = after[(m * rows + i) * columns + j];
          const then = before[(m * rows + i - di) * columns + j - dj];
          largest = Math.max(largest, Math.abs(now - then));
        }
      }
    }
    return { largest, compared: places[0].length * places[1].length };
  }

  return {
    bytesOf,
    decodeNet,
    distanceToMoved,
    explain,
    forward,
    placeOf,
    receptiveField,
    softmax,
    summary,
    windowOf,
  };
})();
