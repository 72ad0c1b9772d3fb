# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Splits what mlir-tblgen wrote into a page per operation, attribute, interface and pass:

    reference.py --root DIR --output DIR KIND:FILE.md...      KIND is dialect, interface or passes

Ends with status 1 if an operation, attribute or pass lacks its summary, description or example: the pages are
part of the build, so they cannot rot. The example of a pass is the first function of its lit test.
"""
import argparse
import pathlib
import re
import sys

FOLDERS = {"Operations": "ops", "Attributes": "attributes", "Types": "types", "Passes": "passes", "Interfaces": "interfaces"}


def sections(text, level):
    """(title, body) of each heading of this level; the first, without a title, is what precedes them."""
    found, fenced = [[None, []]], False
    for line in text.splitlines():
        fenced ^= line.startswith("```")
        if not fenced and line.startswith("#" * level + " "):
            found.append([line[level + 1:], []])
        else:
            found[-1][1].append(line)
    return [(title, "\n".join(body).strip()) for title, body in found]


class Pages:
    def __init__(self, root, output):
        self.root, self.output = root, output
        self.index, self.problems = {}, []

    def write(self, section, name, title, body):
        """One page and its line in the index."""
        summary = re.match(r"_(.+)_$", body, re.M)
        line = summary[1][0].lower() + summary[1][1:] if summary else " ".join(body.split(". ")[0].split())
        path = f"{FOLDERS[section]}/{name}.md"
        target = self.output / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(f"# {title}\n\n{body}\n", encoding="utf8")
        self.index.setdefault(section, []).append(f"- [{name}]({path}): {line}")
        return summary

    def complain(self, name, what):
        self.problems.append(f"{name} has no {what}")

    def dialect(self, text):
        for section, body in sections(text, 2):
            if section not in FOLDERS:
                continue
            for title, page in sections(body, 3)[1:]:
                name = title.split("`")[1] if "`" in title else title
                if not self.write(section, name, title, page):
                    self.complain(name, "summary")
                described = re.sub(r"(?s)Syntax:\n\n```.*?```|^_.*?_$|\n#### .*|^(Traits|Interfaces|Effects):.*$", "", page, flags=re.M)
                if "Example:" not in described:
                    self.complain(name, "example")
                elif name != "tamis.yield" and len(described.split("Example:")[0].split()) < 5:
                    self.complain(name, "description")

    def interface(self, text):
        for title, body in sections(text, 2)[1:]:
            self.write("Interfaces", title.split(" ")[0], title, body)
            for method, words in sections(body, 4)[1:]:
                if not re.sub(r"(?s)```.*?```|NOTE:.*", "", words).strip():
                    self.complain(f"{title.split(' ')[0]}::{method}", "description")

    def passes(self, text):
        for title, body in sections(text, 3)[1:]:
            name = title.strip("`").lstrip("-")
            short = name.removeprefix("tamis-")
            for test in sorted(t for n in (short, name) for t in (self.root / "test").glob(f"*/{n}.mlir")):
                body += f"\n\n## Example\n\nFrom {test.relative_to(self.root)}, which a test checks:\n\n```mlir\n{self.example(test)}\n```"
            if not self.write("Passes", name, f"`--{name}`", body):
                self.complain(name, "summary")
            if len(body.split("####")[0].split("## Example")[0].split()) < 15:
                self.complain(name, "description")

    @staticmethod
    def example(test):
        text = test.read_text(encoding="utf8").split("\n// -----")[0]
        starts = [m.start() for m in re.finditer(r"^// CHECK(-\w+)*-LABEL", text, re.M)]
        return text[:starts[1]].rstrip() if len(starts) > 1 else text.rstrip()

    def finish(self):
        lines = ["# Reference", "", "Made by the build from the TableGen definitions in include/tamis.", ""]
        for section, entries in self.index.items():
            lines += [f"## {section}", "", *sorted(entries), ""]
        (self.output / "index.md").write_text("\n".join(lines), encoding="utf8")
        for problem in self.problems:
            print(f"error: {problem}", file=sys.stderr)
        return int(bool(self.problems))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=pathlib.Path, required=True)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("inputs", nargs="+", metavar="KIND:FILE")
    args = parser.parse_args()
    pages = Pages(args.root, args.output)
    for item in args.inputs:
        kind, path = item.split(":", 1)
        getattr(pages, kind)(pathlib.Path(path).read_text(encoding="utf8"))
    return pages.finish()


if __name__ == "__main__":
    sys.exit(main())
