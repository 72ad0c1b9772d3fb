# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tokens a second of a language model on one core: prefill and decode, engines in turns.

    llm.py MODEL.onnx [--prompt 128] [--tokens 32] [--rounds 5] [--llama PYTHON MODEL.gguf]

MODEL.onnx is what test/Models/gguf_to_onnx.py writes; every engine keeps keys and values in one buffer. Every engine gets
the same prompt and then its own best token again and again; the tokens are printed, so that one sees whether the engines
agree. PYTHON is an interpreter of an environment of its own with xllamacpp (llama.cpp, whose system line is printed); its
times are those it reports. Figures are medians over all steps of all rounds (llama.cpp: of all rounds), in wall time:
nothing else should run on the core.
"""
import argparse
import json
import statistics
import subprocess
import sys
import time

import numpy as np
import onnxruntime
import tamis


class Step:
    """A step function with its cache. `bind(feed, outputs)` fixes the arrays of a call by name: what it returns runs it."""

    def __init__(self, bind, inputs, length):
        self.bind = bind
        self.cache = {name: np.zeros([d if isinstance(d, int) else length for d in shape], np.float32)
                      for name, shape in inputs if name.startswith("past.")}
        self.calls = {}

    def call(self, count):
        """The call for so many tokens and the arrays of what changes between calls."""
        if count not in self.calls:
            feed = {"input_ids": np.zeros((1, count), np.int64), "seqlens_k": np.zeros(1, np.int32),
                    "total_sequence_length": np.zeros((), np.int32)}
            states = {name.replace("past", "present"): array for name, array in self.cache.items()}
            self.calls[count] = feed, self.bind({**feed, **self.cache}, states)
        return self.calls[count]

    def generate(self, prompt, tokens):
        """The best tokens, the seconds of the prompt and of each token."""
        known, now, found, times = 0, prompt, [], []
        for _ in range(tokens + 1):
            feed, run = self.call(len(now))
            known += len(now)
            feed["input_ids"][0], feed["seqlens_k"][0], feed["total_sequence_length"][()] = now, known - 1, known
            start = time.perf_counter()
            logits = run()
            times.append(time.perf_counter() - start)
            now = [int(logits[0, 0].argmax())]
            found += now
        return found, times[0], times[1:]


def open_tamis(path, length):
    model = tamis.compile(path, input_dims={"seq": f"1:{length}", "capacity": f"1:{length}"}, lazy=False)
    at = [o.name for o in model.get_outputs()].index("logits")

    def bind(feed, states):
        call = model.bind(feed, states)
        return lambda: call()[at]
    return Step(bind, [(i.name, i.shape) for i in model.get_inputs()], length)


def open_onnxruntime(path, length):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    logits = np.zeros(session.get_outputs()[0].shape, np.float32)

    def bind(feed, states):
        binding = session.io_binding()
        for name, array in feed.items():
            binding.bind_input(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        for name, array in {"logits": logits, **states}.items():
            binding.bind_output(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)

        def run():
            session.run_with_iobinding(binding)
            return logits
        return run
    return Step(bind, [(i.name, i.shape) for i in session.get_inputs()], length)


LLAMA = """
import json, sys, xllamacpp
parameters = xllamacpp.CommonParams()
parameters.model.path, parameters.n_ctx, parameters.n_parallel, parameters.n_batch = sys.argv[1], int(sys.argv[2]), 1, 512
parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(parameters)
print(xllamacpp.get_system_info(), file=sys.stderr)
for line in sys.stdin:
    prompt, tokens = json.loads(line)
    request = {"prompt": prompt, "n_predict": tokens + 1, "temperature": 0, "cache_prompt": False, "ignore_eos": True}
    times = server.handle_completions(request)["timings"]
    shown = server.handle_completions({**request, "n_predict": 6, "logprobs": 1})  # untimed: probabilities are sorted for it
    found = [token["id"] for token in shown["choices"][0]["logprobs"]["content"]]
    print(json.dumps([found, times["prompt_ms"] / 1e3, [times["predicted_per_token_ms"] / 1e3]]), flush=True)
"""


class Llama:
    """llama.cpp in a process of its own."""

    def __init__(self, python, path, length):
        self.process = subprocess.Popen([python, "-c", LLAMA, path, str(length)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def generate(self, prompt, tokens):
        print(json.dumps([prompt, tokens]), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--prompt", type=int, default=128, help="tokens of the prompt (default 128)")
    parser.add_argument("--tokens", type=int, default=32, help="tokens to decode (default 32)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--llama", nargs=2, metavar=("PYTHON", "GGUF"))
    arguments = parser.parse_args()
    length = arguments.prompt + arguments.tokens + 1
    engines = {"tamis": open_tamis(arguments.model, length), "onnxruntime": open_onnxruntime(arguments.model, length)}
    if arguments.llama:
        engines["llama.cpp"] = Llama(*arguments.llama, length)
    prompt = np.random.default_rng(0).integers(1000, 20000, arguments.prompt).tolist()
    prefill, decode, found = ({name: [] for name in engines} for _ in range(3))
    for _ in range(arguments.rounds):
        for name, engine in engines.items():
            found[name], first, rest = engine.generate(prompt, arguments.tokens)
            prefill[name].append(first)
            decode[name] += rest
    print(f"{'engine':12} {'prefill/s':>10} {'decode/s':>10}  first tokens")
    for name in engines:
        print(f"{name:12} {arguments.prompt / statistics.median(prefill[name]):10.1f} "
              f"{1 / statistics.median(decode[name]):10.1f}  {found[name][:6]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
