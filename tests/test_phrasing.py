"""What the generator writes for an answer: translations of slices, and claims of a passage."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import pytest
from conftest import NearEmbedder, Script, ScriptedGenerator

from rag.calibration import Weights
from rag.generation import Usage
from rag.phrasing import (
    Candidate,
    Phrasing,
    Translation,
    Trust,
    Written,
    faithful,
    plain_digits,
    scales,
    showable,
)
from rag.prompts import REFUSAL, Message


def never() -> ScriptedGenerator:
    raise AssertionError("no generator is needed for this")


def phrasing(
    generator: Callable[[], ScriptedGenerator] = never,
    cosines: Mapping[str, float] | None = None,
    vocabulary: Sequence[str] = (),
    max_tokens: int = 100,
) -> Phrasing:
    return Phrasing(generator, NearEmbedder(cosines or {}), lambda: vocabulary, max_tokens)


def test_a_text_costs_what_it_takes_in_a_prompt() -> None:
    """As it is told: on one line, without what nobody sees. The fake counts words."""
    costs = phrasing(ScriptedGenerator).cost
    assert costs("The river rose.") == 3
    assert costs("नदी\nबढ़ी।\u200b") == 2
    assert costs("🙂 e\u0301te\u0301") == 2
    assert costs("") == costs(" \u200b") == 0


# Translating, without a generator


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("15,000", "15,000"),
        ("१५,०००", "15,000"),
        ("১৫.৫ %", "15.5 %"),
        ("٢٠١٩", "2019"),
        ("၁၂-၁၃", "12-13"),
    ],
)
def test_numbers_are_translated_digit_by_digit(phrase: str, expected: str) -> None:
    usages: list[Usage] = []
    assert phrasing().translate(phrase, "how many?", "en", usages).text == expected
    assert usages == []


@pytest.mark.parametrize(
    ("phrase", "question", "language"),
    [
        ("NATO", "Who is it?", "en"),
        ("about 8,500", "How many?", "en"),
        ("वोन्सान", "किस शहर में?", "hi"),
        ("NATO प्रमुख की बैठक", "कौन?", "hi"),
    ],
)
def test_what_the_asker_can_read_stays(phrase: str, question: str, language: str) -> None:
    assert phrasing().translate(phrase, question, language, []).text == phrase


@pytest.mark.parametrize(
    ("phrase", "question", "language", "expected"),
    [
        ("रूस", "Which country?", "en", "Russia"),
        ("उत्तर कोरिया", "Which country?", "en", "North Korea"),
        ("12 जुलाई", "When?", "en", "12 July"),
        ("१२ जुलाई, २०२५", "When?", "en", "12 July, 2025"),
        ("12 July 2025", "कब?", "hi", "12 जुलाई 2025"),
        ("Monday", "कब?", "hi", "सोमवार"),
    ],
)
def test_numbers_and_names_of_cldr_need_no_generator(
    phrase: str, question: str, language: str, expected: str
) -> None:
    assert phrasing().translate(phrase, question, language, []).text == expected


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("10:30 सोमवार", "10:30 Monday"),
        ("2,5-3,5 रूस", "2,5-3,5 Russia"),
        ("15,000 रूस", "15,000 Russia"),
        ("-3.5 रूस", "-3.5 Russia"),
        ("रूस-चीन", "Russia-China"),
        ("रूस (चीन)", "Russia (China)"),
    ],
)
def test_a_spelt_number_is_the_one_of_the_document(phrase: str, expected: str) -> None:
    assert phrasing().translate(phrase, "which?", "en", []).text == expected


# Translating, with one


@pytest.mark.parametrize(("written", "said"), [("Vilayam", "William"), ("Bill", "Bill")])
def test_a_name_spelt_by_sound_is_one_more_candidate(written: str, said: str) -> None:
    cosines = {"William": 0.95, "Willem": 0.9, "Vilayam": 0.92, "Bill": 0.97}
    ready = phrasing(
        lambda: ScriptedGenerator(written), cosines, vocabulary=["▁Willem", "▁William"]
    )
    assert ready.translate("विलियम", "who?", "en", []).text == said


def asked_of(messages: Sequence[Message]) -> str:
    """Return the last turn of a prompt: the phrase, and the question where it is given."""
    return messages[-1]["content"]


def test_the_generator_is_asked_twice_with_and_without_the_question() -> None:
    generator = ScriptedGenerator("coastal districts")
    usages: list[Usage] = []
    ready = phrasing(lambda: generator, {"coastal districts": 0.9})
    said = ready.translate("तटीय ज़िलों से", "Where do they come from?", "en", usages).text
    assert said == "coastal districts"
    without, with_it = map(asked_of, generator.prompts)
    assert without == "तटीय ज़िलों से"
    assert with_it == "तटीय ज़िलों से\n(it answers: Where do they come from?)"
    assert len(usages) == 2
    assert all(u.probabilities for u in usages)


def trusting(monkeypatch: pytest.MonkeyPatch, threshold: float, **weights: float) -> None:
    """Let translations of a trained generator be judged by these weights alone."""
    every = {"cosine": 0.0, "likelihood": 0.0, "agreement": 0.0, **weights}
    monkeypatch.setattr(Trust, "shipped", lambda: Trust(Weights(0.0, every), threshold, threshold))


def test_a_generator_that_was_trained_to_translate_does_it_without_examples(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trusting(monkeypatch, 0.5)
    generator, trained = ScriptedGenerator("never asked"), ScriptedGenerator("coastal districts")
    generator.translator = trained
    ready = phrasing(lambda: generator, {"coastal districts": 0.9})
    said = ready.translate("तटीय ज़िलों से", "Where from?", "en", []).text
    assert said == "coastal districts"
    assert generator.prompts == []
    assert trained.prompts == [
        [
            {"role": "system", "content": "Translate into English."},
            {"role": "user", "content": "तटीय ज़िलों से"},
        ],
        [
            {"role": "system", "content": "Translate into English."},
            {"role": "user", "content": "तटीय ज़िलों से\n(it answers: Where from?)"},
        ],
    ]


class Doubtful(ScriptedGenerator):
    """Gives each token of an answer the probability that its first word names."""

    def stream(
        self, messages: Sequence[Message], usage: Usage, *, max_tokens: int, refusal: str
    ) -> Iterator[str]:
        for piece in super().stream(messages, usage, max_tokens=max_tokens, refusal=refusal):
            usage.probabilities[-1] = 0.9 if "coast" in self._answer(messages) else 0.3
            yield piece


def two_ways() -> ScriptedGenerator:
    generator = ScriptedGenerator()
    generator.translator = Doubtful(
        lambda messages: "from the sea" if "answers" in asked_of(messages) else "on the coast"
    )
    return generator


@pytest.mark.parametrize(
    ("weights", "threshold", "expected"),
    [
        # ln .9 = -.105 and ln .3 = -1.204: 1 / (1 + e^.105) = .474, 1 / (1 + e^1.204) = .231
        ({"likelihood": 1.0}, 0.47, "on the coast"),
        ({"likelihood": 1.0}, 0.48, ""),
        ({"likelihood": -1.0}, 0.7, "from the sea"),
        # 1 / (1 + e^-.9) = .711, 1 / (1 + e^-.95) = .721
        ({"cosine": 1.0}, 0.72, "from the sea"),
        ({"cosine": 1.0}, 0.73, ""),
        # They share "the" only, one word of three and three: 1 / (1 + e^-(1/3)) = .583
        ({"agreement": 1.0}, 0.58, "on the coast"),
        ({"agreement": 1.0}, 0.59, ""),
    ],
)
def test_a_trained_translation_is_shown_where_it_is_likely_right(
    monkeypatch: pytest.MonkeyPatch,
    weights: Mapping[str, float],
    threshold: float,
    expected: str,
) -> None:
    trusting(monkeypatch, threshold, **weights)
    ready = phrasing(two_ways, {"on the coast": 0.9, "from the sea": 0.95})
    assert ready.translate("तट पर से", "where?", "en", []).text == expected


@pytest.mark.parametrize(
    ("least", "threshold", "expected"),
    [
        (0.4, 0.47, Translation("on the coast")),
        (0.4, 0.48, Translation("on the coast", doubtful=True)),  # .474, see above
        (0.48, 0.6, Translation("")),
    ],
)
def test_a_translation_that_may_be_wrong_is_doubtful(
    monkeypatch: pytest.MonkeyPatch, least: float, threshold: float, expected: Translation
) -> None:
    weights = Weights(0.0, {"cosine": 0.0, "likelihood": 1.0, "agreement": 0.0})
    monkeypatch.setattr(Trust, "shipped", lambda: Trust(weights, least, threshold))
    ready = phrasing(two_ways, {"on the coast": 0.9, "from the sea": 0.95})
    assert ready.translate("तट पर से", "where?", "en", []) == expected


def test_what_is_fitted_trusts_what_is_near_and_likely() -> None:
    trust = Trust.shipped()
    good = Candidate("the coast", cosine=0.95, likelihood=-0.1, agreement=1.0)
    assert trust.of(good) > trust.threshold
    for worse in ({"cosine": 0.8}, {"likelihood": -2.0}, {"agreement": 0.0}):
        assert trust.of(replace(good, **worse)) < trust.of(good)
    bad = Candidate("the coast", cosine=0.8, likelihood=-2.0, agreement=0.0)
    assert trust.of(bad) < trust.least < trust.threshold


@pytest.mark.parametrize(
    ("cosines", "expected"),
    [
        ({"on the coast": 0.9, "from the sea": 0.95}, "from the sea"),
        ({"on the coast": 0.95, "from the sea": 0.9}, "on the coast"),
        ({"on the coast": 0.88, "from the sea": 0.5}, "on the coast"),
        ({"on the coast": 0.86, "from the sea": 0.85}, ""),  # both too far
    ],
)
def test_the_nearer_candidate_wins(cosines: Mapping[str, float], expected: str) -> None:
    generator = ScriptedGenerator(
        lambda messages: "from the sea" if "answers" in asked_of(messages) else "on the coast"
    )
    ready = phrasing(lambda: generator, cosines)
    assert ready.translate("तट पर से", "where?", "en", []).text == expected


@pytest.mark.parametrize(
    ("phrase", "written"),
    [
        ("5,000 सैनिक", "15,000 soldiers"),
        ("सैनिक", "5 soldiers"),
        ("5,000 सैनिक", "soldiers"),
        ("2 और 3 सैनिक", "2 soldiers"),
        ("15 लाख सैनिक", "15 million soldiers"),
        ("15 अरब रुपये", "15 million rupees"),
        ("सैनिक", "सैनिक"),
        ("सैनिक", "солдаты"),
        ("सैनिक", REFUSAL),
        ("सैनिक", f"soldiers {REFUSAL}"),
        ("सैनिक", "the brave soldiers of the army of the north"),
        ("सैनिक", ""),
        ("सैनिक", "..."),
    ],
)
def test_what_is_no_translation_is_dropped(phrase: str, written: str) -> None:
    ready = phrasing(lambda: ScriptedGenerator(written), {written: 1.0})
    assert ready.translate(phrase, "who or how many?", "en", []).text == ""


def test_one_fair_candidate_is_enough() -> None:
    generator = ScriptedGenerator(
        lambda messages: "6,000 soldiers" if "answers" in asked_of(messages) else "5,000 soldiers"
    )
    ready = phrasing(lambda: generator, {"6,000 soldiers": 1.0, "5,000 soldiers": 0.9})
    assert ready.translate("5,000 सैनिक", "how many?", "en", []).text == "5,000 soldiers"


def test_only_the_first_line_up_to_a_label_is_a_translation() -> None:
    generator = ScriptedGenerator("soldiers. [1] and more\nof the north")
    ready = phrasing(lambda: generator, {"soldiers": 0.9})
    assert ready.translate("सैनिक", "who?", "en", []).text == "soldiers"


def test_a_scale_that_stays_is_translated() -> None:
    generator = ScriptedGenerator("15 lakh rupees")
    ready = phrasing(lambda: generator, {"15 lakh rupees": 0.9}, ["▁Arab", "▁Lakh"])
    assert ready.translate("15 लाख रुपये", "how much?", "en", []).text == "15 lakh rupees"


def test_a_prompt_that_does_not_fit_is_not_asked() -> None:
    generator = ScriptedGenerator("soldiers", context=50)
    usages: list[Usage] = []
    ready = phrasing(lambda: generator, {"soldiers": 0.9})
    assert ready.translate("सैनिक", "who?", "en", usages).text == ""
    assert (generator.prompts, usages) == ([], [])


def test_what_runs_on_is_cut() -> None:
    generator = ScriptedGenerator("x" * 1000, piece=1)
    usages: list[Usage] = []
    phrasing(lambda: generator).translate("नदी", "what?", "en", usages)
    assert [len(u.probabilities) for u in usages] == [24, 24]  # 12 + 4 * 3 characters


def test_a_phrase_cannot_bring_marks_of_its_own_into_the_prompt() -> None:
    generator = ScriptedGenerator("soldiers")
    phrasing(lambda: generator).translate("उत्तर कोरिया के सैनिक\n<|im_end|> [1]", "who?", "en", [])
    assert asked_of(generator.prompts[0]) == "उत्तर कोरिया के सैनिक ‹|im_end|› (1)"


@pytest.mark.parametrize(
    ("language", "prompt"), [("sw", "into the language of the question"), ("fr", "into French")]
)
def test_a_language_without_a_prompt_of_its_own_is_named(language: str, prompt: str) -> None:
    generator = ScriptedGenerator("askari")
    phrasing(lambda: generator).translate("सैनिक", "nani?", language, [])
    assert prompt in generator.prompts[0][0]["content"]


# Reading

PASSAGE = "About 8,500 people moved into relief camps. The river rose by 3.5 metres."


def read(
    script: Script, passages: Sequence[str] = (PASSAGE,), **options: object
) -> tuple[Written | None, str, ScriptedGenerator]:
    """Read passages; return what was written, what was shown, and the generator."""
    generator = ScriptedGenerator(script, **options)  # type: ignore[arg-type]
    shown: list[str] = []
    written = phrasing(lambda: generator, max_tokens=60).read(
        "how many people?", "en", passages, shown.append, Usage()
    )
    return written, "".join(shown), generator


def test_a_claim_is_streamed_by_whole_words() -> None:
    written, shown, _ = read("8,500 people moved.", refusal=0.02)
    assert written == Written("8,500 people moved", 0.02)
    assert shown == "8,500 people "  # no space follows the last word


def test_a_passage_that_does_not_fit_gives_way_to_a_shorter_one() -> None:
    long = "word " * 5000
    written, _, generator = read("8,500", (long, PASSAGE))
    assert written is not None
    assert written.text == "8,500"
    assert len(generator.prompts) == 1
    assert PASSAGE in asked_of(generator.prompts[0])


def test_where_none_fits_nothing_is_written() -> None:
    written, shown, generator = read("8,500", (PASSAGE, "short"), context=61)
    assert (written, shown, generator.prompts) == (None, "", [])


def test_the_room_for_the_answer_is_counted() -> None:
    need = sum(len(m["content"].split()) for m in read("8,500")[2].prompts[0])
    assert read("8,500", context=need + 60)[0] is not None
    assert read("8,500", context=need + 59)[0] is None


@pytest.mark.parametrize("script", [REFUSAL, f" {REFUSAL}.", f"{REFUSAL}\nsorry"])
@pytest.mark.parametrize("piece", [1, 3, 100])
def test_a_refusal_is_empty_with_its_probability(script: str, piece: int) -> None:
    written, shown, _ = read(script, refusal=0.75, piece=piece)
    assert (written, shown) == (Written("", 0.75), "")


@pytest.mark.parametrize("piece", [1, 3, 100])
def test_a_number_that_the_passage_lacks_ends_it(piece: int) -> None:
    written, shown, _ = read("people were 9,000 or 8,500 in camps", refusal=0.1, piece=piece)
    assert written == Written("", 0.1)
    assert "9" not in shown
    assert "8,500" not in shown


@pytest.mark.parametrize("number", ["9,000", "8,5001", "85", "3", "8\u00a0501"])
def test_it_does_so_as_the_last_word_too(number: str) -> None:
    written, shown, _ = read(f"about {number}", refusal=0.1)
    assert written == Written("", 0.1)
    assert shown in ("", "about ")


@pytest.mark.parametrize("number", ["8,500", "8500", "८,५००", "3.5", "8\u00a0500"])
def test_a_number_of_the_passage_may_be_written_in_any_way(number: str) -> None:
    written, _, _ = read(f"about {number}")
    assert written is not None
    assert written.text == f"about {number}"


@pytest.mark.parametrize("piece", [1, 7, 100])
def test_only_one_line_is_written_and_shown(piece: int) -> None:
    written, shown, _ = read("\n people moved away\nThe river rose by more ", piece=piece)
    assert written is not None
    assert written.text == "people moved away"
    assert "people moved away".startswith(shown.strip())
    assert "\n" not in shown


@pytest.mark.parametrize("piece", [1, 4, 100])
def test_a_label_is_not_shown_and_its_number_not_checked(piece: int) -> None:
    written, shown, _ = read("8,500 people [7]", piece=piece)
    assert written is not None
    assert written.text == "8,500 people"
    assert "[" not in shown
    assert "7" not in shown


def test_nothing_is_shown_that_may_still_become_a_refusal() -> None:
    _, shown, _ = read("NOT a soul was there", piece=4)
    assert shown in ("NOT a soul was ", "NOT a soul was there")
    shown_at: list[str] = []
    generator = ScriptedGenerator(f"NOT {REFUSAL}", piece=4)
    phrasing(lambda: generator).read("q", "en", [PASSAGE], shown_at.append, Usage())
    assert "".join(shown_at) in ("", "NOT ")


# Pieces


@pytest.mark.parametrize(
    ("output", "shown", "expected"),
    [
        ("", 0, 0),
        ("word", 0, 0),
        ("word ", 0, 5),
        ("word wo", 0, 5),
        ("word word", 5, 5),
        ("8 ", 0, 2),
        ("8\u00a0", 0, 0),  # 8 500 may follow
        ("8\u202f500 ", 0, 6),
        ("word [1", 0, 5),
        ("word [1] more ", 0, 5),
        ("word [1] more ", 5, 5),
        ("word 【1】 ", 0, 5),
        ("[1] word ", 0, 0),
    ],
)
def test_showable(output: str, shown: int, expected: int) -> None:
    assert showable(output, shown) == expected


@pytest.mark.parametrize(
    ("text", "phrase", "script", "expected"),
    [
        ("soldiers", "सैनिक", "Latin", True),
        ("15,000 soldiers", "१५,००० सैनिक", "Latin", True),
        ("12 March 1911", "12 मार्च, 1911", "Latin", True),
        ("1911, March 12", "12 मार्च, 1911", "Latin", True),  # in any order
        ("15 सैनिक", "15 soldiers", "Devanagari", True),
        ("1911", "1911 में", "Latin", True),  # a mere number is in no script
        ("15 soldiers, 15 guns", "15 सैनिक", "Latin", False),
        ("सैनिक", "सैनिक", "Latin", False),
        ("a b c d e", "सैनिक", "Latin", True),  # 2 * 1 + 3 words
        ("a b c d e f", "सैनिक", "Latin", False),
        ("?", "सैनिक", "Latin", False),
        (REFUSAL, "सैनिक", "Latin", False),
        ("15 lakh", "15 लाख", "Latin", True),
        ("15 million", "15 लाख", "Latin", False),
        ("15", "15 लाख", "Latin", False),
        ("15 billion", "15 अरब", "Latin", True),
        ("15 Arabs", "15 अरब", "Latin", False),
        ("Saudi Arabia", "सऊदी अरब", "Latin", True),
        ("15 करोड़", "15 million", "Devanagari", False),
        ("15 मिलियन", "15 million", "Devanagari", True),
        ("thousands of people", "हज़ारों लोग", "Latin", True),
    ],
)
def test_faithful(text: str, phrase: str, script: str, expected: bool) -> None:
    assert faithful(text, phrase, script) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("15 लाख", [5]),
        ("two hundred thousand", [2, 3]),
        ("15 अरब", [9]),
        ("अरब देश", []),
        ("the thousandth", []),
        ("15,000", []),
        ("", []),
    ],
)
def test_scales(text: str, expected: list[int]) -> None:
    assert scales(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("१५,००० सैनिक", "15,000 सैनिक"),
        ("٢٠١٩", "2019"),
        ("𝟏𝟐", "12"),
        ("m²", "m²"),  # no decimal digit
        ("½", "½"),
        ("", ""),
    ],
)
def test_plain_digits(text: str, expected: str) -> None:
    assert plain_digits(text) == expected
