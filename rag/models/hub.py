"""Model files from the Hugging Face hub, at a pinned revision, and what it says of one.

Whether the hub answers at all is asked once a process, and for no longer than a few
seconds, since an unreachable hub is no reason to wait: there are other sources. This
module does not check what it brings; its caller does.
"""

from __future__ import annotations

import os
import re
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rag.models.catalogue import HubFile
from rag.models.digests import private_folder
from rag.models.progress import Progress, SourceFailed, watch_growth

PATIENCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Announced:
    """The newest version of a file, as the hub announces it; `size` is in bytes."""

    file: HubFile
    sha256: str
    size: int | None


def announced(repo: str, filename: str) -> Announced:
    """Ask the hub for a file's revision, digest and size; raises `SourceFailed`."""
    endpoint = _ready()
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    try:
        url = hf_hub_url(repo, filename, endpoint=endpoint or None)
        found = get_hf_file_metadata(url, token=False, endpoint=endpoint or None)
    except Exception as error:  # of many kinds, like those of a download
        raise SourceFailed(_one_line(error)) from error
    revision, digest = found.commit_hash or "", found.etag or ""
    # Of a large file the hub gives the digest; of a small one, another kind of mark.
    if not re.fullmatch("[0-9a-f]{40}", revision) or not re.fullmatch("[0-9a-f]{64}", digest):
        raise SourceFailed("it announces no digest for this file, so nothing could be verified")
    return Announced(HubFile(repo, revision, filename), digest, found.size)


def from_hub(file: HubFile, partial: Path, size: int | None, progress: Progress) -> Path:
    """Download the file into the folder `partial` and return it; raises `SourceFailed`.

    The hub's client tries again by itself when a connection breaks, which can take it a
    minute; how much of an interrupted download it can still use depends on its version.
    """
    endpoint = _ready()
    from huggingface_hub import hf_hub_download

    private_folder(partial)
    try:
        with watch_growth(partial, progress, limit=size) as shown:
            path = hf_hub_download(
                file.repo,
                file.filename,
                revision=file.revision,
                local_dir=partial,
                endpoint=endpoint or None,
                # The files are public: a stale token of the user's would only spoil it.
                token=False,
            )
    # The client raises errors of its own, of its HTTP library (which has changed over
    # its versions) and of the system; whichever it is, the next source is tried.
    except Exception as error:
        raise SourceFailed(_one_line(error)) from error
    progress.advance(max(0, Path(path).stat().st_size - shown.bytes))
    return Path(path)


def _ready() -> str:
    """Return the hub's address ('' for the client's own); raises `SourceFailed`."""
    silence_hub()
    # The client reads the variable too, but when it is imported; a mirror is for both.
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/")
    reason = unreachable_reason(endpoint)
    if reason is not None:
        raise SourceFailed(reason)
    return endpoint


def silence_hub() -> None:
    """Keep the hub's client from telemetry and from printing; call before importing it."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()


@cache
def unreachable_reason(endpoint: str) -> str | None:
    """Ask the hub for a sign of life; return why there is none, or `None`.

    Remembered for the rest of the process, by `endpoint` (empty: the client's own). The
    question runs in a thread because neither the name server nor a list of addresses
    that swallow packets heeds a timeout of the HTTP client.
    """
    outcome: list[str | None] = []

    def ask() -> None:
        outcome.append(_sign_of_life(endpoint))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    return outcome[0] if outcome else f"no answer within {PATIENCE_SECONDS:.0f} seconds"


def _sign_of_life(endpoint: str) -> str | None:
    try:
        from huggingface_hub import constants, get_session

        get_session().head(endpoint or constants.ENDPOINT, timeout=PATIENCE_SECONDS)
    except Exception as error:
        return _one_line(error)
    # Any answer will do, be it an error: the server is there.
    return None


def _one_line(error: Exception) -> str:
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= 160 else words[:159] + "…"
