# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles mutations of small models:  mutate.py [--count 10000] [--seed 0] [--jobs N] [--fields] [--run]

Flips, overwrites, inserts, deletes and copies bytes. With --fields the message stays valid and its fields change: numbers
become hostile, names are swapped, nodes, attributes and tensors dropped or doubled; its seeds are the models of onnx's own
node tests. Each mutation has to end in a library or in an error; a crash or a time limit exceeded is a failure, and its
bytes are written to --keep. With --run what compiles is called once too. The last line is `N passed, N failed`.
"""
import argparse
import collections
import os
import subprocess
import sys
import tempfile
import threading

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support import models  # noqa: E402

TIMEOUT = 60
BATCH = 50  # mutations per process: the start of Python and LLVM costs more than one


def seeds():
    """The models that are mutated: weights and attributes, strings, a subgraph, quantization."""
    from onnx import helper

    branch = [helper.make_graph([helper.make_node(op, ["x"], ["r"])], op, [], [models.info("r", [4])]) for op in ("Relu", "Neg")]
    choice = models.model([helper.make_node("If", ["c"], ["y"], then_branch=branch[0], else_branch=branch[1])],
                          [models.info("x", [4]), models.info("c", [], 9)], [models.info("y", [4])])
    scale, zero = models.const("s", np.float32(0.1)), models.const("z", np.uint8(128))
    quantized = models.model([helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
                              helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"])],
                             [models.info("x", [2, 8])], [models.info("y", [2, 8])], [scale, zero])
    return [made.SerializeToString() for made in (models.linear(1), models.conv(pads=[1, 1, 1, 1]), choice, quantized)]


def mutate(data, rng):
    """One to four random edits of the bytes."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        at, kind = int(rng.integers(0, len(data))), rng.integers(0, 5)
        size = int(rng.integers(1, 9))
        if kind == 0:
            data[at] ^= 1 << int(rng.integers(0, 8))
        elif kind == 1:
            data[at] = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.integers(0, 256)]))
        elif kind == 2:
            data[at:at] = rng.bytes(size)
        elif kind == 3 and len(data) > size:
            del data[at:at + size]
        else:
            start = int(rng.integers(0, len(data)))
            data[at:at] = data[start:start + size]
    return bytes(data)


def node_models():
    """The models of onnx's node tests, which hold every operator."""
    import warnings

    from onnx.backend.test.loader import load_node_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [case.model.SerializeToString() for case in load_node_model_tests()]


def fields_of(message, into):
    """All (message, field) pairs set below `message`."""
    for field, value in message.ListFields():
        into.append((message, field))
        if field.message_type:
            for inner in [value] if not field.is_repeated else value:
                fields_of(inner, into)


NUMBERS = [0, 1, -1, 2, 3, 7, 100, 1 << 16, (1 << 31) - 1, -(1 << 31), 1 << 40, (1 << 63) - 1, -(1 << 63)]
REALS = [0.0, -1.0, 1e-45, 1e30, float("inf"), float("nan")]


def other_value(field, old, rng, texts):
    """A value of the field's type to put in place of `old`."""
    kind = field.cpp_type
    if kind == field.CPPTYPE_ENUM:  # the package refuses others; bytes mutations make them
        values = field.enum_type.values
        return values[rng.integers(0, len(values))].number
    if kind in (field.CPPTYPE_INT32, field.CPPTYPE_INT64, field.CPPTYPE_UINT64):
        low, high = {field.CPPTYPE_INT64: (-(1 << 63), (1 << 63) - 1), field.CPPTYPE_UINT64: (0, (1 << 64) - 1)}.get(
            kind, (-(1 << 31), (1 << 31) - 1))
        near = old + int(rng.integers(-2, 3))
        return min(max(near if rng.integers(0, 2) else NUMBERS[rng.integers(0, len(NUMBERS))], low), high)
    if kind in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
        return REALS[rng.integers(0, len(REALS))]
    text = texts[rng.integers(0, len(texts))] if rng.integers(0, 4) else ""
    if field.type == field.TYPE_BYTES:
        return bytes(old)[:-1] if rng.integers(0, 2) else text.encode()
    return text


def mutate_fields(data, rng):
    """One to three edits of the fields of a model."""
    import onnx

    model = onnx.ModelProto.FromString(data)
    for _ in range(rng.integers(1, 4)):
        fields = []
        fields_of(model.graph, fields)
        texts = sorted({str(getattr(m, f.name)) for m, f in fields if f.type == f.TYPE_STRING and not f.is_repeated} | {"x", "y"})
        message, field = fields[rng.integers(0, len(fields))]
        value = getattr(message, field.name)
        if not field.is_repeated:
            if field.message_type or not rng.integers(0, 6):
                message.ClearField(field.name)
            else:
                setattr(message, field.name, other_value(field, value, rng, texts))
            continue
        at, kind = int(rng.integers(0, len(value))), rng.integers(0, 4)
        if kind == 0:
            del value[at]
        elif kind == 1:
            value.append(value[at])
        elif not field.message_type:
            value[at] = other_value(field, value[at], rng, texts)
        else:
            value[at].CopyFrom(value[int(rng.integers(0, len(value)))])
    return model.SerializeToString()


def make(index, seed, originals, fields=False):
    """Mutation number `index` of a run with `seed`."""
    rng = np.random.default_rng([seed, index])
    return (mutate_fields if fields else mutate)(originals[index * 7919 % len(originals) if fields else index % len(originals)], rng)


def batch(first, count, seed, run, fields):
    """Compile mutations first .. first+count-1 in this process, telling which is on."""
    import resource

    import tamis
    from tamis import feeds

    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    originals = node_models() if fields else seeds()
    for index in range(first, first + count):
        print("start", index, flush=True)
        try:
            model = tamis.compile(make(index, seed, originals, fields), cache="off", lazy=False)
            result = "library"
            if run:
                model.run(None, feeds.random(model.get_inputs()))
        except tamis.Error:
            result = "error"
        except MemoryError:
            result = "error"
        print("end", index, result, flush=True)


def run_batch(first, count, args):
    """{index: outcome} of a batch; restarts behind a mutation that ends the process."""
    outcomes = {}
    while len(outcomes) < count:
        start = first + len(outcomes)
        command = [sys.executable, os.path.abspath(__file__), "--batch", str(start), "--count", str(count - len(outcomes)),
                   "--seed", str(args.seed)] + ["--run"] * args.run + ["--fields"] * args.fields
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            process = subprocess.Popen(command, stdout=out, stderr=err, text=True)
            try:
                code = process.wait(TIMEOUT + 2 * count)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                code = "no end"
            out.seek(0)
            lines = [line.split() for line in out.read().splitlines()]
            err.seek(0)
            text = err.read()[-300:].strip().replace("\n", " | ")
        for line in lines:
            if line[:1] == ["end"] and len(line) == 3:
                outcomes[int(line[1])] = line[2]
        started = [int(line[1]) for line in lines if line[:1] == ["start"]]
        if code == 0:
            continue
        if not started:
            raise SystemExit(f"error: a batch does not start: {text}")
        if started[-1] not in outcomes:
            outcomes[started[-1]] = f"crash: {'signal %d' % -code if isinstance(code, int) and code < 0 else code}: {text}"
    return outcomes


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--fields", action="store_true", help="change fields instead of bytes")
    parser.add_argument("--run", action="store_true")
    parser.add_argument("--keep", metavar="DIR", help="write crashing mutations here")
    parser.add_argument("--batch", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.batch is not None:
        batch(args.batch, args.count, args.seed, args.run, args.fields)
        return 0
    queue = collections.deque(range(0, args.count, BATCH))
    outcomes, lock = {}, threading.Lock()

    def serve():
        while True:
            with lock:
                if not queue:
                    return
                first = queue.popleft()
            found = run_batch(first, min(BATCH, args.count - first), args)
            with lock:
                outcomes.update(found)
                if sys.stderr.isatty():
                    print(f"\r{len(outcomes)} of {args.count}", end="", file=sys.stderr, flush=True)

    threads = [threading.Thread(target=serve) for _ in range(args.jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    originals, bad = node_models() if args.fields else seeds(), 0
    for index, outcome in sorted(outcomes.items()):
        if outcome.startswith("crash"):
            bad += 1
            print(f"mutation {index}: {outcome}")
            if args.keep:
                os.makedirs(args.keep, exist_ok=True)
                with open(os.path.join(args.keep, f"{args.seed}-{index}.onnx"), "wb") as file:
                    file.write(make(index, args.seed, originals, args.fields))
    counts = collections.Counter(outcome.split(":")[0] for outcome in outcomes.values())
    print(", ".join(f"{kind} {count}" for kind, count in counts.most_common()))
    print(f"{len(outcomes) - bad} passed, {bad + args.count - len(outcomes)} failed")
    return int(bad > 0 or len(outcomes) < args.count)


if __name__ == "__main__":
    sys.exit(main())
