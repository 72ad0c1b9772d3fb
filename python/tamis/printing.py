# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Text for a terminal."""


def printable(text):
    """Names come from the model: control characters in them must not reach the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def print_lines(text, file):
    """Print `text`, each line printable."""
    for line in str(text).split("\n"):
        print(printable(line), file=file)
