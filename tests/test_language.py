"""Words, numbers, sentences, scripts and languages, with expectations made by hand."""

import json
import sys
import textwrap
import unicodedata
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.language import (
    dominant_script,
    has_words,
    identify,
    language,
    numbers,
    refers_back,
    sentences,
    sound,
    text_language,
    word_spans,
    words,
)

# A first call loads tables, and the machine may be busy: no deadline.
UNHURRIED = settings(deadline=None)
ROOT = Path(__file__).resolve().parent.parent
XQUAD = ROOT.parent / "shared" / "xquad"

# Text that is rich in what the rules look at, and any text at all, lone surrogates included.
TRICKY = st.text(
    st.sampled_from("aZé\u0301ſıİ.,!?।…\"”)('1०٣½²\u00a0 \n\r\u2028\t-#कि्षं़ँक़न\u200d\u200c")
    | st.sampled_from("กำ้漢字かガｶﾞ각ᄀ\u1161\u11a8مُـ\u0345ᾳ😀\U0001f1ee\ufe0f\u00ad\ud800")
)
ANY = st.text() | TRICKY | st.text(st.characters())


def cut(text: str, **options: int) -> list[str]:
    return [text[start:end] for start, end in sentences(text, **options)]


# Words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Putin met Kim.", ["putin", "met", "kim"]),
        ("Straße STRASSE ﬁne", ["strasse", "strasse", "fine"]),
        ("किम जोंग-उन की", ["किम", "जोंग", "उन", "की"]),
        ("हिन्दी हिंदी", ["हिंदी", "हिंदी"]),
        ("गङ्गा गंगा सम्मान अन्न", ["गंगा", "गंगा", "सम्मान", "अन्न"]),
        ("ज़रा जरा ज\u093cरा", ["जरा"] * 3),
        ("हूँ हूं", ["हूं", "हूं"]),
        ("क\u200dष क\u200cष soft\u00adhyphen", ["कष", "कष", "softhyphen"]),
        ("مُحَمَّد مـحـمد محمد", ["محمد"] * 3),
        ("İstanbul istanbul", ["istanbul", "istanbul"]),
        ("北京2023年", ["北京", "2023", "年"]),
        ("山", ["山"]),
        ("東京はどこ", ["東京", "京は", "はど", "どこ"]),
        ("สวัสดี", ["สวั", "วัส", "สดี"]),
        ("ｶﾞｲﾄﾞ", ["ガイ", "イド"]),
        ("80वीं 5th", ["80वीं", "5th"]),
        ("😀 — …", []),
        ("", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize("text", ["15,000", "१५,०००", "15000", "١٥٬٠٠٠", "15\u00a0000", "15’000"])
def test_grouped_digits_are_one_word(text: str) -> None:
    assert words(text) == numbers(text) == ["15000"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3.50", ["3.5"]),
        ("٣٫٥", ["3.5"]),
        ("12,34,567.80", ["1234567.8"]),
        ("1.234.567,8", ["1234567.8"]),
        ("15.000 12.500", ["15000", "12.5"]),
        ("1, 2", ["1", "2"]),
        ("2,3", ["2", "3"]),
        ("0,500", ["0", "500"]),
        ("80वीं", ["80"]),
        ("5th", ["5"]),
        ("2025-08-13", ["2025", "8", "13"]),
        ("13.08.2025", ["13", "8", "2025"]),
        ("1910-45", ["1910", "45"]),
        ("6½ and 10²", ["6", "1", "2", "10", "2"]),
        ("007 0.0 00", ["7", "0", "0"]),
        ("अप्रैल में 600 सैनिक", ["600"]),
        ("none", []),
    ],
)
def test_numbers(text: str, expected: list[str]) -> None:
    assert numbers(text) == expected


def test_word_spans_are_offsets_into_the_original() -> None:
    text = "«Cafe\u0301» १५,००० ﬁn"
    assert word_spans(text) == [("café", 1, 6), ("15000", 8, 14), ("fin", 15, 17)]


def test_the_spans_of_bigrams_overlap() -> None:
    assert word_spans("a 東京都") == [("a", 0, 1), ("東京", 2, 4), ("京都", 3, 5)]


@UNHURRIED
@given(ANY)
def test_composed_and_decomposed_words_are_equal(text: str) -> None:
    composed = words(unicodedata.normalize("NFC", text))
    assert composed == words(unicodedata.normalize("NFD", text))


@UNHURRIED
@given(ANY)
def test_word_spans_lie_in_order_inside_the_text(text: str) -> None:
    spans = word_spans(text)
    assert [word for word, _, _ in spans] == words(text)
    assert all(0 <= start < end <= len(text) for _, start, end in spans)
    assert all(a[1] <= b[1] and a[2] <= b[2] for a, b in pairwise(spans))


@UNHURRIED
@given(ANY)
def test_numbers_are_canonical(text: str) -> None:
    for number in numbers(text):
        assert number.replace(".", "", 1).isascii()
        assert numbers(number) == [number] or number.endswith(".000")


# Sentences


@pytest.mark.parametrize(
    "expected",
    [
        ["Mr. Smith met Dr. Jones.", "They talked."],
        ["J. R. R. Tolkien wrote it.", "He was English."],
        ["ए.पी.जे. अब्दुल कलाम राष्ट्रपति थे.", "वे वैज्ञानिक थे."],
        ["डॉ. सिंह आए।", "वे बोले।"],
        ["आई. के. गुजराल बोले.", "एक रिपोर्ट आई.", "फिर सब गए."],
        ["मूल्य रु. 500 है.", "नं. 5 देखें."],
        ["It costs 3.5 million.", "See example.com for more.", "At 11.03 a.m. he left."],
        ["The U.S. Army left.", "He went to the U.S.", "The war ended."],
        ['He said "Stop!" and left.', '"Why?" she asked.', "(It was late.)", "Then he slept."],
        ["Wait... what?", "Yes…", "No.", "iPhone sales rose.", "iPhone fell."],
        ["War ended.[12]", "The treaty was signed.[3][4]", "Peace came."],
        ["Am 13. August kam er.", "Im 19. Jahrhundert war z.B. Dr. Müller da.", "Es endete."],
        ["1. First item.", "2. Second item."],
        ["Fri. Nov 22nd, 2024.", "On Nov. 22 he came.", "No. 5 is alive.", "No."],
        ["Er kam 2020.", "Dann ging er."],
        ["т.е. он пришёл.", "В 1990 г. Иванов А. С. уехал.", "Потом г. Москва росла."],
        ["Prof. Dr. Ali Bey geldi.", "29. Ekim 1923 tarihinde."],
        ["El Sr. García llegó.", "¿Quién?", "Nadie."],
        ["Apple Inc. Chairman Smith spoke.", "He left Apple Inc.", "The company grew."],
        ["هل جاء؟", "نعم.", "د. أحمد هنا.", "ذهب الرجل۔", "پھر آیا"],
        ["Really?!", "Visit www.example.com/a?b=c now."],
        ["ठीक है ।", "फिर चला गया ।।"],
        ["उन्होंने कहा कि “रुख बनाए रख रहे हैं।”", "वह गया।"],
        ["hello there. how are you?", "i am fine."],
    ],
)
def test_sentences(expected: list[str]) -> None:
    assert cut(" ".join(expected)) == expected


def test_hindi_full_stops_without_a_space() -> None:
    assert cut("पर बातचीत की.इस दौरान चर्चा हुई.") == ["पर बातचीत की.", "इस दौरान चर्चा हुई."]
    assert cut("क्या हुआ?कुछ नहीं।ठीक है") == ["क्या हुआ?", "कुछ नहीं।", "ठीक है"]
    assert cut("ए.पी.जे.अब्दुल कलाम और डॉ.सिंह आए") == ["ए.पी.जे.अब्दुल कलाम और डॉ.सिंह आए"]


def test_chinese_sentences_need_no_space() -> None:
    assert cut("他来了。她走了！真的吗？“是的。”他说。") == [
        "他来了。", "她走了！", "真的吗？", "“是的。”", "他说。",
    ]  # fmt: skip


def test_what_holds_no_letter_goes_to_the_sentence_before() -> None:
    assert cut("Great! 👍 ... ”") == ["Great! 👍 ... ”"]
    assert cut("👍") == ["👍"]


def test_empty() -> None:
    assert sentences("") == sentences(" \n\t ") == []


def test_each_line_of_news_is_a_paragraph() -> None:
    text = "शीर्षक यहाँ है\nAarti Kushwaha\nReporter The Printlines\n" + "खबर " * 40 + "है.\nअंत"
    assert [line.strip() for line in text.split("\n")] == cut(text)


ENGLISH = (
    "The meeting which we had planned for Friday will be held on Monday. Please bring your notes "
    "and the list of people who have signed. We will start at half past nine and end at noon. "
    "Lunch is served in the hall, and everyone who has signed the list is invited."
)
HINDI = (
    "उत्तर कोरिया के नेता किम ने पुतिन से फोन पर बातचीत में रूस को पूरा समर्थन देने की बात कही है। "
    "यह जानकारी उत्तर कोरिया के सरकारी मीडिया ने बुधवार को दी। यह बातचीत उस समय हुई, जब शुक्रवार "
    "को अमेरिका के राष्ट्रपति और पुतिन की अलास्का में मुलाकात तय है। किम ने कहा कि उनका देश वफादार रहेगा।"
)


@pytest.mark.parametrize("text", [ENGLISH, HINDI])
@pytest.mark.parametrize("width", [50, 72, 100])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_hard_wrapped_lines_are_no_borders(text: str, width: int, newline: str) -> None:
    page = "\n\n".join(["A heading", textwrap.fill(text, width), textwrap.fill(text, width)])
    found = [" ".join(part.split()) for part in cut(page.replace("\n", newline))]
    assert found == ["A heading", *cut(text), *cut(text)]


def test_lists_tables_and_verse_are_cut_at_each_line() -> None:
    for text in (
        "# Title\nSome text\n- item one\n- item two\n1. number one\n| a | b |",
        "2024-01-02,error,host1,warning\n" * 5,
        "Roses are red\nViolets are blue\nSugar is sweet\nAnd so are you",
    ):
        assert cut(text) == text.strip().split("\n")


def test_a_long_thai_paragraph_is_cut_at_spaces() -> None:
    phrase = "ประเทศไทยมีเมืองหลวงชื่อกรุงเทพมหานครและมีประชากรมาก"
    text = " ".join([phrase] * 12)
    found = cut(text)
    assert " ".join(found) == text
    assert len(found) > 1
    assert max(map(len, found)) <= 200
    assert cut(phrase) == [phrase]


def test_a_monster_is_cut_at_the_softest_place() -> None:
    text = "word " * 50 + "end; " + "word " * 50 + "end, " + "word " * 50
    assert cut(text, limit=300)[0].endswith("end;")
    assert max(map(len, cut(text, limit=300))) <= 300
    assert " ".join(cut(text, limit=300)) == text.strip()
    assert all(part.startswith("word") for part in cut("word " * 500))


@pytest.mark.parametrize("cluster", ["कि", "क्षि", "e\u0301\u0323", "👩\u200d🚀", "น้ำ", "👍🏽"])
def test_a_monster_without_spaces_is_not_cut_inside_a_cluster(cluster: str) -> None:
    found = cut("x" + cluster * 400)
    assert len(found) > 1
    for part in found[1:]:
        assert part.startswith(cluster[0])
        assert unicodedata.category(part[0])[0] != "M"


@pytest.mark.parametrize(
    "monster",
    [
        "a" * 100_000,
        "e" + "\u0301" * 100_000,
        "." * 100_000,
        '."' * 50_000,
        "a." * 50_000,
        "1" * 50_000,
    ],
)
def test_monsters_are_bounded_and_whole(monster: str) -> None:
    found = cut(monster)
    assert "".join(found) == monster
    assert max(map(len, found)) <= 600


@UNHURRIED
@given(ANY, st.integers(1, 50))
def test_sentences_cover_all_but_space_in_order(text: str, limit: int) -> None:
    position = 0
    for start, end in sentences(text, limit=limit):
        assert position <= start < end <= len(text)
        assert not text[position:start].strip()
        assert text[start:end] == text[start:end].strip()
        assert end - start <= limit
        position = end
    assert not text[position:].strip()


@UNHURRIED
@given(ANY)
def test_no_sentence_begins_with_a_mark_torn_off(text: str) -> None:
    for start, _ in sentences(text):
        torn = start > 0 and unicodedata.category(text[start])[0] == "M"
        assert not torn or text[start - 1].isspace() or len(text) > 600


# Scripts and languages


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello ｗｏｒｌｄ", "Latin"), ("नमस्ते", "Devanagari"), ("مرحبا", "Arabic"),
        ("привет", "Cyrillic"), ("γεια", "Greek"), ("漢字", "Han"), ("สวัสดี", "Thai"),
        ("한국어", "Hangul"), ("שלום", "Hebrew"), ("বাংলা", "Bengali"), ("தமிழ்", "Tamil"),
        ("ひらがな", "Hiragana"), ("123 😀", "Zyyy"), ("", "Zyyy"),
    ],
)  # fmt: skip
def test_dominant_script(text: str, expected: str) -> None:
    assert dominant_script(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("how many troops were sent?", "en"), ("Who is Kim?", "en"), ("troops", "en"),
        ("summary", "en"), ("NATO?", "en"), ("Putin Trump Alaska", "en"), ("", "en"),
        ("😀", "en"), ("कितने सैनिक भेजे गए?", "hi"), ("Kim Jong Un ने क्या कहा?", "hi"),
        ("What does समर्थन mean?", "en"), ("SCO Summit 2025 में क्या हुआ?", "hi"),
        ("Что такое Bank of America?", "ru"), ("Як справи, друже? Де їжак?", "uk"),
        ("كم عدد الجنود الذين أرسلوا؟", "ar"), ("کتنے فوجی بھیجے گئے؟", "ur"),
        ("¿Quién es Kim?", "es"), ("Wie viele Soldaten wurden geschickt?", "de"),
        ("Combien de soldats ont été envoyés ?", "fr"), ("Kaç asker gönderildi?", "tr"),
        ("Có bao nhiêu binh sĩ được gửi?", "vi"), ("Câți soldați au fost trimiși?", "ro"),
        ("东京在哪里？", "zh"), ("東京はどこですか", "ja"), ("몇 명입니까?", "ko"),
        ("กี่คน", "th"), ("Πόσοι;", "el"), ("כמה חיילים?", "he"), ("কতজন?", "bn"),
    ],
)  # fmt: skip
def test_language(text: str, expected: str) -> None:
    assert language(text) == expected


def test_the_sample_questions() -> None:
    lines = (ROOT / "seeds" / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    for case in map(json.loads, lines):
        assert language(case["question"]) == case["lang"], case["question"]


@pytest.mark.parametrize("code", ["en", "es", "de", "ro", "tr", "vi", "ru", "ar", "hi", "th", "zh"])
def test_the_languages_of_xquad(code: str) -> None:
    file = XQUAD / f"xquad.{code}.train.json"
    if not file.is_file():
        pytest.skip(f"{file} is not on this machine")
    articles = json.loads(file.read_text(encoding="utf-8"))["data"]
    questions = [q["question"] for a in articles for p in a["paragraphs"] for q in p["qas"]]
    right = sum(language(question) == code for question in questions)
    assert right / len(questions) >= (0.98 if code == "ru" else 0.99)


@UNHURRIED
@given(ANY)
def test_scripts_and_languages_never_raise(text: str) -> None:
    assert dominant_script(text)
    assert 2 <= len(language(text)) <= 3


# Names across scripts, and sentences that refer back


@pytest.mark.parametrize(
    "spellings",
    [
        "lavrov लावरोव лавров",
        "wonsan वोन्सान",
        "kursk कुर्स्क курск",
        "pyongyang प्योंगयांग",
        "trump ट्रंप ट्रम्प",
        "gandhi गांधी गाँधी गान्धी",
        "washington वाशिंगटन वॉशिंगटन",
        "zelensky ज़ेलेंस्की",
        "beijing बीजिंग 北京",
        "sachin सचिन",
        "mexico मेक्सिको",
    ],
)
def test_a_name_sounds_alike_in_every_script(spellings: str) -> None:
    assert len({sound(words(spelling)[0]) for spelling in spellings.split()[:2]}) == 1
    assert len({sound(word) for word in words(spellings)}) == 1
    assert "" not in {sound(word) for word in words(spellings)}


def test_what_has_no_sound() -> None:
    # Numbers are compared as numbers; two consonants are too few to tell anything.
    for word in ("15000", "80वीं", "a", "अब", "korea", "कोरिया", ""):
        assert sound(word) == ""
    assert sound("zürich") == sound("zurich")
    assert sound("lavrov") != sound("levinov")


@given(st.text())
def test_a_sound_is_ascii_consonants(text: str) -> None:
    assert all(set(sound(word)) <= set("bcdfghjklmnpqrstvxz") for word in words(text))


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("He arrived in Wonsan.", True),
        ("“But they refused,” he said.", True),
        ("Yesterday the council met him.", False),
        ("वह वोन्सान पहुंचे।", True),
        ("लेकिन उन्होंने मना कर दिया।", True),
        ("लावरोव वोन्सान पहुंचे।", False),
        ("Он приехал в Курск.", True),
        ("他到了北京。", True),
        ("北京下雨了。", False),
        ("", False),
    ],
)
def test_pronouns_at_the_beginning_refer_back(sentence: str, expected: bool) -> None:
    assert refers_back(sentence) is expected
    assert refers_back(sentence, frozenset(words(sentence))) is expected


def test_the_language_of_a_document_is_that_of_most_of_it() -> None:
    hindi = "उत्तर कोरिया ने रूस में लगभग 15,000 सैनिक भेजे हैं। " * 3
    assert text_language(f"Fri. Nov 22nd, 2024\n\nThe news\n\n{hindi}") == "hi"
    assert text_language("The river rose by four metres, and the dam broke.") == "en"
    assert text_language("Der Fluss stieg um vier Meter, und der Damm brach.") == "de"
    assert text_language("東京は日本の首都です。") == "ja"
    assert text_language("") == "en"


@pytest.mark.parametrize(
    ("question", "plain"),
    [
        ("What is the name of the river?", True),
        ("where was Putin going to meet Trump", True),
        ("Was ist der Name des Flusses?", False),  # German, and "was" and "is" are English words
        ("Who am Dienstag", False),
        ("why?", False),
    ],
)
def test_a_plainly_english_question_needs_no_statistics(
    question: str, plain: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(identify, "_judged", lambda text, _: asked.append(text) or "xx")
    assert language(question) == ("en" if plain else "xx")
    assert asked == ([] if plain else [question])


def test_whether_there_are_words_is_told_as_words_would() -> None:
    for character in filter(str.isalnum, map(chr, range(sys.maxunicode + 1))):
        assert has_words(character) is bool(words(character)), hex(ord(character))
    for text in ("", " - ", "…!\n", "\u3164 \u115f", "।॥", "— ₹ —"):
        assert not has_words(text)
    for text in ("- क -", "…7", "\u3164ㄱ", "½", "e\u0301", "العربية", "ไทย", "汉"):
        assert has_words(text)
