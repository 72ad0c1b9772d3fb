# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""One module per `tamis` command; each has a click command named `command`."""
