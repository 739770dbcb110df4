"""The preview without a browser; tests/browser has what a person sees."""

import asyncio
import json
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from db.errors import OperationError
from tasks.rendering.client import Renderer
from tasks.rendering.preheaders import with_preheader
from tasks.rendering.texts import Sources
from tests.support.cases import each
from tests.support.definitions import LIMITS, simple, written
from worker.preview.pages import Pages, inbox_line, shown
from worker.preview.server import serve
from worker.preview.session import Session, snapshot

PAGE = (Path(__file__).parent.parent / "data" / "responsive.html").read_bytes().decode()


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    """Yield a renderer for the previews."""
    with Renderer(LIMITS) as renderer:
        yield renderer


@pytest.fixture
def session(tmp_path: Path, renderer: Renderer) -> Session:
    """Return a preview of two templates, one of which uses the other."""
    footer = simple("footer", type="partial", own=Sources(None, "<p>bye</p>"), variables=[])
    body = '<p>Hello {{ name }}</p>{% include "footer" %}'
    written(tmp_path, footer, simple(own=Sources("Hello", body)))
    return Session(tmp_path, renderer, "en")


def view(session: Session, template_id: str = "greeting", **asked: Any) -> dict[str, Any]:  # noqa: ANN401 - options
    """Return what is shown of a template."""
    found = session.view(template_id, **asked)
    assert found is not None
    return found


def test_a_template_is_rendered_with_examples_samples_or_values(
    session: Session, tmp_path: Path
) -> None:
    """Values that do not fit are told, and the render is not shown."""
    assert view(session)["rendered"]["body"] == "<p>Hello Ada</p><p>bye</p>"
    assert view(session, values={"name": "Zoë"})["rendered"]["body"].startswith("<p>Hello Zoë")
    refused = view(session, values={"name": 3})
    assert refused["rendered"] is None
    assert [each["path"] for each in refused["refused"]] == ["variables.name"]
    sample = tmp_path / "greeting" / "samples" / "grace.json"
    sample.parent.mkdir()
    sample.write_text('{"variables": {"name": "Grace"}}')
    assert session.changed({"greeting"}) == {"greeting"}
    found = view(session)
    assert (found["sample"], found["values"]) == ("grace", {"name": "Grace"})
    assert session.view("missing") is None


def test_a_change_concerns_those_that_use_it(session: Session, tmp_path: Path) -> None:
    """So that their pages are drawn anew; what has not changed is not read again."""
    assert session.changed({"greeting"}) == set()
    (tmp_path / "footer" / "body.html").write_text("<p>so long</p>")
    assert session.changed({"greeting"}) == {"footer", "greeting"}
    assert "so long" in view(session)["rendered"]["body"]
    (tmp_path / "footer" / "body.html").write_text("<p>{{</p>")
    assert session.catch_up(snapshot(tmp_path)) == {"footer", "greeting"}
    assert session.catch_up(snapshot(tmp_path)) == set()
    broken = view(session)
    assert broken["rendered"] is None
    assert {each["file"] for each in broken["findings"]} == {
        "footer/body.html",
        "greeting/template.toml",
    }
    written(tmp_path, simple("late"))
    assert session.catch_up(snapshot(tmp_path)) is None
    assert [each["template_id"] for each in session.templates()] == ["footer", "greeting", "late"]


def test_a_template_without_values_shows_made_up_ones(tmp_path: Path, renderer: Renderer) -> None:
    """Each suits its place: a filter, a style, a loop, an index."""
    body = (
        '<p style="transform:translateX({{ x }})">{{ total | currency("EUR") }}</p>{{ day | date }}'
        "{% for item in items %}{{ item.name }}{{ item.count + 1 }}{% endfor %}{{ rows[0].a }}"
    )
    plain = simple("plain", own=Sources(None, body), variables=None)
    written(tmp_path, plain)
    found = view(Session(tmp_path, renderer, "en"), "plain")
    assert "refused" not in found
    assert "translateX(16px)" in found["rendered"]["body"]
    assert found["rendered"]["language"] == "en"


def test_an_sms_shows_the_characters_that_cost(tmp_path: Path, renderer: Renderer) -> None:
    """Those that count twice, unless others make all of the text UCS-2."""
    twice = simple("twice", type="sms", own=Sources(None, "{{ name }}: 2 €"))
    wide = simple("wide", type="sms", own=Sources(None, "{{ name }}: 2 € ą"))
    written(tmp_path, twice, wide)
    session = Session(tmp_path, renderer, "en")
    assert view(session, "twice")["rendered"]["costly"] == ["€"]
    assert view(session, "wide")["rendered"]["costly"] == ["ą"]


def test_a_frame_shows_a_page_as_it_is() -> None:
    """Byte for byte, unless a dark screen or another direction was asked for."""
    pages = Pages()
    assert shown(pages.get(pages.add(PAGE)) or "") == PAGE
    dark = "<style>@media (PREFERS-color-scheme:dark){a{}}@media (prefers-color-scheme: light){b{}}"
    assert shown(f"<html><head>{dark}", dark=True) == (
        '<html><head><meta name="color-scheme" content="dark">'
        "<style>@media (min-width: 0){a{}}@media (max-width: 0){b{}}"
    )
    assert shown("<HTML lang=en dir='ltr'><p>", right_to_left=True) == '<HTML lang=en dir="rtl"><p>'
    assert shown("<p>", right_to_left=True) == '<html dir="rtl"><p>'


def test_a_page_in_a_comment_is_none() -> None:
    """Outlook's ``<html>`` comes first in many e-mails; a head may have attributes."""
    outlook = '<!--[if mso]><html class="mso"><head></head><![endif]--><!--[if !mso]><!-->'
    page = f"{outlook}<html><!--<![endif]--><head profile=x></head><p>"
    assert shown(page, right_to_left=True) == page.replace("<html>", '<html dir="rtl">')
    dark = '<meta name="color-scheme" content="dark">'
    assert shown(page, dark=True) == page.replace("<head profile=x>", f"<head profile=x>{dark}")


@each(
    ("body", "line"),
    [
        ("<title>t</title><style>a{}</style><p>Dear\xa0Ada,</p><p>welcome", "Dear Ada, welcome"),
        ('<div style="display:none">In short&#847;&zwnj;&nbsp;&zwnj; </div>Hi', "In short Hi"),
        (with_preheader("<body>Dear Ada", "In short"), "In short"),
        ("<html><head><title>t</title>\n<body>a<!-- b --><b>c</b><br>d<script>e</script>", "ac d"),
        ("\U0001f469\u200d\U0001f4bb \u0645\u06cc\u200c\u0634\u0648\u062f", None),
        ("x" * 200, "x" * 140),
        ("", ""),
    ],
)
def test_an_inbox_shows_the_first_words_of_a_page(body: str, line: str | None) -> None:
    """A hidden preheader counts; the characters that fill the line after it do not."""
    assert inbox_line(body) == (body if line is None else line)


def test_the_server_answers_to_this_machine_alone(session: Session) -> None:
    """Requests of other pages and malformed ones are refused; a taken port is a sentence."""
    asyncio.run(_served(session))


async def _served(session: Session) -> None:
    addresses: asyncio.Queue[str] = asyncio.Queue()
    stop = asyncio.Event()
    server = asyncio.create_task(serve(session, 0, addresses.put_nowait, stop))
    host = urlsplit(await addresses.get()).netloc
    port = int(host.rpartition(":")[2])
    try:
        await asyncio.to_thread(_check_answers, host)
        with pytest.raises(OperationError, match=f"port {port} of this machine cannot be used"):
            await serve(session, port, addresses.put_nowait, stop)
    finally:
        stop.set()
        await server


def _check_answers(host: str) -> None:
    status, _, policy = _request(host, "GET", "/")
    assert status == 200
    assert "script-src 'self'" in policy
    for headers in ({"Host": "evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert _request(host, "GET", "/api/templates", headers=headers)[0] == 403
    question = {"template_id": "greeting", "language": None, "sample": None, "values": None}
    json_ = {"Content-Type": "application/json"}
    status, answer, _ = _request(host, "POST", "/api/view", json.dumps(question), json_)
    assert status == 200
    frame = json.loads(answer)["frame"]
    status, html, policy = _request(host, "GET", f"/frame/{frame}")
    assert (status, html) == (200, "<p>Hello Ada</p><p>bye</p>")
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")
    assert policy.endswith("sandbox")
    assert _request(host, "POST", "/api/view", json.dumps(question))[0] == 415
    for bad in ("{", "[]", json.dumps(question | {"values": 3})):
        assert _request(host, "POST", "/api/view", bad, json_)[0] == 400
    gone = json.dumps(question | {"template_id": "gone"})
    assert _request(host, "POST", "/api/view", gone, json_)[0] == 404


def _request(
    host: str,
    method: str,
    path: str,
    body: str | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, str, str]:
    connection = HTTPConnection(host)
    connection.request(method, path, body, {"Host": host} | (headers or {}))
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text, answer.headers.get("Content-Security-Policy", "")
