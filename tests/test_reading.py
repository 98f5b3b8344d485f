"""Files into documents: exact text, guessed encodings, one-line errors."""

import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.errors import ReadingError
from rag.reading import SUFFIXES, decode, printable, read_document

# A first call loads tables, and the machine may be busy: no deadline.
UNHURRIED = settings(deadline=None)
HINDI = "उत्तर कोरिया ने १५,००० सैनिक भेजे।\r\nज\u093cरा क़\n"


def read(path: Path, *, max_bytes: int = 10**6) -> object:
    return read_document(path, path.name, max_bytes=max_bytes)


def write(folder: Path, data: bytes, name: str = "a.txt") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def failure(path: Path, *, max_bytes: int = 10**6) -> str:
    with pytest.raises(ReadingError) as caught:
        read_document(path, path.name, max_bytes=max_bytes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_text_is_exactly_the_file(tmp_path: Path) -> None:
    data = HINDI.encode()
    document = read_document(write(tmp_path, data), "folder/a.txt", max_bytes=10**6)
    assert document.text == HINDI
    assert document.id == hashlib.sha256(data).hexdigest()
    assert document.path == "folder/a.txt"
    assert document.title == "उत्तर कोरिया ने १५,००० सैनिक भेजे।"
    assert document.page_starts == ()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_names_the_encoding(encoding: str) -> None:
    assert decode(HINDI.encode(encoding), "a") == HINDI


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-8"])
def test_unicode_without_a_mark(encoding: str) -> None:
    assert decode(HINDI.encode(encoding), "a") == HINDI
    assert decode("plain".encode(encoding), "a") == "plain"


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "café"), ("cp1252", "He said “yes” — and left…"), ("cp1252", "€50"),
        ("cp1252", "El niño comió mañana"), ("cp1252", "Größe"), ("latin-1", "naïve façade, 6½ m³"),
        ("cp1250", "Zażółć gęślą jaźń"), ("cp1254", "Kaç asker gönderildi, kışın mı?"),
        ("cp1251", "Сколько солдат было отправлено в этот город осенью?"),
        ("koi8-r", "Сколько солдат было отправлено в этот город осенью?"),
        ("cp1253", "Πόσοι στρατιώτες στάλθηκαν στην πόλη αυτή το φθινόπωρο;"),
        ("shift_jis", "東京は日本の首都であり、世界最大の都市のひとつです。"),
        ("gb18030", "北京是中华人民共和国的首都，也是全国的政治和文化中心。"),
        ("big5", "臺北是中華民國的首都，也是全國的政治和文化中心。"),
    ],
)  # fmt: skip
def test_encodings_older_than_unicode(encoding: str, text: str) -> None:
    assert decode(text.encode(encoding), "a") == text


def test_a_long_file_is_guessed_from_its_beginning() -> None:
    text = "Ein Satz über Größe und Maß.\n" * 10_000
    assert decode(text.encode("cp1252"), "a") == text


@pytest.mark.parametrize(
    "data",
    [
        b"\x7fELF\x02\x01\x01" + bytes(50) + bytes(range(200)),
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(range(256)),
        bytes(range(1, 256)) * 3,
        b"A line of text with one stray \x00 in it.",
        b"\x00",
    ],
)
def test_binary_files_are_told_apart(data: bytes) -> None:
    with pytest.raises(ReadingError, match="looks like a binary file, not text"):
        decode(data, "a.bin")


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xfe\x00\xd8a\x00",  # a lone surrogate
        b"\xff\xfea",  # half a character
        b"\xef\xbb\xbf\xff",
        b"\xff\xfe\x00\x00\x00\xd8\x00\x00",
    ],
)
def test_a_false_mark_is_an_error(data: bytes) -> None:
    with pytest.raises(ReadingError, match="a is marked as UTF"):
        decode(data, "a")


@UNHURRIED
@given(st.binary())
def test_bytes_become_encodable_text_or_an_error(data: bytes) -> None:
    try:
        text = decode(data, "a")
    except ReadingError:
        return
    text.encode("utf-8")  # raises if a lone surrogate came through


@UNHURRIED
@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn", "Co"])))
def test_utf8_comes_back_exactly(text: str) -> None:
    assert decode(text.encode("utf-8"), "a") == text.removeprefix("\ufeff")


def test_empty_files(tmp_path: Path) -> None:
    assert failure(write(tmp_path, b"")) == "a.txt is empty"
    assert failure(write(tmp_path, b" \n\xc2\xa0\n")) == "a.txt is empty"
    assert failure(write(tmp_path, b"\xef\xbb\xbf")) == "a.txt is empty"
    hidden = "\u200b\U000e0041\u3164 \n".encode()
    assert failure(write(tmp_path, hidden)) == "a.txt is empty"


def test_a_file_at_the_limit_is_read_and_one_above_is_not(tmp_path: Path) -> None:
    path = write(tmp_path, b"x" * 2_000_000)
    read(path, max_bytes=2_000_000)
    assert failure(path, max_bytes=1_000_000) == (
        "a.txt has 2.0 MB, more than the limit of 1.0 MB. Raise max_file_mb in rag.toml to read it."
    )


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")
def test_a_file_that_is_larger_than_it_says_is_bounded() -> None:
    assert "more than the limit" in failure(Path("/proc/self/status"), max_bytes=10)


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    assert failure(tmp_path).endswith("is not a regular file")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.txt")
        assert failure(tmp_path / "pipe.txt") == "pipe.txt is not a regular file"
    if Path("/dev/zero").exists():
        assert failure(Path("/dev/zero")) == "zero is not a regular file"


def test_missing_and_forbidden_files(tmp_path: Path) -> None:
    assert failure(tmp_path / "gone.txt").startswith("gone.txt cannot be read: No such file")
    assert "cannot be read" in failure(tmp_path / "nul\0.txt")
    loop = tmp_path / "loop.txt"
    loop.symlink_to(loop)
    assert "cannot be read" in failure(loop)
    path = write(tmp_path, b"secret", "locked.txt")
    path.chmod(0)
    if not os.access(path, os.R_OK):  # the superuser may read all
        assert failure(path) == "locked.txt cannot be read: Permission denied"


def test_names_are_safe_to_print() -> None:
    assert printable("a\x1b[31m\n\u202e\udcff.txt") == "a\\x1b[31m\\n\\u202e\\udcff.txt"
    assert printable("क\u200dष ख़बर.txt") == "क\u200dष ख़बर.txt"
    assert printable("flood\u200b\u3164\ufe01.txt") == "flood\\u200b\\u3164\\ufe01.txt"
    assert printable("\U000e0041❤\ufe0f.txt") == "\\U000e0041❤\ufe0f.txt"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.md", "intro\n\n## The *title* ##\n# Other", "The *title*"),
        ("a.md", "C# is a language\nmore", "C# is a language"),
        ("a.txt", "\n\n  # First line\nmore", "# First line"),
        ("a.txt", "red \x1b[31m title\x07!\r\nmore and more, to be no binary file", "red title !"),
        ("a.txt", "क्\u200dष\u200b का\U000e0041 शीर्षक", "क्\u200dष का शीर्षक"),
        ("a.txt", "word " * 40, ("word " * 23).strip() + " word…"),
        ("a.txt", "x" * 200, "x" * 119 + "…"),
    ],
)
def test_titles(tmp_path: Path, name: str, text: str, expected: str) -> None:
    document = read_document(write(tmp_path, text.encode(), name), name, max_bytes=10**6)
    assert document.title == expected
    assert len(document.title) <= 121


# PDF


def pdf(*pages: str, title: str = "", password: str = "") -> bytes:
    """Make a PDF with one line of text a page."""
    pypdf = pytest.importorskip("pypdf")
    from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

    writer = pypdf.PdfWriter()
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    for text in pages:
        page = writer.add_blank_page(300, 300)
        fonts = DictionaryObject({NameObject("/F1"): font})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        stream = DecodedStreamObject()
        stream.set_data(f"BT /F1 12 Tf 20 200 Td ({text}) Tj ET".encode("ascii"))
        page[NameObject("/Contents")] = writer._add_object(stream)
    if title:
        writer.add_metadata({"/Title": title})
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def test_a_pdf_has_pages(tmp_path: Path) -> None:
    path = write(tmp_path, pdf("Page one.", "Page two.", title="The report"), "a.PDF")
    document = read_document(path, "a.PDF", max_bytes=10**6)
    assert document.text == "Page one.\fPage two."
    assert document.page_starts == (0, 10)
    assert document.title == "The report"


def test_a_pdf_without_a_sane_title_is_named_by_its_first_line(tmp_path: Path) -> None:
    path = write(tmp_path, pdf("Page one.", title="Microsoft Word - x.doc"), "a.pdf")
    assert read_document(path, "a.pdf", max_bytes=10**6).title == "Page one."


def test_a_pdf_of_images_says_so(tmp_path: Path) -> None:
    assert "holds no text" in failure(write(tmp_path, pdf("", ""), "a.pdf"))


def test_an_encrypted_pdf_says_so(tmp_path: Path) -> None:
    message = failure(write(tmp_path, pdf("Page one.", password="secret"), "a.pdf"))
    assert message == "a.pdf is encrypted. Save a copy without a password."


@pytest.mark.parametrize("data", [b"", b"no pdf", b"%PDF-1.7\n%%EOF", bytes(range(256)) * 9])
def test_a_broken_pdf_is_one_line(
    tmp_path: Path, data: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pypdf")
    assert failure(write(tmp_path, data, "a.pdf")).startswith("a.pdf cannot be read as a PDF: ")
    assert capfd.readouterr() == ("", "")


def test_a_cut_pdf_is_read_or_refused(tmp_path: Path) -> None:
    data = pdf("Page one.", "Page two.")
    for size in range(0, len(data), 50):
        try:
            read(write(tmp_path, data[:size], "a.pdf"))
        except ReadingError as error:
            assert "a.pdf" in str(error)


def test_without_pypdf_the_error_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pypdf", None)
    message = failure(write(tmp_path, b"%PDF", "a.pdf"))
    assert message == "a.pdf is a PDF, and pypdf is not installed. Run: pip install 'rag-ask[pdf]'"


# The modules themselves


def test_suffixes_are_lower_case() -> None:
    assert {".txt", ".md", ".pdf"} <= SUFFIXES
    assert all(suffix == suffix.lower() and suffix[0] == "." for suffix in SUFFIXES)


def test_importing_loads_nothing_heavy() -> None:
    code = (
        "import sys, rag.language, rag.reading, rag.chunking;"
        "heavy = {'py3langid', 'pypdf', 'charset_normalizer', 'numpy', 'torch', 'faiss',"
        " 'llama_cpp'};"
        "sys.exit(' '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
