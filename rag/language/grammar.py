"""Grammar words of some languages, by which `leaning` knows a follow-up question: facts only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A language's grammar words, each a string of them.

    `openers` begin a question that goes on, `phrases` likewise in several words;
    `pronouns` are those that `PRONOUNS` lacks, `but` those of it that ask for nothing here;
    `strong` ones lean wherever they stand;
    `subjects` lean after one of `verbs` ("which city did he"), `objects` at the end;
    `asks` are question words, `grammar` other words that name nothing; `relative` ones say
    that a pronoun belongs to a clause; `before` or `after` a noun a word makes a fragment;
    `expletive` phrases hold a pronoun that stands for nothing, `deictic` words follow a
    "this" that points at no earlier question. `asked_first`: what is asked for stands
    before the pronoun, and is not what that stands for ("कितने सैनिक उन्होंने भेजे?").
    """

    openers: str = ""
    phrases: tuple[str, ...] = ()
    pronouns: str = ""
    but: str = ""
    strong: str = ""
    subjects: str = ""
    verbs: str = ""
    objects: str = ""
    asks: str = ""
    amounts: str = ""
    grammar: str = ""
    relative: str = ""
    before: str = ""
    after: str = ""
    expletive: tuple[str, ...] = ()
    deictic: str = ""
    asked_first: bool = False


TABLES = {
    "en": Table(
        openers="and or but also then so",
        phrases=("what about", "how about", "what of", "what else", "who else", "anything else"),
        pronouns="this that these those ones others theirs himself herself",
        subjects="he she they",
        verbs="did do does was were is are has have had can could will would should may might",
        objects="him her them it this that these those there then",
        asks="how what when where which who whom whose why",
        amounts="many much long old far big large tall often high",
        grammar="a an the of in on at to by for from with about among between into since until "
        "before after during be been being not all any some both each most more else exactly "
        "other others ever also still already s there",
        before="in on at to by for from with among since until before after during without",
        expletive=(
            "it take", "it true", "it possible", "it common", "it known", "it said", "it legal",
            "it believed", "it necessary", "it likely", "it important", "it safe", "it that",
            "those who", "those that", "those which", "those with", "those of", "those in",
            "are there", "is there", "were there", "was there", "be there", "that there",
        ),
        deictic="year season week month morning century decade world country document file text",
    ),
    "hi": Table(
        openers="और तो फिर लेकिन मगर तथा या",
        phrases=("इसके अलावा", "इसके बाद", "उसके बाद"),
        pronouns="उन इन उस इस उनको उसको इनको इसको उनसे उससे इनसे इससे उनपर इसे इन्हें इनका इनकी "
        "इनके उनमें इनमें उसमें इसमें वहाँ वहां तब ऐसा",
        strong="उनमें इनमें उसमें इसमें उनमे इनमे",
        asks="कितने कितना कितनी कौन किस किसने किसे किसका किसकी किसके किन किन्हें किनके क्या कब कहाँ "
        "कहां क्यों कैसे कैसा कैसी किससे किसको",
        grammar="ने को से में पर का के की तक लिए द्वारा बारे भी ही तो और है हैं था थी थे हुआ हुई हुए "
        "गया गई गए कुल लगभग सा सी से बाद पहले अलावा कर",
        relative="जो जिस जिसने जिसे जिसका जिसकी जिसके जिसमें जिससे जिन जिन्होंने जिन्हें जिनका जिनकी जिनके "
        "जिनमें जब जहाँ जहां कि यदि अगर",
        after="में से को पर का के की ने तक लिए द्वारा बाद पहले",
        deictic="सीज़न सीजन साल वर्ष हफ्ते सप्ताह महीने समय सदी देश दुनिया दस्तावेज़ कार्य",
        asked_first=True,
    ),
    "ur": Table(
        openers="اور تو پھر لیکن مگر",
        pronouns="ان انہیں انھیں اسے اسکے انکے وہاں",
        asks="کتنے کتنا کتنی کون کس کیا کب کہاں کیوں کیسے",
        grammar="نے کو سے میں پر کا کے کی تک لیے بارے بھی ہی ہے ہیں تھا تھی تھے",
        relative="جو جس جن جب جہاں کہ",
        after="میں سے کو پر کا کے کی نے تک لیے",
        asked_first=True,
    ),
    "ar": Table(
        openers="و وكم ومتى وماذا وأين وكيف ولماذا ومن وفي ثم وما وهل",
        phrases=("ماذا عن",),
        but="هو هي هم هما",
        pronouns="منهم منها منهما عنهم عنها عنه لهم لها له بهم بها به فيهم فيها فيه إليهم "
        "إليها إليه هؤلاء ذلك هذا هذه تلك بينهم",
        asks="كم متى ماذا أين كيف لماذا من ما هل أي",
        grammar="في على إلى عن من كان كانت عدد مات",
        relative="الذي التي الذين",
    ),
    "fa": Table(
        openers="و اما پس",
        pronouns="آن این انها اینها آن‌ها",
        asks="چند چه کی کجا چرا چگونه کدام چقدر",
        grammar="از در به با را برای نفر تعداد بود است",
        relative="که",
    ),
    "ru": Table(
        openers="а и но или",
        phrases=("что насчет", "как насчет"),
        pronouns="них ним нему ней него ними ему этот эта это эти этого этих тех",
        asks="сколько что когда где какой какая какое какие кто кого кому чей почему как куда",
        grammar="из в на о об от до по для с был была было были ли",
        relative="который которая которое которые которых которого которой которому что чтобы",
        before="в на из от до по для с о об без",
    ),
    "es": Table(
        openers="y e pero o",
        phrases=("qué hay de", "qué tal"),
        pronouns="ellos ellas él ella eso esto ese esa esos esas estos este esta su sus",
        objects="ellos ellas él ella eso esto",
        asks="cuántos cuántas cuánto cuánta qué cuándo dónde cuál cuáles quién quiénes cómo por",
        grammar="de del en a al con para el la los las un una fue fueron era eran es son se ha han "
        "entre sobre",
        relative="que cual",
        before="en a de con para desde hasta sin",
        deictic="año mes semana temporada",
    ),
    "fr": Table(
        openers="et mais ou",
        phrases=("qu en est il", "quid de"),
        pronouns="eux lui leur leurs cela ça ceux celles celui celle ces cette",
        subjects="ils elles elle il",
        verbs="ont a t est sont était étaient",
        objects="eux lui elle elles cela ça",
        asks="combien que qu quoi quand où quel quelle quels quelles qui comment pourquoi",
        grammar="de d des du en à au aux dans avec pour le la les l un une est sont a ont été "
        "entre parmi sur t",
        before="en à dans avec pour depuis sans",
        expletive=("y a t il", "il y a", "a t il fallu", "faut il", "est ce que"),
        deictic="année semaine saison",
    ),
    "de": Table(
        openers="und aber oder",
        phrases=("was ist mit", "wie steht es", "wie sieht es"),
        but="es",
        pronouns="ihnen ihn ihm davon darüber dazu daran diese dieser dieses diesen denen dort "
        "deren dessen",
        subjects="er sie",
        verbs="hat haben hatte hatten ist sind war waren wurde wurden wird werden kann konnte",
        objects="ihnen ihn ihm sie dort davon",
        asks="wie was wann wo welche welcher welches welchen wer wen wem wessen warum weshalb "
        "woher wohin",
        amounts="viele viel lange alt oft hoch groß",
        grammar="von der die das den dem des ein eine einen in im an am auf aus bei mit für zu "
        "über unter hat haben ist sind war waren wurde wurden",
        relative="dass ob",
        before="in im an am auf aus bei mit für seit bis ohne nach vor",
        expletive=("gibt es", "gab es", "in der", "in dem"),
        deictic="jahr woche saison monat",
    ),
    "el": Table(
        openers="και αλλά ή",
        phrases=("τι γίνεται με",),
        pronouns="αυτούς αυτές αυτά αυτών αυτόν αυτήν αυτού",
        asks="πόσοι πόσες πόσα πόσο τι πότε πού ποιος ποια ποιο ποιοι ποιες γιατί πώς",
        grammar="από σε στο στη στην στον με για ήταν είναι έχει έχουν",
        relative="που",
    ),
    "ro": Table(
        openers="și dar sau",
        phrases=("ce zici de", "cum rămâne cu"),
        pronouns="ei ele el ea lor lui acestea aceștia acesta aceasta asta acela",
        asks="câți câte cât câtă ce când unde care cine cum",
        grammar="dintre din de la în pe cu pentru a au fost este sunt era",
        before="în la din de cu pentru fără",
    ),
    "tr": Table(
        openers="ve peki ama ya",
        pronouns="bunların onların onlardan bunlardan onlar bunlar onu onun ona onlara bunu buna "
        "oradan orada",
        asks="kaç ne kim hangi nerede nasıl neden niçin kimin kaçı kaçta",
        grammar="için ile de da",
    ),
    "vi": Table(
        openers="và còn nhưng vậy thế",
        pronouns="họ nó chúng ấy",
        asks="bao nhiêu gì khi nào đâu ai sao",
        expletive=("họ của",),
        grammar="người trong số của là đã có được bị về ở",
    ),
}  # fmt: skip

# Scripts without spaces: how a question begins that leans, whatever follows.
UNSPACED = {
    "zh": (
        "那",
        "其中",
        "他",
        "她",
        "它",
        "还有",
        "而且",
        "这些",
        "那些",
        "有多少他",
        "為什麼",
        "为什么？",
    ),
    "ja": ("そのうち", "そして", "その", "彼", "それ", "では", "じゃあ"),
    "th": ("แล้ว", "และ", "พวกเขา", "เขา", "เธอ", "มัน", "ในจำนวนนี้", "ในจำนวนนั้น"),
}
