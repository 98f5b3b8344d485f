"""Which questions lean on the one before, and what a question speaks of."""

from __future__ import annotations

import pytest

from rag.language import asks_itself, leans_back, statement

LEANING = [
    # English
    "and how many of them died?",
    "how many of them died?",
    "And in April?",
    "in April?",
    "what about the South Koreans?",
    "why?",
    "How many?",
    "when was that?",
    "when did he arrive?",
    "Which city did he arrive in?",
    "how many people did they lose?",
    "who sent them?",
    "what did Kim say about it?",
    "what is its capital?",
    "How many of these soldiers were killed?",
    "who else was there?",
    "but who paid for it?",
    # Hindi
    "और उनमें से कितने मारे गए?",
    "उनमें से कितने मारे गए?",
    "अप्रैल में उनमें से कितने मारे गए?",
    "और कब?",
    "कब?",
    "क्यों?",
    "वह कब पहुँचे?",
    "किसने उन्हें भेजा?",
    "उनका नेता कौन है?",
    "अप्रैल में?",
    "इनमें से कितने घायल हुए?",
    "कितने सैनिक उन्होंने भेजे?",
    "यह कब हुआ?",
    "तो रूस ने क्या कहा?",
    # Others
    "Und wie viele von ihnen starben?",
    "Wie viele von ihnen sind gestorben?",
    "¿Y cuántos de ellos murieron?",
    "¿Cuántos de ellos murieron?",
    "Combien d'entre eux sont morts ?",
    "А сколько из них погибло?",
    "Сколько из них погибло?",
    "كم منهم مات؟",
    "وكم منهم مات؟",
    "ان میں سے کتنے مارے گئے؟",
    "Πόσοι από αυτούς πέθαναν;",
    "Câți dintre ei au murit?",
    "Peki kaç kişi öldü?",
    "其中有多少人死亡？",
    "他是什么时候到达的？",
    "そのうち何人が死亡しましたか？",
    "แล้วกี่คนเสียชีวิต",
]
STANDING = [
    "how many troops were sent?",
    "How many North Korean troops were sent?",
    "How old was Peyton Manning when he played in Super Bowl 50?",
    "Who did the Broncos beat to win their division in 2015?",
    "What did Tesla do with his money?",
    "How long does it take light to reach the earth?",
    "Is it true that the dam broke?",
    "How many extended metropolitan areas are there?",
    "How many of those who were sent died?",
    "Who registered the most sacks on the team this season?",
    "Who won this year?",
    "What is the capital of Australia?",
    "Which city did Lavrov arrive in by private plane?",
    "dam repairs",
    "North Korea",
    "उत्तर कोरिया ने रूस में लगभग कितने सैनिक भेजे हैं?",
    "उत्तर कोरिया और रूस के बीच क्या समझौता हुआ?",
    "वह कौन सा उत्प्रेरक था, जिसने अक्षय संसाधनों में अधिक रुचि पैदा की?",
    "इस साल कितने सैनिक मारे गए?",
    "किम ने पुतिन से कब बात की और उन्हें क्या बताया?",
    "Wie viele Einwohner gibt es in Berlin?",
    "Wie alt war Goethe, als er starb?",
    "¿Cuántos soldados fueron enviados?",
    "Combien y a-t-il de soldats ?",
    "Сколько солдат было отправлено?",
    "ما هو اسم القلعة؟",
    "كم عدد الجنود؟",
    "東京の人口はどれくらいですか？",
    "一共派了多少士兵？",
    "🙂",
    "",
]


@pytest.mark.parametrize("question", LEANING)
def test_it_leans(question: str) -> None:
    assert leans_back(question)


@pytest.mark.parametrize("question", STANDING)
def test_it_stands_alone(question: str) -> None:
    assert not leans_back(question)


def test_few_words_are_in_the_language_of_the_conversation() -> None:
    assert not leans_back("Et en avril ?")
    assert leans_back("Et en avril ?", "fr")


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("how many North Korean troops were sent?", "North Korean troops were sent"),
        ("and how many of them died?", "of them died"),
        ("उत्तर कोरिया ने रूस में कितने सैनिक भेजे हैं?", "उत्तर कोरिया ने रूस में सैनिक भेजे हैं"),
        ("Which city did Lavrov arrive in?", "city did Lavrov arrive in"),
        ("When did Lavrov arrive?", "Lavrov arrive"),
        ("Wie viele Soldaten starben?", "Soldaten starben"),
        ("why?", "why"),
        ("東京はどこですか？", "東京はどこですか"),
        ("?", ""),
    ],
)
def test_what_a_question_speaks_of(question: str, expected: str) -> None:
    assert statement(question) == expected


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("and how many died?", True),
        ("and in April?", False),
        ("और कब?", True),
        ("और अप्रैल में?", False),
        ("其中有多少人死亡？", True),
        ("四月呢？", False),
    ],
)
def test_whether_it_asks_for_something_itself(question: str, expected: bool) -> None:
    assert asks_itself(question) is expected
