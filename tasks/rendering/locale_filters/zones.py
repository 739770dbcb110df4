"""Names of time zones and offsets from GMT (UTS 35, part 4, "Time Zone Names")."""

import datetime as dt
from functools import lru_cache
from typing import TYPE_CHECKING, Final, cast

from babel.core import get_global

from tasks.rendering.locale_filters.cldr import digits, extra, numbering_system
from tasks.rendering.locale_filters.locales import locale_of

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_IRISH_ZONES: Final = frozenset({"Europe/Dublin", "Eire"})
_NOT_INHERITED: Final = "\u2205\u2205\u2205"
"""CLDR's mark of a name that a language does not use."""

_HOUR: Final = dt.timedelta(hours=1)
_MINUTE: Final = dt.timedelta(minutes=1)


def zone_name(language: str, moment: dt.datetime, *, is_long: bool) -> str:
    """Return the name of the zone of a moment, such as ``EDT``, or else its offset from GMT.

    Babel writes ``+0400`` where a language has no name, and the long name where it has no short
    one; CLDR has the localized GMT format instead of both.
    """
    zone = cast("ZoneInfo", moment.tzinfo).key
    is_summer = bool(moment.utcoffset() if zone in _IRISH_ZONES else moment.dst())
    # Irish law, and so the database, has summer as standard; CLDR's names do not.
    variant = "daylight" if is_summer else "standard"
    width = "long" if is_long else "short"
    locale = locale_of(language)
    names, meta_zone = _aliases(zone)
    own = (locale.time_zones.get(name) for name in names)
    for known in (*own, locale.meta_zones.get(meta_zone)):
        name = known and known.get(width, {}).get(variant)
        if name and name != _NOT_INHERITED:
            return str(name)
    return gmt_offset(language, moment, is_long=is_long)


@lru_cache(maxsize=1024)
def _aliases(zone: str) -> tuple[tuple[str, ...], str | None]:
    """Return the names of a zone, and its metazone.

    CLDR lists a zone under its oldest name, such as Asia/Calcutta, as do Babel's metazones.
    """
    aliases, meta_zones = get_global("zone_aliases"), get_global("meta_zones")
    canonical = aliases.get(zone, zone)
    names = (canonical, *sorted(name for name, of in aliases.items() if of == canonical))
    return names, next((meta_zones[name] for name in names if name in meta_zones), None)


def gmt_offset(language: str, moment: dt.datetime, *, is_long: bool) -> str:
    """Return an offset from GMT as a language writes it: ``GMT+4``, or ``GMT+04:00`` if long."""
    offset = moment.utcoffset() or dt.timedelta(0)
    if not offset:
        return str(extra("gmt_zero", language, "GMT"))
    positive, _, negative = str(extra("hours", language, "+HH:mm;-HH:mm")).partition(";")
    pattern = negative if offset < dt.timedelta(0) else positive
    hours, rest = divmod(abs(offset), _HOUR)
    minutes = rest // _MINUTE
    sign, _, minutes_pattern = pattern.partition("H")
    separator, _, end = minutes_pattern.removeprefix("H").partition("mm")
    text = f"{sign}{hours:02d}" if is_long else f"{sign}{hours}"
    if is_long or minutes:
        text += f"{separator}{minutes:02d}{end}"
    text = text.translate(digits(numbering_system(language)))
    return str(extra("gmt", language, "GMT{0}")).replace("{0}", text)
