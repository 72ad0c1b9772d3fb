# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Values computed on a Vulkan device, beside those of the CPU. Skipped, with the reason, where there is no device."""
import subprocess
import sys
import threading

import numpy as np
import pytest
import tamis
from onnx import TensorProto, helper
from support import models, vulkan
from tamis import vulkan as devices

RNG = np.random.default_rng(11)
DTYPES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "int64": TensorProto.INT64, "int32": TensorProto.INT32,
          "int16": TensorProto.INT16, "uint8": TensorProto.UINT8, "int8": TensorProto.INT8, "bool": TensorProto.BOOL}


def values(shape, dtype="float32"):
    if dtype == "bool":
        return RNG.integers(0, 2, shape).astype(bool)
    if dtype.startswith("float"):
        return RNG.standard_normal(shape).astype(dtype)
    return RNG.integers(0 if dtype[0] == "u" else -100, 100, shape).astype(dtype)


def infos(feed):
    return [models.info(name, list(x.shape), DTYPES[str(x.dtype)]) for name, x in feed.items()]


def one(op, feed, shape, dtype="float32", constants=(), **attributes):
    """A model of one node on the device and on the CPU."""
    made = models.one(op, infos(feed), models.info("y", shape, DTYPES[dtype]), list(constants), **attributes)
    return vulkan.both(made, feed)[0]


@pytest.mark.parametrize("dtype", ["float32", "float16", "int64", "int32", "int8", "uint8"])
def test_sums_of_each_type(dtype):
    feed = {"a": values((5, 7, 9), dtype), "b": values((7, 1), dtype)}
    one("Add", feed, [5, 7, 9], dtype)


@pytest.mark.parametrize("op", ["Sqrt", "Exp", "Log", "Tanh", "Erf", "Sigmoid", "Floor", "Round", "Neg", "Abs", "Sin", "HardSwish"])
def test_functions(op):
    one(op, {"x": np.abs(values((3, 100))) + 0.1}, [3, 100])


def test_comparison_makes_bytes():
    feed = {"a": values((70,)), "b": values((70,))}
    one("Greater", feed, [70], "bool")


def test_choice_reads_bytes():
    feed = {"c": values((70,), "bool"), "a": values((70,)), "b": values((70,))}
    one("Where", feed, [70])


def test_more_workgroups_than_one_row():
    """Beyond 32768 workgroups of 64 there is a second row, whose last workgroups have nothing to do."""
    x = values((32768 * 64 + 3,), "int8")
    np.testing.assert_array_equal(one("Neg", {"x": x}, list(x.shape), "int8"), -x)


def test_nothing_to_do():
    assert one("Relu", {"x": values((0, 5))}, [0, 5]).shape == (0, 5)


@pytest.mark.parametrize("op", ["ReduceSum", "ReduceMax", "ReduceMean"])
def test_reductions(op):
    one(op, {"x": values((4, 33, 5))}, [4, 5], constants=[models.const("axes", np.array([1]))] if op == "ReduceSum" else [],
        keepdims=0, **({} if op == "ReduceSum" else {"axes": [1]}))


def test_sum_of_everything():
    one("ReduceSum", {"x": values((40, 30))}, [], keepdims=0)


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax"])
def test_rows(op):
    one(op, {"x": values((6, 50))}, [6, 50], axis=-1)


def test_movement():
    one("Transpose", {"x": values((2, 3, 4, 5))}, [4, 2, 5, 3], perm=[2, 0, 3, 1])
    one("Concat", {"a": values((2, 3)), "b": values((2, 5))}, [2, 8], axis=1)
    one("Slice", {"x": values((10, 10))}, [4, 5], constants=[models.const("s", np.array([1, 0])), models.const("e", np.array([9, 10])),
                                                            models.const("a", np.array([0, 1])), models.const("t", np.array([2, 2]))])
    one("Slice", {"x": values((10, 10))}, [10, 10], constants=[models.const("s", np.array([-1])), models.const("e", np.array([-20])),
                                                              models.const("a", np.array([1])), models.const("t", np.array([-1]))])


def test_gather_and_its_error():
    made = models.one("Gather", [models.info("x", [20, 6]), models.info("i", [9], models.INT64)], models.info("y", [9, 6]), axis=0)
    feed = {"x": values((20, 6)), "i": RNG.integers(-20, 20, 9)}
    vulkan.both(made, feed)
    feed["i"][4] = 20
    with pytest.raises(tamis.Error, match="an index in the data is out of range"):
        tamis.compile(made, target="vulkan", cache="off").run(None, feed)


def test_products():
    feed = {"a": values((2, 17, 40)), "b": values((2, 40, 23))}
    one("MatMul", feed, [2, 17, 23])


@pytest.mark.parametrize("rows,columns", [(130, 131), (1, 9001), (2100, 5)])
def test_products_in_blocks_that_end_beyond(rows, columns):
    feed = {"a": RNG.integers(-9, 9, (rows, 20)).astype(np.int32), "b": RNG.integers(-9, 9, (20, columns)).astype(np.int32)}
    np.testing.assert_array_equal(one("MatMul", feed, [rows, columns], "int32"), feed["a"] @ feed["b"])


@pytest.mark.parametrize("group", [1, 4])
def test_quantized_convolution_is_exact(group):
    scales = {"sx": np.float32(0.02), "zx": np.uint8(117), "w": values((8, 8 // group, 3, 3), "int8"), "sw": np.float32(0.0025),
              "zw": np.int8(0), "sy": np.float32(0.02), "zy": np.uint8(120)}
    node = helper.make_node("QLinearConv", ["x", "sx", "zx", "w", "sw", "zw", "sy", "zy"], ["y"], pads=[1, 1, 1, 1], group=group)
    made = models.model([node], [models.info("x", [1, 8, 12, 12], models.UINT8)], [models.info("y", [1, 8, 12, 12], models.UINT8)],
                        [models.const(k, v) for k, v in scales.items()])
    vulkan.both(made, {"x": RNG.integers(0, 256, (1, 8, 12, 12)).astype(np.uint8)})


def test_quantization_is_exact():
    """Halves between two integers are rounded to the even one."""
    x = (np.arange(-300, 300) / 2).astype(np.float32) * np.float32(0.25)
    got = one("QuantizeLinear", {"x": x}, [600], "uint8", [models.const("s", np.float32(0.25)), models.const("z", np.uint8(128))])
    np.testing.assert_array_equal(got, np.clip(np.rint(x / np.float32(0.25)) + 128, 0, 255).astype(np.uint8))


def attention():
    """softmax(x xT) x for open batch and length."""
    nodes = [helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 1]), helper.make_node("MatMul", ["x", "t"], ["s"]),
             helper.make_node("Softmax", ["s"], ["p"], axis=-1), helper.make_node("MatMul", ["p", "x"], ["y"])]
    shape = ["batch", "seq", 24]
    return models.model(nodes, [models.info("x", shape)], [models.info("y", shape)])


@pytest.mark.parametrize("bounds", [{"batch": "1:8", "seq": "1:64"}, {}])
def test_one_library_serves_a_range(bounds):
    """Sizes are words of a launch; without bounds the memory is asked for during the run."""
    if vulkan.missing():
        pytest.skip(vulkan.missing())
    options = {"input_dims": bounds, "cache": "off", "lazy": False}
    device, host = (tamis.compile(attention(), target=t, **options) for t in ("vulkan", "x86-64"))
    for batch, seq in ((1, 1), (3, 17), (8, 64), (1, 1), (2, 5)):
        x = values((batch, seq, 24))
        vulkan.compare([device(x)], [host(x)])


def test_size_that_the_data_decides():
    x = values((6, 9)) * (RNG.random((6, 9)) < 0.4)
    one("NonZero", {"x": x.astype(np.float32)}, [2, None], "int64")


def test_scalar_of_two_words():
    """A range begins at a number of 64 bits, which a launch carries."""
    made = models.one("Range", [models.info(n, [], models.INT64) for n in ("a", "b", "c")], models.info("y", [None], models.INT64))
    feed = {"a": np.array(-(1 << 40) - 3), "b": np.array(1 << 40), "c": np.array(1 << 34)}
    vulkan.both(made, feed)


def test_loop():
    """v = v * 2 + 1, as often as the data says; host and device take turns."""
    body = helper.make_graph([helper.make_node("Add", ["v", "v"], ["d"]), helper.make_node("Add", ["d", "one"], ["w"]),
                              helper.make_node("Identity", ["c"], ["k"])], "body",
                             [models.info("i", [], models.INT64), models.info("c", [], TensorProto.BOOL), models.info("v", [50])],
                             [models.info("k", [], TensorProto.BOOL), models.info("w", [50])], [models.const("one", np.float32(1))])
    node = helper.make_node("Loop", ["n", "", "x"], ["y"], body=body)
    made = models.model([node], [models.info("n", [], models.INT64), models.info("x", [50])], [models.info("y", [50])])
    for n in (0, 1, 5):
        vulkan.both(made, {"n": np.array(n, np.int64), "x": values((50,))})


def test_runs_do_not_see_each_other():
    """The commands of a run serve the next; its data does not."""
    if vulkan.missing():
        pytest.skip(vulkan.missing())
    made = models.linear(3)
    first, second = (tamis.compile(made, target="vulkan", cache="off") for _ in range(2))
    for _ in range(3):
        for model in (first, second):
            x = values((3, 8))
            np.testing.assert_allclose(model(x), models.linear_result(made, x), rtol=1e-5, atol=1e-5)


def test_threads_share_an_instance():
    if vulkan.missing():
        pytest.skip(vulkan.missing())
    made, wrong = models.linear(3), []
    model = tamis.compile(made, target="vulkan", cache="off")

    def work(seed):
        rng = np.random.default_rng(seed)
        for _ in range(20):
            x = rng.standard_normal((3, 8)).astype(np.float32)
            if not np.allclose(model(x), models.linear_result(made, x), rtol=1e-5, atol=1e-5):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_report_says_where_kernels_run():
    report = tamis.compile(models.one("Sin", [models.info("x", [4])], models.info("y", [4])), target="vulkan", cache="off").report()
    assert report["device"]["kernels"] == 0 and "f64" in report["device"]["host"][0]["reason"]
    if vulkan.missing():
        pytest.skip(vulkan.missing())
    report = tamis.compile(models.add(), target="vulkan", cache="off").report()
    assert report["device"] == {"kernels": 1, "host": [], "others": [], "attention": []}


def test_explain_says_where_kernels_run(tmp_path):
    path = models.save(models.one("Sin", [models.info("x", [4])], models.info("y", [4])), tmp_path / "sin.onnx")
    done = subprocess.run([sys.executable, "-m", "tamis", "explain", path, "--target", "vulkan"], capture_output=True, text=True,
                          check=True)
    assert "kernels on the device: 0, on the host: 1" in done.stdout and "f64 has no device form" in done.stdout


def test_hardware_names_the_device():
    if vulkan.missing():
        pytest.skip(vulkan.missing())
    found = devices.devices()
    assert found and all(device["name"] and device["api"].startswith("1.") for device in found)


def test_saved_library(tmp_path):
    if vulkan.missing():
        pytest.skip(vulkan.missing())
    made, x = models.linear(3), values((3, 8))
    tamis.compile(made, target="vulkan", cache="off").save(str(tmp_path / "m.so"))
    np.testing.assert_allclose(tamis.load(str(tmp_path / "m.so"))(x), models.linear_result(made, x), rtol=1e-5, atol=1e-5)
