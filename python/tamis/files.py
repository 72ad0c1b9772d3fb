# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Files that are read and written: pipes are not waited for, and what is written is whole or not there."""
import contextlib
import errno
import io
import os
import stat
import tempfile

from .errors import Error, reason
from .printing import printable


def native(text, what="the path"):
    """`text`, or a path as text, as the compiler takes it: UTF-8 without null bytes."""
    if not isinstance(text, (str, bytes, os.PathLike)):
        raise Error(f"expected {what} as text, got {text!r}")
    text = os.fsdecode(text)
    file = printable(text) if what == "the path" else ""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Error(f"{what} is not UTF-8", file=file) from None
    if "\0" in text:
        raise Error(f"{what} has a null byte", file=file)
    return text


@contextlib.contextmanager
def _refusals(doing, path):
    try:
        yield
    except OSError as error:
        raise Error(f"cannot {doing}: {reason(error)}", file=path) from None


def reading(what, path):
    """Around the reading of `what`, for people, from `path`: what the system refuses is an Error."""
    return _refusals(f"read {what}", path)


def writing(what, path):
    """As `reading`, for a file that is written."""
    return _refusals(f"write {what}", path)


def open_plain(path):
    """A file opened for reading; OSError for pipes and devices, which may have no end or never a beginning."""
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.EINVAL, "Not a regular file", path)
    return open(path, "rb")


def is_special(path):
    """True for pipes and devices, which are written in place."""
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


@contextlib.contextmanager
def written(path, what):
    """A file to write that takes the place of `path` when it is complete; until then an earlier one stays.

    A link stays a link, and what is no regular file is written in place. `what` it is stands in the Error.
    """
    path = os.fspath(path)
    place = os.path.realpath(path)
    temporary = f"{place}.{os.getpid()}.tmp"
    with writing(what, path):
        if is_special(path):
            buffer = io.BytesIO()  # who writes may go back and forth, which a pipe cannot
            yield buffer
            with open(path, "wb") as file:
                file.write(buffer.getbuffer())
            return
        try:
            with open(temporary, "wb") as file:
                yield file
            os.replace(temporary, place)
        finally:
            with contextlib.suppress(OSError):
                os.remove(temporary)


def write_text(path, text, what):
    """Write a text file as `written` does."""
    with written(path, what) as file:
        file.write(text.encode())


@contextlib.contextmanager
def beside(path, what):
    """A folder beside `path` for what shall take its place; removed in the end."""
    place = os.path.realpath(path)
    with writing(what, path):
        folder = tempfile.TemporaryDirectory(prefix=os.path.basename(place) + ".", dir=os.path.dirname(place))
    with folder as name:
        yield name


def move(pairs, what):
    """Give finished files their names: (file, name) pairs, all or, where a name is a folder's, none."""
    for _, path in pairs:
        if os.path.isdir(path):
            raise Error(f"cannot write {what}: is a directory", file=path)
    for made, path in pairs:
        with writing(what, path):
            os.replace(made, os.path.realpath(path))


def same(one, other):
    """True if two names are of one file, which need not be there."""
    try:
        return os.path.samefile(one, other)
    except (OSError, ValueError):
        return os.path.realpath(one) == os.path.realpath(other)


def check_apart(outputs, inputs):
    """Error if a file to write is read as well, or written twice."""
    outputs = [path for path in outputs if not is_special(path)]
    for index, path in enumerate(outputs):
        other = next((other for other in inputs if same(path, other)), None)
        if other is not None:
            raise Error("the output would overwrite a file that is read", file=other)
        if any(same(path, other) for other in outputs[:index]):
            raise Error("two outputs would be written to one file", file=path)
