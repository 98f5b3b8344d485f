"""Which files are new, changed, unchanged or gone: by their bytes alone.

Nothing is decoded, no text and no vector of the index is read. A file of the same size and
time may have other bytes, so each one is hashed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rag.errors import ReadingError
from rag.index import Previous
from rag.ingest.listing import SourceFile
from rag.ingest.telling import Telling
from rag.reading import file_id


@dataclass(frozen=True, slots=True)
class Compared:
    """Files held against an index, by names of documents.

    `kept` are the unchanged documents, and `moved` those of them that lie elsewhere now,
    with their place; `wanted` are the files to read; `gone` the documents to remove, with
    the old versions of changed ones. `digests` are those of all documents of the index.
    """

    kept: frozenset[str]
    moved: Mapping[str, str]
    wanted: tuple[SourceFile, ...]
    gone: tuple[str, ...]
    digests: Mapping[str, str]


def compare(
    files: Sequence[SourceFile], old: Previous | None, telling: Telling, *, max_bytes: int
) -> Compared:
    """Hash the files that the index knows by name; what cannot be read is told."""
    known = {} if old is None else {name: rest for name, *rest in old.text.origins()}
    kept: set[str] = set()
    moved: dict[str, str] = {}
    wanted: list[SourceFile] = []
    for file in files:
        if file.name not in known:
            wanted.append(file)
            continue
        digest, source = known[file.name]
        try:
            same = file_id(file.place, file.name, max_bytes=max_bytes) == digest
        except ReadingError as error:
            telling.fail(str(error), file.size)
            continue
        if not same:
            wanted.append(file)
            continue
        telling.advance(file.size)
        kept.add(file.name)
        if file.place != source:
            moved[file.name] = file.place
    return Compared(
        frozenset(kept),
        moved,
        tuple(wanted),
        tuple(name for name in known if name not in kept),
        {name: digest for name, (digest, _) in known.items()},
    )
