# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Scripts that compress a model, each for the environment of one tool."""
