"""The tree of errors: one line each, an exit code, a command that mends."""

from __future__ import annotations

import pickle
import re

import pytest

import rag.errors as errors
from rag.errors import RagError, StoreMissing, UsageError

ALL = [kind for kind in vars(errors).values() if isinstance(kind, type) and kind is not RagError]


def test_the_docstring_draws_the_whole_tree() -> None:
    drawn = re.findall(r"^ {4}[ │├└─]*(\w+)", errors.__doc__ or "", re.MULTILINE)
    assert sorted(drawn) == sorted(kind.__name__ for kind in [RagError, *ALL])


@pytest.mark.parametrize("kind", ALL)
def test_every_error_is_a_rag_error_with_an_exit_code(kind: type[RagError]) -> None:
    assert issubclass(kind, RagError)
    assert kind.exit_code == (2 if kind is UsageError else 1)


@pytest.mark.parametrize(
    ("what", "mend", "line"),
    [
        ("It broke", "Run: rag index", "It broke. Run: rag index"),
        ("It broke.", "Run: rag index", "It broke. Run: rag index"),
        ("It broke", "", "It broke"),
        ("two\nlines\r\nand\ttabs", "more\u2028lines", "two lines and tabs. more lines"),
    ],
)
def test_an_error_is_one_line(what: str, mend: str, line: str) -> None:
    error = RagError(what, mend)
    assert str(error) == line
    assert (error.what, error.mend) == (what, mend)


def test_an_error_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(StoreMissing("There is none", "Run: rag index")))
    assert type(error) is StoreMissing
    assert str(error) == "There is none. Run: rag index"
