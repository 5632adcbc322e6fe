"""What OCDS 1.1.5 calls things, and texts, times, amounts and addresses as its schema takes them. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

from aggregator.config import check_web_address
from aggregator.models import Category, Kind, Money, Status
from aggregator.search import fold
from aggregator.texts import clean

# mainProcurementCategory (procurementCategory.csv) has no consulting; extendedProcurementCategory.csv has.
MAIN_CATEGORIES: Mapping[Category, str] = {
    Category.GOODS: "goods",
    Category.WORKS: "works",
    Category.SERVICES: "services",
    Category.CONSULTING: "services",
}
CONSULTING = "consultingServices"

# A plan is considered, not announced: tenderStatus.csv calls that planning, be it under way or not.
PLAN_STATUS: Mapping[Status | None, str] = {
    Status.CANCELLED: "cancelled",
    Status.UNSUCCESSFUL: "cancelled",
    Status.WITHDRAWN: "withdrawn",
}

# How Indonesians call a way to buy that has no words of its own at the source.
KIND_METHODS: Mapping[Kind, str] = {
    Kind.RECORDED: "Pencatatan",
    Kind.SELF_MANAGED: "Swakelola",
    Kind.EMERGENCY: "Pengadaan Darurat",
}

# currency.csv, which is closed: ISO 4217, with currencies of the past.
_CURRENCIES = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE
CHF CHW CLF CLP CNY COP COU CRC CUC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ
GYD HKD HNL HRK HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL
LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN
PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLL SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD
TZS UAH UGX USD USN UYI UYU UYW UZS VES VND VUV WST XAF XAG XAU XBA XBB XBC XBD XCD XDR XOF XPD XPF XPT XSU XTS XUA
XXX YER ZAR ZMW ZWL ADP AFA ALK AOK AON AOR ARA ARP ARY ATS AYM AZM BAD BEC BEF BEL BGJ BGK BGL BOP BRB BRC BRE BRN
BRR BUK BYB BYR CHC CSD CSJ CSK CYP DDM DEM ECS ECV EEK ESA ESB ESP FIM FRF GEK GHC GHP GNE GNS GQE GRD GWE GWP HRD
IEP ILP ILR ISJ ITL LAJ LSM LTL LTT LUC LUF LUL LVL LVR MGF MLF MRO MTL MTP MVQ MXP MZE MZM NIC NLG PEH PEI PES PLZ
PTE RHD ROK ROL RUR SDD SDP SIT SKK SRG STD SUR TJR TMM TPE TRL UAK UGS UGW USS UYN UYP VEB VEF VNC XEU XFO XFU XRE
YDD YUD YUM YUN ZAL ZMK ZRN ZRZ ZWC ZWD ZWN ZWR
"""
CURRENCIES = frozenset(_CURRENCIES.split())

# Of a web address, what RFC 3986 lets stand as it is; brackets only hold an IPv6 host.
_SAFE = "%/:=&?~#+!$,;'@()*"
_WHOLE_MINUTE = timedelta(minutes=1)


def as_text(text: str | None) -> str | None:
    """``text`` clean and stripped; None where nothing is left, since OCDS takes no empty texts."""
    return clean(text).strip() or None if text else None


def as_time(time: datetime | None) -> str | None:
    """RFC 3339 with the time's own offset, or in UTC where that is none of whole minutes (before 1924)."""
    if time is None:
        return None
    offset = time.utcoffset()
    if offset is None or offset % _WHOLE_MINUTE:
        time = time.astimezone(UTC)
    return time.isoformat()


def as_value(money: Money | None) -> dict[str, Any] | None:
    """An OCDS Value; None in a currency that OCDS has no code for."""
    if money is None or money.currency not in CURRENCIES:
        return None
    return {"amount": money.amount, "currency": money.currency}


def as_address(url: str | None) -> str | None:
    """A web address as RFC 3986 writes it; None for what is none."""
    if not url:
        return None
    text = quote(re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", clean(url).strip()), safe=_SAFE)
    first, mark, fragment = text.partition("#")
    address = first + mark + fragment.replace("#", "%23")
    try:
        check_web_address(address)
        _ = urlsplit(address).port  # raises where that is no number
    except ValueError:
        return None
    return address


def make_id(*parts: str) -> str:
    """A short id made of what a thing is, the same on every machine; case and accents do not count."""
    told = "\n".join(" ".join(fold(clean(part)).split()) for part in parts)
    return hashlib.sha256(told.encode()).hexdigest()[:16]
