# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products and convolutions in every form, with known and open sizes."""
import numpy as np
import pytest
from oracle import I32, Values, check, check_exact, microsoft, node

OPEN = pytest.mark.parametrize("open_dims", [False, True])


@OPEN
def test_conv(open_dims):
    v = Values()
    for attributes in (dict(kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
                       dict(kernel_shape=[3, 3], pads=[0, 1, 1, 0], strides=[2, 2], group=2),
                       dict(kernel_shape=[5, 3], strides=[2, 1], auto_pad="SAME_UPPER"),
                       dict(kernel_shape=[2, 2], auto_pad="SAME_LOWER"),
                       dict(kernel_shape=[3, 3], pads=[2, 2, 2, 2], dilations=[2, 2], group=4),
                       dict(kernel_shape=[1, 1])):
        weights = v.floats(8, 4 // attributes.get("group", 1), *attributes["kernel_shape"])
        check(node("Conv", "x w b", **attributes), {"x": v.floats(2, 4, 11, 9)}, {"w": weights, "b": v.floats(8)},
              open_dims=open_dims)


def test_conv_of_one_and_three_dimensions():
    v = Values()
    check(node("Conv", "x w", strides=[2]), {"x": v.floats(1, 3, 20)}, {"w": v.floats(5, 3, 4)})
    check(node("Conv", "x w", pads=[1] * 6), {"x": v.floats(1, 2, 4, 5, 6)}, {"w": v.floats(3, 2, 3, 3, 3)})


@OPEN
def test_conv_transpose(open_dims):
    v = Values()
    for kernel, group, attributes in (((3, 3), 1, dict(pads=[1, 1, 1, 1], strides=[2, 2], output_padding=[1, 1])),
                                      ((2, 2), 1, dict(strides=[2, 2])),
                                      ((4, 5), 2, dict(pads=[1, 2, 0, 1], strides=[3, 2])),
                                      ((3, 3), 1, dict(pads=[2, 2, 2, 2], strides=[2, 3], dilations=[2, 2])),
                                      ((2, 2), 3, dict(strides=[4, 4], output_padding=[1, 2])),
                                      ((3, 3), 1, dict(strides=[2, 2], auto_pad="SAME_UPPER")),
                                      ((3, 3), 1, dict(strides=[2, 2], auto_pad="SAME_LOWER"))):
        check(node("ConvTranspose", "x w b", group=group, **attributes), {"x": v.floats(2, 6, 7, 8)},
              {"w": v.floats(6, 4, *kernel), "b": v.floats(4 * group)}, open_dims=open_dims)


def test_conv_transpose_to_a_given_shape():
    v = Values()
    check(node("ConvTranspose", "x w", strides=[2, 2], output_shape=[15, 18]), {"x": v.floats(1, 3, 7, 8)},
          {"w": v.floats(3, 4, 3, 3)})


@pytest.mark.parametrize("step", [2, -1])
def test_slices_with_steps(step):
    """Every operand of a product, and one its epilogue reads, with gaps between neighbours."""
    v = Values()

    def sliced(size, axis):
        start, end = (0, size) if step > 0 else (size - 1, -size - 1)
        return {"s": np.int64([start]), "e": np.int64([end]), "a": np.int64([axis]), "n": np.int64([step])}

    take = node("Slice", "x s e a n", "z")
    width = 64 // abs(step)
    check([take, node("MatMul", "z w")], {"x": v.floats(5, 64)}, {"w": v.floats(width, 24), **sliced(64, 1)})
    check([take, node("MatMul", "p z")], {"x": v.floats(32, 64), "p": v.floats(5, 32)}, sliced(64, 1))
    check([take, node("MatMul", "p w", "h"), node("Add", "h z")], {"x": v.floats(5, 64), "p": v.floats(5, 16)},
          {"w": v.floats(16, width), **sliced(64, 1)})
    check([take, node("Conv", "z w", group=width)], {"x": v.floats(1, 64, 6, 6)}, {"w": v.floats(width, 1, 3, 3), **sliced(64, 1)})
    check_exact([take, node("MatMulInteger", "z w")], {"x": v.integers(np.int8, 5, 64)},
                {"w": v.weights(width, 24), **sliced(64, 1)}, {"y": I32})


def test_matmul_broadcasts_as_numpy():
    v = Values()
    for a, b in (((4,), (4,)), ((4,), (2, 4, 3)), ((5, 2, 3, 4), (4,)), ((1, 2, 3, 4), (5, 1, 4, 6)),
                 ((2, 3), (4, 3, 5)), ((7, 1, 3, 4), (4, 6))):
        check(node("MatMul", "a b"), {"a": v.floats(*a), "b": v.floats(*b)})
    check(node("MatMul", "a b"), {"a": v.floats(5, 2, 3, 4), "b": v.floats(2, 4, 6)}, open_dims=True)


def test_gemm():
    v = Values()
    for c in ((5,), (3, 1), (3, 5), ()):
        check(node("Gemm", "a b c", alpha=0.5, beta=2.0, transB=1), {"a": v.floats(3, 4)},
              {"b": v.floats(5, 4), "c": v.floats(*c)})


def test_fused_matmul():
    v = Values()
    check(microsoft("FusedMatMul", "a b", transA=1, transB=1, alpha=0.5), {"a": v.floats(2, 3, 6, 4), "b": v.floats(2, 3, 5, 6)})


@pytest.mark.parametrize("equation, shapes", [
    ("bhqd,bhkd->bhqk", [(2, 3, 4, 5), (2, 3, 6, 5)]), ("i,j->ij", [(3,), (4,)]), ("...ij,...jk->...ik", [(2, 3, 4), (2, 4, 5)]),
    ("bij,bjk,bkl->bil", [(2, 3, 4), (2, 4, 5), (2, 5, 6)]), ("ii->i", [(4, 4)]), ("ijk->kj", [(2, 3, 4)]),
    ("ij,ij->", [(3, 4), (3, 4)])])
def test_einsum(equation, shapes):
    v = Values()
    names = "abc"[:len(shapes)]
    check(node("Einsum", " ".join(names), equation=equation), {name: v.floats(*shape) for name, shape in zip(names, shapes)})


def test_fourier_transforms():
    v = Values()
    for components in (1, 2):
        check(node("STFT", "x step window length", onesided=2 - components), {"x": v.floats(2, 100, components)},
              {"step": np.int64(7), "window": np.hanning(32).astype(np.float32), "length": np.int64(32)}, atol=1e-4)
        check(node("DFT", "x", axis=1), {"x": v.floats(2, 12, 9, components)}, atol=1e-4)
    check(node("DFT", "x", axis=1, inverse=1), {"x": v.floats(2, 12, 9, 2)}, atol=1e-4)


@pytest.mark.parametrize("attributes, word", [
    (dict(strides=[0, 1]), "positive strides"), (dict(group=0), "positive group"), (dict(pads=[-1, 0, 0, 0]), "non-negative pads"),
    (dict(kernel_shape=[2, 2]), "kernel_shape differs"), (dict(dilations=[9, 9]), "expected an input of at least"),
    (dict(auto_pad="SOME"), "unknown auto_pad 'SOME'")])
def test_bad_attributes_are_named(attributes, word):
    import tamis
    from oracle import model

    v = Values()
    with pytest.raises(tamis.Error, match=word):
        tamis.compile(model(node("Conv", "x w", **attributes), {"x": v.floats(1, 4, 8, 8)}, {"w": v.floats(6, 4, 3, 3)}))
