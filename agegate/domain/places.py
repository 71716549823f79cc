"""Names of places: ISO 3166-1 alpha-2 countries and ISO 3166-2 subdivisions.

The list is ours so that a typing slip in a rule ("PO" for Poland) is found when the rulebook is
read, not when a child from Poland arrives.
"""

from __future__ import annotations

import re
from typing import Final

from agegate.domain.errors import ConfigurationError

UNKNOWN_PLACE: Final = "unknown"
"""How explanations and tokens write a place nobody could name."""


class RuleError(ConfigurationError):
    """A rulebook that can't be trusted as it is. The message says where and what, never a guess."""


# Officially assigned codes, ISO 3166-1:2020 with its amendments.
_COUNTRY_CODES = """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ
    BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM
    DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS
    GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN
    KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ
    MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM
    PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV
    SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI
    VN VU WF WS YE YT ZA ZM ZW
"""
COUNTRIES: Final = frozenset(_COUNTRY_CODES.split())

# ISO 3166-2:US: states, the district and the territories. COPPA counts all of them as a "State"
# (15 USC 6501(11)).
_STATE_CODES = """
    AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ
    NM NY NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY DC AS GU MP PR UM VI
"""
US_STATES: Final = frozenset(f"US-{code}" for code in _STATE_CODES.split())

_SUBDIVISION = re.compile(r"[A-Z]{2}-[A-Z0-9]{1,3}", re.ASCII)


def is_place_code(code: str) -> bool:
    """Whether `code` is written as ISO 3166 writes it and its country exists.

    Subdivisions are known one by one for the United States; elsewhere the form is checked.
    """
    if code in COUNTRIES:
        return True
    if _SUBDIVISION.fullmatch(code) is None or code[:2] not in COUNTRIES:
        return False
    return code in US_STATES if code.startswith("US-") else True


def country_of(code: str) -> str:
    return code.partition("-")[0]


def lies_in(place: str, region: str) -> bool:
    """A subdivision lies in its country; every place lies in itself."""
    return place == region or country_of(place) == region
