# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every quantized group of real models against its formula (python/tamis/groups.py).

    quantized_groups.py [--models effword-int8,ddddocr-rec-dynquant] [--strict] [--target T]
"""
import argparse
import sys

import manifest


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="effword-int8,ddddocr-rec-dynquant")
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--target", default="native")
    args = parser.parse_args()
    from tamis import groups, options, verification

    failed = False
    for model in manifest.select(args.models):
        graph = verification.load_graph(model.path)
        values = verification.all_values(graph, manifest.feeds(model, 0))
        chosen = options.Options(target=args.target, strict=args.strict)
        results = list(groups.compare_groups(graph, values, chosen))
        bad = [(group, result) for group, result in results if not result.agrees]
        worst = max((result.error for _, result in results), default=0)
        print(f"{model.key}: {len(results) - len(bad)} of {len(results)} groups agree, at most {worst:.3%} of one differ")
        for group, result in bad:
            print(f"  node '{group.name}' ({group.node.op_type}): {result.problem}")
        failed |= bool(bad) or not results
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
