# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The `tamis` command: the group, the options all commands share, and how errors leave it."""
import sys

import click

from . import __version__
from .commands import benchmark, cache, check, compile, explain, hardware, optimize, prune, quantize, run, verify
from .errors import Error


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, "--version", prog_name="tamis")
def tamis():
    """Compile neural networks to small, fast native code.

    \b
    Example:
      tamis compile model.onnx -o model.so
      tamis run model.so --input x.npz --output y.npz
    """


for _module in (compile, run, benchmark, optimize, quantize, prune, explain, check, verify, hardware, cache):
    tamis.add_command(_module.command)


def printable(text):
    """Names come from the model: control characters in them must not reach the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def main(arguments=None):
    """Run the command; errors become `error:` lines and exit status 1."""
    try:
        status = tamis.main(arguments, standalone_mode=False)
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
    sys.exit(status or 0)


if __name__ == "__main__":
    main()
