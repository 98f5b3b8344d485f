"""The text of a PDF by pypdf, which is an extra (`pdf`) and imported when needed.

It knows no OCR: a PDF of scanned images is an error.
"""

from __future__ import annotations

import io
import logging

from rag.errors import ReadingError

PAGE_BREAK = "\f"


def read_pdf(data: bytes, where: str) -> tuple[str, str, tuple[int, ...]]:
    """Return the title in the metadata, the text and the page starts of a PDF.

    Raises `ReadingError` if pypdf is missing, or the file encrypted, broken or without text.
    """
    try:
        import pypdf
    except ImportError as error:
        raise ReadingError(
            f"{where} is a PDF, and pypdf is not installed", "Run: pip install 'rag-ask[pdf]'"
        ) from error
    # Without a handler Python prints pypdf's warnings to the terminal.
    logging.getLogger("pypdf").addHandler(logging.NullHandler())
    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        locked = reader.is_encrypted and not reader.decrypt("")
        pages = [] if locked else [page.extract_text() for page in reader.pages]
        meta = "" if locked or not reader.metadata else str(reader.metadata.title or "")
    except Exception as error:  # broken files make pypdf raise almost anything
        raise ReadingError(
            f"{where} cannot be read as a PDF: {type(error).__name__}: {error}"
        ) from error
    if locked:
        raise ReadingError(f"{where} is encrypted", "Save a copy without a password.")
    if not any(page.strip() for page in pages):
        raise ReadingError(f"{where} holds no text, only images perhaps", "Run OCR over it first.")
    text, starts = _joined(pages)
    return meta, text, starts


def _joined(pages: list[str]) -> tuple[str, tuple[int, ...]]:
    # Extraction may give lone surrogates, which no file of text can hold.
    pages = [page.encode("utf-8", "replace").decode("utf-8") for page in pages]
    starts, position = [], 0
    for page in pages:
        starts.append(position)
        position += len(page) + len(PAGE_BREAK)
    return PAGE_BREAK.join(pages), tuple(starts)
