"""What the program says to the asker in the asker's language.

Only the few sentences that belong to an answer are translated; everything else on the
terminal is English. Languages that are not here get English.
"""

from __future__ import annotations

REFUSALS = {
    "ar": "لا تذكر المستندات ذلك.",
    "bn": "নথিগুলোতে এটি বলা নেই।",
    "de": "Das steht nicht in den Dokumenten.",
    "el": "Τα έγγραφα δεν το αναφέρουν.",
    "en": "The documents do not say.",
    "es": "Los documentos no lo dicen.",
    "fa": "اسناد در این باره چیزی نمی‌گویند.",
    "fr": "Les documents ne le disent pas.",
    "hi": "दस्तावेज़ों में यह नहीं बताया गया है।",
    "id": "Dokumen tidak menyebutkannya.",
    "it": "I documenti non lo dicono.",
    "ja": "文書には書かれていません。",
    "ko": "문서에 나와 있지 않습니다.",
    "nl": "De documenten vermelden dat niet.",
    "pl": "Dokumenty o tym nie mówią.",
    "pt": "Os documentos não o dizem.",
    "ro": "Documentele nu spun acest lucru.",
    "ru": "В документах этого нет.",
    "th": "เอกสารไม่ได้ระบุไว้",
    "tr": "Belgeler bunu belirtmiyor.",
    "uk": "У документах цього немає.",
    "ur": "دستاویزات میں یہ نہیں بتایا گیا۔",
    "vi": "Tài liệu không nêu điều này.",
    "zh": "文件中没有说明。",
}
CLOSEST = {
    "ar": "أقرب ما عُثر عليه:",
    "de": "Am nächsten kommt:",
    "en": "Closest found, not an answer:",
    "es": "Lo más cercano, sin ser una respuesta:",
    "fr": "Le plus proche, sans être une réponse :",
    "hi": "सबसे निकट मिला, पर यह उत्तर नहीं है:",
    "ru": "Ближайшее из найденного, но не ответ:",
    "zh": "最接近的内容（并非答案）：",
}
DISAGREE = {
    "ar": "تذكر المستندات أرقامًا مختلفة:",
    "de": "Die Dokumente nennen verschiedene Zahlen:",
    "en": "The documents give different figures:",
    "es": "Los documentos dan cifras distintas:",
    "fr": "Les documents donnent des chiffres différents :",
    "hi": "दस्तावेज़ों में अलग-अलग आँकड़े मिले:",
    "ru": "В документах разные цифры:",
    "zh": "各文件给出的数字不同：",
}


def refusal(language: str) -> str:
    """Say that the documents do not tell, in the language of an ISO 639-1 code."""
    return REFUSALS.get(language, REFUSALS["en"])


def closest(language: str) -> str:
    """Head the list of the nearest sentences under a refusal."""
    return CLOSEST.get(language, CLOSEST["en"])


def disagreement(language: str) -> str:
    """Head an answer of two figures from two files, which may or may not be of one thing."""
    return DISAGREE.get(language, DISAGREE["en"])
