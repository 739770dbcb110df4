"""docs/reliability.md names the tests that hold its promises."""

import re
from pathlib import Path


def test_every_promise_names_a_test_that_is_there(checkout: Path) -> None:
    """Each row of the table of faults ends with its test files, and each chaos test is in a row."""
    text = (checkout / "docs" / "reliability.md").read_text()
    table = text.partition("## The promise")[2].partition("## What it depends on")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][2:]
    assert rows
    named = set()
    for row in rows:
        files = re.findall(r"`((?:tests/\w+/)?test_\w+\.py)`", row.rsplit("|", 2)[1])
        assert files, row
        for name in files:
            path = name if "/" in name else f"tests/chaos/{name}"
            assert (checkout / path).is_file(), name
            named.add(Path(path).name)
    there = {path.name for path in (checkout / "tests" / "chaos").glob("test_*.py")}
    assert there <= named, sorted(there - named)
