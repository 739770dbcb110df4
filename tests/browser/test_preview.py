"""The preview in a real browser: what an author sees, with a mouse or without one."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tasks.rendering.texts import Sources
from tests.browser.driver import Browser
from tests.support.definitions import simple, written

BODY = (
    '<html lang="{{ language }}" dir="{{ dir }}"><head><style>p{color:#111}'
    "@media (prefers-color-scheme: dark){p{color:#eee}}</style></head><body>"
    '<p>Hello {{ name }}</p>{% include "footer" %}<img src="https://tracker.invalid/a.png" alt="">'
    '<script>parent.document.title = "taken over"</script></body></html>\n'
)
QUOTE = "\u2019"  # an apostrophe that GSM-7 has not
WIDE_SOURCE = "fetch(document.getElementById('wide').src).then((answer) => answer.text())"
GERMAN = BODY.replace("Hello", "Guten Tag")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a template of each kind that the page shows."""
    root = tmp_path_factory.mktemp("templates")
    footer = simple("footer", type="partial", own=Sources(None, "<p>Example Ltd</p>"), variables=[])
    greeting = simple(
        own=Sources("For {{ name }}", BODY, preheader="A word to {{ name }}"),
        translations={"de": Sources("Für {{ name }}", GERMAN)},
    )
    sms = simple("code", type="sms", own=Sources(None, f"It{QUOTE}s {{{{ name }}}}, 2 €"))
    push = simple("ping", type="push", own=Sources("News", "For {{ name }}"))
    chat = simple("chat", type="json", own=Sources(None, '{"text": "{{ name }}"}'))
    written(root, footer, greeting, sms, push, chat)
    for name, sample in (
        ("ada", {"language": "en", "variables": {"name": "Ada"}}),
        ("zoe", {"language": "de", "variables": {"name": "Zoë"}}),
    ):
        path = root / "greeting" / "samples" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(sample))
    return root


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """Run the preview, and yield its address."""
    command = [sys.executable, "-m", "worker", "templates", "preview", "--port", "0", "--json"]
    with subprocess.Popen(
        [*command, "--folder", str(folder)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        printed = ""
        while "}" not in printed:
            line = process.stdout.readline()
            assert line, "the preview did not start"
            printed += line
        yield json.loads(printed)["url"]
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


@pytest.fixture(scope="module")
def browser(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Open the page."""
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        browser.open(address)
        browser.wait_for_text("Rendered in")
        yield browser


def show(browser: Browser, template: str) -> None:
    """Show a template."""
    browser.evaluate(f"location.hash = '#{template}'")
    browser.wait(f"document.getElementById('title').textContent.includes('({template})')")
    browser.wait_for_text("Rendered in")


def choose(browser: Browser, control: str, value: object) -> None:
    """Set a control of the page as a person does."""
    browser.evaluate(
        f"(() => {{ const each = document.getElementById('{control}');"
        f"if (each.type === 'checkbox') each.checked = {json.dumps(value)};"
        f"else each.value = {json.dumps(value)};"
        "each.dispatchEvent(new Event('input', {bubbles: true}));"
        "each.dispatchEvent(new Event('change', {bubbles: true})); })()"
    )


def test_an_email_is_shown_as_readers_get_it(browser: Browser) -> None:
    """In both widths, in the inbox, as text, in each language, with each sample."""
    show(browser, "greeting")
    for frame in ("Wide screen", "Narrow screen"):
        browser.wait_for_frame(frame, "Hello Ada")
        assert "Example Ltd" in browser.frame_text(frame)
    inbox = "document.querySelector('.inbox').textContent"
    assert browser.evaluate(inbox) == "For Ada A word to Ada"
    assert "Hello Ada" in browser.evaluate("document.getElementById('text-body').textContent")
    choose(browser, "language", "de")
    browser.wait_for_frame("Wide screen", "Guten Tag Ada")
    choose(browser, "sample", "zoe")
    browser.wait_for_frame("Wide screen", "Guten Tag Zoë")
    choose(browser, "sample", "ada")
    browser.wait_for_frame("Wide screen", "Hello Ada")


def test_values_can_be_typed(browser: Browser) -> None:
    """With the keyboard, into the field that has the variable's name; a bad one is refused."""
    show(browser, "greeting")
    browser.evaluate("document.getElementById('value-name').select()")
    browser.evaluate("document.getElementById('value-name').focus()")
    browser.type("Grace")
    browser.wait_for_frame("Wide screen", "Hello Grace")
    choose(browser, "values-json", '{"name": 3}')
    browser.wait_for_text("variables.name: expected text")
    browser.evaluate("document.getElementById('reset').click()")
    browser.wait_for_frame("Wide screen", "Hello Ada")


def test_a_change_of_a_file_is_seen(browser: Browser, folder: Path) -> None:
    """Also one of a partial, and a new template."""
    show(browser, "greeting")
    body, footer = folder / "greeting" / "body.html", folder / "footer" / "body.html"
    before = footer.read_text()
    body.write_text(BODY.replace("Hello", "Good evening"))
    browser.wait_for_frame("Wide screen", "Good evening Ada")
    footer.write_text("<p>Another Ltd</p>")
    browser.wait_for_frame("Wide screen", "Another Ltd")
    body.write_text(BODY)
    browser.wait_for_frame("Wide screen", "Hello Ada")
    footer.write_text(before)
    browser.wait_for_frame("Wide screen", "Example Ltd")
    written(folder, simple("late"))
    browser.wait("[...document.querySelectorAll('#list a')].some(a => a.text.includes('late'))")


def test_a_broken_file_shows_its_caret(browser: Browser, folder: Path) -> None:
    """At its place in the source; the render is back when the file is whole again."""
    show(browser, "greeting")
    body = folder / "greeting" / "body.html"
    body.write_text("<p>one</p>\n<p>{{ name }</p>\n")
    browser.wait_for_text("1 error in greeting.")
    assert "greeting/body.html, line 2, column 12" in browser.text()
    at = "document.querySelector('.source .at').innerText"
    line, caret = browser.evaluate(at).split("\n")[:2]
    assert line.endswith("<p>{{ name }</p>")
    column = "document.querySelector('.source .caret').textContent.indexOf('^')"
    assert browser.evaluate(column) == 11
    assert "unexpected `}`" in caret
    assert browser.evaluate("document.getElementById('frames').hidden") is True
    body.write_text(BODY)
    browser.wait_for_frame("Wide screen", "Hello Ada")


def test_a_dark_screen_and_right_to_left_can_be_seen(browser: Browser) -> None:
    """The frame has the styles for them."""
    show(browser, "greeting")
    choose(browser, "dark", value=True)
    choose(browser, "rtl", value=True)
    browser.wait("document.getElementById('wide').src.endsWith('?dark=1&rtl=1')")
    browser.wait_for_frame("Wide screen", "Hello Ada")
    html = browser.evaluate(WIDE_SOURCE)
    assert "@media (min-width: 0){p{color:#eee}}" in html
    assert '<html lang="en" dir="rtl">' in html
    choose(browser, "dark", value=False)
    choose(browser, "rtl", value=False)
    browser.wait("document.getElementById('wide').src.endsWith('?dark=0&rtl=0')")
    assert "prefers-color-scheme: dark" in browser.evaluate(WIDE_SOURCE)


def test_other_types_are_shown_as_they_are(browser: Browser) -> None:
    """An SMS with its segments and what costs, a push notification, JSON."""
    show(browser, "code")
    browser.wait_for_text("1 segment, 13 characters of 16 bits, UCS-2")
    browser.wait_for_text(f"{QUOTE} (U+2019) makes the whole text UCS-2")
    assert browser.evaluate("document.querySelector('#sms-body mark').textContent") == QUOTE
    show(browser, "ping")
    assert browser.evaluate("document.querySelector('.card').innerText") == "News\nFor Ada"
    show(browser, "chat")
    assert json.loads(browser.evaluate("document.getElementById('json-body').textContent")) == {
        "text": "Ada"
    }


def test_the_page_can_be_used_without_a_mouse(browser: Browser, address: str) -> None:
    """From the top, the keyboard reaches the list and chooses; the focus stays there."""
    browser.open(address)
    browser.wait_for_text("Rendered in")
    browser.press("Tab")
    assert browser.evaluate("document.activeElement.className") == "skip"
    while "greeting" not in browser.evaluate("document.activeElement.textContent") or (
        browser.evaluate("document.activeElement.tagName") != "A"
    ):
        browser.press("Tab")
    browser.press("Enter")
    browser.wait("document.getElementById('title').textContent.includes('(greeting)')")
    browser.wait("document.activeElement.textContent.includes('greeting')")
    assert browser.evaluate("document.activeElement.getAttribute('aria-current')") == "page"


def test_a_screen_reader_has_a_name_for_everything(browser: Browser) -> None:
    """Landmarks, headings, controls and frames."""
    show(browser, "greeting")
    told = browser.accessible()
    for role, name in (
        ("navigation", "Templates"),
        ("heading", "Greeting (greeting)"),
        ("combobox", "Language"),
        ("checkbox", "Dark screen"),
        ("Iframe", "Wide screen"),
        ("Iframe", "Narrow screen"),
        ("region", "In the inbox"),
        ("button", "Values of the sample"),
    ):
        assert (role, name) in told
    controls = {"combobox", "checkbox", "textbox", "searchbox", "button", "link", "Iframe"}
    assert [role for role, name in told if role in controls and not name] == []


def test_nothing_leaves_the_machine(browser: Browser, address: str) -> None:
    """Neither the page nor an e-mail loads anything from another host, and no script of it runs."""
    show(browser, "greeting")
    browser.wait_for_frame("Wide screen", "Hello Ada")
    loaded = [each for each in browser.requested if not each.startswith((address, "data:"))]
    assert [each for each in loaded if "tracker" not in each] == []
    assert any("img-src" in each and "tracker" in each for each in browser.complaints)
    assert "taken over" not in browser.evaluate("document.title")


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "localhost:1"}],
)
def test_another_page_is_refused(address: str, headers: dict[str, str]) -> None:
    """One that reaches this address by a name of its own, or from another origin."""
    server = urlsplit(address).netloc
    for path in ("/", "/api/templates", "/assets/page.js"):
        connection = HTTPConnection(server)
        connection.request("GET", path, headers={"Host": server} | headers)
        assert connection.getresponse().status == 403
        connection.close()
