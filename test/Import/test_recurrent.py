# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Recurrent operators: directions, lengths, peepholes, initial states."""
import numpy as np
import pytest
from oracle import F32, Values, check, microsoft, node

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
DIRECTIONS = pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
STEPS, BATCH, INPUT, HIDDEN = 5, 3, 4, 6


def weights(v, op, directions):
    rows = GATES[op] * HIDDEN
    return {"w": v.floats(directions, rows, INPUT), "r": v.floats(directions, rows, HIDDEN), "b": v.floats(directions, 2 * rows),
            "h": v.floats(directions, BATCH, HIDDEN)}


@DIRECTIONS
@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize("open_dims", [False, True])
@pytest.mark.parametrize("op", list(GATES))
def test_cells(op, direction, lengths, open_dims):
    v = Values()
    directions = 2 if direction == "bidirectional" else 1
    p = weights(v, op, directions)
    names, outputs = "x w r b " + ("l" if lengths else "-") + " h", {"y": F32, "yh": F32}
    attributes = dict(hidden_size=HIDDEN, direction=direction)
    if lengths:
        p["l"] = np.array([5, 2, 3], np.int32)
    if op == "LSTM":
        p.update(c=v.floats(directions, BATCH, HIDDEN), p=v.floats(directions, 3 * HIDDEN))
        names, outputs["yc"] = names + " c p", F32
        attributes["clip"] = 1.5
    elif op == "GRU":
        attributes["linear_before_reset"] = int(lengths)
    else:
        attributes.update(activations=["LeakyRelu"] * directions, activation_alpha=[0.3] * directions)
    check(node(op, names, " ".join(outputs), **attributes), {"x": v.floats(STEPS, BATCH, INPUT)}, p, outputs, open_dims=open_dims)


@DIRECTIONS
@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_lstm_on_integer_weights(dtype, direction):
    # ONNX Runtime quantizes the state in blocks of its own choice: equal only within the documented tolerance.
    v = Values()
    directions = 2 if direction == "bidirectional" else 1
    scale, zero = v.scales(directions), np.full(directions, 0 if dtype == np.int8 else 128, dtype)
    p = {"w": v.weights(directions, INPUT, 4 * HIDDEN, dtype=dtype), "r": v.weights(directions, HIDDEN, 4 * HIDDEN, dtype=dtype),
         "b": 0.1 * v.floats(directions, 8 * HIDDEN), "ws": scale, "wz": zero, "rs": scale, "rz": zero}
    outputs = {"y": F32, "yh": F32, "yc": F32}
    check(microsoft("DynamicQuantizeLSTM", "x w r b - - - - ws wz rs rz", " ".join(outputs), hidden_size=HIDDEN,
                    direction=direction), {"x": v.floats(STEPS, BATCH, INPUT)}, p, outputs, rtol=0, atol=2e-2)
