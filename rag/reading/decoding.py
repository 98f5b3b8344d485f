"""Bytes to text, strictly: marks, UTF-8, UTF-16, and what came before Unicode.

It never replaces or drops a byte it cannot decode: it tries another encoding or raises
`ReadingError`. It knows no files; `where` is the name to put into the error.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator

from rag.errors import ReadingError

# The longer marks come first: UTF-32 LE begins with the mark of UTF-16 LE.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE_BYTES = 1 << 16
_ASCII_WORDY = re.compile(b"[A-Za-z0-9]")
_MOST_CONTROLS = 0.02
# In UTF-16 each space is a NUL byte: 8 % of a Hindi text. Fewer are strays in other bytes,
# which would come out as Chinese.
_FEWEST_NULS = 0.05
_MISPLACED_NULS = 0.05
# Tab, line feed, vertical tab, form feed, carriage return, backspace and escape occur in
# plain text and in terminal logs.
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r\b\x1b")) + b"\x7f"
# Encodings that documents are really in; the rest of what charset-normalizer knows
# (EBCDIC, DOS and Macintosh code pages) only draws short texts to itself.
_LEGACY = [
    "cp1251", "koi8_r", "cp1253", "cp1255", "cp1256", "tis_620",
    "shift_jis", "euc_jp", "gb18030", "big5", "euc_kr",
]  # fmt: skip

# charset-normalizer takes Spanish for Polish (ñ and ń are one byte). Text that is mostly
# ASCII is therefore judged here: by the alphabet that holds most of its other letters.
# The first wins a tie: Windows-1252, which is Latin-1 with curly quotes.
_MOSTLY_ASCII = 0.5
_FITTING = 0.8
_SIGNS = frozenset("“”‘’„‚–—…•·«»‹›€£¥°§©®™½¼¾²³¹×÷±µªº¿¡´\u00a0\u00ad")
_ALPHABETS = (
    ("cp1252", "áéíóúüñç"), ("cp1252", "àâæçèéêëîïôœùûüÿ"), ("cp1252", "äöüßéà"),
    ("cp1252", "áàâãçéêíóôõúü"), ("cp1252", "àèéìíîòóùú"), ("cp1252", "åäöæøéü"),
    ("cp1250", "ąćęłńóśźż"), ("cp1250", "áčďéěíňóřšťúůýž"), ("cp1250", "áäčďéíĺľňóôŕšťúýž"),
    ("cp1250", "áéíóöőúüű"), ("cp1250", "ăâîşţ"), ("cp1250", "čćđšž"),
    ("cp1254", "çğıöşüâîû"), ("cp1252", "áðéíóúýþæö"),
)  # fmt: skip


def decode(data: bytes, where: str) -> str:
    """Decode the bytes of a text file strictly, dropping a byte order mark.

    `where` names the file in the `ReadingError` that is raised if the bytes are no text.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _strictly(data[len(mark) :], encoding, where)
    if b"\0" in data:
        return _decode_wide(data, where)
    controls = len(data) - len(data.translate(None, _CONTROLS))
    if controls > _MOST_CONTROLS * len(data):
        raise _binary(where)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return _decode_legacy(data, where)


def _strictly(data: bytes, encoding: str, where: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ReadingError(
            f"{where} is marked as {encoding.upper()}, but its bytes from {error.start} on are not",
            "Save it as UTF-8.",
        ) from error


def _binary(where: str) -> ReadingError:
    return ReadingError(f"{where} looks like a binary file, not text")


def _decode_wide(data: bytes, where: str) -> str:
    """Decode UTF-16 without a mark: the NULs of its ASCII lie all on one side."""
    even, odd = data[::2].count(0), data[1::2].count(0)
    encoding = "utf-16-le" if odd > even else "utf-16-be"
    few = even + odd < _FEWEST_NULS * len(data)
    if few or min(even, odd) > _MISPLACED_NULS * max(even, odd):
        raise _binary(where)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise _binary(where) from error
    odd_ones = sum(not (c.isprintable() or c.isspace() or _is_format(c)) for c in text)
    if odd_ones > _MOST_CONTROLS * len(text):
        raise _binary(where)
    return text


def _is_format(character: str) -> bool:
    return unicodedata.category(character) == "Cf"


def _decode_legacy(data: bytes, where: str) -> str:
    """Decode an encoding older than Unicode, guessed from a sample and used strictly."""
    for encoding in _guesses(_sample(data)):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ReadingError(f"{where} is in no encoding that can be recognised", "Save it as UTF-8.")


def _sample(data: bytes) -> bytes:
    """Return the beginning, with all of its last character."""
    if len(data) <= _SAMPLE_BYTES:
        return data
    end = data.rfind(b"\n", 0, _SAMPLE_BYTES) + 1
    return data[: end or _SAMPLE_BYTES]


def _guesses(sample: bytes) -> Iterator[str]:
    """Yield encodings, the likeliest first."""
    high = len(sample) - len(sample.translate(None, bytes(range(128, 256))))
    fits = [(_fit(sample, *alphabet), alphabet[0]) for alphabet in _ALPHABETS]
    fit, latin = max(fits, key=lambda pair: pair[0])
    if fit >= _FITTING and high < _MOSTLY_ASCII * (high + len(_ASCII_WORDY.findall(sample))):
        yield latin
    from charset_normalizer import from_bytes

    for match in from_bytes(sample, cp_isolation=_LEGACY):
        # Windows-874 is TIS-620 with the curly quotes that such files really hold.
        yield "cp874" if match.encoding == "tis_620" else match.encoding
    yield latin
    yield "cp1252"


def _fit(sample: bytes, encoding: str, alphabet: str) -> float:
    """Return the share of the letters beyond ASCII that lie in the alphabet."""
    counts = Counter(
        c for c in sample.decode(encoding, "replace").lower() if not c.isascii() and c not in _SIGNS
    )
    return sum(counts[c] for c in alphabet) / counts.total() if counts else 1.0
