# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The per-user cache of compiled libraries.

Whoever can write a cached library can run code as the user who loads it, so
the folder is private (mode 0700, owned by the user), files of other owners or
writable by others are refused, and an entry appears by rename only.
"""
import contextlib
import glob
import hashlib
import os
import shutil
import stat
import tempfile

from . import files
from .errors import Error, reason

LIMIT = 4 << 30  # bytes kept; the least recently used go first
NEW = "new-"     # what compilations that are not done write begins with this


def default_folder():
    """`$TAMIS_CACHE`, else `$XDG_CACHE_HOME/tamis`, else `~/.cache/tamis`."""
    named = os.environ.get("TAMIS_CACHE")
    if named:
        return named
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "tamis")


def _private(status, kind):
    return kind(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022


class Cache:
    """A private folder of `KEY.so` files."""

    def __init__(self, folder=None):
        self.folder = os.path.abspath(files.native(folder or default_folder()))
        try:
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
        except OSError as error:
            raise self._refusal(error) from None
        if not _private(os.stat(self.folder), stat.S_ISDIR):
            raise Error("cache folder: it belongs to another user or others can write to it", file=self.folder)

    def _refusal(self, error):
        return Error(f"cache folder: {reason(error)}", file=self.folder)

    def path(self, key):
        return os.path.join(self.folder, key + ".so")

    def find(self, key):
        """The path of a usable entry, or None."""
        path = self.path(key)
        try:
            status = os.lstat(path)
        except OSError:
            return None
        if not _private(status, stat.S_ISREG):
            raise Error("cached library: it belongs to another user or others can write to it", file=path)
        with contextlib.suppress(OSError):
            os.utime(path)
        return path

    def add(self, key, source):
        """Move the finished file `source` (in this folder) into place; returns its path."""
        os.chmod(source, 0o600)
        # An entry has its bytes before its name, also where the machine stops between the two.
        with open(source, "rb") as file:
            os.fsync(file.fileno())
        os.rename(source, self.path(key))
        self._trim()
        return self.path(key)

    def temporary(self):
        """A fresh file name in this folder for a compilation to write."""
        try:
            handle, path = tempfile.mkstemp(prefix=NEW, suffix=".so", dir=self.folder)
        except OSError as error:
            raise self._refusal(error) from None
        os.close(handle)
        return path

    def entries(self):
        """(time of last use, bytes, path) of every entry, the oldest first."""
        found = []
        with os.scandir(self.folder) as listing:
            for entry in listing:
                with contextlib.suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    if entry.name.endswith(".so") and stat.S_ISREG(status.st_mode):
                        found.append((status.st_mtime, status.st_size, entry.path))
        return sorted(found)

    def clear(self):
        """Remove every entry, and what interrupted compilations left; returns (files, bytes) of the entries."""
        files = size = 0
        for _, length, path in self.entries():
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)
                files, size = files + 1, size + length
        for left in glob.glob(os.path.join(glob.escape(self.folder), NEW + "*")):
            shutil.rmtree(left) if os.path.isdir(left) else os.remove(left)
        return files, size

    def _trim(self):
        entries = self.entries()
        total = sum(length for _, length, _ in entries)
        for _, length, path in entries[:-1]:
            if total <= LIMIT:
                break
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)
            total -= length


def make_key(parts):
    """One SHA-256 over parts (str or bytes), each with its length so that no two lists collide."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def hash_file(path):
    """SHA-256 of a file's contents."""
    with files.open_plain(path) as file:
        return hashlib.file_digest(file, "sha256").digest()
