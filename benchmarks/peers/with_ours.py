"""Our own program, by the same calls that `rag index` and `ask` make."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from serving import Reply, Setup, file_names, serve

from rag.models import SilentProgress
from rag.session import Session
from rag.settings import Settings
from rag.wording import refusal


class OurPeer:
    """A `rag.session.Session`; its generator is loaded by the first question that needs it."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._session: Session | None = None

    def index(self, documents: str, store: str) -> int:
        """See `serving.Peer`."""
        session = self._made(store)
        session.index_documents([Path(documents)])
        return session.index.manifest.chunks

    def load(self, store: str) -> None:
        """See `serving.Peer`."""
        self._session = self._made(store)

    def ask(self, question: str, say: Callable[[str], None]) -> Reply:
        """See `serving.Peer`.

        What is streamed may be exchanged for something better at the end: it tells when the
        first words are on the screen, and the claims are the answer.
        """
        assert self._session is not None
        answer = self._session.ask(question, say)
        if answer.refused:
            say(refusal(answer.language))
            return Reply([], refusal(answer.language), refused=True)
        text = "; ".join(claim.text for claim in answer.claims)
        say(text)
        quotes = [quote for c in answer.citations for quote in (c.quote, *c.also)]
        return Reply(file_names([quote.chunk.path for quote in quotes]), text, refused=False)

    def _made(self, store: str) -> Session:
        setup = self._setup
        flags = {
            "store": store,
            # The models are the defaults, by their names: `run.py` found the same ones.
            "threads": setup.threads,
            "context": setup.context,
            "max_tokens": setup.max_tokens,
            "offline": True,
            # Each question is asked cold and warm: an answer must not be one of before.
            "remember": False,
        }
        return Session(Settings.load(flags), SilentProgress())


if __name__ == "__main__":
    serve(OurPeer)
