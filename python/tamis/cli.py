# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The `tamis` command: the group, the options all commands share, and how errors leave it."""
import importlib
import os
import sys

import click

from . import __version__
from .errors import Error, reason
from .printing import printable

COMMANDS = ("benchmark", "cache", "check", "compile", "explain", "hardware", "optimize", "prune", "quantize", "run", "verify")


class Commands(click.Group):
    """Commands by the name of their module; only the one that is asked for is imported."""

    def list_commands(self, context):
        return COMMANDS

    def get_command(self, context, name):
        return importlib.import_module(f".commands.{name}", __package__).command if name in COMMANDS else None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, "--version", prog_name="tamis")
def tamis():
    """Compile neural networks to small, fast native code.

    \b
    Example:
      tamis compile model.onnx -o model.so
      tamis run model.so --input x.npz --output y.npz
    """


def main(arguments=None):
    """Run the command; errors become `error:` lines and exit status 1."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller
            setattr(sys, name, open(os.devnull, "w", encoding="utf8"))
        elif hasattr(getattr(sys, name), "reconfigure"):
            getattr(sys, name).reconfigure(errors="backslashreplace")
    try:
        status = tamis.main(arguments, standalone_mode=False)
        sys.stdout.flush()
    except Error as error:
        for line in str(error).splitlines():
            print(f"error: {printable(line)}", file=sys.stderr)
        status = 1
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        print("error: interrupted", file=sys.stderr)
        status = 130
    except BrokenPipeError:
        status = 141
        sys.stderr.close()
    except (OSError, MemoryError) as error:
        where = getattr(error, "filename", None)
        print("error: " + printable(f"{where}: {reason(error)}" if where else reason(error)), file=sys.stderr)
        status = 1
    sys.exit(status or 0)


if __name__ == "__main__":
    main()
