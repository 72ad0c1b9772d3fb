# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What all commands share: output and verbosity, the compile options, inputs from a file or a seed."""
import contextlib
import dataclasses
import functools
import json
import os
import sys
import time

import click

from .. import compiler, feeds, files, model, options as option_list
from ..errors import Error
from ..printing import print_lines, printable
from ..source import Source

LEVELS = {"error": -1, "warning": 0, "info": 1, "debug": 2}


class File(click.ParamType):
    """The type of options that name files: which the command reads, or which it writes and must not be one of those.

    A file that `updates` what another option names may be that one.
    """

    name = "file"

    def __init__(self, is_written=False, updates=""):
        self.is_written, self.updates = is_written, updates


READ, WRITTEN = File(), File(is_written=True)


class Output:
    """Writes for people to the terminal and for programs to the `--json` file."""

    def __init__(self, json_path, verbose, quiet, seed):
        named = os.environ.get("TAMIS_LOG", "").lower()
        self.level = -1 if quiet else verbose or LEVELS.get(named, 0)
        self.json_path, self.seed = json_path, seed
        self._reads, self._writes = [], []

    def take_files(self, parameters, values):
        """Note the files that a command's parameters name; Error if one that is written is read as well."""
        named = {p.name: (p.type, values[p.name]) for p in parameters if isinstance(p.type, File) and values.get(p.name)}
        updated = {kind.updates: path for kind, path in named.values()}
        self._reads = [file for name, (kind, path) in named.items()
                       if not kind.is_written and not (name in updated and files.same(path, updated[name]))
                       for file in _all_files(path, values.get("allow_external"))]
        self.writes(*(path for kind, path in named.values() if kind.is_written))

    def writes(self, *paths):
        """Error, before any work, if the command reads one of these files too, or writes it twice."""
        self._writes += paths
        files.check_apart(self._writes, self._reads)

    @functools.cached_property
    def log(self):
        """What draws on standard error. Only those who draw wait for the import."""
        from rich.console import Console

        return Console(stderr=True, quiet=self.level < 0, highlight=False, soft_wrap=True)

    def say(self, text):
        if self.level >= 0:
            print_lines(text, sys.stdout)

    def table(self, *columns, rows, title=None):
        """Print a table; a column starting with ">" is right-aligned."""
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(title=title, box=None, header_style="bold", title_justify="left", pad_edge=False)
        for column in columns:
            table.add_column(column.lstrip(">"), justify="right" if column[0] == ">" else "left", overflow="fold")
        for row in rows:
            table.add_row(*(Text(printable(str(cell))) for cell in row))
        Console(quiet=self.level < 0, highlight=False, soft_wrap=True).print(table)

    def message(self, diagnostic):
        """Show a compiler's warning, and its remarks with -v."""
        if self.level >= (0 if diagnostic.severity == "warning" else 1):
            print_lines(f"{diagnostic.severity}: {diagnostic}", sys.stderr)

    def progress(self):
        """A progress bar where a person watches, nothing elsewhere."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        return Progress(SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
                        TimeElapsedColumn(), console=self.log, transient=True,
                        disable=self.level < 0 or not sys.stderr.isatty())

    def result(self, data):
        """Write the command's result to the `--json` file."""
        if not self.json_path:
            return
        text = json.dumps(data, indent=1, default=_plain) + "\n"
        if self.json_path == "-":
            sys.stdout.write(text)
            return
        files.write_text(self.json_path, text, "the result")


def _all_files(path, allowed):
    """The samples of a folder, a model with its external data, or the file alone."""
    if os.path.isdir(path):
        with contextlib.suppress(OSError):
            return [os.path.join(path, name) for name in os.listdir(path) if name.endswith((".npz", ".npy"))]
    with contextlib.suppress(Error):  # no model, or one whose fault is said where the command reads it
        return Source(path).files(allowed or "")
    return [path]


def _plain(value):
    return value.item() if hasattr(value, "item") else str(value)


def command(name, *decorators):
    """A click command with the options every command has; its function gets an Output first."""

    def wrap(function):
        @functools.wraps(function)
        def call(json_path, verbose, quiet, seed, **arguments):
            output, context = Output(json_path, verbose, quiet, seed), click.get_current_context()
            output.take_files(context.command.params, context.params)
            return function(output, **arguments)

        shared = (
            click.option("--json", "json_path", type=WRITTEN, metavar="FILE", help="Write the result as JSON (- for standard output)."),
            click.option("-v", "--verbose", count=True, help="Say more; twice for everything."),
            click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors."),
            click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="Seed of random inputs."),
        )
        for decorator in reversed((*decorators, *shared)):
            call = decorator(call)
        return click.command(name)(call)

    return wrap


COMPILE_OPTIONS = (
    click.option("--target", default="native", show_default=True, metavar="TARGET",
                 help="native, x86-64-v3, x86-64-v4, amx, LLVM features (+avx2), or several split by commas; or vulkan, nvptx:sm_80."),
    click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Upper bound of threads per call."),
    click.option("--input-dim", "input_dims", multiple=True, metavar="NAME=SIZE",
                 help="Bind an open dimension (batch=1) or give its range (seq=1:512); INPUT:AXIS is a name too."),
    click.option("--allow", multiple=True, type=click.Choice(option_list.ALLOW), help="Allow arithmetic of lower precision."),
    click.option("--strict", is_flag=True, help="Equal the reference bit for bit where the contract defines it."),
    click.option("--require-integer", is_flag=True, help="Fail if a quantized operation would run in float."),
    click.option("--allow-external", metavar="DIR", help="Folder that external data may lie in beside the model's own."),
    click.option("--optimize-for", type=click.Choice(option_list.GOALS), default="speed", show_default=True,
                 help="size: the smallest storage of each weight, not the fastest."),
    click.option("-O", "opt_level", type=click.IntRange(1, 3), default=2, show_default=True,
                 help="1 compiles faster, 3 runs LLVM's whole standard pipeline."),
    click.option("--profile", type=READ, metavar="FILE",
                 help="What the cost models know of the target, and measured times (--tune writes one)."),
    click.option("--ptxas", type=READ, metavar="FILE",
                 help="NVIDIA's assembler, for --target nvptx:...; default: the one on PATH, if any."),
)
CACHE_OPTION = click.option("--cache", metavar="DIR|off", help="Folder of compiled libraries (default: the user's cache).")
TUNE_OPTION = click.option("--tune", "tune_path", type=File(is_written=True, updates="profile"), metavar="FILE",
                           help="First time the candidates of each contraction here, write them to this profile, and use it.")
MODEL_ARGUMENT = click.argument("path", type=READ, metavar="MODEL")
INPUT_OPTION = click.option("--input", "input_path", type=READ, metavar="FILE", help="Inputs as .npz (by name) or .npy; default: random.")


def make_options(arguments, **more):
    """Pop the compile options from a command's arguments and check them."""
    return option_list.make(**{name: arguments.pop(name) for name in option_list.SHARED}, **more)


def tune(source, options, path, output):
    """Measure `source`, write the profile to `path`; returns the options that read it. Without a path, the options."""
    from .. import tuning

    if not path:
        return options
    with output.progress() as bar:
        kernels = tuning.tune(source, options, path, output.message, bar)
    output.say(f"{path}: {len(kernels)} times of {len({kernel.key for kernel in kernels})} contractions")
    return dataclasses.replace(options, profile=path)


def is_library(path):
    """True for a compiled library, by its first bytes rather than its name."""
    try:
        with files.open_plain(path) as file:
            return file.read(4) == b"\x7fELF"
    except OSError:
        return False


def open_model(path, options, cache, output, tune_path=None):
    """Load a library or compile a model; returns (model, Source or None, seconds)."""
    start = time.perf_counter()
    if is_library(path):
        if tune_path:
            raise Error("only a model can be tuned, not a library", file=path)
        return model.load(path, options.threads), None, time.perf_counter() - start
    source = Source(path)
    options = tune(source, options, tune_path, output)
    if source.signature and compiler.unbound_dims(source.signature, options):
        return model.Model.specialised(source, options, cache, output.message), source, time.perf_counter() - start
    with output.progress() as bar:
        bar.add_task(f"compiling {os.path.basename(path)}", total=None)
        library, temporary = compiler.compile_cached(source, options, cache, output.message)
    return model.Model.loaded(library, options.threads, temporary, file=source.name), source, time.perf_counter() - start


def make_feed(inputs, input_path, seed, options):
    """The inputs a command runs the model on."""
    if not input_path:
        return feeds.random(inputs, seed, options.input_dims)
    feed = feeds.load(input_path, inputs)
    model.check_names(inputs, feed)
    return feed
