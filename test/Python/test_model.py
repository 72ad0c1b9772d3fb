# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The class Model: calls, names, shapes, memory."""
import ctypes
import os
import threading

import numpy as np
import onnx
import pytest
import tamis
from support import models


@pytest.fixture
def x():
    return np.random.default_rng(1).standard_normal((3, 8)).astype(np.float32)


def compiled(made, **options):
    return tamis.compile(made, cache="off", **options)


def check(made, y, x):
    np.testing.assert_allclose(y, models.linear_result(made, x), rtol=1e-4, atol=1e-5)


def test_run_as_onnxruntime(x):
    made = models.linear()
    (y,) = compiled(made).run(None, {"x": x})
    check(made, y, x)
    assert y.dtype == np.float32 and y.flags.c_contiguous


def test_call_with_positions_names_or_a_dict(x):
    made = models.linear()
    model = compiled(made)
    for y in (model(x), model(x=x), model({"x": x})):
        check(made, y, x)


def test_named_outputs(x):
    model = compiled(models.linear())
    assert len(model.run(["y"], {"x": x})) == 1
    assert model.run([], {"x": x}) == []
    with pytest.raises(tamis.Error, match="unknown output 'z'"):
        model.run(["z"], {"x": x})


def test_model_sources(tmp_path, x):
    made = models.linear()
    path = models.save(made, tmp_path / "m.onnx")
    for source in (path, tmp_path / "m.onnx", made.SerializeToString(), made):
        check(made, compiled(source)(x), x)
    with pytest.raises(tamis.Error, match="expected a path"):
        compiled(17)


def test_mlir_text():
    text = """
func.func @main(%x: tensor<4xf32> {tamis.name = "x", tamis.dtype = "float32", tamis.dims = ["4"]})
    -> (tensor<4xf32> {tamis.name = "y", tamis.dtype = "float32", tamis.dims = ["4"]}) {
  %y = arith.addf %x, %x : tensor<4xf32>
  return %y : tensor<4xf32>
}
"""
    y = compiled(text)(np.arange(4, dtype=np.float32))
    np.testing.assert_array_equal(y, [0, 2, 4, 6])


def test_inputs_outputs_and_metadata():
    model = compiled(models.linear(batch=2))
    (given,), (result,) = model.get_inputs(), model.get_outputs()
    assert (given.name, given.type, list(given.shape)) == ("x", "tensor(float)", [2, 8])
    assert (result.name, result.type, list(result.shape)) == ("y", "tensor(float)", [2, 4])
    assert model.get_modelmeta().custom_metadata_map == {"author": "somebody"}


def test_metadata_survives_the_library(tmp_path):
    compiled(models.linear(batch=2)).save(tmp_path / "m.so")
    assert tamis.load(tmp_path / "m.so").get_modelmeta().custom_metadata_map == {"author": "somebody"}


def test_open_dimension_takes_several_sizes(x):
    made = models.linear()
    model = compiled(made)
    for size in (1, 3, 2, 3):
        check(made, model(x[:size]), x[:size])


def test_input_dims_bind_by_symbol_or_position(x):
    made = models.linear()
    for dims in ({"batch": 3}, {"x:0": 3}, ["batch=3"]):
        model = compiled(made, input_dims=dims, lazy=False)
        assert list(model.get_inputs()[0].shape) == [3, 8]
        check(made, model(x), x)


def test_save_and_load(tmp_path, x):
    made = models.linear(batch=3)
    compiled(made).save(tmp_path / "m.so")
    check(made, tamis.load(tmp_path / "m.so")(x), x)
    assert sorted(f.name for f in tmp_path.iterdir()) == ["m.h", "m.so"]


def test_load_sees_each_file_that_replaces_another(tmp_path, x):
    """The dynamic loader knows libraries by name, and follows few links."""
    made = [models.linear(batch=3), models.linear(batch=3)]
    made[1].graph.initializer[1].CopyFrom(models.const("b", np.ones(4, np.float32)))
    for index, one in enumerate(made):
        compiled(one).save(tmp_path / f"{index}.so")
    contents = [(tmp_path / f"{index}.so").read_bytes() for index in (0, 1)]
    loaded = []
    for turn in range(70):
        (tmp_path / "new.so").write_bytes(contents[turn % 2])
        os.replace(tmp_path / "new.so", tmp_path / "model.so")
        loaded.append(tamis.load(tmp_path / "model.so"))
        check(made[turn % 2], loaded[-1](x), x)


def exports(path, name):
    return hasattr(ctypes.CDLL(os.fspath(path)), name)


@pytest.mark.parametrize("cache", ["off", "folder"])
def test_saved_symbols_carry_the_file_name(tmp_path, x, cache):
    model = tamis.compile(models.linear(batch=3), cache="off" if cache == "off" else tmp_path / "c")
    model.save(tmp_path / "digits.so")
    assert exports(tmp_path / "digits.so", "digits_run") and "digits_run(" in (tmp_path / "digits.h").read_text()
    if cache == "folder":  # what nobody links has no header
        assert [f.suffix for f in (tmp_path / "c").iterdir()] == [".so"]
    tamis.load(tmp_path / "digits.so").save(tmp_path / "copy.so")
    assert exports(tmp_path / "copy.so", "digits_run") and not exports(tmp_path / "copy.so", "copy_run")


def test_saved_shape_carries_the_file_name(tmp_path, x):
    model = compiled(models.linear())
    model(x)
    model.save(tmp_path / "m.so")
    assert exports(tmp_path / "m.so", "m_run")


def test_save_refuses_a_model_that_changed(tmp_path):
    path = models.save(models.linear(batch=3), tmp_path / "m.onnx")
    model = compiled(path)
    models.save(models.linear(batch=2), tmp_path / "m.onnx")
    with pytest.raises(tamis.Error, match="changed"):
        model.save(tmp_path / "m.so")
    os.remove(path)
    with pytest.raises(tamis.Error, match="changed"):
        model.save(tmp_path / "m.so")
    assert not (tmp_path / "m.so").exists()


def test_save_needs_bound_dimensions(tmp_path):
    with pytest.raises(tamis.Error, match="batch"):
        compiled(models.linear()).save(tmp_path / "m.so")


def test_non_contiguous_input_is_copied(x):
    made = models.linear()
    wide = np.zeros((3, 16), np.float32)
    wide[:, ::2] = x
    check(made, compiled(made)(wide[:, ::2]), x)
    check(made, compiled(made)(np.asfortranarray(x)), x)


def test_misaligned_input_is_copied(x):
    made = models.linear()
    raw = np.zeros(x.nbytes + 1, np.uint8)
    view = raw[1:].view(np.float32).reshape(x.shape)
    view[...] = x
    check(made, compiled(made)(view), x)


def test_input_is_not_changed(x):
    before = x.copy()
    x.setflags(write=False)
    compiled(models.linear())(x)
    np.testing.assert_array_equal(x, before)


def test_dlpack_in_and_out(x):
    class Tensor:
        """A tensor of another library: DLPack is all it has."""

        def __init__(self, array):
            self.array = array

        def __dlpack__(self, **options):
            return self.array.__dlpack__(**options)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    made = models.linear()
    y = compiled(made)(Tensor(x))
    check(made, np.from_dlpack(y), x)


def test_dtype_is_never_cast(x):
    model = compiled(models.linear())
    for other in (x.astype(np.float64), x.astype(np.float16), x.astype(np.int32), x.tolist()):
        with pytest.raises(tamis.Error, match="input 'x': expected float32"):
            model(other)


def test_wrong_shape_names_the_input(x):
    with pytest.raises(tamis.Error, match=r"input 'x': expected float32\[batch, 8\], got float32\[3, 7\]"):
        compiled(models.linear())(x[:, :7])


def test_missing_and_unknown_inputs_are_named(x):
    with pytest.raises(tamis.Error, match="missing input 'x', unknown input 'z'"):
        compiled(models.linear()).run(None, {"z": x})


def test_empty_batch():
    y = compiled(models.linear())(np.zeros((0, 8), np.float32))
    assert y.shape == (0, 4)


def test_scalar_input():
    made = models.one("Mul", [models.info("a", []), models.info("b", [2])], models.info("y", [2]))
    y = compiled(made)(np.float32(3) * np.ones((), np.float32), np.array([1, 2], np.float32))
    np.testing.assert_array_equal(y, [3, 6])


def test_bind_writes_into_given_memory(x):
    made = models.linear(batch=3)
    y = np.full((3, 4), np.nan, np.float32)
    call = compiled(made).bind({"x": x}, {"y": y})
    assert call()[0] is y
    check(made, y, x)
    x *= 2
    call()
    check(made, y, x)


def test_bind_refuses_memory_that_does_not_fit(x):
    model = compiled(models.linear(batch=3))
    for wrong in (np.zeros((3, 5), np.float32), np.zeros((3, 4)), np.zeros((3, 8), np.float32)[:, ::2]):
        with pytest.raises(tamis.Error, match="output 'y'"):
            model.bind({"x": x}, {"y": wrong})


def test_bind_refuses_outputs_that_overlap():
    nodes = [onnx.helper.make_node("Add", ["a", "a"], ["y"]), onnx.helper.make_node("Neg", ["a"], ["z"])]
    model = compiled(models.model(nodes, [models.info("a", [4])], [models.info("y", [4]), models.info("z", [4])]))
    a, memory = np.arange(4, dtype=np.float32), np.zeros(8, np.float32)
    for z in (memory[:4], memory[2:6]):
        with pytest.raises(tamis.Error, match="output 'z' overlaps output 'y'"):
            model.bind({"a": a}, {"y": memory[:4], "z": z})
    y, z = model.bind({"a": a}, {"y": memory[:4], "z": memory[4:]})()
    np.testing.assert_array_equal(memory, [0, 2, 4, 6, 0, -1, -2, -3])


@pytest.mark.parametrize("outputs, words", [([1], "as a dict"), ({"y": 3}, "expected an array"), ({"w": None}, "unknown output 'w'")])
def test_bind_refuses_odd_outputs(x, outputs, words):
    with pytest.raises(tamis.Error, match=words):
        compiled(models.linear(batch=3)).bind({"x": x}, outputs)


@pytest.mark.parametrize("name", ["int4", "uint4"])
def test_bound_narrow_integers_may_be_overwritten(name):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    dtype = getattr(ml_dtypes, name)
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    made = models.model([onnx.helper.make_node("DequantizeLinear", ["q", "s"], ["y"])], [models.info("q", [4], kind)],
                        [models.info("y", [4])], [models.const("s", np.float32(1))], opset=21)
    call = compiled(made).bind({"q": np.array([1, 2, 3, 4]).astype(dtype)})
    np.testing.assert_array_equal(call()[0], [1, 2, 3, 4])
    call.inputs[0][:] = np.array([5, 0, 7, 1]).astype(dtype)
    np.testing.assert_array_equal(call()[0], [5, 0, 7, 1])


def test_threads_call_one_model(x):
    made = models.linear()
    model, problems = compiled(made), []

    def work(seed):
        mine = np.random.default_rng(seed).standard_normal((1 + seed, 8)).astype(np.float32)
        for _ in range(50):
            if not np.allclose(model(mine), models.linear_result(made, mine), rtol=1e-4, atol=1e-5):
                problems.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems


def test_outputs_outlive_the_model(x):
    made = models.linear()
    model = compiled(made)
    y = model(x)
    del model
    check(made, y, x)


def test_inference_session(tmp_path, x):
    made = models.linear()
    session = tamis.InferenceSession(models.save(made, tmp_path / "m.onnx"), providers=["CPUExecutionProvider"], cache="off")
    assert session.get_inputs()[0].name == "x"
    check(made, session.run([session.get_outputs()[0].name], {"x": x})[0], x)


def test_report_is_plain_data():
    report = compiled(models.linear(batch=1)).report()
    assert isinstance(report, dict) and report["version"] == tamis.__version__


def test_boolean_tensors():
    made = models.one("Not", [models.info("x", [3], 9)], models.info("y", [3], 9))
    y = compiled(made)(np.array([True, False, True]))
    assert y.dtype == bool and y.tolist() == [False, True, False]
