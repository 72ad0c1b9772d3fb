# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""An output that continues an input, in memory of its own and in the input's, on the processor and on a device."""
import numpy as np
import pytest
import tamis
from support import vulkan

# The input is also read on its own, after it has been changed: what was in it must be kept then.
MODEL = """
func.func @main(%past: tensor<4x8xf32> {tamis.name = "past"}, %row: tensor<1x8xf32> {tamis.name = "row"})
    -> (tensor<4x8xf32> {tamis.name = "present"}, tensor<4x8xf32> {tamis.name = "sum"}) {
  %e = tensor.empty() : tensor<1x8xf32>
  %r = linalg.add ins(%row, %row : tensor<1x8xf32>, tensor<1x8xf32>) outs(%e : tensor<1x8xf32>) -> tensor<1x8xf32>
  %present = tensor.insert_slice %r into %past[2, 0] [1, 8] [1, 1] : tensor<1x8xf32> into tensor<4x8xf32>
  %f = tensor.empty() : tensor<4x8xf32>
  %sum = linalg.add ins(%past, %present : tensor<4x8xf32>, tensor<4x8xf32>) outs(%f : tensor<4x8xf32>) -> tensor<4x8xf32>
  return %present, %sum : tensor<4x8xf32>, tensor<4x8xf32>
}
"""


@pytest.mark.parametrize("target", ["native", "vulkan"])
def test_one_array_or_two(target):
    if target == "vulkan" and vulkan.missing():
        pytest.skip(vulkan.missing())
    random = np.random.default_rng(0)
    past, row = random.random((4, 8), dtype=np.float32), random.random((1, 8), dtype=np.float32)
    want = past.copy()
    want[2] = 2 * row
    model = tamis.compile(MODEL, target=target, cache="off")
    assert model.get_states() == {"present": "past"}
    kept = past.copy()
    for got, expected in zip(model.run(None, {"past": kept, "row": row}), (want, past + want)):
        np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(kept, past)
    call = model.bind({"past": kept, "row": row}, {"present": kept})
    np.testing.assert_array_equal(call()[1], past + want)
    np.testing.assert_array_equal(kept, want)
