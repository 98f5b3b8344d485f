"""What llama.cpp holds after the head of a prompt, kept on disk.

A prompt begins with the same instructions and worked examples for every question. Reading
them takes seconds; reading their state from a file takes milliseconds and gives the same
numbers. A state is used only for the very weights, updates, tokens, settings and build of
llama.cpp it was made with. No text of a document is ever in one.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import platformdirs

from rag.kept import Kept
from rag.settings import APP

# A head of 400 tokens takes 11 MB with the default generator, some 50 MB with one of 8 B.
MOST_BYTES = 256_000_000


def states_of_user(folder: Path | None = None) -> Kept:
    """Return those in a folder, or in the user's cache."""
    folder = folder or Path(platformdirs.user_cache_dir(APP)) / "states"
    return Kept(folder, "state 2", MOST_BYTES, parents=True)


@cache
def build() -> list[object]:
    """Describe the llama.cpp that runs here: its version, its libraries, the processor's use."""
    import llama_cpp

    libraries = sorted((Path(llama_cpp.__file__).parent / "lib").glob("*"))
    stats = [(path.name, path.stat()) for path in libraries]
    return [
        llama_cpp.__version__,
        llama_cpp.llama_print_system_info().decode("utf-8", "replace"),
        [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats],
    ]
