"""Segments of short messages, as networks count and charge them."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.rendering.sms import Count, count
from tests.support.cases import each

QUICK = settings(max_examples=80, deadline=None)

# 3GPP TS 23.038: the tables of sections 6.2.1 (code 0x1B is the escape) and 6.2.1.1, by code.
DEFAULT = {
    0x00: "@",
    0x01: "£",
    0x02: "$",
    0x03: "¥",
    0x04: "è",
    0x05: "é",
    0x06: "ù",
    0x07: "ì",
    0x08: "ò",
    0x09: "Ç",
    0x0A: "\n",
    0x0B: "Ø",
    0x0C: "ø",
    0x0D: "\r",
    0x0E: "Å",
    0x0F: "å",
    0x10: "\N{GREEK CAPITAL LETTER DELTA}",
    0x11: "_",
    0x12: "\N{GREEK CAPITAL LETTER PHI}",
    0x13: "\N{GREEK CAPITAL LETTER GAMMA}",
    0x14: "\N{GREEK CAPITAL LETTER LAMDA}",
    0x15: "\N{GREEK CAPITAL LETTER OMEGA}",
    0x16: "\N{GREEK CAPITAL LETTER PI}",
    0x17: "\N{GREEK CAPITAL LETTER PSI}",
    0x18: "\N{GREEK CAPITAL LETTER SIGMA}",
    0x19: "\N{GREEK CAPITAL LETTER THETA}",
    0x1A: "\N{GREEK CAPITAL LETTER XI}",
    0x1C: "Æ",
    0x1D: "æ",
    0x1E: "ß",
    0x1F: "É",
    0x24: "¤",
    0x40: "¡",
    0x5B: "Ä",
    0x5C: "Ö",
    0x5D: "Ñ",
    0x5E: "Ü",
    0x5F: "§",
    0x60: "¿",
    0x7B: "ä",
    0x7C: "ö",
    0x7D: "ñ",
    0x7E: "ü",
    0x7F: "à",
} | {
    # The rest has the codes of ASCII.
    code: chr(code)
    for codes in (range(0x20, 0x24), range(0x25, 0x40), range(0x41, 0x5B), range(0x61, 0x7B))
    for code in codes
}
EXTENSION = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}
SMILEY = "\N{GRINNING FACE}"
UNITS = dict.fromkeys(DEFAULT.values(), 1) | dict.fromkeys(EXTENSION.values(), 2)


def test_the_tables_are_complete() -> None:
    """128 codes but for the escape, and ten extended ones."""
    assert sorted(DEFAULT) == [code for code in range(128) if code != 0x1B]
    assert len(set(DEFAULT.values())) == 127
    assert len(set(EXTENSION.values()) - set(DEFAULT.values())) == 10


def test_every_character_of_the_planes_has_its_encoding() -> None:
    """One or two septets for those of the tables, one or two code units for all others."""
    for code in (*range(0xD800), *range(0xE000, 0x11000)):
        character = chr(code)
        if character in UNITS:
            expected = Count("GSM-7", UNITS[character], 1)
        else:
            expected = Count("UCS-2", 1 if code < 0x10000 else 2, 1)
        assert count(character) == expected, hex(code)


@each(
    ("text", "encoding", "length", "segments"),
    [
        ("", "GSM-7", 0, 1),
        ("a" * 160, "GSM-7", 160, 1),
        ("a" * 161, "GSM-7", 161, 2),
        ("a" * 306, "GSM-7", 306, 2),
        ("a" * 307, "GSM-7", 307, 3),
        ("€" * 80, "GSM-7", 160, 1),
        ("€" * 79 + "ab", "GSM-7", 160, 1),
        ("€" * 80 + "a", "GSM-7", 161, 2),
        # 153 is odd: each full segment of pairs is one septet short.
        ("€" * 152, "GSM-7", 304, 2),
        ("€" * 153, "GSM-7", 306, 3),
        ("a" * 152 + "€" + "a" * 151, "GSM-7", 305, 2),
        ("a" * 152 + "€" + "a" * 152, "GSM-7", 306, 3),
        ("a" * 151 + "€" + "a" * 153, "GSM-7", 306, 2),
        ("a" * 153 + "€" + "a" * 151, "GSM-7", 306, 2),
        ("a" * 152 + "€" + "a" * 150 + "€", "GSM-7", 306, 3),
        ("a" * 305 + "€", "GSM-7", 307, 3),
        ("\u03b1" + "a" * 69, "UCS-2", 70, 1),
        ("\u03b1" + "a" * 70, "UCS-2", 71, 2),
        ("\u03b1" + "a" * 133, "UCS-2", 134, 2),
        ("\u03b1" + "a" * 134, "UCS-2", 135, 3),
        ("\u03b1" + "€" * 69, "UCS-2", 70, 1),
        (SMILEY * 35, "UCS-2", 70, 1),
        (SMILEY + "a" * 69, "UCS-2", 71, 2),
        (SMILEY * 36, "UCS-2", 72, 2),
        (SMILEY * 66, "UCS-2", 132, 2),
        (SMILEY * 67, "UCS-2", 134, 3),
        ("a" * 66 + SMILEY + "a" * 65, "UCS-2", 133, 2),
        ("a" * 66 + SMILEY + "a" * 66, "UCS-2", 134, 3),
        ("a" * 65 + SMILEY + "a" * 67, "UCS-2", 134, 2),
        ("a" * 132 + SMILEY, "UCS-2", 134, 2),
        ("a" * 133 + SMILEY, "UCS-2", 135, 3),
        ("\x1b", "UCS-2", 1, 1),
        ("ç", "UCS-2", 1, 1),
        ("Größe: 5 €\r\n", "GSM-7", 13, 1),
        ("a\tb", "UCS-2", 3, 1),
        ("e\N{COMBINING ACUTE ACCENT}", "UCS-2", 2, 1),
    ],
)
def test_lengths_and_segments_at_their_limits(
    text: str, encoding: str, length: int, segments: int
) -> None:
    """160 and 153 septets, 70 and 67 code units, and no pair is divided."""
    found = count(text)
    assert (found.encoding, found.length, found.segments) == (encoding, length, segments)


def naive(text: str) -> tuple[str, int, int]:
    """Count character by character."""
    plain = all(character in UNITS for character in text)
    sizes = [
        UNITS[character] if plain else len(character.encode("utf-16-be")) // 2 for character in text
    ]
    alone, joined = (160, 153) if plain else (70, 67)
    segments, room = 1, joined
    for size in sizes:
        if size > room:
            segments, room = segments + 1, joined
        room -= size
    if sum(sizes) <= alone:
        segments = 1
    return "GSM-7" if plain else "UCS-2", sum(sizes), segments


def runs(*characters: str) -> st.SearchStrategy[str]:
    """Draw texts of a few segments with few turns, so that pairs meet their borders."""
    run = st.tuples(st.sampled_from(characters), st.integers(1, 160))
    return st.lists(run, max_size=6).map(lambda found: "".join(one * times for one, times in found))


@QUICK
@given(
    st.one_of(
        runs("a", "€", "{"),
        runs("a", "\u03b1", SMILEY),
        runs("a", "€", SMILEY),
        st.text(st.sampled_from("aé€[\u03b1" + SMILEY)),
        st.text(),
    )
)
@example("a" * 152 + "€")
@example("a" * 66 + SMILEY + "\u03b1")
def test_segments_equal_those_counted_character_by_character(text: str) -> None:
    """A shortcut for a usual text gives what packing each character into segments gives."""
    found = count(text)
    assert (found.encoding, found.length, found.segments) == naive(text)
