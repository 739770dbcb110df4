"""E-mails as collections of templates have them: published, pulled and previewed byte for byte.

They are written for this test in the manner of Postmark, Mailchimp, Foundation, Cerberus and MJML:
conditional comments and VML of Outlook, ``@import`` and ``@media``, entities, placeholders of other
engines, line breaks of all kinds, no line break at the end, and signs of every plane.
"""

import base64
from pathlib import Path

import pytest

from tasks.rendering.client import Renderer
from tests.support.authors import BROKER, Author
from tests.support.definitions import LIMITS
from tests.support.service import Service
from worker.authoring.push import Permissions
from worker.authoring.reading import read_folder
from worker.authoring.state import State
from worker.preview.session import Session

FOLDER = Path(__file__).parent.parent / "data" / "mails"
ROW = "<table><tr><td>{} &amp; lorem ipsum dolor sit amet, consectetur</td></tr></table>\n"
PICTURE = base64.b64encode(bytes(range(256)) * 200).decode()
MADE = {
    "long.html": f"<html><body>{''.join(map(ROW.format, range(1500)))}{{{{ name }}}}</body></html>",
    "picture.html": f'<img alt="" src="data:image/png;base64,{PICTURE}"><p>{{{{ name }}}}</p>\n',
    "no-line-break.html": "<p>{{ name }}</p>  \t ",
}
MAILS = {path.name: path.read_bytes() for path in FOLDER.iterdir()} | {
    name: text.encode() for name, text in MADE.items()
}


@pytest.fixture
def sources(ada: Author) -> dict[Path, bytes]:
    """Write all mails into the author's folder; return the files."""
    written = {}
    for file, data in MAILS.items():
        name, _, kind = file.partition(".")
        header = f'name = "{name}"\ntype = "email"\nlanguage = "en"\n'
        files = {"template.toml": header.encode(), f"body.{kind}": data}
        files["subject.txt"] = "Re: 👋 100 % “x” & <y>\n".encode()
        for part, content in files.items():
            path = ada.root / name / part
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
            written[path.relative_to(ada.root)] = content
    return written


def test_mails_of_collections_stay_as_they_are(
    ada: Author, grace: Author, service: Service, renderer: Renderer, sources: dict[Path, bytes]
) -> None:
    """No byte differs after a push and somebody else's pull; each has a preview."""
    outcomes = ada.push()
    assert sum(len(outcome.published) for outcome in outcomes) == len(MAILS)
    grace.pull()
    pulled = {path: (grace.root / path).read_bytes() for path in sources}
    names = {path for path in sources if path.name != "template.toml"}
    assert [path for path in names if pulled[path] != sources[path]] == []
    service.received.clear()
    for author in (ada, grace):
        folder = read_folder(author.root, LIMITS)
        state = State(author.root, BROKER)
        assert state.get("long") is not None
        assert len(folder.definitions()) == len(MAILS)
        push, plan = author.plan()
        assert plan.groups == []
        assert [*push.apply(plan, Permissions(), lambda _: None)] == []
    session = Session(ada.root, renderer, "en")
    for name in (path.parent.name for path in names if path.name == "subject.txt"):
        view = session.view(name)
        assert view is not None
        assert view["rendered"] is not None, (name, view["findings"], view["refused"])
