# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs --tamis-fuse-rows and --tamis-vectorize-loops on small operations of every kind and compares with numpy.

Sizes are odd on purpose: each case has whole vectors, a rest and an edge that one lane too many would cross.
"""
import sys

import numpy as np

from kernels import Module, generic, host_targets

RNG = np.random.default_rng(0)


def rand(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def windows(x, size, stride, out):
    """The values under a square window over the last two axes but `out` positions each."""
    return [x[:, :, i:i + stride * (out - 1) + 1:stride, j:j + stride * (out - 1) + 1:stride]
            for i in range(size) for j in range(size)]


ADD = "    %r = arith.addf %x0, %x1 : f32\n    linalg.yield %r : f32"
MAX = "    %r = arith.maximumf %x0, %x2 : f32\n    linalg.yield %r : f32"
COPY = "    linalg.yield %x0 : {}"
QUANTIZE = """    %lo = arith.constant -128.0 : f32
    %hi = arith.constant 127.0 : f32
    %s = arith.constant 30.0 : f32
    %a = arith.mulf %x0, %s : f32
    %b = math.roundeven %a : f32
    %c = arith.maxnumf %b, %lo : f32
    %d = arith.minnumf %c, %hi : f32
    %e = arith.fptosi %d : f32 to i8
    linalg.yield %e : i8"""
COUNT = """    %c = arith.constant 100 : index
    %i = linalg.index 0 : index
    %j = linalg.index 1 : index
    %k = arith.muli %i, %c : index
    %l = arith.addi %k, %j : index
    %r = arith.index_cast %l : index to i64
    linalg.yield %r : i64"""
WIDEN = """    %a = arith.extsi %x0 : i8 to i32
    %b = arith.extui %x1 : i8 to i32
    %c = arith.addi %a, %b : i32
    linalg.yield %c : i32"""
HALF = """    %a = arith.extf %x0 : f16 to f32
    %b = arith.mulf %a, %a : f32
    %c = arith.truncf %b : f32 to f16
    linalg.yield %c : f16"""
SIGMOID8 = """    %one = arith.constant 1.0 : f32
    %s = arith.constant 0.05 : f32
    %q = arith.constant 255.0 : f32
    %z = arith.constant 128.0 : f32
    %a = arith.sitofp %x0 : i8 to f32
    %b = arith.mulf %a, %s : f32
    %c = arith.negf %b : f32
    %d = math.exp %c : f32
    %e = arith.addf %d, %one : f32
    %f = arith.divf %one, %e : f32
    %g = arith.mulf %f, %q : f32
    %h = math.roundeven %g : f32
    %i = arith.subf %h, %z : f32
    %j = arith.fptosi %i : f32 to i8
    linalg.yield %j : i8"""
ARGMAX = """    %i = linalg.index 1 : index
    %j = arith.index_cast %i : index to i64
    %c = arith.cmpf ogt, %x0, %x1 : f32
    %a = arith.select %c, %x0, %x1 : f32
    %b = arith.select %c, %j, %x2 : i64
    linalg.yield %a, %b : f32, i64"""

# One operation each: name, operands as (type, map), iterators, body, start value; arrays and what numpy says.
CASES = []


def case(name, inputs, outputs, iterators, body, arrays, wanted, fill=None, tolerance=1e-5):
    CASES.append((name, generic(name, inputs, outputs, iterators, body, fill), arrays, wanted, tolerance))


a, b, row, column = rand(13, 37), rand(13, 37), rand(37), rand(13)
case("add_open", [("memref<?x?xf32>", "d0, d1")] * 2, [("memref<?x?xf32>", "d0, d1")], "pp", ADD, [a, b], [a + b])
case("add_row", [("memref<13x37xf32>", "d0, d1"), ("memref<37xf32>", "d1")], [("memref<13x37xf32>", "d0, d1")], "pp", ADD,
     [a, row], [a + row])
case("add_column", [("memref<13x37xf32>", "d0, d1"), ("memref<13xf32>", "d0")], [("memref<13x37xf32>", "d0, d1")], "pp",
     ADD, [a, column], [a + column[:, None]])
case("sum_rows_open", [("memref<?x?xf32>", "d0, d1")], [("memref<?xf32>", "d0")], "pr", ADD, [a], [a.sum(1)], "0.0", 1e-4)
case("sum_rows", [("memref<13x37xf32>", "d0, d1")], [("memref<13xf32>", "d0")], "pr", ADD, [a], [a.sum(1)], "0.0", 1e-4)
case("sum_columns", [("memref<13x37xf32>", "d0, d1")], [("memref<37xf32>", "d1")], "rp", ADD, [a], [a.sum(0)], "0.0", 1e-4)
case("sum_all", [("memref<13x37xf32>", "d0, d1")], [("memref<f32>", "")], "rr", ADD, [a], [np.array(a.sum())], "0.0", 1e-3)
x = rand(2, 7, 7, 72)
case("pool_average_last", [("memref<2x7x7x72xf32>", "d0, d1, d2, d3")], [("memref<2x72xf32>", "d0, d3")], "prrp", ADD, [x],
     [x.sum((1, 2))], "0.0", 1e-4)
x = rand(2, 72, 7, 7)
case("pool_average_first", [("memref<2x72x7x7xf32>", "d0, d1, d2, d3")], [("memref<2x72xf32>", "d0, d1")], "pprr", ADD, [x],
     [x.sum((2, 3))], "0.0", 1e-4)
shape = np.zeros((3, 3), np.float32)
x = rand(1, 15, 15, 24)
case("pool_max_last", [("memref<1x15x15x24xf32>", "d0, d1 * 2 + d4, d2 * 2 + d5, d3"), ("memref<3x3xf32>", "d4, d5")],
     [("memref<1x7x7x24xf32>", "d0, d1, d2, d3")], "pppprr", MAX, [x, shape],
     [np.max(windows(x.transpose(0, 3, 1, 2), 3, 2, 7), 0).transpose(0, 2, 3, 1)], "0xFF800000")
for stride, size in ((1, 21), (2, 39), (3, 61)):
    out = (size - 3) // stride + 1
    x = rand(1, 6, size, size)
    case(f"pool_max_first_{stride}", [(f"memref<1x6x{size}x{size}xf32>", f"d0, d1, d2 * {stride} + d4, d3 * {stride} + d5"),
                                      ("memref<3x3xf32>", "d4, d5")], [(f"memref<1x6x{out}x{out}xf32>", "d0, d1, d2, d3")],
         "pppprr", MAX, [x, shape], [np.max(windows(x, 3, stride, out), 0)], "0xFF800000")
for element, dtype in (("f32", np.float32), ("i8", np.int8), ("f64", np.float64), ("i16", np.int16)):
    x = (rand(37, 45) * 50).astype(dtype)
    case(f"turn_{element}", [(f"memref<37x45x{element}>", "d1, d0")], [(f"memref<45x37x{element}>", "d0, d1")], "pp",
         COPY.format(element), [x], [x.T])
x = rand(33, 70)
case("turn_open", [("memref<?x?xf32>", "d1, d0")], [("memref<?x?xf32>", "d0, d1")], "pp", COPY.format("f32"), [x], [x.T])
case("turn_and_add", [("memref<33x70xf32>", "d1, d0"), ("memref<33xf32>", "d1")], [("memref<70x33xf32>", "d0, d1")], "pp",
     ADD, [x, x[:, 0].copy()], [x.T + x[:, 0]])
x = rand(2, 3, 20, 21)
case("channels_last", [("memref<2x3x20x21xf32>", "d0, d3, d1, d2")], [("memref<2x20x21x3xf32>", "d0, d1, d2, d3")], "pppp",
     COPY.format("f32"), [x], [x.transpose(0, 2, 3, 1)])
x = rand(2, 20, 21, 3)
case("channels_first", [("memref<2x20x21x3xf32>", "d0, d2, d3, d1")], [("memref<2x3x20x21xf32>", "d0, d1, d2, d3")], "pppp",
     COPY.format("f32"), [x], [x.transpose(0, 3, 1, 2)])
case("greater", [("memref<13x37xf32>", "d0, d1")] * 2, [("memref<13x37xi1>", "d0, d1")], "pp",
     "    %r = arith.cmpf ogt, %x0, %x1 : f32\n    linalg.yield %r : i1", [a, b], [a > b])
case("choose", [("memref<13x37xi1>", "d0, d1"), ("memref<13x37xf32>", "d0, d1"), ("memref<37xf32>", "d1")],
     [("memref<13x37xf32>", "d0, d1")], "pp", "    %r = arith.select %x0, %x1, %x2 : f32\n    linalg.yield %r : f32",
     [a > b, a, row], [np.where(a > b, a, row)])
case("backwards", [("memref<37xf32>", "36 - d0")], [("memref<37xf32>", "d0")], "p", COPY.format("f32"), [row], [row[::-1]])
x = rand(99)
case("every_second", [("memref<99xf32>", "2 * d0 + 1")], [("memref<49xf32>", "d0")], "p", COPY.format("f32"), [x], [x[1::2]])
case("count", [], [("memref<13x37xi64>", "d0, d1")], "pp", COUNT, [], [np.arange(13)[:, None] * 100 + np.arange(37)])
x = rand(5, 70) * 3
case("quantize", [("memref<5x70xf32>", "d0, d1")], [("memref<5x70xi8>", "d0, d1")], "pp", QUANTIZE, [x],
     [np.clip(np.rint(x * np.float32(30)), -128, 127).astype(np.int8)])
x = RNG.integers(-128, 128, (5, 70)).astype(np.int8)
case("widen", [("memref<5x70xi8>", "d0, d1")] * 2, [("memref<5x70xi32>", "d0, d1")], "pp", WIDEN, [x, x],
     [x.astype(np.int32) + x.view(np.uint8)])
x = rand(300, 1001)
for name, type in (("large", "memref<300x1001xf32>"), ("large_open", "memref<?x?xf32>")):
    case(name, [(type, "d0, d1")], [(type, "d0, d1")], "pp",
         "    %r = math.exp %x0 : f32\n    linalg.yield %r : f32", [x], [np.exp(x)])
case("large_count", [], [("memref<3000x1001xi64>", "d0, d1")], "pp", COUNT, [],
     [np.arange(3000)[:, None] * 100 + np.arange(1001)])
for count in (256, 5000):
    x = np.resize(np.arange(-128, 128, dtype=np.int16), count).astype(np.int8)
    case(f"sigmoid_of_{count}_bytes", [(f"memref<{count}xi8>", "d0")], [(f"memref<{count}xi8>", "d0")], "p", SIGMOID8, [x],
         [(np.rint(255 / (1 + np.exp(x.astype(np.float64) * -0.05))) - 128).astype(np.int8)])
x = rand(5, 70).astype(np.float16)
case("half", [("memref<5x70xf16>", "d0, d1")], [("memref<5x70xf16>", "d0, d1")], "pp", HALF, [x],
     [(x.astype(np.float32) ** 2).astype(np.float16)], None, 2e-3)
x = rand(50, 37)
CASES.append(("largest", generic("largest", [("memref<50x37xf32>", "d0, d1")],
                                 [("memref<50xf32>", "d0"), ("memref<50xi64>", "d0")], "pr", ARGMAX)
              .replace("  linalg.generic", "  %lowest = arith.constant 0xFF800000 : f32\n"
                       "  linalg.fill ins(%lowest : f32) outs(%a1 : memref<50xf32>)\n  linalg.generic"),
              [x], [x.max(1), x.argmax(1)], 1e-6))


def softmax(name, shape):
    """The decomposed softmax over the last axis as the importer writes it."""
    rank = len(shape)
    dims = ", ".join(f"d{i}" for i in range(rank))
    full, row = f"affine_map<({dims}) -> ({dims})>", f"affine_map<({dims}) -> ({dims.rpartition(', ')[0]})>"
    x, m = f"memref<{'x'.join(map(str, shape))}xf32>", f"memref<{'x'.join(map(str, shape[:-1]))}xf32>"
    parallel = '"parallel", ' * (rank - 1) + '"parallel"'
    sums = '"parallel", ' * (rank - 1) + '"reduction"'

    def apply(inputs, types, out, type, maps, kinds, body):
        return (f"  linalg.generic {{indexing_maps = [{', '.join(maps)}], iterator_types = [{kinds}]}} "
                f"ins({inputs} : {types}) outs({out} : {type}) {{\n{body}  }}\n")

    one = "  ^bb0(%a: f32, %b: f32):\n    %r = arith.{} %b, %a : f32\n    linalg.yield %r : f32\n"
    two = "  ^bb0(%a: f32, %b: f32, %c: f32):\n{}    linalg.yield %r : f32\n"
    return (f"func.func @{name}(%x: {x}, %y: {x}) {{\n  %lowest = arith.constant 0xFF800000 : f32\n"
            f"  %zero = arith.constant 0.0 : f32\n  %m = memref.alloc() : {m}\n"
            f"  linalg.fill ins(%lowest : f32) outs(%m : {m})\n"
            + apply("%x", x, "%m", m, [full, row], sums, one.format("maximumf"))
            + f"  %e = memref.alloc() : {x}\n"
            + apply("%x, %m", f"{x}, {m}", "%e", x, [full, row, full], parallel,
                    two.format("    %d = arith.subf %a, %b : f32\n    %r = math.exp %d : f32\n"))
            + f"  %s = memref.alloc() : {m}\n  linalg.fill ins(%zero : f32) outs(%s : {m})\n"
            + apply("%e", x, "%s", m, [full, row], sums, one.format("addf"))
            + apply("%e, %s", f"{x}, {m}", "%y", x, [full, row, full], parallel,
                    two.format("    %r = arith.divf %a, %b : f32\n"))
            + "  return\n}\n")


for extents in ((3, 5, 37), (1, 1000), (64, 128), (50, 4001)):
    x = rand(*extents) * 4
    e = np.exp(x - x.max(-1, keepdims=True))
    name = "softmax_" + "_".join(map(str, extents))
    CASES.append((name, softmax(name, extents), [x], [e / e.sum(-1, keepdims=True)], 2e-5))


def main(folder):
    failed = 0
    text = "".join(case[1] for case in CASES)
    for target in host_targets():
        for strict in (False, True):
            module = Module(text, target, folder, strict)
            for name, _, arrays, wanted, tolerance in CASES:
                results = [np.zeros(w.shape, w.dtype) for w in wanted]
                module(name, *arrays, *results)
                for got, expected in zip(results, wanted):
                    same = (np.allclose(got.astype(np.float64), expected, rtol=tolerance, atol=tolerance)
                            if expected.dtype.kind == "f" else np.array_equal(got, expected))
                    if not same:
                        failed += 1
                        print(f"{target} strict={strict} {name}: differs")
    print(f"{len(CASES)} operations agree with numpy" if failed == 0 else f"{failed} results differ")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
