"""Every failure that a user can meet, as one tree.

    RagError                     exit code 1
    ├── UsageError               exit code 2: the question or a flag makes no sense
    ├── SettingsError            rag.toml or an environment variable is wrong
    ├── ReadingError             a document cannot be read
    ├── NoDocumentsError         there is nothing to index
    ├── PromptError              a prompt file is missing or incomplete
    ├── ModelError
    │   ├── ModelUnavailable     no source could give the file
    │   └── ModelCorrupt         the bytes are not those that the catalogue names
    ├── StoreError
    │   ├── StoreMissing         no index has been built yet
    │   ├── StoreCorrupt         the index on disk contradicts itself
    │   ├── StoreMismatch        the index was built by another embedder or chunking
    │   │   └── StoreOutdated    the index was written by an older version
    │   └── StoreReadOnly        the index cannot be written
    ├── GenerationError          the generator stopped with an error
    └── EvaluationError          a question set or a run cannot be used

An error is one line: what happened, where, and the command that mends it. It does
not know how it will be shown; `rag.display` prints it.
"""

from __future__ import annotations

REINSTALL = "Run: pip install --force-reinstall rag-ask"


class RagError(Exception):
    """A failure to be told to the user in one line.

    `what` says what happened and where; `mend` is the command or the act that mends
    it, and may be empty where nothing can be done.
    """

    exit_code = 1

    def __init__(self, what: str, mend: str = "") -> None:
        super().__init__(what, mend)
        self.what = what
        self.mend = mend

    def __str__(self) -> str:
        """Return the line: no line breaks, whatever the parts held."""
        line = f"{self.what.rstrip('.')}. {self.mend}" if self.mend else self.what
        return " ".join(line.split())


class UsageError(RagError):
    """The question or a flag makes no sense."""

    exit_code = 2


class SettingsError(RagError):
    """`rag.toml` or an environment variable is wrong."""


class ReadingError(RagError):
    """A document cannot be read."""


class NoDocumentsError(RagError):
    """There is nothing to index."""


class PromptError(RagError):
    """A prompt file is missing, or a variable of it has no value."""


class ModelError(RagError):
    """Something is wrong with a model."""


class ModelUnavailable(ModelError):  # noqa: N818 (reads as a state, like httpx's)
    """No source could give the model's file."""


class ModelCorrupt(ModelError):  # noqa: N818
    """The bytes are not those that the catalogue names."""


class StoreError(RagError):
    """Something is wrong with the index on disk."""


class StoreMissing(StoreError):  # noqa: N818
    """No index has been built yet."""


class StoreCorrupt(StoreError):  # noqa: N818
    """The index on disk contradicts itself."""


class StoreMismatch(StoreError):  # noqa: N818
    """The index was built by another embedder or another chunking."""


class StoreOutdated(StoreMismatch):
    """The index was written by an older version of the program."""


class StoreReadOnly(StoreError):  # noqa: N818
    """The index cannot be written."""


class GenerationError(RagError):
    """The generator stopped with an error."""


class EvaluationError(RagError):
    """A question set or a run of an evaluation cannot be used."""
