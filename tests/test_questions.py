"""What kind of answer a question asks for."""

from __future__ import annotations

import pytest

from rag.language import asks_for_number, asks_for_several, asks_whether


@pytest.mark.parametrize(
    "question",
    [
        "List the countries that sent troops.",
        "Which cities did both leaders visit?",
        "What does each side want?",
        "रूस ने किन-किन देशों को हथियार दिए?",
        "बैठक में कौन कौन शामिल था?",
        "सभी मंत्रियों के नाम क्या हैं?",
        "दोनों देशों ने क्या कहा?",
        "दोनों पक्षों की माँगें क्या हैं?",
        "¿Cuáles son todas las ciudades?",
        "Welche Länder haben alle zugestimmt?",
        "Quelles sont toutes les villes ?",
        "Перечислите города.",
        "Quali sono tutte le città?",
        "Her ülke kaç asker gönderdi?",
        "Ποιες είναι όλες οι πόλεις;",
        "Care sunt toate orașele?",
        "ประเทศทั้งหมดมีอะไรบ้าง",
        "中国所有的城市有哪些？",
        "各国的首都分别是什么？",
        "ما هي جميع المدن؟",
    ],
)
def test_a_question_for_several(question: str) -> None:
    assert asks_for_several(question)


@pytest.mark.parametrize(
    "question",
    [
        "How many soldiers were sent?",
        "When did she publish her book?",  # her is every in Turkish
        "Quando parte alle otto il treno?",  # alle is all in German
        "When did the ball stall at the wall?",  # all, within words
        "Which problem consists of both inflation and deflation?",
        "कनेक्शन रहित मोड में प्रत्येक पैकेट में क्या रहता है?",
        "उत्तर कोरिया ने कितने सैनिक भेजे?",
        "रूस का राष्ट्रपति कौन है?",
        "कौन है वह और क्या करता है?",
        "¿Cuántos soldados se enviaron?",
        "กฎหมายนี้ประกาศเมื่อใด",  # หม stands in ทั้งหมด, too
        "กรุงเทพมีประชากรกี่คน",
        "北京有多少人？",
        "كم عدد الجنود؟",
        "",
    ],
)
def test_a_question_for_one(question: str) -> None:
    assert not asks_for_several(question)


@pytest.mark.parametrize(
    "question",
    [
        "Is the dam repaired?",
        "Did North Korea send troops to Russia?",
        "Can the people go home?",
        "Isn't the dam old?",
        "WILL it rain?",
        "क्या बाँध की मरम्मत हो गई?",
        "क्या रूस ने सैनिक भेजे?",
    ],
)
def test_a_yes_or_no_question(question: str) -> None:
    assert asks_whether(question)


@pytest.mark.parametrize(
    "question",
    [
        "Who repaired the dam?",
        "How many people are in the camps?",
        "Is it a dam or a bridge?",
        "Do you know who repaired the dam?",
        "The dam is old?",
        "उत्तर कोरिया ने क्या भेजा?",
        "क्या आप जानते हैं कि बाँध किसने बनाया?",
        "क्या वह बाँध है या पुल?",
        "बाँध कब बना?",
        "¿Está reparada la presa?",  # not known for Spanish
        "Was ist die Hauptstadt von Polen?",  # what, in German
        "",
        "?!",
    ],
)
def test_a_question_that_no_yes_answers(question: str) -> None:
    assert not asks_whether(question)


@pytest.mark.parametrize(
    ("question", "number"),
    [
        ("How many soldiers were sent?", True),
        ("How much did it cost?", True),
        ("When did it happen?", True),
        ("How did it happen when it rained?", False),
        ("Who sent many soldiers?", False),
        ("उत्तर कोरिया ने कितने सैनिक भेजे?", True),
        ("यह कब हुआ?", True),
        ("सैनिक किसने भेजे?", False),
        ("Сколько солдат отправили?", True),
        ("how", False),
    ],
)
def test_a_question_for_a_number(question: str, number: bool) -> None:
    assert asks_for_number(question) is number
