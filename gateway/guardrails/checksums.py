"""Whether a number is what it looks like: check digits of cards, accounts and persons.

Sources: ISO/IEC 7812-1 (Luhn), ISO 13616 (IBAN), and the published rules of each country's number, as restated in the
documentation of python-stdnum; written anew, read 2026-11.
"""

from collections.abc import Sequence

_VERHOEFF_TABLE = (
    *("0123456789", "1234067895", "2340178956", "3401289567", "4012395678"),
    *("5987604321", "6598710432", "7659821043", "8765932104", "9876543210"),
)
_VERHOEFF_SHIFT = (
    *("0123456789", "1576283094", "5803796142", "8916043527"),
    *("9453126870", "4286573901", "2793806415", "7046913258"),
)
_DNI = "TRWAGMYFPDXBNJZSQVHLCKE"
_CODICE_ODD = dict(
    zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", (1, 0, 5, 7, 9, 13, 15, 17, 19, 21) * 2, strict=False)
) | dict(
    zip(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23),
        strict=True,
    )
)

_NO_DIGITS = dict.fromkeys(code for code in range(128) if not 48 <= code <= 57)
_DOUBLED = str.maketrans("0123456789", "0246813579")


def plain_digits(text: str) -> str:
    return text.translate(_NO_DIGITS)


def digits(text: str) -> list[int]:
    return [int(char) for char in text if "0" <= char <= "9"]


def luhn(text: str) -> bool:
    return _luhn(plain_digits(text))


def _luhn(found: str) -> bool:
    doubled = found[-2::-2].translate(_DOUBLED)
    return (sum(found[::-2].encode()) + sum(doubled.encode()) - 48 * len(found)) % 10 == 0


def card(text: str) -> bool:
    found = plain_digits(text)
    return 13 <= len(found) <= 19 and found.count(found[0]) < len(found) and _luhn(found)


def iban(text: str) -> bool:
    plain = text.replace(" ", "").upper()
    if not 15 <= len(plain) <= 34:
        return False
    turned = plain[4:] + plain[:4]
    return int("".join(str(int(char, 36)) for char in turned)) % 97 == 1


def ssn(text: str) -> bool:
    found = "".join(char for char in text if char.isdigit())
    return found[:3] not in ("000", "666") and found[0] != "9" and found[3:5] != "00" and found[5:] != "0000"


def itin(text: str) -> bool:
    found = "".join(char for char in text if char.isdigit())
    middle = int(found[3:5])
    return 50 <= middle <= 65 or 70 <= middle <= 88 or 90 <= middle <= 92 or 94 <= middle <= 99


def weighted(text: str, weights: Sequence[int], modulus: int) -> bool:
    """The sum of the digits, each by its weight, is a multiple of the modulus."""
    found = digits(text)
    return len(found) == len(weights) and sum(map(int.__mul__, found, weights)) % modulus == 0


def routing(text: str) -> bool:
    return weighted(text, (3, 7, 1) * 3, 10)


def nhs(text: str) -> bool:
    return weighted(text, (10, 9, 8, 7, 6, 5, 4, 3, 2, 1), 11)


def tfn(text: str) -> bool:
    return weighted(text, (1, 4, 3, 7, 5, 8, 6, 9, 10), 11)


def bsn(text: str) -> bool:
    return weighted(text, (9, 8, 7, 6, 5, 4, 3, 2, -1), 11)


def pesel(text: str) -> bool:
    month = int(text[2:4]) % 20
    return 1 <= month <= 12 and weighted(text, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1), 10)


def aadhaar(text: str) -> bool:
    row = 0
    for position, digit in enumerate(reversed(digits(text))):
        row = int(_VERHOEFF_TABLE[row][int(_VERHOEFF_SHIFT[position % 8][digit])])
    return row == 0


def cpf(text: str) -> bool:
    found = digits(text)
    return len(found) == 11 and len(set(found)) > 1 and all(_brazil(found[:n], 11) == found[n] for n in (9, 10))


def cnpj(text: str) -> bool:
    found = digits(text)
    return len(found) == 14 and len(set(found)) > 1 and all(_brazil(found[:n], 9) == found[n] for n in (12, 13))


def _brazil(found: Sequence[int], most: int) -> int:
    weights = [2 + position % (most - 1 if most == 9 else 10) for position in range(len(found))]
    rest = sum(map(int.__mul__, reversed(found), weights)) % 11
    return 0 if rest < 2 else 11 - rest


def dni(text: str) -> bool:
    plain = text.upper().replace("-", "")
    number = plain[:-1].translate(str.maketrans("XYZ", "012"))
    return _DNI[int(number) % 23] == plain[-1]


def insee(text: str) -> bool:
    plain = text.upper().replace(" ", "").replace("2A", "19").replace("2B", "18")
    return plain.isdigit() and 97 - int(plain[:13]) % 97 == int(plain[13:])


def codice_fiscale(text: str) -> bool:
    plain = text.upper()
    total = sum(
        _CODICE_ODD[char] if position % 2 == 0 else int(char, 36) - (10 if char.isalpha() else 0)
        for position, char in enumerate(plain[:15])
    )
    return chr(ord("A") + total % 26) == plain[15]


def nric(text: str) -> bool:
    plain = text.upper()
    total = sum(map(int.__mul__, digits(plain), (2, 7, 6, 5, 4, 3, 2))) + (4 if plain[0] in "TG" else 0)
    letters = "JZIHGFEDCBA" if plain[0] in "ST" else "XWUTRQPNMLK"
    return letters[total % 11] == plain[-1]


def ahv(text: str) -> bool:
    found = digits(text)
    return sum(digit * (3 if position % 2 else 1) for position, digit in enumerate(found)) % 10 == 0
