# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Turn texts into token ids:  tokenize_texts.py TOKENIZER TEXTS.json IDS.json

TOKENIZER is a tokenizer.json (of the package `tokenizers`) or a .gguf file (read by `transformers`). TEXTS is a list
of strings, IDS a list of lists of integers: neither truncated nor padded.
"""
import json
import os
import sys


def main(tokenizer, texts, ids):
    with open(texts, encoding="utf8") as file:
        lines = json.load(file)
    if tokenizer.endswith(".gguf"):
        from transformers import AutoTokenizer

        folder, name = os.path.split(tokenizer)
        made = AutoTokenizer.from_pretrained(folder, gguf_file=name)
        found = [made(line)["input_ids"] for line in lines]
    else:
        from tokenizers import Tokenizer

        made = Tokenizer.from_file(tokenizer)
        made.no_padding()
        made.no_truncation()
        found = [encoded.ids for encoded in made.encode_batch(lines)]
    with open(ids + ".tmp", "w", encoding="utf8") as file:
        json.dump(found, file)
    os.replace(ids + ".tmp", ids)


if __name__ == "__main__":
    main(*sys.argv[1:])
