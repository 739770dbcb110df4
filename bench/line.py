"""A measurement and its row in the table."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """One measurement. ``goal`` is what the ratio should reach, None where none was set."""

    name: str
    value: float
    unit: str
    yardstick: float
    ratio: float
    goal: float | None


def middle(name: str, found: list[tuple[float, float]], goal: float | None) -> Line:
    """Return the line of the pair of rates whose ratio is the median."""
    value, yardstick = sorted(found, key=lambda pair: pair[0] / pair[1])[len(found) // 2]
    return Line(name, value, "/s", yardstick, value / yardstick, goal)


def shown(line: Line) -> str:
    """Return a row of the table."""
    goal = "" if line.goal is None else f"{line.goal:.2f}"
    value, yardstick = f"{line.value:.4g} {line.unit}", f"{line.yardstick:.4g} {line.unit}"
    return f"{line.name:<44}{value:>12}{yardstick:>12}{line.ratio:>8.2f}{goal:>8}"
