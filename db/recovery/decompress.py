"""Decompress a segment for ``restore_command``, where zstd is not installed: SEGMENT TARGET.

It runs by itself, without this package: a server calls it once for each segment.
"""

import shutil
import sys
from pathlib import Path

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if __name__ == "__main__":
    with zstd.open(sys.argv[1]) as segment, Path(sys.argv[2]).open("wb") as target:
        shutil.copyfileobj(segment, target)
