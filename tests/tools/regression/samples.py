"""Outputs and metadata of cells, as samples for the tests of the comparison."""

import nbformat.v4 as v4

TRAINED = {"nbval": {"atol": 0.02, "why": "trained accuracy"}}
GLYPH = '<use xlink:href="#DejaVuSans-{0}"/>'
CURVE = (
    '<g><path id="p{0}" d="M {1} 3\nL {4} 12.5"/><use xlink:href="#p{0}"/>{2}'
    '<image xlink:href="data:image/png;base64,iVBORw0KGgo{3}=="/></g>'
)


def curve(y="10.25", name="0a1b2c3d4e", glyph=38, image="A1e5", outline=7, extra=""):
    return CURVE.format(name, y, GLYPH.format(glyph), image, outline) + extra


def stream(text, name="stdout"):
    return v4.new_output("stream", name=name, text=text)


def shown(kind, text):
    return v4.new_output("display_data", {kind: text})
