"""What this service uses of the inside of Celery and its libraries is as it was when read."""

import re
from pathlib import Path

from tests.support.cases import each
from tests.support.private_names import PrivateName, digest_of, names


@each("name", names())
def test_a_private_name_is_as_it_was(name: PrivateName) -> None:
    """Whoever updates a library reads what has changed before it is relied on again."""
    digest = digest_of(name.path)
    assert digest == name.digest, (
        f"{name.path}, which {name.used_by} relies on, has changed: read the change, then write "
        f"{digest} into worker/private_names.txt"
    )


def test_each_private_name_is_used_where_the_list_says(checkout: Path) -> None:
    """The modules of the list exist."""
    for name in names():
        path = checkout.joinpath(*name.used_by.split("."))
        assert path.is_dir() or path.with_suffix(".py").is_file(), name


def test_each_use_of_a_private_name_refers_to_the_list(checkout: Path) -> None:
    """Each access that the linter is made to allow says where its name is listed."""
    allowed = ("see private_names.txt", "the same")
    for path in sorted((checkout / "worker").rglob("*.py")):
        for line in path.read_text().splitlines():
            if (match := re.search(r"# noqa: .*SLF001\S*(.*)", line)) is not None:
                assert any(words in match[1] for words in allowed), f"{path}: {line.strip()}"
