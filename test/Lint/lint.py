# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The project's own rules, one function each:  lint.py --root DIR RULE

Prints `FILE:LINE: text` per violation and ends with status 1 if there was any. The rules say what a reader relies on:
tests that really check something, names that find the file, documents whose paths exist.
"""
import argparse
import os
import re
import subprocess
import sys

MAX_LINES = 600
LONG_FILES = {"lib/Transforms/VerifyStage.cpp"}  # all stage contracts in one table
SOURCES = (".cpp", ".h", ".c", ".td", ".py", ".sh", ".cmake")
COMMENT = r"^\s*(?://|#|;)?\s*"  # .test files have their directives without one
DIRECTIVE = r"(?:{prefix})(?:-(?:LABEL|NEXT|NOT|SAME|DAG|EMPTY|COUNT-\d+))?"


class Tree:
    """The files git knows or would know, relative to the root."""

    def __init__(self, root):
        self.root = root
        listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=root, capture_output=True, text=True)
        if listed.returncode == 0 and listed.stdout:
            self.files = sorted(set(listed.stdout.splitlines()))
        else:  # an unpacked archive
            found = [os.path.relpath(os.path.join(parent, name), root) for parent, _, names in os.walk(root) for name in names]
            self.files = sorted(name for name in found if not re.match(r"(build|\.venv|\.git)/", name))
        self.files = [name for name in self.files if os.path.isfile(os.path.join(root, name))]

    def read(self, name):
        with open(os.path.join(self.root, name), encoding="utf8", errors="replace") as file:
            return file.read()

    def tests(self):
        """(name, text) of the lit tests."""
        return [(name, self.read(name)) for name in self.files
                if name.startswith("test/") and name.endswith((".mlir", ".test")) and not name.startswith("test/Lint/")]

    def exists(self, path):
        return os.path.exists(os.path.join(self.root, path))


def _prefixes(text):
    """The prefixes FileCheck looks for in a test: from --check-prefix(es), CHECK where it runs without any."""
    found = set()
    for command in re.findall(r"FileCheck\b[^|\n]*", _run_lines(text)):
        named = re.findall(r"--?check-prefix(?:es)?[= ]([\w,-]+)", command)
        found.update(",".join(named).split(",") if named else ["CHECK"])
    return found


def _run_lines(text):
    """The RUN lines as one text, continued lines joined."""
    lines = re.findall(r"RUN:(.*)", text)
    return re.sub(r"\\\n", " ", "\n".join(lines))


def directive_colon(tree):
    """FileCheck silently ignores a directive without a colon."""
    for name, text in tree.tests():
        prefixes = "|".join(map(re.escape, _prefixes(text) | {"CHECK"}))
        pattern = re.compile(COMMENT + DIRECTIVE.format(prefix=prefixes) + r"(?=\s|$)")
        for number, line in enumerate(text.splitlines(), 1):
            if pattern.match(line):
                yield name, number, "a FileCheck directive without a colon checks nothing"


def check_without_filecheck(tree):
    """CHECK lines need a FileCheck in a RUN line."""
    for name, text in tree.tests():
        if "FileCheck" in _run_lines(text):
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if re.match(COMMENT + DIRECTIVE.format(prefix="[A-Z0-9-]*CHECK[A-Z0-9-]*") + ":", line):
                yield name, number, "a CHECK line, but no RUN line calls FileCheck"
                break


def unused_prefix(tree):
    """A prefix given to FileCheck has a directive, and a directive's prefix is given to FileCheck."""
    for name, text in tree.tests():
        known = _prefixes(text)
        for prefix in sorted(known):
            if not re.search(COMMENT + DIRECTIVE.format(prefix=re.escape(prefix)) + ":", text, re.M):
                yield name, 1, f"no directive has the prefix {prefix}"
        if not known:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            match = re.match(COMMENT + r"([A-Z][A-Z0-9_-]*?)(?:-(?:LABEL|NEXT|NOT|SAME|DAG|EMPTY|COUNT-\d+))?:", line)
            if match and match[1] not in known and "CHECK" in match[1]:
                yield name, number, f"no FileCheck uses the prefix {match[1]}"


def run_line(tree):
    """A lit test without a RUN line tests nothing."""
    for name, text in tree.tests():
        if "/Inputs/" not in name and "RUN:" not in text:
            yield name, 1, "no RUN line"


def todo_issue(tree):
    """Open work belongs to an issue."""
    pattern = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3)) + r")\b(?!\(#\d+\):)")
    for name in tree.files:
        if name.endswith((*SOURCES, ".mlir", ".md", ".txt")) and not name.startswith("test/Lint/"):
            for number, line in enumerate(tree.read(name).splitlines(), 1):
                match = pattern.search(line)
                if match:
                    yield name, number, f"{match[1]} without an issue number"


def doc_paths(tree):
    """Every path that README.md or a page of docs/ names exists."""
    top = {name.split("/")[0] for name in tree.files if "/" in name} | {"build", ".venv"}
    for name in tree.files:
        if name != "README.md" and not (name.startswith("docs/") and name.endswith(".md")):
            continue
        text = tree.read(name)
        for number, line in enumerate(text.splitlines(), 1):
            found = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", line)
            here = [(os.path.normpath(os.path.join(os.path.dirname(name), path)), path) for path in found]
            quoted = re.findall(r"`([\w.][\w./*{},-]*/[\w./*{},-]*)`", line)
            here += [(path, path) for path in quoted if path.split("/")[0] in top]
            for path, shown in here:
                if path.startswith(("build", ".venv")) or re.search(r"[*{}<>…]", path):
                    continue
                if not tree.exists(path.rstrip("/")):
                    yield name, number, f"names {shown}, which does not exist"


def _kebab(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()


def pass_names(tree):
    """A pass FoldFakeQuant has the flag tamis-fold-fake-quant, the file FoldFakeQuant.cpp and the test fold-fake-quant.mlir."""
    for name in tree.files:
        if not name.endswith("Passes.td"):
            continue
        for match in re.finditer(r"^def (\w+)\s*:\s*(?:\w*Pass|\w+)\s*<\s*\"([\w-]+)\"", tree.read(name), re.M):
            title, flag = match[1], match[2]
            number = tree.read(name)[:match.start()].count("\n") + 1
            for suffix in ("Pass", "Utils", "Common"):
                if title.endswith(suffix):
                    yield name, number, f"pass {title}: a name does not end in {suffix}"
            wanted = "tamis-" + _kebab(title.removeprefix("Tamis"))
            if flag != wanted:
                yield name, number, f"pass {title} has the flag {flag}, expected {wanted}"
            if not any(f.endswith(f"/{title}.cpp") for f in tree.files if f.startswith("lib/")):
                yield name, number, f"pass {title} has no file {title}.cpp in lib/"
            if not any(re.search(f"/{re.escape(_kebab(title))}(-[\\w-]+)?\\.mlir$", f) for f in tree.files if f.startswith("test/")):
                yield name, number, f"pass {title} has no test {_kebab(title)}.mlir"


def machine_paths(tree):
    """No path of the machine it was written on."""
    pattern = re.compile(r"(?<![\w$}./~-])/(?:home|root|work|Users)/")
    for name in tree.files:
        if name.startswith("test/Lint/"):
            continue
        for number, line in enumerate(tree.read(name).splitlines(), 1):
            if pattern.search(line):
                yield name, number, "an absolute path of one machine"


def file_length(tree):
    """What is longer than 600 lines is not read in one sitting."""
    for name in tree.files:
        if name.endswith(SOURCES) and name not in LONG_FILES:
            lines = tree.read(name).count("\n")
            if lines > MAX_LINES:
                yield name, lines, f"{lines} lines, at most {MAX_LINES}"


def license_line(tree):
    """Every source begins with its licence."""
    for name in tree.files:
        if name.endswith(SOURCES) or name.endswith("CMakeLists.txt"):
            if "SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception" not in tree.read(name)[:300]:
                yield name, 1, "no SPDX line"


RULES = {function.__name__.replace("_", "-"): function for function in (
    directive_colon, check_without_filecheck, unused_prefix, run_line, todo_issue, doc_paths, pass_names, machine_paths,
    file_length, license_line)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", required=True)
    parser.add_argument("rules", nargs="+", choices=RULES, metavar="RULE", help=", ".join(RULES))
    args = parser.parse_args()
    tree, found = Tree(args.root), 0
    for rule in args.rules:
        for name, number, text in RULES[rule](tree):
            found += 1
            print(f"{name}:{number}: {text}")
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
