# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What `tamis.quantize` and `tamis.prune` do, step by step: prepare, decide, measure, apply, write back, report."""
import contextlib
import dataclasses
import itertools
import json
import math
import os
import re

import numpy as np

from .. import compiler, options as option_list
from ..errors import Error
from ..source import Source
from . import api, opset, prepare as preparation, storage, table, writer, writer_qdq
from .data import feeds_of
from .graph import FLOATS, Graph, node_name, numpy_helper
from .session import Session

FLOAT_NAMES = {"float32", *api.HALF}
CONTRACTIONS = {"Conv", "ConvTranspose", "Gemm", "MatMul"}


@dataclasses.dataclass
class Request:
    """The checked arguments of one call."""

    model: object
    data: object
    options: dict
    scope: api.Scope
    op_types: list
    overrides: dict
    subset_size: int
    target: str
    calibration_cache: str
    input_dims: object
    report: object
    progress: object


def quantize(request):
    """See api.quantize."""
    options = request.options
    kinds = {options["weights"], *(o.get("weights") for o in request.overrides.values())} - {None}
    blocks = {options["block_size"], *(o.get("block_size") for o in request.overrides.values())} - {None}
    only_weights = options["activations"] in api.FLOAT_ACTIVATIONS
    least = opset.PER_AXIS
    for kind in (*kinds, options["activations"]):
        least = max(least, opset.NEEDED.get(writer_qdq.stored_type(_type_name(kind)), 0))
    recover = options["weights"] == api.RECOVER
    # A folded factor would take weights off their grid.
    prepared = preparation.prepare(request.model, fold_constants=not recover,
                                   least_opset=max(least, opset.BLOCKS if blocks or recover else 0))
    _require_float(prepared)
    excluded = _excluded(prepared, request.scope, request.op_types)
    _check_layers(prepared, request.overrides)
    if options["weights"] in api.HALF:
        return _finish(request, prepared, _half(prepared, options["weights"], excluded), "quantize")
    if recover:
        return _finish(request, prepared, _recover(request, prepared, excluded), "quantize", format=options["format"])
    with _session(request, prepared) as session:
        corrections = {api.CORRECTIONS[c] for c in options["corrections"]}
        if "equalization" in corrections:
            session.run("tamis-equalize")
        general = _selection(options, only_weights)
        others = [name for name, _ in _named_layers(prepared)]
        for layer, changes in request.overrides.items():
            own = _selection({**options, **changes}, only_weights)
            session.run(_text("tamis-select-quantization", {**own, "op-types": request.op_types,
                                                           "exclude": [*excluded, *(n for n in others if n != layer)]}))
        session.run(_text("tamis-select-quantization", {**general, "op-types": request.op_types, "exclude": excluded}))
        _calibrate(request, session, "activations of type " + str(options["activations"]))
        if "smooth" in corrections and not only_weights:
            session.run("tamis-smooth")
        session.run(_text("tamis-quantize", {"method": options["calibration_method"], "percentile": options["percentile"],
                                             "gptq": "gptq" in corrections, "correct-bias": "bias" in corrections}))
        delta = session.delta()
    delta["report"] = _without_overruled(delta["report"])
    return _finish(request, prepared, delta, "quantize", format=options["format"])


def _recover(request, prepared, excluded):
    """The delta of weights that lie on a grid already."""
    with _session(request, prepared) as session:
        session.run(_text("tamis-select-quantization", {"recover": True, "op-types": request.op_types, "exclude": excluded}))
        session.run("tamis-quantize")
        delta = session.delta()
    if not delta["weights"]:
        raise Error("nothing to recover: no weight lies on a grid of 4 or 8 bits", file=prepared.loaded.name)
    return delta


def prune(request, gradients):
    """See api.prune."""
    options = request.options
    prepared = preparation.prepare(request.model, fold_constants=False, lift=True)
    if not _named_layers(prepared):
        raise Error("nothing to prune: no convolution or matrix product with a float weight of its own", file=prepared.loaded.name)
    excluded = _excluded(prepared, request.scope)
    _check_layers(prepared, request.overrides)
    with _session(request, prepared) as session:
        if options["dead_channels"]:
            session.run("tamis-prune{dead-channels=true}")
        else:
            general = {k: options[k] for k in ("sparsity", "threshold", "pattern", "criterion", "scope", "seed", "protect")}
            session.run(_text("tamis-select-pruning", {**general, "exclude": excluded}))
            for layer, changes in request.overrides.items():
                if layer not in excluded:
                    session.run(_text("tamis-select-pruning", {**general, **changes, "include": [layer]}))
            selected = _require_selected(session.delta()["report"], prepared)
            if gradients is not None:
                _set_gradients(session, gradients, selected)
            _calibrate(request, session, f"criterion {options['criterion']}")
            session.run("tamis-prune")
        delta = session.delta()
    # What the model itself quantizes is no news.
    delta = {**delta, "weights": {}, "tensors": {}}
    return _finish(request, prepared, delta, "prune", zeros=options["format"])


def _selection(options, only_weights):
    bits, unsigned = api.WEIGHTS[options["weights"]]
    found = {"weight-bits": bits, "weight-unsigned": unsigned, "weight-symmetric": not unsigned, "per-channel": options["per_channel"],
             "block": options["block_size"] or 0, "weight-only": only_weights, "method": options["calibration_method"],
             "corrections": sorted({api.CORRECTIONS[c] for c in options["corrections"]} & {"bias", "smooth", "gptq"})}
    if not only_weights:
        activation_bits, activation_unsigned = api.ACTIVATIONS[options["activations"]]
        found.update({"activation-bits": activation_bits, "activation-unsigned": activation_unsigned,
                      "activation-symmetric": options["symmetric_activations"]})
    return found


def _type_name(kind):
    if kind in api.WEIGHTS:
        bits, unsigned = api.WEIGHTS[kind]
        return f"{'u' if unsigned else ''}int{bits}"
    return str(kind)


def _text(name, options):
    """A pass with its options; names become regular expressions that no option parser stumbles over."""
    parts = []
    for key, value in options.items():
        if value is None or (isinstance(value, (list, tuple)) and not value):
            continue
        if isinstance(value, bool):
            value = "true" if value else "false"
        elif isinstance(value, (list, tuple)):
            value = ",".join(map(_pattern, value)) if key in ("exclude", "include") else ",".join(value)
        parts.append(f"{key}={value}")
    return f"{name}{{{' '.join(parts)}}}"


def _pattern(name):
    return re.sub(r"[^\w/:-]", lambda found: "[.]" if found[0] == "." else ".", name, flags=re.ASCII)


@contextlib.contextmanager
def _session(request, prepared):
    """A Session of the prepared model; large models go by way of a file."""
    options = option_list.make(target=request.target, input_dims=request.input_dims)
    loaded = prepared.loaded
    with contextlib.ExitStack() as stack:
        if loaded.path and not prepared.changed:
            source = loaded.path
        else:
            path, data = stack.enter_context(storage.as_source(prepared.model, loaded.external))
            source = path or data
        try:
            session = Session(source, options)
        except Error as error:
            bound = _bound(request, source, options)
            if bound is None:
                raise Error.from_diagnostics(error.diagnostics, loaded.name) from None
            session = Session(source, bound)
        yield session


def _bound(request, source, options):
    """Options with all open dimensions bound as in the first sample: some models have no meaning without."""
    signature = Source(source).signature
    if request.data is None or not compiler.unbound_dims(signature, options):
        return None
    feeds = feeds_of(request.data, signature.inputs, request.subset_size)
    first = next(feeds)
    request.data = itertools.chain([first], feeds)
    return compiler.bind_dims(signature, options, first)


def _calibrate(request, session, what):
    """Measure what the passes asked for."""
    missing = [o["tensor"] for o in session.observed() if set(o["collect"]) - set(o["statistics"])]
    if not missing:
        return
    if request.data is None and not (request.calibration_cache and os.path.exists(request.calibration_cache)):
        raise Error(f"{what} need{'' if what.startswith('activations') else 's'} calibration data, got none")
    from .calibration import calibrate

    calibrate(session, request.data, subset_size=request.subset_size, method=request.options.get("calibration_method", "minmax"),
              cache=request.calibration_cache, progress=request.progress)


def _set_gradients(session, gradients, layers):
    """Gradients of the selected weights, by the names of their initializers."""
    if isinstance(gradients, (str, os.PathLike)):
        from .. import feeds

        gradients = feeds.load(gradients, ())
    for layer, tensor in layers:
        if tensor not in gradients:
            raise Error(f"the gradients have no array for the weight '{tensor}'", node=layer)
        array, shape = np.asarray(gradients[tensor], np.float32), session.parameter(tensor).shape
        if array.shape != shape:
            raise Error(f"gradient of '{tensor}': expected the shape {list(shape)}, got {list(array.shape)}", node=layer)
        if not np.isfinite(array).all():
            raise Error(f"gradient of '{tensor}' has values that are not finite", node=layer)
        session.set_statistics(tensor, {"gradient": array})


def _half(prepared, dtype, excluded):
    """The delta of weights in half precision."""
    weights, report = {}, []
    for layer, name in _named_layers(prepared):
        if layer not in excluded and name not in excluded:
            values = Graph(prepared.model).array(name)
            weights[name] = {"values": values, "dtype": dtype, "scale": np.float32(1)}
            report.append({"pass": "quantize", "layer": layer, "tensor": name, "decision": dtype,
                           "reason": "weight stored in half precision"})
    return {"weights": weights, "report": report}


def _named_layers(prepared):
    """[(layer, initializer)] of every contraction with a float weight of its own."""
    return [(name, weight.name) for name, weight in table.weights(prepared.model).items() if weight.layer.dtype in FLOAT_NAMES]


def _require_float(prepared):
    file = prepared.loaded.name
    quantized = preparation.quantized_nodes(prepared.model)
    if quantized:
        raise Error(f"the model is quantized already: {quantized} of its nodes quantize or work on integers", file=file)
    if not preparation.float_layers(prepared.model):
        raise Error("nothing to quantize: no convolution or matrix product with a float weight of its own", file=file)
    graph = Graph(prepared.model)
    for node in graph.nodes:
        for name in node.input if node.op_type in CONTRACTIONS else ():
            tensor = graph.initializers.get(name)
            values = numpy_helper.to_array(tensor).astype(np.float32) if tensor is not None and tensor.data_type in FLOATS else 0
            if not np.isfinite(values).all():
                raise Error(f"initializer '{name}' has values that are not finite", file=file, node=node_name(node), op=node.op_type)


def _excluded(prepared, scope, op_types=None):
    """Names of nodes and tensors that stay; Error for a name or pattern that is nowhere in the model."""
    graph = prepared.model.graph
    nodes = [node_name(n) for n in graph.node]
    tensors = [t.name for t in graph.initializer] + [o for n in graph.node for o in n.output if o] + [i.name for i in graph.input]
    every, found = {*nodes, *tensors, *prepared.folded}, []
    file = prepared.loaded.name
    for name in scope.names:
        if name not in every:
            raise Error(f"nodes_to_exclude: the model has no node '{name}'", file=file)
        found.append(name)
    for pattern in scope.patterns:
        matches = [name for name in dict.fromkeys((*nodes, *tensors)) if re.fullmatch(pattern, name)]
        if not matches:
            raise Error(f"ignored_scope: '{pattern}' matches no node or tensor of the model", file=file)
        found += matches
    types = {n.op_type for n in graph.node}
    for name in (*scope.types, *(op_types or ())):
        if name not in types:
            raise Error(f"the model has no node of type '{name}'", file=file)
    found += [node_name(n) for n in graph.node if n.op_type in scope.types]
    return list(dict.fromkeys(found))


def _check_layers(prepared, overrides):
    known = {name for name, _ in _named_layers(prepared)} if overrides else ()
    for layer in overrides:
        if layer not in known:
            raise Error(f"overrides: the model has no layer '{layer}' with a weight", file=prepared.loaded.name)


def _require_selected(report, prepared):
    """[(layer, weight)] chosen for pruning; Error if there are none, with the reasons."""
    last = {}
    for entry in report:
        if entry.get("decision") in ("prune", "keep"):
            last[(entry["layer"], entry["tensor"])] = entry
    selected = [key for key, entry in last.items() if entry["decision"] == "prune"]
    if not selected:
        reasons = list(dict.fromkeys(f"'{e['layer']}': {e['reason']}" for e in last.values()))
        more = f" and {len(reasons) - 3} more" if len(reasons) > 3 else ""
        raise Error("the sparsity cannot be reached: no layer may be pruned (" + "; ".join(reasons[:3]) + more + ")",
                    file=prepared.loaded.name)
    return selected


def _without_overruled(report):
    """Selection runs once per group of layers: what one run leaves to another one is no decision."""
    chosen = {e["layer"] for e in report if e.get("layer") and e.get("decision") != "float"}
    seen, kept = set(), []
    for entry in report:
        key = (entry.get("pass"), entry.get("layer"), entry.get("tensor"), entry.get("decision"), entry.get("reason"))
        if key in seen or (entry.get("decision") == "float" and not entry.get("tensor") and entry.get("layer") in chosen):
            continue
        seen.add(key)
        kept.append(entry)
    return kept


def _finish(request, prepared, delta, kind, **how):
    """Write back, tell the report."""
    step = {kind: {k: v for k, v in request.options.items() if v is not None and v != ()}}
    if request.overrides:
        step["overrides"] = request.overrides
    model = writer.apply(prepared, delta, step=step, **how)
    entries = delta.get("report") or []
    if request.report is None:
        return model
    if isinstance(request.report, list):
        request.report.extend(entries)
        return model
    qdq = model if how.get("format", "qdq") == "qdq" else writer.apply(prepared, delta)
    told = {"step": step, "layers": table.rows(prepared, qdq, entries, kind == "prune"), "notes": entries,
            "bytes_before": storage.size(prepared.model), "bytes_after": storage.size(model), "folded": prepared.folded}
    if callable(request.report):
        request.report(told)
    else:
        write_report(request.report, told)
    return model


def write_report(path, data):
    """A report as JSON."""
    from .recipe import write_text

    write_text(path, json.dumps(plain(data), indent=1) + "\n", "report")


def plain(value):
    """Numbers JSON knows; what is not finite becomes null."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
