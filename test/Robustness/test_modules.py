# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""MLIR that somebody wrote, valid for its dialects, and nothing that a model can be."""
import pytest
import tamis


@pytest.mark.parametrize("text, reason", [
    ("func.func @main(%x: i32) -> i32 { return %x : i32 }", "expected a ranked tensor as argument 0, got 'i32'"),
    ("func.func @main(%x: tensor<*xf32>) -> tensor<2xf32> { %0 = tensor.cast %x : tensor<*xf32> to tensor<2xf32> return %0 : tensor<2xf32> }",
     "expected a ranked tensor as argument 0"),
    ("func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> { %0 = call @main(%x) : (tensor<2xf32>) -> tensor<2xf32> return %0 : tensor<2xf32> }",
     "a function calls itself"),
    ("func.func private @main(tensor<2xf32>) -> tensor<2xf32>", "expected a function @main")])
def test_modules_that_no_stage_can_compile(text, reason):
    with pytest.raises(tamis.Error, match=reason):
        tamis.compile(text.replace(" { ", " {\n"), cache="off")


def test_a_dimension_beyond_the_rank():
    """Of no meaning, but no reason to read beyond the list of dimensions."""
    compiled = tamis.compile("""func.func @main(%x: tensor<?xf32>) -> tensor<?xf32> {
      %c5 = arith.constant 5 : index
      %d = tensor.dim %x, %c5 : tensor<?xf32>
      %e = tensor.empty(%d) : tensor<?xf32>
      return %e : tensor<?xf32>
    }""", cache="off", lazy=False)
    assert compiled.get_outputs()[0].name
