"""What is left out of a plain dump on its way to psql."""

from db.backup.restore.load import filter_script
from tests.support.cases import each

KEY = (
    b"ALTER TABLE ONLY public.template_versions\n",
    b"    ADD CONSTRAINT fk FOREIGN KEY (template_id) REFERENCES public.templates(id);\n",
)
PRIMARY = (
    b"ALTER TABLE ONLY public.template_versions\n",
    b"    ADD CONSTRAINT pk PRIMARY KEY (id);\n",
)
OWNER = (b"ALTER TABLE ONLY public.x ALTER COLUMN y SET STATISTICS 5;\n",)
TIMEOUT = (b"SET transaction_timeout = 0;\n",)
EXTENSION = (
    b"CREATE EXTENSION IF NOT EXISTS pgaudit WITH SCHEMA public;\n",
    b"COMMENT ON EXTENSION pgaudit IS 'auditing';\n",
)
QUOTED = (b'CREATE EXTENSION IF NOT EXISTS "uuid-ossp" WITH SCHEMA public;\n',)
DATA = (
    b"COPY public.notes (note) FROM stdin;\n",
    *KEY,
    *TIMEOUT,
    *EXTENSION,
    b"\\\\.\n",
    b"\\.\n",
)
"""Rows that look like statements, and one that looks like the end."""


@each(
    ("lines", "kept"),
    [
        (KEY, ()),
        (PRIMARY, PRIMARY),
        (OWNER, OWNER),
        (TIMEOUT, ()),
        (EXTENSION, ()),
        (QUOTED, QUOTED),
        (DATA, DATA),
        ((*PRIMARY, *DATA, *KEY, *OWNER), (*PRIMARY, *DATA, *OWNER)),
    ],
)
def test_only_statements_are_left_out(lines: tuple[bytes, ...], kept: tuple[bytes, ...]) -> None:
    """A row stays as it is, whatever it says."""
    script = filter_script(lines, {"pgaudit"}, set(TIMEOUT), keys=False)
    assert tuple(script) == kept


@each("lines", [KEY, TIMEOUT, EXTENSION, DATA])
def test_nothing_is_left_out_that_was_not_asked_for(lines: tuple[bytes, ...]) -> None:
    """Of a whole dump for a server that has all it needs."""
    assert tuple(filter_script(lines, set(), set(), keys=True)) == lines
