# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every scalar operation a kernel may hold, on the device and on the CPU, over special values."""
import numpy as np
import pytest
import tamis
from support import vulkan

INTEGERS, FLOATS = ("i8", "i16", "i32", "i64"), ("f16", "f32")
DTYPES = {"i1": bool, "i8": np.int8, "i16": np.int16, "i32": np.int32, "i64": np.int64, "f16": np.float16, "f32": np.float32}
SIZE = 96


def numbers(kind, rng):
    """Random values, then those at the ends of the type."""
    dtype = DTYPES[kind]
    if kind == "i1":
        return rng.integers(0, 2, SIZE).astype(bool)
    if kind in FLOATS:
        x = (rng.standard_normal(SIZE) * 8).astype(dtype)
        x[:10] = [0.0, -0.0, np.inf, -np.inf, np.nan, 0.5, 1.5, 2.5, -0.5, -1.5]
        return x
    ends = np.iinfo(dtype)
    x = rng.integers(ends.min, ends.max, SIZE, dtype=dtype)
    x[:5] = [0, 1, -1, ends.min, ends.max]
    return x


def operations():
    """(operand kinds, result kind, operation) with operands %0, %1, %2."""
    for kind in ("i1", *INTEGERS):
        signed = "" if kind == "i1" else "addi subi muli minsi maxsi"
        for name in f"andi ori xori minui maxui {signed}".split():
            yield (kind, kind), kind, f"arith.{name} %0, %1 : {kind}"
        for predicate in ("eq ne ult ule ugt uge" + (" slt sle sgt sge" if signed else "")).split():
            yield (kind, kind), "i1", f"arith.cmpi {predicate}, %0, %1 : {kind}"
        yield ("i1", kind, kind), kind, f"arith.select %0, %1, %2 : {kind}"
        yield (kind,), "f32", f"arith.uitofp %0 : {kind} to f32"
    wide = ("i1", *INTEGERS)
    for narrow, to in ((a, b) for i, a in enumerate(wide) for b in wide[i + 1:]):
        yield (narrow,), to, f"arith.extsi %0 : {narrow} to {to}"
        yield (narrow,), to, f"arith.extui %0 : {narrow} to {to}"
        yield (to,), narrow, f"arith.trunci %0 : {to} to {narrow}"
    for kind in INTEGERS:
        yield (kind,), "f32", f"arith.sitofp %0 : {kind} to f32"
        yield (kind,), kind, f"math.absi %0 : {kind}"
    for kind in FLOATS:
        for name in "addf subf mulf divf maximumf minimumf maxnumf minnumf".split():
            yield (kind, kind), kind, f"arith.{name} %0, %1 : {kind}"
        for predicate in "oeq ogt oge olt ole one ord ueq ugt uge ult ule une uno".split():
            yield (kind, kind), "i1", f"arith.cmpf {predicate}, %0, %1 : {kind}"
        for name in "absf ceil floor round roundeven exp exp2 expm1 tanh erf".split():
            yield (kind,), kind, f"math.{name} %0 : {kind}"
        yield (kind,), "i1", f"math.isnan %0 : {kind}"
        yield (kind, kind), kind, f"math.copysign %0, %1 : {kind}"
        yield (kind,), kind, f"arith.negf %0 : {kind}"
    yield ("f16",), "f32", "arith.extf %0 : f16 to f32"
    yield ("f32",), "f16", "arith.truncf %0 : f32 to f16"
    yield ("f32",), "i32", "arith.bitcast %0 : f32 to i32"


def divisions():
    """With divisors and distances that are defined."""
    for kind in INTEGERS:
        for name in "divsi divui remsi remui ceildivsi ceildivui floordivsi shli shrsi shrui".split():
            yield (kind, kind), kind, f"arith.{name} %0, %1 : {kind}"
    for name in "sqrt log log2 log10 log1p rsqrt".split():
        yield ("f32",), "f32", f"math.{name} %0 : f32"
    for kind in INTEGERS:
        yield ("f32",), kind, f"arith.fptosi %0 : f32 to {kind}"
        yield ("f32",), kind, f"arith.fptoui %0 : f32 to {kind}"


def module(cases):
    """A function with one elementwise operation for each case."""
    inputs = [(kind, place) for kind in DTYPES for place in range(3)]
    arguments = ", ".join(f'%{kind}_{place}: tensor<{SIZE}x{kind}> {{tamis.name = "{kind}_{place}"}}' for kind, place in inputs)
    body, results = [], []
    for number, (operands, result, text) in enumerate(cases):
        names = [f"%{kind}_{place}" for place, kind in enumerate(operands)]
        maps = ", ".join(["affine_map<(d0) -> (d0)>"] * (len(operands) + 1))
        block = ", ".join(f"%a{place}: {kind}" for place, kind in enumerate(operands))
        for place in range(len(operands)):
            text = text.replace(f"%{place}", f"%a{place}")
        types = ", ".join(f"tensor<{SIZE}x{kind}>" for kind in operands)
        body.append(f"""
  %e{number} = tensor.empty() : tensor<{SIZE}x{result}>
  %r{number} = linalg.generic {{indexing_maps = [{maps}], iterator_types = ["parallel"]}}
      ins({', '.join(names)} : {types}) outs(%e{number} : tensor<{SIZE}x{result}>) {{
  ^bb0({block}, %out: {result}):
    %v = {text}
    linalg.yield %v : {result}
  }} -> tensor<{SIZE}x{result}>""")
        results.append((f"%r{number}", f"tensor<{SIZE}x{result}>"))
    types = ", ".join(f'{kind} {{tamis.name = "y{number}"}}' for number, (_, kind) in enumerate(results))
    return (f"func.func @main({arguments}) -> ({types}) {{" + "".join(body) +
            f"\n  return {', '.join(name for name, _ in results)} : {', '.join(kind for _, kind in results)}\n}}\n")


def check(cases, feed):
    if vulkan.missing():
        pytest.skip(vulkan.missing())
    cases = list(cases)
    device, host = (tamis.compile(module(cases), target=target, cache="off") for target in ("vulkan", "x86-64"))
    assert not device.report()["device"]["host"]
    for case, got, want in zip(cases, device.run(None, feed), host.run(None, feed)):
        if got.dtype.kind in "iub":
            np.testing.assert_array_equal(got, want, err_msg=case[2])
        else:
            np.testing.assert_allclose(got, want, rtol=2e-3 if got.dtype == np.float16 else 1e-6, err_msg=case[2])


def test_operations():
    rng = np.random.default_rng(3)
    check(operations(), {f"{kind}_{place}": numbers(kind, rng) for kind in DTYPES for place in range(3)})


def test_operations_with_limits():
    rng = np.random.default_rng(4)
    feed = {f"{kind}_{place}": numbers(kind, rng) for kind in DTYPES for place in range(3)}
    for kind in INTEGERS:
        feed[f"{kind}_0"] = rng.integers(-100, 100, SIZE).astype(DTYPES[kind])
        feed[f"{kind}_1"] = rng.integers(1, 7, SIZE).astype(DTYPES[kind])
    feed["f32_0"] = (rng.random(SIZE) * 100).astype(np.float32)
    check(divisions(), feed)
