# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles the models of models.txt, runs them and compares the results with ONNX Runtime.

    run_models.py [--models a,b] [--ci] [--fetch] [--seeds 3] [--jobs 1] [--json FILE] [--target T] [--beside T] [--threads N]

The rule is that of python/tamis/compare.py. Each model runs in a process of its own: a crash or a limit exceeded is
that model's failure. `--ci` takes the small slice. `--beside` compares with the model
compiled for another target, too: integers equal, floats within 1e-3 of the largest. The last line is `N passed, N failed`.
"""
import argparse
import concurrent.futures
import json
import os
import resource
import subprocess
import sys
import time

import manifest

# Small, fast, and between them: convolution, depthwise, recurrence, control flow, STFT, quantized, int32 input.
CI = ("mnist-cntk,oww-alexa,oww-jarvis,oww-marvin,oww-mycroft-lstm,oww-melspec,oww-embedding,silero5-16k-op15,"
      "silero5-openvino,ppocrv2-cls,pplcnet-orient,onnxasr-gigaam_v2,onnxasr-resample44")


def beside(model, options, feeds, compiled):
    """How results differ from those of the same model with other options; empty where they agree."""
    import numpy as np
    import tamis

    other = tamis.compile(model.path, cache="off", lazy=False, **options)
    for feed in feeds:
        for output, got, want in zip(compiled.get_outputs(), compiled.run(None, feed), other.run(None, feed)):
            exact = got.dtype.kind in "iub"
            bound = 0 if exact else 1e-3 * np.abs(want).max(initial=0)
            worst = np.abs(got.astype(np.float64) - want).max(initial=0)
            if got.shape != want.shape or not worst <= bound:
                return f"output '{output.name}': {worst:.1e} away from target {options['target']}, allowed {bound:.1e}"
    return ""


def check_one(key, seeds, target, threads, strict, other):
    """The result of one model as plain data; runs in a process of its own."""
    import tamis
    from demo import dims
    from tamis import verification

    model = manifest.MODELS[key]
    result = {"key": key, "status": "pass", "text": "", "outputs": []}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    try:
        compiled = tamis.compile(model.path, input_dims=dims(model), target=target, threads=threads, strict=strict,
                                 cache="off", lazy=False)
    except tamis.Error as error:
        return {**result, "status": "compile", "text": str(error), "seconds": time.perf_counter() - start}
    result["seconds"] = time.perf_counter() - start
    result["compile_mb"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    result["library_mb"] = os.path.getsize(compiled._path) / 1e6
    try:
        feeds = [manifest.feeds(model, seed) for seed in range(seeds)]
        outputs = verification.end_to_end(compiled, model.path, feeds, model.numeric_class, model.classifier)
    except tamis.Error as error:
        return {**result, "status": "run", "text": str(error)}
    result["outputs"] = [{"name": o.name, "error": o.error, "allowed": o.allowed, "problem": o.problem} for o in outputs]
    wrong = [str(o) for o in outputs if not o.agrees]
    if other:
        text = beside(model, {"input_dims": dims(model), "target": other, "strict": strict}, feeds, compiled)
        wrong += [text] if text else []
    if wrong:
        result.update(status="wrong", text="; ".join(wrong))
    return result


def in_process(key, args):
    """check_one in its own process, with a time limit."""
    command = [sys.executable, os.path.abspath(__file__), "--one", key, "--seeds", str(args.seeds), "--target", args.target,
               "--threads", str(args.threads), "--beside", args.beside] + (["--strict"] if args.strict else [])
    start = time.perf_counter()
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=args.timeout)
    except subprocess.TimeoutExpired:
        return {"key": key, "status": "timeout", "text": f"no end after {args.timeout} s"}
    lines = done.stdout.strip().splitlines()
    if done.returncode == 0 and lines and lines[-1].startswith("{"):
        return {**json.loads(lines[-1]), "wall": time.perf_counter() - start}
    status = f"signal {-done.returncode}" if done.returncode < 0 else f"status {done.returncode}"
    return {"key": key, "status": "crash", "text": f"{status}: " + " | ".join(done.stderr.strip().splitlines()[-3:])}


def line(result):
    """One model in one line."""
    worst = max((o["error"] for o in result.get("outputs", ())), default=None)
    parts = [f"{'ok' if result['status'] == 'pass' else result['status']:8}{result['key']:38}"]
    parts.append(f"compile {result['seconds']:6.2f} s" if "seconds" in result else " " * 16)
    parts.append(f"+{result['compile_mb']:6.0f} MB  so {result['library_mb']:7.2f} MB" if "compile_mb" in result else " " * 27)
    parts.append(f"error {worst:.1e}" if worst is not None else "")
    text = result["text"].splitlines()
    if text:
        parts.append(text[0][:300] + (f" (and {len(text) - 1} more)" if len(text) > 1 else ""))
    return "  ".join(parts).rstrip()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", help="only these keys, split by commas")
    parser.add_argument("--ci", action="store_true", help="the small slice")
    parser.add_argument("--fetch", action="store_true", help="fetch what is missing first")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=900)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--target", default="native")
    parser.add_argument("--beside", default="", metavar="TARGET")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(check_one(args.one, args.seeds, args.target, args.threads, args.strict, args.beside)))
        return 0
    names = args.models or (CI if args.ci else None)
    models = manifest.select(names)
    if args.fetch:
        fetch = os.path.join(manifest.HERE, "fetch_models.py")
        missing = [m.key for m in models if not os.path.exists(m.path)]
        if missing:
            subprocess.run([sys.executable, fetch, "--models", ",".join(missing)], check=False)
    results = []
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for result in pool.map(lambda model: in_process(model.key, args), models):
            results.append(result)
            print(line(result), flush=True)
    passed = sum(result["status"] == "pass" for result in results)
    if args.json:
        with open(args.json, "w", encoding="utf8") as file:
            json.dump(results, file, indent=1)
    print(f"{passed} passed, {len(results) - passed} failed")
    return int(passed < len(results))


if __name__ == "__main__":
    sys.exit(main())
