# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""From a float model to a smaller one: calibration, pruning, quantization, search and reports."""
