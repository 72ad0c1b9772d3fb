# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The one exception type of the package, and how it prints.

A compiler error can name many nodes at once (all unsupported operators of a
model), so an Error carries a list of diagnostics beside its text.
"""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Diagnostic:
    """One message of the compiler: `node` and `op` are empty when it concerns the whole file."""

    severity: str
    text: str
    node: str = ""
    op: str = ""
    file: str = ""

    def __str__(self):
        where = f"node '{self.node}'" if self.node else ""
        where += f" ({self.op})" if where and self.op else ""
        return ": ".join(part for part in (where, self.text) if part)


def reason(error):
    """What an exception says, in one line and without the name of a file."""
    text = (getattr(error, "strerror", None) or "").lower() or str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


class Error(Exception):
    """What went wrong with a model or a call: `file`, `node`, `op`, `text` and all `diagnostics`."""

    def __init__(self, text, *, file="", node="", op="", diagnostics=()):
        self.file, self.node, self.op, self.text = str(file or ""), node, op, text
        self.diagnostics = tuple(diagnostics) or (Diagnostic("error", text, node, op, self.file),)
        super().__init__(text)

    @classmethod
    def from_diagnostics(cls, diagnostics, file=""):
        """One Error for a failed compilation, its fields those of the first error."""
        errors = [d for d in diagnostics if d.severity == "error"]
        if not errors:
            errors = [Diagnostic("error", "compilation failed without a message", file=str(file))]
        first = errors[0]
        return cls(first.text, file=first.file or file, node=first.node, op=first.op, diagnostics=errors)

    def __str__(self):
        lines = []
        for d in self.diagnostics:
            file = d.file or self.file
            lines.append(f"{file}: {d}" if file else str(d))
        return "\n".join(lines)
