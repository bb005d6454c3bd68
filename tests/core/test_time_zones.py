"""Time zones come from the installed `tzdata` only, not from the machine."""

import pytest

from faregate.core.errors import InvalidError
from faregate.core.values.time_zones import known_time_zones, time_zone


def test_every_known_zone_can_be_loaded() -> None:
    assert len(known_time_zones()) > 500
    assert {time_zone(name).key for name in known_time_zones()} == known_time_zones()


@pytest.mark.parametrize(
    "name", ["localtime", "", "../UTC", "/etc/localtime", "UTC\0", "Europe", "posixrules", "x" * 10_000]
)
def test_unknown_zones_are_refused(name: str) -> None:
    with pytest.raises(InvalidError) as refused:
        time_zone(name, param="zone")

    assert refused.value.param == "zone"
    assert len(refused.value.detail) < 200


def test_a_misspelt_zone_is_suggested() -> None:
    with pytest.raises(InvalidError, match="did you mean Europe/Berlin"):
        time_zone("Europe/Belin")
