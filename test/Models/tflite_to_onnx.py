# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""TFLite -> ONNX for the float MediaPipe CNNs: NHWC becomes NCHW, fp16 and sparse constants are read back dense from
the TFLite runtime, and the result is compared with that runtime. Raises NotImplementedError on other operators."""
import numpy as np
import onnx
import tflite
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from onnx import TensorProto, helper, numpy_helper

NAMES = {v: k for k, v in vars(tflite.BuiltinOperator).items() if isinstance(v, int)}
TO_NCHW, TO_NHWC = (0, 3, 1, 2), (0, 2, 3, 1)
ARITHMETIC = {"ADD": ("Add", tflite.AddOptions), "SUB": ("Sub", tflite.SubOptions), "MUL": ("Mul", tflite.MulOptions)}
UNARY = {"RELU": "Relu", "LOGISTIC": "Sigmoid", "HARD_SWISH": "HardSwish"}


class Converter:
    def __init__(self, blob):
        self.it = Interpreter(model_content=blob, experimental_preserve_all_tensors=True, num_threads=1,
                              experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
        self.it.allocate_tensors()
        rng = np.random.default_rng(0)
        self.feed = {d["index"]: rng.uniform(-1, 1, d["shape"]).astype(np.float32) for d in self.it.get_input_details()}
        for i, x in self.feed.items():
            self.it.set_tensor(i, x)
        self.it.invoke()
        self.model = tflite.Model.GetRootAsModel(blob, 0)
        self.graph = self.model.Subgraphs(0)
        self.nodes, self.inits, self.count = [], [], 0
        self.const = {i: self.it.get_tensor(i) for i in range(self.graph.TensorsLength()) if self.is_const(self.graph.Tensors(i))}

    def is_const(self, t):
        return t.Buffer() and self.model.Buffers(t.Buffer()).DataLength() and t.Sparsity() is None

    def shape(self, i):
        t = self.graph.Tensors(i)
        return [int(v) for v in t.ShapeAsNumpy()] if t.ShapeLength() else []

    def fresh(self, prefix):
        self.count += 1
        return f"{prefix}{self.count}"

    def init(self, array):
        self.inits.append(numpy_helper.from_array(np.ascontiguousarray(array), self.fresh("c")))
        return self.inits[-1].name

    def add(self, op, inputs, output=None, **attributes):
        output = output or self.fresh("u")
        self.nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def name(self, i):
        """The value of tensor i, a constant brought to NCHW."""
        if i not in self.const:
            return f"t{i}"
        c = self.const[i].astype(np.float32)
        if c.ndim == 4:
            c = c.transpose(TO_NCHW)
        elif c.ndim == 3:
            c = c.transpose(2, 0, 1)
        elif c.ndim == 1 and c.size > 1:
            c = c.reshape(-1, 1, 1)
        return self.init(c)

    def activated(self, kind, op, inputs, output, **attributes):
        """`op` followed by its fused activation."""
        act = tflite.ActivationFunctionType
        if kind == act.NONE:
            return self.add(op, inputs, output, **attributes)
        u = self.add(op, inputs, **attributes)
        if kind == act.RELU:
            return self.add("Relu", [u], output)
        if kind == act.RELU6:
            return self.add("Clip", [u, self.init(np.float32(0)), self.init(np.float32(6))], output)
        raise NotImplementedError(f"activation {kind}")

    def pads(self, padding, size, kernel, stride, dilation=(1, 1)):
        if padding != tflite.Padding.SAME:
            return [0] * 4
        total = [max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0) for n, k, s, d in zip(size, kernel, stride, dilation)]
        return [t // 2 for t in total] + [t - t // 2 for t in total]

    def convert(self, op):
        code = self.model.OperatorCodes(op.OpcodeIndex())
        kind = NAMES[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
        ins, out = [int(v) for v in op.InputsAsNumpy()], int(op.OutputsAsNumpy()[0])
        x, y = f"t{ins[0]}", f"t{out}"
        rank, size = len(self.shape(ins[0])), self.shape(ins[0])[1:3]

        def options(cls):
            o = cls()
            o.Init(op.BuiltinOptions().Bytes, op.BuiltinOptions().Pos)
            return o

        def weights(i):
            return self.const[i].astype(np.float32)

        if kind in ("DENSIFY", "DEQUANTIZE"):
            self.const[out] = self.it.get_tensor(out).astype(np.float32)
        elif kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            depthwise = kind != "CONV_2D"
            o = options(tflite.DepthwiseConv2DOptions if depthwise else tflite.Conv2DOptions)
            w = weights(ins[1]).transpose((3, 0, 1, 2) if depthwise else TO_NCHW)
            stride, dilation = [o.StrideH(), o.StrideW()], [o.DilationHFactor(), o.DilationWFactor()]
            bias = [self.init(weights(ins[2]))] if len(ins) > 2 and ins[2] >= 0 else []
            self.activated(o.FusedActivationFunction(), "Conv", [x, self.init(w), *bias], y, strides=stride,
                           dilations=dilation, group=self.shape(ins[0])[3] if depthwise else 1,
                           kernel_shape=list(w.shape[2:]), pads=self.pads(o.Padding(), size, w.shape[2:], stride, dilation))
        elif kind in ARITHMETIC:
            o = options(ARITHMETIC[kind][1])
            self.activated(o.FusedActivationFunction(), ARITHMETIC[kind][0], [self.name(i) for i in ins], y)
        elif kind in UNARY:
            self.add(UNARY[kind], [x], y)
        elif kind == "PRELU":
            self.add("PRelu", [x, self.name(ins[1])], y)
        elif kind == "PAD":
            p = self.const[ins[1]]
            p = p[list(TO_NCHW)] if len(p) == 4 else p
            self.add("Pad", [x, self.init(p.T.reshape(-1).astype(np.int64))], y)
        elif kind in ("MAX_POOL_2D", "AVERAGE_POOL_2D"):
            o = options(tflite.Pool2DOptions)
            kernel, stride = [o.FilterHeight(), o.FilterWidth()], [o.StrideH(), o.StrideW()]
            self.add("MaxPool" if kind[0] == "M" else "AveragePool", [x], y, kernel_shape=kernel, strides=stride,
                     pads=self.pads(o.Padding(), size, kernel, stride))
        elif kind == "RESIZE_BILINEAR":
            o, s = options(tflite.ResizeBilinearOptions), self.shape(out)
            mode = "half_pixel" if o.HalfPixelCenters() else "align_corners" if o.AlignCorners() else "asymmetric"
            self.add("Resize", [x, "", "", self.init(np.array([s[k] for k in TO_NCHW], np.int64))], y, mode="linear",
                     coordinate_transformation_mode=mode)
        elif kind == "DEPTH_TO_SPACE":
            self.add("DepthToSpace", [x], y, blocksize=options(tflite.DepthToSpaceOptions).BlockSize(), mode="DCR")
        elif kind == "CONCATENATION":
            r = len(self.shape(out))
            axis = options(tflite.ConcatenationOptions).Axis() % r
            self.add("Concat", [self.name(i) for i in ins], y, axis=(0, 2, 3, 1)[axis] if r == 4 else axis)
        elif kind == "RESHAPE":
            target = self.shape(out)
            x = self.add("Transpose", [x], perm=TO_NHWC) if rank == 4 else x
            u = self.add("Reshape", [x, self.init(np.array(target, np.int64))], None if len(target) == 4 else y)
            if len(target) == 4:
                self.add("Transpose", [u], y, perm=TO_NCHW)
        elif kind == "MEAN":
            self.add("ReduceMean", [x], y, axes=[2, 3], keepdims=int(len(self.shape(out)) == 4))
        elif kind == "FULLY_CONNECTED":
            x = self.add("Flatten", [x]) if rank == 4 else x
            self.activated(options(tflite.FullyConnectedOptions).FusedActivationFunction(), "Gemm",
                           [x, self.init(weights(ins[1])), self.init(weights(ins[2]))], y, transB=1)
        else:
            raise NotImplementedError(f"TFLite operator {kind}")

    def run(self, name):
        for q in range(self.graph.OperatorsLength()):
            self.convert(self.graph.Operators(q))

        def info(i):
            s = self.shape(int(i))
            return helper.make_tensor_value_info(f"t{i}", TensorProto.FLOAT, [s[k] for k in TO_NCHW] if len(s) == 4 else s)

        g = helper.make_graph(self.nodes, name, [info(i) for i in self.graph.InputsAsNumpy()],
                              [info(i) for i in self.graph.OutputsAsNumpy()], self.inits)
        m = helper.make_model(g, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(m)
        return m


def convert(source, target, name):
    """Write `target`; return the largest difference from the TFLite runtime relative to the largest output."""
    import onnxruntime
    with open(source, "rb") as f:
        c = Converter(f.read())
    onnx.save(c.run(name), target)
    s = onnxruntime.InferenceSession(target, providers=["CPUExecutionProvider"])
    got = s.run(None, {f"t{i}": x.transpose(TO_NCHW) for i, x in c.feed.items()})
    worst = 0.0
    for a, i in zip(got, c.graph.OutputsAsNumpy()):
        want = c.it.get_tensor(int(i))
        worst = max(worst, float(np.abs((a.transpose(TO_NHWC) if a.ndim == 4 else a) - want).max() / (np.abs(want).max() + 1e-9)))
    return worst
