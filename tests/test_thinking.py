"""Thinking hidden, however its marks are cut."""

from __future__ import annotations

import pytest

from rag.thinking import MARKERS, Thoughts, mentions_thinking

HARMONY = "<|channel|>analysis<|message|>why?<|end|><|start|>assistant"
FINAL = "<|channel|>final<|message|>"


def shown(text: str, size: int, prompt: str = "", stops: tuple[str, ...] = ()) -> str:
    thoughts = Thoughts(prompt, stops)
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    return "".join(thoughts.feed(piece) for piece in pieces) + thoughts.finish()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("15,000 troops", "15,000 troops"),
        ("<think>\nso many\n</think>\n\n15,000", "15,000"),
        ("<thinking>a</thinking>b", "b"),
        ("<Thought>a</THOUGHT>b", "b"),
        ("<reasoning>a <think> b</reasoning>c", "c"),
        ("[THINK]a[/THINK]b", "b"),
        ("<|channel>thought\nhm<channel|>6", "6"),
        (f"{HARMONY}{FINAL}600", "600"),
        (f"{HARMONY}{HARMONY}{FINAL}600", "600"),
        (f"{FINAL}600", "600"),
        ("<think>a<think>b</think>c</think>d", "d"),
        ("<think>a</think>b<think>c</think> d", "b d"),
        ("<think>never closed 15,000", ""),
        ("<think>half a closing </thin", ""),
        ("<think></think>", ""),
        ("a < b and a <thin line", "a < b and a <thin line"),
        ("it ends with <thi", "it ends with <thi"),
        ("said aloud</think> 7", "said aloud 7"),
        ("सोचा <think>क्या</think>था", "सोचा था"),
    ],
)
def test_only_what_stands_outside_is_shown(text: str, expected: str, size: int) -> None:
    assert shown(text, size) == expected


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_a_prompt_that_opens_the_thinking_begins_inside(size: int) -> None:
    assert shown("how many? six.</think>\n6", size, "…assistant\n<think>\n") == "6"
    assert shown("how many? six.", size, "<|im_start|>assistant\n<think>") == ""
    assert shown("6", size, "<think>\n\n</think>\n\n") == "6"


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_an_end_mark_written_in_letters_ends_the_answer(size: int) -> None:
    assert shown("six<|im_end|>seven", size, stops=("<|im_end|>",)) == "six"
    assert shown("<think>a<|im_end|>b</think>c", size, stops=("<|im_end|>",)) == ""
    assert shown("six", size, stops=("",)) == "six"


def test_what_cannot_become_a_mark_is_shown_at_once() -> None:
    thoughts = Thoughts()
    assert thoughts.feed("six <") == "six "
    assert thoughts.holding
    assert thoughts.feed("5") == "<5"
    assert not thoughts.holding


def test_silence_ends_with_the_first_letter_outside() -> None:
    thoughts = Thoughts()
    states = []
    for piece in ("\n", "<", "think>", "hm", "</think>", " ", "6"):
        thoughts.feed(piece)
        states.append((thoughts.silent, thoughts.inside))
    assert states == [
        (True, False),
        (False, False),  # may be an answer that begins with "<"
        (False, True),
        (False, True),
        (True, False),
        (True, False),
        (False, False),
    ]


def test_markers_are_single_tokens() -> None:
    assert {"<think>", "[/THINK]", "<|channel|>", "<|message|>", "<channel|>"} <= MARKERS
    assert not any("final" in marker or "analysis" in marker for marker in MARKERS)


def test_a_template_that_speaks_of_thinking_is_known() -> None:
    assert mentions_thinking("{{ content.split('</think>')[-1] }}")
    assert mentions_thinking("{{ '<|channel|>' + channel }}")
    assert not mentions_thinking("<|im_start|>{{ m.content }}<|im_end|>")
