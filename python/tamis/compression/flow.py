# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What `tamis.quantize` and `tamis.prune` do, step by step: prepare, decide, measure, apply, write back, report."""
import dataclasses
import functools
import json
import math
import os
import re
import unicodedata

import numpy as np

from .. import files
from ..errors import Error
from . import api, opset, prepare as preparation, storage, table, writer, writer_qdq
from .data import load_labels
from .graph import FLOATS, Graph, node_name, nodes_within, numpy_helper
from .opening import open_session

FLOAT_NAMES = {"float32", "float16", "bfloat16"}
# What corrections that need statistics are called in --tamis-select-quantization.
COLLECTING = {"bias": "bias", "smooth": "smooth", "gptq": "gptq", "activation_equalization": "equalize"}
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

    def __post_init__(self):
        api.check_places(self.target, self.calibration_cache, self.input_dims, self.report)


def _of_its_model(step):
    """Have what goes wrong in a step said of the model, if that is invalid."""
    @functools.wraps(step)
    def run(request, *arguments):
        with storage.blaming(request.model):
            return step(request, *arguments)
    return run


@_of_its_model
def quantize(request):
    """See api.quantize."""
    options = request.options
    kinds = {options["weights"], *(o.get("weights") for o in request.overrides.values())} - {None}
    blocks = {options["block_size"], *(o.get("block_size") for o in request.overrides.values())} - {None}
    least = opset.PER_AXIS
    for kind in (*kinds, options["activations"], *(o["activations"] for o in request.overrides.values() if "activations" in o)):
        least = max(least, opset.NEEDED.get(writer_qdq.stored_type(_type_name(kind)), 0))
    recover = options["weights"] == api.RECOVER
    # A folded factor would take weights off their grid.
    prepared = preparation.prepare(request.model, fold_constants=not recover,
                                   least_opset=max(least, opset.BLOCKS if blocks or recover else 0))
    _require_float(prepared)
    excluded = _excluded(prepared, request.scope, request.op_types)
    _check_layers(prepared, request.overrides)
    preparation.separate(prepared, _named_layers(prepared), {*excluded, *request.overrides})
    if recover:
        return _finish(request, prepared, _recover(request, prepared, excluded), "quantize", format=options["format"])
    only_weights = options["activations"] in api.FLOAT_ACTIVATIONS or not any(api.WEIGHTS[kind].is_integer for kind in kinds)
    with open_session(request, prepared) as session:
        corrections = {api.CORRECTIONS[c] for c in options["corrections"]}
        if "equalization" in corrections:
            session.run("tamis-equalize")
        general = _selection(options, only_weights)
        others = [name for name, _ in _named_layers(prepared)]
        # What gives a tensor a type of its own first: its other readers take it as it is.
        for layer, changes in sorted(request.overrides.items(), key=lambda entry: "activations" not in entry[1]):
            own = _selection({**options, **changes, "embeddings": "float32"}, only_weights)
            session.run(_text("tamis-select-quantization", {**own, "op-types": request.op_types,
                                                           "exclude": [*excluded, *(n for n in others if n != layer)]}))
        session.run(_text("tamis-select-quantization", {**general, "op-types": request.op_types, "exclude": excluded}))
        _calibrate(request, session, "activations of type " + str(options["activations"]))
        if "activation_equalization" in corrections and not only_weights:
            session.run("tamis-equalize{by=activations}")
        if "smooth" in corrections and not only_weights:
            session.run("tamis-smooth")
        session.run(_text("tamis-quantize", {"method": options["calibration_method"], "percentile": options["percentile"],
                                             "gptq": "gptq" in corrections, "correct-bias": "bias" in corrections,
                                             "seed": options["seed"]}))
        delta = session.delta()
    delta["report"] = _without_overruled(delta["report"])
    if not delta["weights"] and not delta["tensors"] and all(w.is_left for w in table.weights(prepared.model).values()):
        raise Error(f"no layer may be quantized ({_reasons(delta['report'])})", file=prepared.loaded.name)
    return _finish(request, prepared, delta, "quantize", format=options["format"])


def _recover(request, prepared, excluded):
    """The delta of weights that lie on a grid already."""
    with open_session(request, prepared) as session:
        session.run(_text("tamis-select-quantization", {"recover": True, "op-types": request.op_types, "exclude": excluded}))
        session.run("tamis-quantize")
        delta = session.delta()
    if not delta["weights"]:
        raise Error("nothing to recover: no weight lies on a grid of 4 or 8 bits", file=prepared.loaded.name)
    return delta


@_of_its_model
def prune(request, gradients, labels):
    """See api.prune."""
    options = request.options
    prepared = preparation.prepare(request.model, fold_constants=False, lift=True)
    if not _named_layers(prepared):
        raise Error("nothing to prune: no convolution or matrix product with a float weight of its own", file=prepared.loaded.name)
    excluded = _excluded(prepared, request.scope)
    _check_layers(prepared, request.overrides)
    preparation.separate(prepared, _named_layers(prepared), {*excluded, *request.overrides})
    with open_session(request, prepared) as session:
        if options["dead_channels"]:
            session.run("tamis-prune{dead-channels=true}")
        else:
            general = {k: options[k] for k in ("sparsity", "threshold", "pattern", "criterion", "scope", "seed", "protect")}
            session.run(_text("tamis-select-pruning", {**general, "exclude": excluded}))
            for layer, changes in request.overrides.items():
                if layer not in excluded:
                    session.run(_text("tamis-select-pruning", {**general, **changes, "include": [layer]}))
            selected = _require_selected(session.delta()["report"], prepared)
            if options["criterion"] == "gradient":
                _set_gradients(session, _estimate(request, prepared, selected, labels) if gradients is None else gradients, selected)
            _calibrate(request, session, f"criterion {options['criterion']}")
            session.run(_text("tamis-prune", {"target": f"'{request.target}'"}))
            if options["order_channels"]:
                # Scales would have to follow.
                keep = [name for name, grid in prepared.grids.items() if np.size(grid.scale) > 1]
                session.run(_text("tamis-order-channels", {"keep": keep}))
        delta = session.delta()
    # What the model itself quantizes is no news.
    delta = {**delta, "weights": {}, "tensors": {}}
    return _finish(request, prepared, delta, "prune", zeros=options["format"])


def _selection(options, only_weights):
    kind = api.WEIGHTS[options["weights"]]
    found = {"weight-system": kind.system, "weight-bits": kind.bits, "weight-unsigned": kind.unsigned, "weight-symmetric": not kind.unsigned,
             "weight-fraction": options["fraction_bits"] if kind.system == "fixed_point" else None, "per-channel": options["per_channel"],
             "block": (options["block_size"] or 0) if kind.has_blocks else 0, "weight-only": only_weights, "method": options["calibration_method"],
             "attention": options["attention"], "tables": options["embeddings"] == "int8",
             "corrections": sorted({COLLECTING[c] for c in map(api.CORRECTIONS.get, options["corrections"]) if c in COLLECTING})}
    if not only_weights:
        activation_bits, activation_unsigned = api.ACTIVATIONS[options["activations"]]
        found.update({"activation-bits": activation_bits, "activation-unsigned": activation_unsigned,
                      "activation-symmetric": options["symmetric_activations"],
                      "activation-fixed-point": options["activations"].startswith("fixed")})
    return found


def _type_name(kind):
    """The name of the type that codes are stored in."""
    found = api.WEIGHTS.get(kind)
    if found is None or "float" in found.system:
        return str(kind)
    unsigned = found.unsigned or found.system in ("codebook", "power_of_two")
    return f"{'u' if unsigned else ''}int{found.bits}"


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
    """A POSIX regular expression of this name alone, without a character that means something to the parser of pass options: other
    punctuation by its name, `[[.comma.]]`, which is that of Unicode."""
    return re.sub(r"[\x09-\x0d\x20-\x7e]", _spell, name)


def _spell(found):
    character = found[0]
    if character.isalnum() or character in "_/:-":
        return character
    names = {"\t": "tab", "\n": "newline", "\v": "vertical-tab", "\f": "form-feed", "\r": "carriage-return"}
    return f"[[.{names.get(character) or unicodedata.name(character).lower().replace(' ', '-')}.]]"


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


def _estimate(request, prepared, layers, labels):
    """Gradients of the selected weights by forward differences."""
    file = prepared.loaded.name
    if preparation.quantized_nodes(prepared.model):
        raise Error("criterion gradient: rounded activations have no derivative; give gradients", file=file)
    from . import differences

    if isinstance(labels, (str, os.PathLike)):
        labels = load_labels(labels)
    return differences.gradients(prepared.model, [tensor for _, tensor in layers], request.data, labels, subset_size=request.subset_size,
                                 target=request.target, input_dims=request.input_dims, file=file, progress=request.progress)


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


def _named_layers(prepared):
    """[(layer, initializer)] of every contraction with a float weight of its own."""
    return [(name, weight.name) for name, weight in table.weights(prepared.model).items() if weight.layer.dtype in FLOAT_NAMES]


def _require_float(prepared):
    file = prepared.loaded.name
    quantized = preparation.quantized_nodes(prepared.model)
    if quantized:
        raise Error(f"the model is quantized already: {quantized} of its nodes quantize or work on integers", file=file)
    if not _named_layers(prepared):
        raise Error("nothing to quantize: no convolution or matrix product with a float weight of its own", file=file)
    graph = Graph(prepared.model)
    for node in graph.nodes:
        for name in node.input if node.op_type in CONTRACTIONS else ():
            tensor = graph.initializers.get(name)
            values = numpy_helper.to_array(tensor).astype(np.float32) if tensor is not None and tensor.data_type in FLOATS else 0
            if not np.isfinite(values).all():
                raise Error(f"initializer '{name}' has values that are not finite", file=file, node=node_name(node), op=node.op_type)


def _excluded(prepared, scope, op_types=None):
    """Names of nodes, with those of their bodies, and tensors that stay; Error for a name or pattern that is nowhere in the model."""
    graph, inside = prepared.model.graph, list(nodes_within(prepared.model.graph.node))
    nodes = [node_name(n) for n in inside]
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
    types = {n.op_type for n in inside}
    for name in (*scope.types, *(op_types or ())):
        if name not in types:
            raise Error(f"the model has no node of type '{name}'", file=file)
    names = {*found}
    found += [node_name(n) for node in inside if node.op_type in scope.types or node_name(node) in names for n in nodes_within([node])]
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
        raise Error(f"the sparsity cannot be reached: no layer may be pruned ({_reasons(last.values())})", file=prepared.loaded.name)
    return selected


def _reasons(entries):
    """Why layers stay as they are, the first three."""
    reasons = list(dict.fromkeys(f"'{e['layer']}': {e['reason']}" for e in entries))
    return "; ".join(reasons[:3]) + (f" and {len(reasons) - 3} more" if len(reasons) > 3 else "")


def _without_overruled(report):
    """Selection runs once per group of layers: what one run leaves to another one is no decision."""
    made = [e for e in report if e.get("decision") != "float"]
    layers = {e["layer"] for e in made if e.get("layer")}
    tensors = {e["tensor"] for e in made if e.get("tensor") and e.get("pass") == "select-quantization"}
    seen, kept = set(), []
    for entry in report:
        key = (entry.get("pass"), entry.get("layer"), entry.get("tensor"), entry.get("decision"), entry.get("reason"))
        overruled = entry.get("decision") == "float" and (
            entry.get("layer") in layers if not entry.get("tensor") else
            entry["tensor"] in tensors and entry.get("pass") == "select-quantization")
        if key in seen or overruled:
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
    rows = table.rows(prepared, qdq, entries, kind == "prune") + table.embedding_rows(prepared.model, delta, entries)
    told = {"step": step, "layers": rows, "notes": entries,
            "bytes_before": storage.size(prepared.model), "bytes_after": storage.size(model), "folded": prepared.folded}
    if callable(request.report):
        request.report(told)
    else:
        write_report(request.report, told)
    return model


def write_report(path, data):
    """A report as JSON."""
    files.write_text(path, json.dumps(plain(data), indent=1) + "\n", "the report")


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
