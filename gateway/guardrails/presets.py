"""The preset patterns of `regex`: numbers, keys and documents by their form, and lists of words for topics.

The names are TrueFoundry's; its expressions are not published, so these are this project's own. A word list says that a
topic came up, not that anybody meant harm.
"""

from collections.abc import Mapping

from gateway.guardrails import checksums
from gateway.guardrails.patterns import Pattern
from gateway.guardrails.pii import CARD, EMAIL, IPV4, IPV6, SSN, is_ip, sure
from gateway.guardrails.secrets import SECRETS

_SECRET = {pattern.label: pattern for pattern in SECRETS}


def _number(label: str, source: str, accepts: object = None) -> Pattern:
    return Pattern(label, source, accepts=accepts, is_number=True)  # type: ignore[arg-type]


def _passport(country: str, source: str) -> Pattern:
    """A passport's number looks like many others, so the word has to stand before it."""
    source = rf"(?i)\bpassport\b[^\n]{{0,24}}?\b((?-i:{source}))\b"
    return Pattern(f"passport_{country}", source, is_number=True, looks_back=True, takes_group=True)


def words(label: str, phrases: str, replacement: str = "[REDACTED]") -> Pattern:
    """Whole words and phrases, in any case; each on a line or behind a comma. A `*` at the end: however it ends."""
    found = [phrase.strip() for line in phrases.splitlines() for phrase in line.split(",") if phrase.strip()]
    sources = [_phrase(phrase) for phrase in sorted(found, key=len, reverse=True)]
    longest = max(map(len, found), default=0)
    return Pattern(label, rf"(?i)(?:{'|'.join(sources)})", replacement, reach=min(256, longest + 24))


def _phrase(phrase: str) -> str:
    is_open = phrase.endswith("*")
    escaped = r"[\s\-]{1,3}".join(
        "".join(char if char.isalnum() or ord(char) > 127 else rf"\{char}" for char in word)
        for word in phrase.rstrip("*").split()
    )
    begin = r"\b" if phrase[0].isalnum() and phrase[0].isascii() else ""
    if is_open:
        return rf"{begin}{escaped}\w{{0,20}}"
    return rf"{begin}{escaped}" + (r"\b" if phrase[-1].isalnum() and phrase[-1].isascii() else "")


TOPICS: Mapping[str, str] = {
    "gender_sexual_orientation": """
        gay, lesbian, bisexual, transgender, transsexual, homosexual*, heterosexual*, queer, non-binary,
        nonbinary, lgbt, lgbtq, lgbtqia, sexual orientation, gender identity, gender reassignment, intersex,
        asexual, pansexual, misgender*, homophob*, transphob*, sexism, sexist*, misogyn*
    """,
    "race_ethnicity_national_origin": """
        race, racial*, racis*, ethnic*, national origin, nationality, skin color, skin colour, african american,
        asian american, hispanic, latino, latina, latinx, caucasian, indigenous, native american, people of
        color, immigrant*, refugee*, xenophob*, antisemit*
    """,
    "religion": """
        religion, religious*, christian*, muslim*, islam*, jewish, judaism, hindu*, buddhis*, sikh*, atheis*,
        agnostic*, catholic*, protestant*, mormon*, church, mosque, synagogue, bible, quran, koran, torah
    """,
    "age_discrimination": """
        too old, too young, age discrimination, ageism, ageist*, elderly, senior citizen*, over the hill,
        digital native, recent graduate, age limit, maximum age, minimum age, retirement age
    """,
    "disability": """
        disab*, handicap*, wheelchair*, blind, deaf, mental illness, autis*, dyslex*, paralyz*, paralys*,
        amputee*, impairment*, down syndrome, cerebral palsy, special needs, ableis*
    """,
    "marital_family_status": """
        married, unmarried, divorc*, widow*, single mother*, single father*, single parent*, pregnan*,
        maternity, paternity, childless, marital status, familial status, with children, number of children
    """,
    "military_status": """
        veteran*, military service, military status, armed forces, active duty, army, navy, air force, marine
        corps, national guard, reservist*, conscript*, deployment overseas, dishonorable discharge
    """,
    "public_assistance": """
        public assistance, welfare, food stamps, snap benefits, section 8, medicaid, unemployment benefits,
        housing voucher*, social assistance, income support, child benefit, universal credit
    """,
    "weapons_firearms": """
        gun, guns, firearm*, pistol*, rifle*, shotgun*, handgun*, revolver*, ammunition, ammo, assault weapon*,
        ar-15, ak-47, glock*, silencer*, ghost gun*, bump stock*, magazine capacity
    """,
    "weapons_other": """
        knife, knives, machete*, sword*, dagger*, crossbow*, brass knuckles, taser*, pepper spray, nunchuck*,
        switchblade*, molotov*, nerve agent*, mustard gas, chemical weapon*, biological weapon*, sarin, ricin,
        anthrax
    """,
    "explosives": """
        explosive*, bomb*, dynamite, grenade*, c-4, semtex, tnt, detonat*, ied, landmine*, pipe bomb*, rdx,
        petn, anfo, ammonium nitrate, blasting cap*, nitroglycerin*
    """,
    "violence_threats": """
        kill you, kill him, kill her, kill them, kill myself, murder*, shoot up, stab*, strangl*, behead*, beat
        you up, hurt you, death threat*, massacre*, i will kill, going to kill, torture*, lynch*
    """,
    "terrorism": """
        terroris*, jihad*, isis, isil, al-qaeda, al qaeda, boko haram, suicide bomb*, extremis*, radicaliz*,
        radicalis*, hostage*, hijack*, white supremac*, neo-nazi*
    """,
    "self_harm_suicide": """
        suicid*, self-harm*, self harm*, kill myself, end my life, cut myself, cutting myself, want to die,
        overdos*, hang myself, hurt myself, no reason to live, better off dead
    """,
    "illegal_activities": """
        cocaine, heroin, methamphetamine, meth, fentanyl, drug deal*, money launder*, launder money,
        counterfeit*, forged documents, fake id, human trafficking, smuggl*, hitman, identity theft, credit card
        fraud, stolen goods, tax evasion, dark web, darknet, ransomware, hack into
    """,
    "harassment_hate": """
        harass*, bully*, bullied, hate speech, slur, slurs, stalk*, doxx*, dox, worthless, go die, kys,
        subhuman*, vermin, ethnic cleansing, genocid*, inferior race
    """,
}

PRESETS: Mapping[str, Pattern] = {
    "us_ssn": _number("us_ssn", SSN, checksums.ssn),
    "us_ssn_no_dash": _number("us_ssn_no_dash", r"\b[0-9]{9}\b", checksums.ssn),
    "email": sure(Pattern("email", EMAIL)),
    "us_phone": _number(
        "us_phone", r"(?:\+?1[ .\-]?)?(?:\([2-9][0-9]{2}\) ?|\b[2-9][0-9]{2}[ .\-]?)[2-9][0-9]{2}[ .\-]?[0-9]{4}\b"
    ),
    "india_aadhaar": _number("india_aadhaar", r"\b[2-9][0-9]{3}[ \-]?[0-9]{4}[ \-]?[0-9]{4}\b", checksums.aadhaar),
    "india_pan": Pattern("india_pan", r"\b[A-Z]{3}[ABCFGHLJPT][A-Z][0-9]{4}[A-Z]\b"),
    "visa": sure(_number("visa", r"\b4[0-9]{3}[ \-]?[0-9]{4}[ \-]?[0-9]{4}[ \-]?[0-9]{1,7}\b", checksums.card)),
    "mastercard": sure(
        _number("mastercard", r"\b(?:5[1-5][0-9]{2}|2[2-7][0-9]{2})(?:[ \-]?[0-9]{4}){3}\b", checksums.card)
    ),
    "amex": sure(_number("amex", r"\b3[47][0-9]{2}[ \-]?[0-9]{6}[ \-]?[0-9]{5}\b", checksums.card)),
    "discover": sure(_number("discover", r"\b6(?:011|4[4-9][0-9]|5[0-9]{2})(?:[ \-]?[0-9]{4}){3}\b", checksums.card)),
    "credit_card": sure(_number("credit_card", CARD, checksums.card)),
    "aws_access_key": _SECRET["aws_access_key"],
    "aws_secret_key": _SECRET["aws_secret_key"],
    "github_token": _SECRET["github_token"],
    "slack_token": _SECRET["slack_token"],
    "generic_api_key": Pattern(
        "generic_api_key",
        _SECRET["password"].source,
        accepts=_SECRET["password"].accepts,
        looks_back=True,
        takes_group=True,
    ),
    "ipv4": Pattern("ipv4", IPV4),
    "ipv6": Pattern("ipv6", IPV6, accepts=is_ip),
    "url": Pattern("url", r"\b(?i:https?|ftp)://[^\s<>\"']+"),
    "passport_us": _passport("us", r"(?:[A-Z][0-9]{8}|[0-9]{9})"),
    "passport_uk": _passport("uk", r"[0-9]{9}"),
    "passport_germany": _passport("germany", r"[CFGHJKLMNPRTVWXYZ][CFGHJKLMNPRTVWXYZ0-9]{8}"),
    "passport_france": _passport("france", r"[0-9]{2}[A-Z]{2}[0-9]{5}"),
    "passport_netherlands": _passport("netherlands", r"[A-Z]{2}[A-Z0-9]{6}[0-9]"),
    "passport_canada": _passport("canada", r"(?:[A-Z]{2}[0-9]{6}|[A-Z][0-9]{6}[A-Z]{2})"),
    "passport_india": _passport("india", r"[A-Z][1-9][0-9]{5}[1-9]"),
    "passport_australia": _passport("australia", r"[A-Z]{1,2}[0-9]{7}"),
    "passport_china": _passport("china", r"[EGDSPH][A-Z0-9][0-9]{7}"),
    "passport_japan": _passport("japan", r"[A-Z]{2}[0-9]{7}"),
} | {topic: words(topic, phrases) for topic, phrases in TOPICS.items()}
