"""An index to keep: python -m faults.fixture, once, when the format of the index is new."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from conftest import DOCUMENTS, FakeEmbedder

from rag.index import FORMAT
from rag.ingest import index_documents
from rag.models import SilentProgress
from rag.settings import Settings

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"


def main() -> None:
    """Write it, its documents beside it, where there is none of this format."""
    # The index remembers where it was made: in a place that nobody has.
    folder = Path("/tmp") / f"format-{FORMAT}"
    documents = folder / "documents"
    documents.mkdir(parents=True)
    for name, text in DOCUMENTS.items():
        (documents / name).write_text(text, encoding="utf-8")
    settings = Settings(store=folder / "store", documents=documents, models=folder, offline=True)
    index_documents([documents], settings, FakeEmbedder(dimension=64), SilentProgress())
    (folder / "documents.json").write_text(
        json.dumps(DOCUMENTS, ensure_ascii=False, indent=1), encoding="utf-8"
    )
    shutil.rmtree(documents)
    for name in (".lock", ".verified"):
        (folder / "store" / name).unlink(missing_ok=True)
    shutil.move(folder, FIXTURES / folder.name)


if __name__ == "__main__":
    main()
