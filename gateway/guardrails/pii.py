"""Personal data that can be told by how it is written: what has a form of its own, mostly with check digits.

Names, addresses and dates of birth have none: they take a model, as behind `azure-pii` or `custom`.

Source of the categories: learn.microsoft.com, "Supported PII entity categories"; read 2026-11.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib import import_module
from ipaddress import ip_address
from typing import Any

import msgspec

from gateway.guardrails import checksums
from gateway.guardrails.patterns import Pattern

ALL = "*"
SPACED_IBAN = r"\b[A-Z]{2}[0-9]{2}[A-Z0-9 ]*"
_FIRST_DIGITS = 4
"""The first group of an address of IPv6 that is in use has so many, but for those that begin with one of `_SHORT`."""
_SHORT = ("64:ff9b:", "::")


def is_ip(text: str) -> bool:
    """Of those in hexadecimal digits, none that programs are full of: `b::c` and `a[1::2]`."""
    is_like_code = ":" in text and (text.index(":") < _FIRST_DIGITS or not any(map(str.isdigit, text)))
    if is_like_code and not text.lower().startswith(_SHORT):
        return False
    try:
        return bool(ip_address(text))
    except ValueError:
        return False


@cache
def _numbers() -> Any:
    """The library of phone numbers, if it is there."""
    try:
        library = import_module("phonenumbers")
    except ImportError:
        return None
    # Otherwise each region is read from its file when the first number of it comes by.
    import_module("phonenumbers.phonemetadata").PhoneMetadata.load_all()
    return library


def _phone(text: str) -> bool:
    """By the numbering plans; without the library, by the count of digits. Without a country it is one of the US."""
    count = len(checksums.digits(text))
    library = _numbers()
    if library is None or not 7 <= count <= 15:
        return 10 <= count <= 15
    try:
        return bool(library.is_valid_number(library.parse(text, None if text.startswith("+") else "US")))
    except library.NumberParseException:
        return False


def _number(label: str, source: str, accepts: Callable[[str], bool] | None = None) -> Pattern:
    return Pattern(label, source, f"[{label.upper()}]", accepts, is_number=True)


def _word(label: str, source: str, accepts: Callable[[str], bool] | None = None) -> Pattern:
    return Pattern(label, source, f"[{label.upper()}]", accepts)


def sure(pattern: Pattern) -> Pattern:
    return msgspec.structs.replace(pattern, is_sure=True)


def _after(label: str, words: str, source: str, accepts: Callable[[str], bool] | None = None) -> Pattern:
    """Only behind a word that says what it is: its check digits are too weak to tell by themselves."""
    source = rf"(?i)\b(?:{words})\b[^0-9\n]{{0,24}}?({source})\b"
    return Pattern(label, source, f"[{label.upper()}]", accepts, is_number=True, looks_back=True, takes_group=True)


EMAIL = r"\b[A-Za-z0-9][A-Za-z0-9._%+\-]*@(?:[A-Za-z0-9](?:[A-Za-z0-9\-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,24}\b"
PHONE = (
    r"(?:\+[1-9][0-9]{0,2}[ .\-]?(?:\([0-9]{1,4}\)[ .\-]?)?[0-9]{1,4}(?:[ .\-]?[0-9]{2,4}){1,4}\b"
    r"|\([2-9][0-9]{2}\) ?[2-9][0-9]{2}[ .\-][0-9]{4}\b|\b(?:1[ .\-])?[2-9][0-9]{2}[ .\-][2-9][0-9]{2}[ .\-][0-9]{4}\b)"
)
CARD = r"\b(?:[2-6][0-9]{3}[ \-]?(?:[0-9]{4}[ \-]?){2}[0-9]{1,7}|3[47][0-9]{2}[ \-]?[0-9]{6}[ \-]?[0-9]{5})\b"
IPV4 = r"\b(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\b"
IPV6 = r"(?:\b[0-9A-Fa-f]{1,4}|::)(?:::?[0-9A-Fa-f]{1,4}){1,7}(?:::|\b)"
SSN = r"\b[0-9]{3}[ \-][0-9]{2}[ \-][0-9]{4}\b"

CATEGORIES: Mapping[str, tuple[Pattern, ...]] = {
    "Email": (sure(_word("Email", EMAIL)),),
    "PhoneNumber": (msgspec.structs.replace(_number("PhoneNumber", PHONE, _phone), effort=40.0),),
    "CreditCardNumber": (sure(_number("CreditCardNumber", CARD, checksums.card)),),
    "IPAddress": (_word("IPAddress", f"{IPV4}|{IPV6}", is_ip),),
    "URL": (_word("URL", r"\b(?i:https?)://[^\s<>\"']+"),),
    "InternationalBankingAccountNumber": (
        Pattern(
            "InternationalBankingAccountNumber",
            r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b",
            "[INTERNATIONALBANKINGACCOUNTNUMBER]",
            checksums.iban,
            begun=SPACED_IBAN,
            is_sure=True,
        ),
    ),
    "SWIFTCode": (
        _after(
            "SWIFTCode",
            "swift|bic",
            r"(?-i:[A-Z]{4}(?:AT|BE|CH|DE|DK|ES|FI|FR|GB|IE|IT|LU|NL|NO|PL|PT|SE|US|JP|AU|CA|IN|SG|HK|CN|BR)[A-Z0-9]{2}(?:[A-Z0-9]{3})?)",
        ),
    ),
    "ABARoutingNumber": (_after("ABARoutingNumber", "routing|aba|rtn", r"[0-9]{9}", checksums.routing),),
    "USBankAccountNumber": (_after("USBankAccountNumber", "account|acct", r"[0-9]{8,17}"),),
    "USSocialSecurityNumber": (_number("USSocialSecurityNumber", SSN, checksums.ssn),),
    "USIndividualTaxpayerIdentification": (
        _number("USIndividualTaxpayerIdentification", r"\b9[0-9]{2}[ \-][0-9]{2}[ \-][0-9]{4}\b", checksums.itin),
    ),
    "UKNationalInsuranceNumber": (
        _number(
            "UKNationalInsuranceNumber",
            r"\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]\b",
        ),
    ),
    "UKNationalHealthNumber": (_number("UKNationalHealthNumber", r"\b[0-9]{3} [0-9]{3} [0-9]{4}\b", checksums.nhs),),
    "CASocialInsuranceNumber": (
        _number("CASocialInsuranceNumber", r"\b[1-79][0-9]{2}[ \-][0-9]{3}[ \-][0-9]{3}\b", checksums.luhn),
    ),
    "INPermanentAccount": (_word("INPermanentAccount", r"\b[A-Z]{3}[ABCFGHLJPT][A-Z][0-9]{4}[A-Z]\b"),),
    "INUniqueIdentificationNumber": (
        _number("INUniqueIdentificationNumber", r"\b[2-9][0-9]{3}[ \-]?[0-9]{4}[ \-]?[0-9]{4}\b", checksums.aadhaar),
    ),
    "FRSocialSecurityNumber": (
        _number(
            "FRSocialSecurityNumber",
            r"\b[12] ?[0-9]{2} ?(?:0[1-9]|1[0-2]) ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}\b",
            checksums.insee,
        ),
    ),
    "ESDNI": (_word("ESDNI", r"\b(?:[0-9]{8}|[XYZ]-?[0-9]{7})-?[A-Z]\b", checksums.dni),),
    "ITFiscalCode": (
        _word("ITFiscalCode", r"\b[A-Z]{6}[0-9]{2}[A-EHLMPR-T][0-9]{2}[A-Z][0-9]{3}[A-Z]\b", checksums.codice_fiscale),
    ),
    "BRCPFNumber": (_word("BRCPFNumber", r"\b[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}\b", checksums.cpf),),
    "BRLegalEntityNumber": (
        _word("BRLegalEntityNumber", r"\b[0-9]{2}\.[0-9]{3}\.[0-9]{3}/[0-9]{4}-[0-9]{2}\b", checksums.cnpj),
    ),
    "NLCitizensServiceNumberV2": (
        _after("NLCitizensServiceNumberV2", "bsn|burgerservicenummer", r"[0-9]{9}", checksums.bsn),
    ),
    "PLNationalID": (_after("PLNationalID", "pesel", r"[0-9]{11}", checksums.pesel),),
    "SGNationalRegistrationIdentityCardNumber": (
        _word("SGNationalRegistrationIdentityCardNumber", r"\b[STFG][0-9]{7}[A-Z]\b", checksums.nric),
    ),
    "CHSocialSecurityNumber": (
        _word("CHSocialSecurityNumber", r"\b756\.[0-9]{4}\.[0-9]{4}\.[0-9]{2}\b", checksums.ahv),
    ),
    "AUTaxFileNumber": (
        _after("AUTaxFileNumber", "tfn|tax file number", r"[0-9]{3} ?[0-9]{3} ?[0-9]{3}", checksums.tfn),
    ),
}
"""Category -> how it is found."""

ALIASES = {
    "NLCitizensServiceNumber": "NLCitizensServiceNumberV2",
    "PhoneNumbers": "PhoneNumber",
    "IBAN": "InternationalBankingAccountNumber",
}


def patterns_of(categories: Iterable[str]) -> tuple[list[Pattern], list[str]]:
    """Of what is asked for; and the categories that take more than a pattern, or are not known."""
    names = [ALIASES.get(name, name) for name in categories]
    if not names or ALL in names or "PhoneNumber" in names:
        _numbers()
    if ALL in names or not names:
        return [pattern for patterns in CATEGORIES.values() for pattern in patterns], []
    chosen = dict.fromkeys(name for name in names if name in CATEGORIES)
    return [pattern for name in chosen for pattern in CATEGORIES[name]], [n for n in names if n not in CATEGORIES]
