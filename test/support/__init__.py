# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Helpers that several suites share."""
