"""Words that end in a full stop without ending a sentence.

Keys are lower case and without the last stop. It does not know in which language a text
is written: a word listed here counts in all of them.
"""

from __future__ import annotations


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Something always follows these.
NEVER_LAST = _set(
    "mr mrs ms mx dr drs prof st ste mt gen col lt sgt capt cmdr maj adm brig rev hon sen rep "
    "gov pres amb supt messrs vs v e.g i.e eg ie cf viz approx resp esp incl "
    "डॉ प्रो पं श्री श्रीमती कु स्व ले कर्नल मो सु कि मि से "
    "ee sra srta dña dna excmo ud uds p.ej mme mlle mm mgr me "
    "hr frl dipl ing bzw z.b d.h u.a u.ä evtl ggf inkl zzgl vgl sog "
    "г-н г-жа т.е напр см им ул пр акад проф гос "
    "sn doç yrd av örn dr.öğr"
)

# A number or a month follows these; before anything else the stop may end a sentence.
BEFORE_NUMBER = _set(
    "no nos nr núm num art arts sec secs ch chap vol vols fig figs eq eqs p pp pg para ver v "
    "rs inr usd tel ext fl ca c bd abs ziff s pág págs "
    "नं पृ क्र रु सं अनु "
    "стр рис гл ст пп п "
    "mon tue tues wed thu thur thurs fri sat sun "
    "jan feb mar apr jun jul aug sep sept oct nov dec "
    "ene abr ago dic janv févr avr juil déc okt dez "
)

# These end a sentence only where the next word is one that opens sentences.
RARELY_LAST = _set(
    "uu inc ltd co corp llc bros jr sr esq ph.d ph etc al dept univ assn est ed eds "
    "usw etw ecc u.s.w и.т.д г гг в вв руб млн млрд тыс км "
    "प्रा लि कं इत्यादि vb vd"
)

# English, then Spanish, German and French words that open sentences.
OPENERS = _set(
    "the a an this that these those it he she they we i you in on at after before but and "
    "however there when while if as for from by with one some many most all both his her "
    "their its our my what who how why where according meanwhile although since no not "
    "el la los las un una en es se por para como der die das ein eine es er sie wir ich "
    "le les il elle ils on"
)

MONTHS = _set(
    "january february march april may june july august september october november december "
    "jan feb mar apr jun jul aug sep sept oct nov dec "
    "januar jänner februar märz mai juni juli oktober dezember jahrhundert jahrhunderts "
    "ocak şubat mart nisan mayıs haziran temmuz ağustos eylül ekim kasım aralık yüzyıl "
    "जनवरी फरवरी मार्च अप्रैल मई जून जुलाई अगस्त सितंबर अक्टूबर नवंबर दिसंबर"
)

# Names of Latin letters in Devanagari, as written in initials (ए.पी.जे.). The first are
# no words by themselves; the others are ("आई" is also "came") and count only in a chain.
LETTER_NAMES = _set("बी डी एफ एच जे एल एम एन आर एस डब्ल्यू एक्स वाई जेड क्यू")
LETTER_NAMES_AND_WORDS = _set("ए सी ई जी आई के ओ पी टी यू वी")
