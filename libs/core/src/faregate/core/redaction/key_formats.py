"""Formats of issued keys and tokens: known prefixes, random remainder. Pure.

The prefixes follow the rules of betterleaks and gitleaks (MIT) for keys that name their issuer. A prefix alone is not a key:
`xai-grok-4-fast-reasoning` is a model and `pk_customer_0000000001` a user, so the remainder must look random, too.
"""

import re

__all__ = ["KEY_EXPRESSION", "KEY_HINTS", "is_key", "is_random"]

_BEGINNINGS = tuple(
    """
    ABSK AIK_CI_ AIK_SECRET_ AKCp AQ. ATATT3 ATBB ATCTT3 AstraCS: CCDB1_ CCIPAT_ CLOJARS_ FLWSECK- FLWSECK_TEST- GOCSPX-
    GR1348941 LTAI PMAK- STS. SWMKEY-1- SWMTKN-1- api_live. api_live_ca. api_live_us. api_org_ apify_api_ apk_ bkaa_ bkua_
    cog_ configcat-sdk-1/ csa_ csk- dapi dckr_oat_ dckr_pat_ ddp_ doo_v1_ dop_v1_ dor_v1_ dp.ct. dp.pt. dp.sa. dp.scim.
    dp.st. dt0c01. duffel_live_ duffel_test_ dvc_mobile_ dvc_server_ essu_ figd_ fio-u- fw_ glagent- glc_ glcbt- gldt-
    glffct- glft- glimt- gloas- glpat- glptt- glrt- glsa_ glsoat- gsk_ hvb. hvr. hvs. ico- ion_ lin_api_ lin_oauth_ lip_
    lsv2_ mdb_sa_sk_ mercury_production_ mergify_application_key_ mlsn. napi_ ntn_ nvapi- os_v2_ p8e- pcsk_
    pdl_live_apikey_ persona_production_ phx_ pina_ pk-live- pk-test- pk_live_ pk_test_ pnu_ polar_at_ polar_oat_ polar_pat_
    pplx- pscale_oauth_ pscale_pw_ pscale_tkn_ pul- pypi- r8_ ramp_sec_ rdme_ rk- rk_ rnd_ rootly_ rpa_ rubygems_
    samsara_api_ sb_secret_ sbp_ sgp_ shippo_live_ shippo_test_ shpat_ shpca_ shppa_ shpss_ sk- sk_ sm_aat_ sm_pat_ sm_sat_
    sntrys_ sntryu_ tgp_v1_ tk-us- tskey-api- tskey-auth- tskey-client- tss_ tvly- ucat_ unkey_ vca_ vci_ vck_ vcp_ vcr_
    vtwn_ waka_ wandb_v1_ xai- xkeysib- xsmtpsib- zpka_
    """.split()  # noqa: SIM905  a list of 150 quoted words is not easier to read
)
_SURE = {
    "akia": r"(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA)(?=[A-Z]*[0-9])[A-Z0-9]{12,}",
    "ghp_": r"gh[pousr]_[A-Za-z0-9]{16,}",
    "github_pat_": r"github_pat_\w{16,}",
    "xox": r"xox[abcdeoprs]-[\w-]{8,}",
    "xapp-": r"xapp-[\w-]{8,}",
    "aiza": r"AIza[\w-]{24,}",
    "ya29.": r"ya29\.[\w-]{8,}",
    "hf_": r"hf_[A-Za-z0-9]{16,}",
    "npm_": r"npm_[A-Za-z0-9]{16,}",
    "sg.": r"SG\.[\w-]{8,}\.[\w-]{8,}",
    "whsec_": r"whsec_[A-Za-z0-9+/=_-]{12,}",
    "fg_": r"fg_[a-z]+_[\w-]{8,}",
    "sk-ant-": r"sk-ant-[\w-]{16,}",
    "sq0": r"sq0[a-z]{3}-[\w-]{16,}",
    ":aa": r"\d{8,10}:AA[\w-]{30,}",
    "age-secret-key-": r"AGE-SECRET-KEY-1\w{16,}",
    "jqqj99": r"[A-Za-z0-9]{40,60}JQQJ99[A-Za-z0-9]{8,}",
    "q~": r"[\w~.]{3}\dQ~[\w~.-]{31,34}",
}
"""Expressions of keys that are recognised by prefix and length alone, by one of the texts that must occur in them."""

KEY_HINTS = (
    *(beginning.lower() for beginning in _BEGINNINGS),
    *_SURE,
    *("asia", "agpa", "aida", "aroa", "anpa", "gho_", "ghu_", "ghs_", "ghr_"),
)
"""Lower-cased texts, one of which occurs in every key."""


def _alternatives() -> str:
    """Return the prefixes, grouped by their first letter: most positions in a text are rejected after one comparison."""
    groups: dict[str, list[str]] = {}
    for beginning in sorted(_BEGINNINGS, key=len, reverse=True):
        groups.setdefault(beginning[0], []).append(re.escape(beginning[1:]))
    return "|".join(f"{first}(?:{'|'.join(rest)})" for first, rest in sorted(groups.items()))


KEY_EXPRESSION = (
    rf"(?<![A-Za-z0-9])(?:(?P<sure>{'|'.join(_SURE.values())})"
    rf"|(?:{_alternatives()})(?P<rest>[A-Za-z0-9_-]{{8,}}+(?:[.~+/=:][A-Za-z0-9_.~+/=-]*+)?))"
)
"""Matches texts that may be keys; `is_key` decides whether a match is one."""

_PART = re.compile(r"[A-Za-z0-9]+")
_SWITCH = re.compile(r"(?=[a-z][A-Z]|[A-Za-z][0-9]|[0-9][A-Za-z])")
_SWITCHES_OF_ALL = 8
_SWITCHES_OF_ONE = 4
_MIXED_LENGTH = 20
_LETTERS_LENGTH = 16
_HEX_LENGTH = 16
_HEX = re.compile(r"(?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]+")


def is_key(found: re.Match[str]) -> bool:
    """Return whether a match of `KEY_EXPRESSION` is a key."""
    return found["sure"] is not None or is_random(found["rest"])


def is_random(text: str) -> bool:
    """Return whether a text is more likely generated than made of words, dates and numbers."""
    parts = [(part, len(_SWITCH.findall(part))) for part in _PART.findall(text)]
    return sum(switches for _, switches in parts) >= _SWITCHES_OF_ALL or any(_is_random(*part) for part in parts)


def _is_random(part: str, switches: int) -> bool:
    length = len(part)
    if part.isdigit() or length < 12:
        return False
    if part.isalpha():
        return length >= _LETTERS_LENGTH
    return (
        switches >= _SWITCHES_OF_ONE
        or length >= _MIXED_LENGTH
        or (length >= _HEX_LENGTH and _HEX.fullmatch(part) is not None)
    )
