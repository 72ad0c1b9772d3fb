# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs ONNX's own node tests through Tamis:  run_nodes.py [--filter TEXT] [--jobs N] [--ci] [--json FILE] [--markdown FILE]

Every test of onnx.backend.test.loader.load_node_model_tests() compiles and runs in a worker process; a crash or a time
limit exceeded fails that test and the worker is replaced. Prints the share passed, a table per operator, and the
quantization operators apart. `--ci` runs the tests named in expected.txt, all of which have to pass; `--record` writes
that file. The last line is `N passed, N failed`.
"""
import argparse
import collections
import json
import os
import pickle
import select
import subprocess
import sys
import tempfile
import threading
import warnings

HERE = os.path.dirname(os.path.abspath(__file__))
EXPECTED = os.path.join(HERE, "expected.txt")
QUANTIZATION = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger",
                "MatMulInteger"}
TIMEOUT = 60


def load():
    """{name: test case}, in the package's order."""
    from onnx.backend.test.loader import load_node_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {case.name: case for case in load_node_model_tests()}


def operator(case):
    """The operator a test is about: its first node that computes something."""
    types = [node.op_type for node in case.model.graph.node]
    return next((op for op in types if op != "Constant"), "Constant")


def check_value(got, want, case, path):
    """The first difference between a result and what ONNX says, or an empty text."""
    import numpy as np

    if isinstance(want, (list, tuple)) or want is None:
        return f"{path}: a result that is no tensor"
    want = np.asarray(want)
    if got.dtype != want.dtype or got.shape != want.shape:
        return f"{path}: expected {want.dtype}{list(want.shape)}, got {got.dtype}{list(got.shape)}"
    if want.dtype.kind in "OSU":
        return "" if np.array_equal(got, want) else f"{path}: other strings"
    if want.dtype.kind in "biu" and np.array_equal(got, want):
        return ""
    exact = want.dtype.kind == "b"
    g, w = (a.astype(np.complex128 if want.dtype.kind == "c" else np.float64) for a in (got, want))
    if np.allclose(g, w, rtol=0 if exact else case.rtol, atol=0 if exact else case.atol, equal_nan=True):
        return ""
    with np.errstate(invalid="ignore"):
        return f"{path}: differs by up to {np.nanmax(np.abs(g - w)):.3g}"


def _array(value):
    """Element types numpy lacks come as TensorProto."""
    import onnx

    return onnx.numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


# Random by definition: only type and shape of the result are given.
RANDOM = {"Bernoulli", "RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial"}


def run_case(case, target):
    """(status, text) of one test: pass, compile, run or wrong."""
    import tamis

    names = [i.name for i in case.model.graph.input if i.name not in {t.name for t in case.model.graph.initializer}]
    try:
        model = tamis.compile(case.model, target=target, cache="off")
    except tamis.Error as error:
        return "compile", str(error)
    for index, (inputs, outputs) in enumerate(case.data_sets):
        inputs, outputs = ([_array(value) for value in values] for values in (inputs, outputs))
        try:
            got = model.run(None, dict(zip(names, inputs)))
        except tamis.Error as error:
            # A model with open dimensions compiles at its first call.
            return "run", str(error)
        if len(got) != len(outputs):
            return "wrong", f"{len(got)} outputs instead of {len(outputs)}"
        for info, g, w in zip(model.get_outputs(), got, outputs):
            text = check_value(g, w, case, f"data set {index}, output '{info.name}'")
            if text and not (operator(case) in RANDOM and "differs" in text):
                return "wrong", text
    return "pass", ""


def worker(target, folder):
    """Reads test names, writes one JSON line per test. The cases lie pickled in `folder`: loading them all takes seconds."""
    import onnx  # noqa: F401 - what the pickles need
    import tamis  # noqa: F401

    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints stays out of the protocol
    print("ready", file=out, flush=True)
    for text in sys.stdin:
        name = text.strip()
        try:
            with open(os.path.join(folder, name), "rb") as file:
                case = pickle.load(file)
            status, message = run_case(case, target)
        except Exception as error:  # a defect of the package is the test's failure, not the run's end
            status, message = "exception", f"{type(error).__name__}: {error}"
        print(json.dumps([name, status, message]), file=out, flush=True)


class Worker:
    """A worker process that is replaced when it dies."""

    def __init__(self, target, folder):
        self.command = [sys.executable, os.path.abspath(__file__), "--worker", folder, "--target", target]
        self.process = None

    def start(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, bufsize=1)
        threading.Thread(target=self._drain, args=(self.process,), daemon=True).start()
        if not self._line(120):
            raise SystemExit("error: the worker does not start: " + "".join(self.last)[-2000:])

    def _drain(self, process):
        self.last = collections.deque(maxlen=20)
        for text in process.stderr:
            self.last.append(text)

    def _line(self, seconds):
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        return self.process.stdout.readline() if ready else None

    def run(self, name):
        if self.process is None:
            self.start()
        self.process.stdin.write(name + "\n")
        self.process.stdin.flush()
        text = self._line(TIMEOUT)
        if text:
            return json.loads(text)
        if text is None:
            self.process.kill()
            self.process.wait()
            status, message = "timeout", f"no end after {TIMEOUT} s"
        else:
            code = self.process.wait()
            status, message = "crash", (f"signal {-code}: " if code < 0 else f"status {code}: ") + "".join(self.last)[-300:].strip()
        self.process = None
        return [name, status, message]

    def stop(self):
        if self.process:
            self.process.stdin.close()
            self.process.wait()


def run_all(cases, target, jobs):
    """{name: (status, text)} of the cases, `jobs` workers side by side."""
    with tempfile.TemporaryDirectory() as folder:
        for name, case in cases.items():
            with open(os.path.join(folder, name), "wb") as file:
                pickle.dump(case, file)
        return _serve_all(list(cases), target, jobs, folder)


def _serve_all(names, target, jobs, folder):
    queue, results, lock = collections.deque(names), {}, threading.Lock()

    def serve():
        mine = Worker(target, folder)
        while True:
            with lock:
                if not queue:
                    break
                name = queue.popleft()
            _, status, message = mine.run(name)
            with lock:
                results[name] = (status, message)
                if len(results) % 100 == 0:
                    print(f"{len(results)} of {len(names)}", file=sys.stderr, flush=True)
        mine.stop()

    threads = [threading.Thread(target=serve) for _ in range(min(jobs, len(names)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def tables(cases, results):
    """({operator: [passed, all]}, lines with the shares)."""
    by_op = collections.defaultdict(lambda: [0, 0])
    for name, (status, _) in results.items():
        by_op[operator(cases[name])][0] += status == "pass"
        by_op[operator(cases[name])][1] += 1
    passed, total = sum(p for p, _ in by_op.values()), len(results)
    lines = [f"{passed} of {total} node tests pass ({100 * passed / max(1, total):.1f} %)"]
    quantized = [by_op[op] for op in QUANTIZATION if op in by_op]
    if quantized:
        p, n = (sum(column) for column in zip(*quantized))
        lines.append(f"{p} of {n} tests of quantization operators pass ({100 * p / n:.1f} %)")
    status = collections.Counter(status for status, _ in results.values())
    lines.append(", ".join(f"{kind} {count}" for kind, count in status.most_common()))
    return dict(sorted(by_op.items())), lines


def write_markdown(path, by_op, lines):
    text = ["# Operator support", "", "Written by `test/OnnxNode/run_nodes.py --markdown docs/Operators.md`; not edited by hand.", ""]
    text += [f"- {line}" for line in lines] + ["", "| operator | node tests passed | of |", "|---|--:|--:|"]
    text += [f"| {op} | {p} | {n} |" for op, (p, n) in by_op.items()]
    with open(path, "w", encoding="utf8") as file:
        file.write("\n".join(text) + "\n")


def read_expected():
    with open(EXPECTED, encoding="utf8") as file:
        return [line.strip() for line in file if line.strip() and line[0] != "#"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--filter", default="", help="only tests whose name or operator contains this")
    parser.add_argument("--ci", action="store_true", help="the tests of expected.txt, an even slice of them with --slice")
    parser.add_argument("--slice", type=int, default=300, metavar="N", help="with --ci: at most so many")
    parser.add_argument("--record", action="store_true", help="write the passing tests to expected.txt")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--target", default="native")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--markdown", metavar="FILE")
    parser.add_argument("-v", "--verbose", action="store_true", help="name every test that fails")
    parser.add_argument("--worker", metavar="FOLDER", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        worker(args.target, args.worker)
        return 0
    cases = load()
    names = [name for name, case in cases.items() if args.filter in name or args.filter == operator(case)]
    if args.ci:
        wanted = read_expected()
        wanted = wanted[::max(1, len(wanted) // args.slice)]
        names = [name for name in wanted if name in cases]
    results = run_all({name: cases[name] for name in names}, args.target, args.jobs)
    by_op, lines = tables(cases, results)
    if not args.ci:
        for op, (passed, total) in by_op.items():
            print(f"{op:32}{passed:5} of {total:4}" + ("" if passed == total else "  *"))
    for name in names:
        status, message = results[name]
        if status != "pass" and (args.verbose or args.ci or status in ("crash", "timeout", "exception")):
            print(f"{status:10}{name}: {(message.splitlines() or [''])[0][:300]}")
    print("\n".join(lines))
    if args.json:
        with open(args.json, "w", encoding="utf8") as file:
            json.dump({"summary": lines, "operators": by_op,
                       "tests": {n: {"operator": operator(cases[n]), "status": s, "text": t} for n, (s, t) in results.items()}}, file, indent=1)
    if args.markdown:
        write_markdown(args.markdown, by_op, lines)
    if args.record:
        with open(EXPECTED, "w", encoding="utf8") as file:
            file.write("# Node tests of onnx that pass; run_nodes.py --record writes this file, --ci runs it.\n")
            file.writelines(f"{name}\n" for name in names if results[name][0] == "pass")
    passed = sum(status == "pass" for status, _ in results.values())
    print(f"{passed} passed, {len(results) - passed} failed")
    return int(passed < len(results))


if __name__ == "__main__":
    sys.exit(main())
