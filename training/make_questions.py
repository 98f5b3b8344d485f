"""Make English questions about XQuAD's training articles with the default generator.

    python training/make_questions.py ../shared/xquad training/made_questions.jsonl

For each English sentence of articles 1 to 16 the generator is asked for a question about a
name, about a number or date, and about a thing or place, whose answer stands in the
sentence word for word. What does not keep to that is thrown away, and so are answers that
are whole sentences, questions that hold their own answer, and questions that fit anything
("What is the name of the set?"). The result (CC BY-SA 4.0, like the articles) is what
`training/train_reader.py` reads. It goes on where it was stopped.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rag.generation import LlamaGenerator, Usage
from rag.language import sentences, whole_words, words
from rag.models import SilentProgress, resolve_generator
from rag.prompts import REFUSAL, Message
from rag.settings import Settings

KINDS = ("a name", "a number or date", "a thing or place")
SEED = 3
WORDS = range(6, 61)  # of a sentence that is asked about
LONGEST_ANSWER = 12  # words
FEWEST_WORDS = 6  # of a question: shorter ones fit too much
SYSTEM = (
    "You write quiz questions. For the sentence, write one question whose answer is copied "
    "word for word from the sentence, as short as possible. Write one line: question ||| answer"
)
BRIDGE = "The bridge over the Save was built by Italian engineers between 1903 and 1907."
CATTLE = (
    "Because of the drought, farmers in the north sold two thirds of their cattle to "
    "traders from Lima."
)
EXAMPLES = (
    (BRIDGE, "the builders", "Who built the bridge over the Save? ||| Italian engineers"),
    (
        BRIDGE,
        "a number or date",
        "When was the bridge over the Save built? ||| between 1903 and 1907",
    ),
    (CATTLE, "a reason", "Why did northern farmers sell their animals? ||| Because of the drought"),
    (CATTLE, "a place", "Where did the buyers of the cattle come from? ||| Lima"),
)


def messages(sentence: str, kind: str) -> list[Message]:
    """Return the prompt for one question."""
    turns: list[Message] = [{"role": "system", "content": SYSTEM}]
    for about, asked, written in EXAMPLES:
        turns.append({"role": "user", "content": f"Sentence: {about}\nAsk about: {asked}"})
        turns.append({"role": "assistant", "content": written})
    turns.append({"role": "user", "content": f"Sentence: {sentence}\nAsk about: {kind}"})
    return turns


def checked(output: str, sentence: str) -> tuple[str, int, int] | None:
    """Return the question and its answer's place in the sentence; nothing if it is no use."""
    question, _, answer = (part.strip() for part in output.strip().partition("|||"))
    answer = answer.rstrip(".")
    start = sentence.find(answer)
    if not answer or start < 0 or not question.endswith("?"):
        return None
    start, end = whole_words(sentence, start, start + len(answer))
    said, asked = words(sentence[start:end]), words(question)
    if not 0 < len(said) <= LONGEST_ANSWER or len(said) > len(words(sentence)) / 2:
        return None
    if len(asked) < FEWEST_WORDS or set(said) <= set(asked):
        return None
    return question, start, end


def tasks(folder: Path) -> Iterator[tuple[dict[str, Any], str]]:
    """Give each sentence, shuffled, with its place and each kind of question."""
    data = json.loads((folder / "xquad.en.train.json").read_text("utf-8"))["data"]
    found = [
        (article, paragraph, start, text["context"][start:end])
        for article, whole in enumerate(data)
        for paragraph, text in enumerate(whole["paragraphs"])
        for start, end in sentences(text["context"])
    ]
    random.Random(SEED).shuffle(found)
    for article, paragraph, start, sentence in found:
        if len(words(sentence)) in WORDS:
            for kind in KINDS:
                where = {"article": article, "paragraph": paragraph, "sentence": start}
                yield {**where, "kind": kind}, sentence


def main() -> None:
    """Ask for every question that the file does not have yet."""
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    lines = out.read_text("utf-8").splitlines() if out.exists() else []
    keys = ("article", "paragraph", "sentence", "kind")
    done = {tuple(json.loads(line)[key] for key in keys) for line in lines}
    settings = Settings.load(env={})
    file = resolve_generator(settings.generator, settings, SilentProgress())
    generator = LlamaGenerator.load(file, context=2048)
    with out.open("a", encoding="utf-8") as written:
        for task, sentence in tasks(folder):
            if tuple(task[key] for key in keys) in done:
                continue
            pieces = generator.stream(
                messages(sentence, task["kind"]), Usage(), max_tokens=60, refusal=REFUSAL
            )
            found = checked("".join(pieces).split("\n")[0], sentence)
            if found is not None:
                question, start, end = found
                at = task["sentence"]
                task |= {"question": question, "start": at + start, "end": at + end}
            written.write(json.dumps(task, ensure_ascii=False) + "\n")
            written.flush()


if __name__ == "__main__":
    main()
