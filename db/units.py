"""Numbers as people read them: counts with their noun, bytes, time spans."""


def counted(number: int, noun: str) -> str:
    """Return ``1 index`` or ``3 indexes``."""
    plural = f"{noun}es" if noun.endswith(("x", "s", "h")) else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


def size(count: float) -> str:
    """Return a number of bytes, such as ``1.5 GiB``."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:  # noqa: PLR2004 - what a kibi is
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def age(seconds: float) -> str:
    """Return a time span, such as ``3 h 20 min``."""
    whole = int(seconds)
    days, hours, minutes = whole // 86_400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{whole} s"
