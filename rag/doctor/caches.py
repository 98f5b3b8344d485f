"""What can be made again: states, lexicons, answers, indexes of `ask --docs`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from rag.doctor.finding import Finding, left_over, removal
from rag.errors import StoreCorrupt, StoreError
from rag.generation import states_of_user
from rag.index import Previous, discard, leftovers, sweep
from rag.kept import Kept
from rag.lexicon import lexicons_of_user
from rag.remembering import kept_beside
from rag.session import private_stores
from rag.settings import Settings


def examine_caches(settings: Settings) -> Iterator[Finding]:
    """Look at every file of the caches."""
    states, lexicons = states_of_user(), lexicons_of_user()
    whole = len(states.files()) + len(lexicons.files())
    broken = [*_damaged("state of the generator", states), *_damaged("lexicon", lexicons)]
    try:
        index = Previous.open(settings.store)
    except StoreError:
        pass  # the index says so itself
    else:
        with closing(index):
            answers = kept_beside(index.text)
        whole += len(answers.files())
        broken += _damaged("remembered answer", answers)
    stores = sorted(private_stores().glob("*"))
    for store in stores:
        broken += _private(store)
    yield from broken
    if not broken:
        what = f"{whole} states, lexicons and answers, {len(stores)} indexes of ask --docs"
        yield Finding("caches", "sound", what)


def _damaged(kind: str, kept: Kept) -> Iterator[Finding]:
    for path in kept.damaged():
        what = f"The {kind} {path} is damaged; it is never used"
        yield Finding("caches", "warning", what, removal(path), partial(path.unlink, True))


def _private(store: Path) -> Iterator[Finding]:
    """Look at an index of `ask --docs`, which is made anew where it is not there."""
    if left := leftovers(store):
        yield left_over("caches", left, removal(left[0]), partial(sweep, store))
    try:
        with closing(Previous.open(store)) as index:
            index.verify(trust="never")
    except StoreCorrupt as error:
        yield Finding("caches", "warning", error.what, removal(store), partial(discard, store))
    except StoreError:
        pass  # being made, or another version's or embedder's: rebuilt at its next use
