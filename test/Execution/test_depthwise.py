# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Depthwise convolutions against ONNX Runtime: stripes of lines, windows position by position, what is left over."""
import numpy as np
import pytest
import tamis
from Import.oracle import Values, expected, model, node
from test_row_streams import TARGETS

# channels, height, width, what the convolution says
SHAPES = {
    "stripes": (32, 20, 96, dict(pads=[1, 1, 1, 1])),
    "a narrower last stripe": (40, 9, 101, dict(pads=[1, 1, 1, 1])),
    "no stripe is narrow enough": (1152, 7, 7, dict(pads=[1, 1, 1, 1])),
    "one vector": (8, 9, 13, dict(pads=[1, 1, 1, 1])),
    "an odd number of vectors and some channels": (27, 11, 10, dict(pads=[0, 1, 1, 0])),
    "every second position": (48, 21, 67, dict(pads=[1, 1, 1, 1], strides=[2, 2])),
    "steps larger than the window": (16, 12, 12, dict(strides=[4, 4])),
    "large windows": (64, 17, 40, dict(pads=[2, 2, 2, 2], size=5)),
    "holes": (32, 15, 30, dict(pads=[2, 2, 2, 2], dilations=[2, 2])),
    "one dimension": (24, None, 203, dict(pads=[3, 3], size=7)),
}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("threads", [1, 2])
def test_depthwise(name, threads):
    channels, height, width, attributes = SHAPES[name]
    v = Values()
    attributes = dict(attributes)
    size = attributes.pop("size", 3)
    image = (width,) if height is None else (height, width)
    parameters = {"w": v.floats(channels, 1, *[size] * len(image)), "b": v.floats(channels)}
    feeds = {"x": v.floats(2, channels, *image)}
    data = model([node("Conv", "x w b", "h", group=channels, **attributes), node("Relu", "h")], feeds, parameters)
    want, = expected(data, feeds)
    for target in TARGETS:
        got, = tamis.compile(data, cache="off", target=target, threads=threads).run(None, feeds)
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5 * np.abs(want).max(), err_msg=target)
