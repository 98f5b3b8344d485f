"""The day that a document carries."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.reading import read_document
from rag.reading.dating import HEAD_LINES, LONGEST_LINE, date_of


@pytest.mark.parametrize(
    ("name", "date"),
    [
        ("2025-08-13-kim.txt", "2025-08-13"),
        ("news/20250813_kim.txt", "2025-08-13"),
        ("kim 2025.08.13.md", "2025-08-13"),
        ("2025-13-45.txt", ""),  # no such month
        ("2025-02-30.txt", ""),  # no such day
        ("1202508130.txt", ""),  # a longer number
        ("2025-08-13/kim.txt", ""),  # a folder's name
        ("kim.txt", ""),
    ],
)
def test_a_date_in_the_name(name: str, date: str) -> None:
    assert date_of(name, "Nothing here.") == date


@pytest.mark.parametrize(
    ("line", "date"),
    [
        ("Fri. Nov 22nd, 2024", "2024-11-22"),
        (" date 2025-08-13 अन्तरराष्ट्रीय", "2025-08-13"),
        ("Aug 13, 2025, 11:03 AM", "2025-08-13"),
        ("नई दिल्ली, 15 जुलाई 2025:", "2025-07-15"),
        ("१३ अगस्त २०२५", "2025-08-13"),
        ("١٣ أغسطس ٢٠٢٥", "2025-08-13"),
        ("2025年8月13日", "2025-08-13"),
        ("13 августа 2025 г.", "2025-08-13"),
        ("Published on 12/08/2025", "2025-08-12"),
        ("Budget 2025-26: 1,200 crore", ""),
        ("The elections of 2024", ""),
        ("August 2025", ""),
        ("12345678 2025", ""),
        ("Updated 3 hours ago | © 2025 Times", ""),
        ("5 min read - 2025", ""),
        ("in 5 years, by 2030", ""),
        ("yesterday 2025", ""),
    ],
)
def test_a_date_in_a_line_of_the_head(line: str, date: str) -> None:
    assert date_of("a.txt", f"A title\n\n{line}\nAnd the text.") == date


def test_only_short_lines_of_the_head_are_looked_at() -> None:
    line = "Aug 13, 2025"
    assert date_of("a.txt", f"{'Long. ' * LONGEST_LINE}{line}") == ""
    head = "\n\n".join(f"line {n}" for n in range(HEAD_LINES - 1))
    assert date_of("a.txt", f"{head}\n{line}") == "2025-08-13"
    assert date_of("a.txt", f"{head}\nline\n{line}") == ""
    assert date_of("a.txt", "") == ""
    assert date_of("2024-01-02.txt", line) == "2024-01-02"  # the name comes first


def test_a_dateline_is_no_title(tmp_path: Path) -> None:
    def title(text: str) -> str:
        (tmp_path / "a.txt").write_text(text, encoding="utf-8")
        return read_document(tmp_path / "a.txt", "a.txt", max_bytes=10**6).title

    assert title("\nFri. Nov 22nd, 2024\n\nA flood in the north\n\nText.") == "A flood in the north"
    assert title("Aug 13, 2025") == "Aug 13, 2025"
    assert title("The flood of 13 August 2025 and what came after it") == (
        "The flood of 13 August 2025 and what came after it"
    )
