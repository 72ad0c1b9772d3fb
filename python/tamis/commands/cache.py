# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`tamis cache`: what the cache of compiled libraries holds, and removing it."""
import click

from .. import cache as store
from . import common


@click.group("cache", context_settings={"help_option_names": ["-h", "--help"]})
def command():
    """Look at or clear the cache of compiled libraries.

    \b
    Example:
      tamis cache clear
    """


FOLDER = click.option("--cache", "folder", metavar="DIR", help="Another folder than the user's.")


@command.add_command
@common.command("clear", FOLDER)
def clear(output, folder):
    """Remove every compiled library from the cache.

    \b
    Example:
      tamis cache clear
    """
    found = store.Cache(folder)
    files, size = found.clear()
    output.say(f"{found.folder}: removed {files} files, {size / 1e6:.1f} MB")
    output.result({"folder": found.folder, "files": files, "bytes": size})


@command.add_command
@common.command("info", FOLDER)
def info(output, folder):
    """Show the folder, the number of libraries and their size.

    \b
    Example:
      tamis cache info
    """
    found = store.Cache(folder)
    entries = found.entries()
    size = sum(length for _, length, _ in entries)
    output.say(f"{found.folder}: {len(entries)} files, {size / 1e6:.1f} MB")
    output.result({"folder": found.folder, "files": len(entries), "bytes": size})
