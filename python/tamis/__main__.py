# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`python -m tamis` is the `tamis` command."""
from .cli import main

main()
