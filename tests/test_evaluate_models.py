"""On the real models: answers depend on nothing but the question."""

from dataclasses import replace
from pathlib import Path

import pytest

from rag.evaluate.evaluation import Tools
from rag.generation import Usage
from rag.models import SilentProgress
from rag.prompts import REFUSAL, Message, load_for
from rag.settings import Settings

SENTENCES = {
    "How many troops were sent?": "उत्तर कोरिया ने रूस में लगभग 15,000 सैनिक भेजे हैं.",
    "Where did they meet?": "दोनों नेताओं की मुलाकात वोन्सान शहर में हुई.",
    "कितने सैनिक भेजे गए?": "उत्तर कोरिया ने रूस में लगभग 15,000 सैनिक भेजे हैं.",
}


def messages(question: str) -> list[Message]:
    language = "en" if question.isascii() else "hi"
    return load_for("read", language).fill(
        {"passage": SENTENCES[question], "question": question, "language": "English"}
    )


@pytest.mark.models
def test_answers_do_not_depend_on_what_was_asked_before(tmp_path: Path) -> None:
    settings = replace(Settings.load({}), context=2048)
    _, load = Tools.real(settings, SilentProgress()).generator()
    generator = load()

    def ask(question: str) -> tuple[str, float, tuple[float, ...]]:
        usage = Usage()
        pieces = generator.stream(messages(question), usage, max_tokens=12, refusal=REFUSAL)
        return "".join(pieces), usage.refusal, tuple(usage.probabilities)

    questions = list(SENTENCES)
    forward = {q: ask(q) for q in questions}
    backward = {q: ask(q) for q in reversed(questions)}
    assert forward == backward  # to the last bit of every probability
    again = load()  # as after a restart

    def ask_again(question: str) -> tuple[str, float, tuple[float, ...]]:
        usage = Usage()
        pieces = again.stream(messages(question), usage, max_tokens=12, refusal=REFUSAL)
        return "".join(pieces), usage.refusal, tuple(usage.probabilities)

    assert {q: ask_again(q) for q in questions[::2]} == {q: forward[q] for q in questions[::2]}
