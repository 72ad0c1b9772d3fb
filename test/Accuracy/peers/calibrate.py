# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Calibration alone, nothing quantized or written:  calibrate.py MODEL FEEDS.npz SAMPLES TOOL

TOOL is tamis (what the default of tamis.quantize measures), tamis:entropy, tamis:gptq, ort:minmax or ort:entropy.
"""
import os
import sys
import tempfile

from feeds import measured, read_feeds

OPTIONS = {"": "corrections=bias,smooth", "entropy": "corrections=bias method=entropy", "gptq": "corrections=bias,smooth,gptq"}


def tamis(model, feeds, kind):
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))) + "/python")
    from tamis.compression.calibration import calibrate
    from tamis.compression.session import Session

    session = Session(model)
    session.run(f"tamis-select-quantization{{{OPTIONS[kind]}}}")
    calibrate(session, feeds, subset_size=len(feeds))


def ort(model, feeds, kind):
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod
    from onnxruntime.quantization.calibrate import create_calibrator

    class Reader(CalibrationDataReader):
        left = iter(feeds)

        def get_next(self):
            return next(self.left, None)

    methods = {"minmax": CalibrationMethod.MinMax, "entropy": CalibrationMethod.Entropy}
    calibrator = create_calibrator(model, ["Conv", "Gemm", "MatMul"], "augmented.onnx", methods[kind])
    calibrator.collect_data(Reader())
    calibrator.compute_data()


if __name__ == "__main__":
    path, data, samples, method = sys.argv[1:5]
    tool, _, option = method.partition(":")
    path, data = map(os.path.abspath, (path, data))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        with measured():
            {"tamis": tamis, "ort": ort}[tool](path, read_feeds(data)[:int(samples)], option)
