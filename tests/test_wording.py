"""The refusal in the asker's language."""

from __future__ import annotations

import pytest

from rag.language import language
from rag.wording import CLOSEST, REFUSALS, closest, refusal


@pytest.mark.parametrize("code", REFUSALS)
def test_each_refusal_is_in_its_own_language(code: str) -> None:
    assert refusal(code) == REFUSALS[code]
    # The identifier is made for questions; Persian and Urdu share most letters with Arabic.
    assert language(REFUSALS[code]) == code


def test_other_languages_get_english() -> None:
    assert refusal("xx") == "The documents do not say."
    assert closest("xx") == CLOSEST["en"]
