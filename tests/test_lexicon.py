"""Names in another script: by sound and nearness, and by the tables of CLDR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from conftest import NearEmbedder

from rag import lexicon as lexicon_module
from rag.language import sound, words
from rag.lexicon import (
    NEAR,
    SPELLINGS,
    Lexicon,
    kept_names,
    lexicons_of_user,
    named,
    shared_names,
)

VOCABULARY = ["▁William", "▁Willem", "iam", "▁Wilhelm", "▁विलियम", "▁the", "▁Vilhelm"]


def spelt(
    word: str,
    cosines: Mapping[str, float],
    vocabulary: Sequence[str] = VOCABULARY,
    script: str = "Latin",
) -> str:
    return Lexicon(script, vocabulary, NearEmbedder(cosines)).spelling(words(word)[0])


def test_these_sound_alike() -> None:
    assert {sound(words(w)[0]) for w in ("विलियम", "William", "Willem", "Vilhelm")} == {"vlm"}


def test_of_all_that_sound_alike_the_nearest_wins() -> None:
    cosines = {"William": 0.93, "Willem": 0.9, "Vilhelm": 0.95}
    assert spelt("विलियम", cosines) == "Vilhelm"
    assert spelt("विलियम", cosines | {"William": 0.97}) == "William"


def test_what_is_not_near_enough_is_nothing() -> None:
    assert spelt("विलियम", {"William": NEAR - 0.01}) == ""
    assert spelt("विलियम", {"William": NEAR + 0.01}) == "William"


def test_what_sounds_otherwise_is_not_even_compared() -> None:
    embedder = NearEmbedder({"Berlin": 1.0})
    assert Lexicon("Latin", ["▁Berlin"], embedder).spelling("विलियम") == ""
    assert embedder.batches == []


def test_the_word_and_its_spellings_are_embedded_together() -> None:
    embedder = NearEmbedder({})
    Lexicon("Latin", VOCABULARY, embedder).spelling("विलियम")
    assert embedder.batches == [["विलियम", "William", "Willem", "Wilhelm", "Vilhelm"]]


def test_only_so_many_are_compared_the_commonest_first() -> None:
    # All sound like vlm: vowels and double letters make no difference.
    vowels = [
        a + b for a in "aeiou" for b in ("l", "ll", "lo", "la", "le", "li", "lu", "lla", "lle")
    ]
    vocabulary = [f"▁V{v}m" for v in vowels]
    embedder = NearEmbedder({vocabulary[-1][1:]: 0.99, vocabulary[0][1:]: 0.9})
    assert len(vocabulary) > SPELLINGS
    lexicon = Lexicon("Latin", vocabulary, embedder)
    assert lexicon.spelling("विलियम") == vocabulary[0][1:]
    assert embedder.batches[0][1:] == [piece[1:] for piece in vocabulary[:SPELLINGS]]


@pytest.mark.parametrize(
    ("piece", "why"),
    [
        ("Vilim", "begins no word"),
        ("▁Вильям", "another script"),
        ("▁विलियम", "another script"),
        ("▁vilim", "no name"),
        ("▁Vilm2", "no word"),
        ("▁Vil-im", "two words"),
        ("▁Vilm.", "a word and its end"),
    ],
)
def test_what_no_name_can_be_spelt_with(piece: str, why: str) -> None:
    assert spelt("विलियम", {piece.strip("▁"): 1.0}, [piece]) == "", why


def test_words_of_less_than_three_letters_are_no_spellings() -> None:
    # Their key may be as long: x is ks.
    assert sound("xx") == sound("ksks")
    assert spelt("ксякс", {"Xx": 1.0}, ["▁Xx"]) == ""
    assert spelt("ксякс", {"Xax": 1.0}, ["▁Xax"]) == "Xax"


def test_words_with_vowel_signs_are_words() -> None:
    vocabulary = ["▁विलियम", "▁William", "▁पेरिस"]
    assert spelt("William", {"विलियम": 0.9}, vocabulary, "Devanagari") == "विलियम"
    assert spelt("Paris", {"पेरिस": 0.9}, vocabulary, "Devanagari") == "पेरिस"


def test_a_longer_word_without_spaces_is_not_found_by_its_first_letters() -> None:
    key = sound(words("北京市")[0])
    assert spelt("Beijing", {"北京市": 1.0}, ["▁北京市"], "Han") == "", key


def test_what_was_made_of_a_vocabulary_is_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    whole = lexicon_module._by_sound

    def counted(script: str, vocabulary: Sequence[str]) -> Mapping[str, Sequence[str]]:
        made.append((script, len(vocabulary)))
        return whole(script, vocabulary)

    monkeypatch.setattr(lexicon_module, "_by_sound", counted)
    kept, embedder = lexicons_of_user(tmp_path / "lexicons"), NearEmbedder({"Vilhelm": 0.95})
    for _ in range(3):
        assert Lexicon("Latin", VOCABULARY, embedder, kept).spelling("विलियम") == "Vilhelm"
    assert made == [("Latin", 7)]
    Lexicon("Devanagari", VOCABULARY, embedder, kept)
    Lexicon("Latin", VOCABULARY[:-1], embedder, kept)
    monkeypatch.setattr(lexicon_module, "program", lambda: "newer")
    Lexicon("Latin", VOCABULARY, embedder, kept)
    assert made[1:] == [("Devanagari", 7), ("Latin", 6), ("Latin", 7)]


@pytest.mark.parametrize("damage", [b"", b"[1, 2]"])
def test_a_damaged_lexicon_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    kept, embedder = lexicons_of_user(tmp_path), NearEmbedder({"Vilhelm": 0.95})
    Lexicon("Latin", VOCABULARY, embedder, kept)
    (file,) = kept.files()
    if damage:  # whole by its digest, and no lexicon

        class Lying:
            def find(self, key: Mapping[str, object]) -> bytes:
                return damage

            def keep(self, key: Mapping[str, object], content: bytes) -> None:
                kept.keep(key, content)

        assert Lexicon("Latin", VOCABULARY, embedder, Lying()).spelling("विलियम") == "Vilhelm"  # type: ignore[arg-type]
        return
    file.write_bytes(file.read_bytes()[:-3])
    assert Lexicon("Latin", VOCABULARY, embedder, kept).spelling("विलियम") == "Vilhelm"
    assert kept.damaged() == []


def test_numbers_and_short_words_have_no_sound() -> None:
    assert spelt("2022", {"William": 1.0}) == ""
    assert spelt("मई", {"William": 1.0}) == ""


# Names that CLDR knows


def name(word: str, source: str = "hi", target: str = "en") -> str:
    return shared_names(source, target).get(tuple(words(word)), "")


@pytest.mark.parametrize(
    ("source", "target", "word", "expected"),
    [
        ("hi", "en", "रूस", "Russia"),
        ("hi", "en", "जुलाई", "July"),
        ("hi", "en", "सोमवार", "Monday"),
        ("hi", "en", "चीन", "China"),
        ("hi", "en", "हिन्दी", "Hindi"),
        ("hi", "en", "हिंदी", "Hindi"),  # the other spelling of the nasal
        ("hi", "en", "रूसी", "Russian"),
        ("hi", "en", "उत्तर कोरिया", "North Korea"),
        ("en", "hi", "Russia", "रूस"),
        ("en", "hi", "JULY", "जुलाई"),
        ("en", "hi", "Sunday", "रविवार"),
        ("ru", "en", "понедельник", "Monday"),
        ("ru", "en", "июля", "July"),  # as in a date
        ("ru", "en", "июль", "July"),
        ("ru", "hi", "Россия", "रूस"),
        ("zh", "en", "俄罗斯", "Russia"),
        ("th", "en", "รัสเซีย", "Russia"),
        ("ar", "en", "روسيا", "Russia"),
    ],
)
def test_names_that_languages_share(source: str, target: str, word: str, expected: str) -> None:
    assert name(word, source, target) == expected


@pytest.mark.parametrize("word", ["सेना", "हवाई", "मारी", "गा", "सैनिक", "शहर", "लावरोव", ""])
def test_a_common_word_is_no_name(word: str) -> None:
    """सेना (army), हवाई (aerial) and मारी (struck) are small languages, too."""
    assert name(word) == ""


@pytest.mark.parametrize("codes", [("xx", "en"), ("hi", "xx"), ("", "en"), ("hi", ""), ("?", "!")])
def test_an_unknown_language_shares_nothing(codes: tuple[str, str]) -> None:
    assert shared_names(*codes) == {}


def test_no_name_is_empty() -> None:
    names = shared_names("hi", "en")
    assert () not in names
    assert all(key and value for key, value in names.items())


NAMES = {
    ("संयुक्त", "राज्य"): "United States",
    ("राज्य",): "State",
    ("a", "b", "c", "d", "e"): "five",
    ("a", "b", "c", "d", "e", "f"): "six",
    ("nothing",): "",
}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (["संयुक्त", "राज्य", "और"], (2, "United States")),
        (["राज्य", "संयुक्त"], (1, "State")),
        (["संयुक्त"], (0, "")),
        (["और", "राज्य"], (0, "")),
        (list("abcdef"), (5, "five")),  # no longer ones are looked for
        (["nothing"], (0, "")),
        ([], (0, "")),
    ],
)
def test_the_longest_name_that_the_words_begin_with(
    said: list[str], expected: tuple[int, str]
) -> None:
    assert named(said, NAMES) == expected


def test_the_longest_real_name_wins() -> None:
    said = words("संयुक्त राज्य ने कहा")
    assert named(said, shared_names("hi", "en")) == (2, "United States")
    assert named(words("दक्षिण कोरिया"), shared_names("hi", "en")) == (2, "South Korea")


def test_names_are_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, str]] = []

    def counted(source: str, target: str) -> Mapping[tuple[str, ...], str]:
        told.append((source, target))
        return shared_names(source, target)

    kept = lexicons_of_user(tmp_path / "lexicons")
    monkeypatch.setattr(lexicon_module, "shared_names", counted)
    for _ in range(3):
        assert kept_names("hi", "en", kept) == shared_names("hi", "en")
    assert told == [("hi", "en")]
    assert kept_names("en", "hi", kept)[("south", "korea")] == "दक्षिण कोरिया"
    assert kept_names("hi", "xx", kept) == {}
    assert kept_names("hi", "en", None) == shared_names("hi", "en")
    monkeypatch.setattr(lexicon_module, "stamp", lambda _: "another Babel")
    assert kept_names("hi", "en", kept) == shared_names("hi", "en")
    assert told[1:] == [("en", "hi"), ("hi", "xx"), ("hi", "en"), ("hi", "en")]


def test_damaged_names_are_told_anew(tmp_path: Path) -> None:
    kept = lexicons_of_user(tmp_path)
    kept_names("hi", "en", kept)
    (file,) = kept.files()
    file.write_bytes(file.read_bytes()[:-3])
    assert kept_names("hi", "en", kept) == shared_names("hi", "en")
    assert kept.damaged() == []
