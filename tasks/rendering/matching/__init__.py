"""Language matching by CLDR distance (Unicode Technical Standard 35, part 1, "Language Matching").

Pure; the only I/O is one read of ``cldr.json``, CLDR's own data. ADR 16 says why this is not left
to a library.
"""

from tasks.rendering.matching.matcher import closest

__all__ = ["closest"]
