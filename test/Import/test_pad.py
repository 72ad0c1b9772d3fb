# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Pad of sizes that only a call knows."""
import numpy as np
import pytest
import tamis
from oracle import Values, expected, model, node

X = Values().floats(5)


@pytest.mark.parametrize("pads", [[3, -2], [-2, 3], [4, -4], [-1, -1], [1, -1], [2, 2]])
def test_cut_beyond_an_open_input(pads):
    data = model(node("Pad", "x p"), {"x": X}, {"p": np.array(pads)}, opset=18, open_dims=True)
    compiled = tamis.compile(data, lazy=False)
    for size in range(max(1, -sum(pads)), 6):
        x = X[:size]
        np.testing.assert_array_equal(compiled.run(None, {"x": x})[0], expected(data, {"x": x})[0])


@pytest.mark.parametrize("mode", ["edge", "reflect", "wrap"])
def test_nothing_to_repeat_in_an_empty_input(mode):
    data = model(node("Pad", "x p", mode=mode), {"x": X}, {"p": np.array([1, 1])}, opset=19, open_dims=True)
    compiled = tamis.compile(data, lazy=False)
    np.testing.assert_array_equal(compiled.run(None, {"x": X})[0], expected(data, {"x": X})[0])
    with pytest.raises(tamis.Error, match="do not fit together"):
        compiled.run(None, {"x": X[:0]})


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "wrap"])
def test_pads_whose_sums_wrap(mode):
    """Sizes are sums; one that wraps around would be small."""
    made = model(node("Pad", "x p", mode=mode), {"x": Values().floats(2, 3), "p": np.zeros(4, np.int64)}, opset=19)
    compiled = tamis.compile(made)
    x = Values().floats(2, 3)
    np.testing.assert_array_equal(compiled.run(None, {"x": x, "p": np.array([1, 0, 0, 1])})[0], expected(made, {"x": x, "p": np.array([1, 0, 0, 1])})[0])
    for pads in ([2**63 - 1, 2**63 - 1, 0, 0], [2**63 - 1, 0, 2**63 - 1, 0], [0, 0, 0, -2**63], [2**31, 0, 0, 0]):
        with pytest.raises(tamis.Error, match="do not fit together"):
            compiled.run(None, {"x": x, "p": np.array(pads)})
