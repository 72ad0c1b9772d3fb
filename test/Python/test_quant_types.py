# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""MLIR with upstream quant types: what runs are the roundings it asks for."""
import numpy as np
import pytest
import tamis

FAKE = """
!t = !quant.uniform<i8:f32, 0.5:3>
!a = !quant.uniform<i8<-100:100>:f32:1, {0.5, 0.25}>
func.func @main(%x: tensor<5x2xf32>) -> (tensor<5x2xf32>, tensor<5x2xf32>) {
  %q = quant.qcast %x : tensor<5x2xf32> to tensor<5x2x!t>
  %y = quant.dcast %q : tensor<5x2x!t> to tensor<5x2xf32>
  %r = quant.qcast %x : tensor<5x2xf32> to tensor<5x2x!a>
  %z = quant.dcast %r : tensor<5x2x!a> to tensor<5x2xf32>
  return %y, %z : tensor<5x2xf32>, tensor<5x2xf32>
}
"""
X = np.array([[0.3, 0.3], [-0.25, 0.375], [1e9, 1e9], [-1e9, -1e9], [7.77, -7.77]], np.float32)


@pytest.fixture(params=["text", "file"])
def compiled(request, tmp_path):
    def compile(text):
        if request.param == "text":
            return tamis.compile(text, cache="off")
        path = tmp_path / "m.mlir"
        path.write_text(text)
        return tamis.compile(path, cache="off")

    return compile


def test_fake_quantization_rounds(compiled):
    y, z = compiled(FAKE)(X)
    np.testing.assert_array_equal(y, (np.clip(np.rint(X / 0.5) + 3, -128, 127) - 3) * 0.5)
    scale = np.array([0.5, 0.25])
    np.testing.assert_array_equal(z, np.clip(np.rint(X / scale), -100, 100) * scale)


def test_signature_is_storage_integers(compiled):
    model = compiled("""
!u = !quant.uniform<u8:f32, 0.25:200>
func.func @main(%x: tensor<4x!u>) -> (tensor<4xf32>, tensor<2x2x!u>) {
  %y = quant.dcast %x : tensor<4x!u> to tensor<4xf32>
  %z = tensor.expand_shape %x [[0, 1]] output_shape [2, 2] : tensor<4x!u> into tensor<2x2x!u>
  return %y, %z : tensor<4xf32>, tensor<2x2x!u>
}
""")
    x = np.array([0, 100, 200, 255], np.uint8)
    assert model.get_inputs()[0].type == "tensor(uint8)"
    y, z = model(x)
    np.testing.assert_array_equal(y, (x.astype(np.float32) - 200) * 0.25)
    assert z.dtype == np.uint8 and z.tolist() == [[0, 100], [200, 255]]


def test_what_is_refused_is_named():
    with pytest.raises(tamis.Error, match="arith.select.*expected quant.dcast before"):
        tamis.compile("""
!u = !quant.uniform<u8:f32, 0.25>
func.func @main(%b: tensor<i1>, %x: tensor<4x!u>) -> tensor<4x!u> {
  %c = tensor.extract %b[] : tensor<i1>
  %y = arith.select %c, %x, %x : tensor<4x!u>
  return %y : tensor<4x!u>
}
""", cache="off")
