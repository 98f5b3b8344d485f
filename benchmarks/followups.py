"""How often a question that stands alone is taken for a follow-up.

    python benchmarks/followups.py XQUAD

XQUAD is a folder with xquad.<code>.train.json. Each of their questions was written to stand
alone; some do not ("When was this edict declared?"), and are printed like the others.
Prints Markdown; needs no model.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rag.language import leans_back


def questions(file: Path) -> list[str]:
    """Return the questions of a file in SQuAD's form."""
    articles = json.loads(file.read_text(encoding="utf-8"))["data"]
    return [q["question"] for a in articles for p in a["paragraphs"] for q in p["qas"]]


def main(folder: Path) -> None:
    """Print a row for each language, then what was taken."""
    print("| language | questions | taken for follow-ups | share |\n|---|---|---|---|")
    taken = {}
    for file in sorted(folder.glob("xquad.*.train.json")):
        code = file.name.split(".")[1]
        asked = questions(file)
        taken[code] = [q for q in asked if leans_back(q, code)]
        share = len(taken[code]) / len(asked)
        print(f"| {code} | {len(asked)} | {len(taken[code])} | {share:.1%} |")
    for code, found in taken.items():
        for question in found:
            print(f"\n{code}: {question}", end="")
    print()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
