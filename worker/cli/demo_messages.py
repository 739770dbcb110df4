"""The messages that ``template-service demo`` sends: an online shop's order confirmations."""

from typing import Any, Final

LAYOUT: Final = "demo_layout"
FOOTER: Final = "demo_footer"
EMAIL: Final = "order_email"
SMS: Final = "order_sms"
CHAT: Final = "order_chat"
BATCH: Final = 1000

TEMPLATES: Final[list[dict[str, Any]]] = [
    {"template_id": FOOTER, "name": "Footer", "type": "partial"},
    {"template_id": LAYOUT, "name": "Layout", "type": "partial"},
    {"template_id": EMAIL, "name": "Order", "type": "email"},
    {"template_id": SMS, "name": "Order", "type": "sms"},
    {"template_id": CHAT, "name": "Order", "type": "json"},
]
FOOTER_TEXT: Final[dict[str, Any]] = {
    "template_id": FOOTER,
    "body": "<hr><p>Sent on {{ sent|date }}.</p>",
    "translations": {
        "de": {"body": "<hr><p>Gesendet am {{ sent|date }}.</p>"},
        "pl": {"body": "<hr><p>Wysłano {{ sent|date }}.</p>"},
        "ar": {"body": "<hr><p>أُرسلت في {{ sent|date('long') }}.</p>"},
    },
}
LAYOUT_TEXT: Final[dict[str, Any]] = {
    "template_id": LAYOUT,
    "body": '<!DOCTYPE html>\n<html lang="{{ language }}" dir="{{ dir }}">'
    "<head><style>@media print{#menu{display:none}}</style></head>\n"
    '<body>{% block content %}{% endblock %}{% include "demo_footer" %}</body></html>',
}
EMAIL_TEXT: Final[dict[str, Any]] = {
    "template_id": EMAIL,
    "subject": "{{ name }}, your order is on its way",
    "preheader": "It left us on {{ sent|date }}",
    "body": '{% extends "demo_layout" %}{% block content %}<h1>Dear {{ name }},</h1>\n'
    '<p>{{ articles|plural(one="# article", other="# articles") }} for '
    '{{ total|currency("EUR") }}. <a href="{{ link }}">Follow the parcel</a></p>{% endblock %}',
    "variables": [
        {"name": "name", "type": "string", "example": "Ada"},
        {"name": "articles", "type": "integer"},
        {"name": "total", "type": "string", "example": "12.50"},
        {"name": "link", "type": "url"},
        {"name": "sent", "type": "date"},
    ],
    "metadata": {"language": "en"},
    "translations": {
        "pl": {
            "subject": "{{ name }}, zamówienie jest w drodze",
            "preheader": "Wysłano {{ sent|date }}",
            "body": '{% extends "demo_layout" %}{% block content %}<h1>{{ name }},</h1>\n'
            '<p>{{ articles|plural(one="# artykuł", few="# artykuły", many="# artykułów") }} za '
            '{{ total|currency("EUR") }}. <a href="{{ link }}">Śledź paczkę</a></p>{% endblock %}',
        },
        "ar": {
            "subject": "{{ name }}، طلبك في الطريق",
            "body": '{% extends "demo_layout" %}{% block content %}<h1>مرحبا {{ name }}،</h1>\n'
            '<p>{{ articles|plural(zero="لا منتجات", one="منتج واحد", two="منتجان", '
            'few="# منتجات", many="# منتجًا", other="# منتج") }} بقيمة '
            '{{ total|currency("EUR") }}. <a href="{{ link }}">تتبع الطرد</a></p>{% endblock %}',
        },
    },
}
GERMAN: Final[dict[str, Any]] = {
    "template_id": EMAIL,
    "language_code": "de",
    "subject": "{{ name }}, Ihre Bestellung ist unterwegs",
    "body": '{% extends "demo_layout" %}{% block content %}<h1>Guten Tag {{ name }},</h1>\n'
    '<p>{{ articles|plural(one="# Artikel", other="# Artikel") }} für '
    '{{ total|currency("EUR") }}. <a href="{{ link }}">Sendung verfolgen</a></p>{% endblock %}',
}
SMS_TEXT: Final[dict[str, Any]] = {
    "template_id": SMS,
    "body": '{{ name }}: your order of {{ articles|plural(one="# article", other="# articles") }} '
    'for {{ total|currency("EUR") }} left us on {{ sent|date("d MMMM") }}. Follow it: {{ link }} '
    "Answer STOP if you want no more of these messages.",
}
CHAT_TEXT: Final[dict[str, Any]] = {
    "template_id": CHAT,
    "body": '{"text": "Order of {{ name }}", "blocks": [\n'
    '{"type": "header", "text": {"type": "plain_text", "text": "{{ name }}"}},\n'
    '{"type": "section", "text": {"type": "mrkdwn", "text": '
    '"{{ articles|plural(one="# article", other="# articles") }}, {{ total|currency("EUR") }}"}}\n'
    '], "articles": {{ articles }}}',
}
VALUES: Final[dict[str, Any]] = {
    "name": "Zoë & Co",
    "articles": 3,
    "total": "1234.50",
    "link": "https://example.org/parcel?id=1815&lang=en",
    "sent": "2026-11-22",
}
MISSPELT: Final[dict[str, Any]] = {**VALUES, "nmae": VALUES["name"]}
del MISSPELT["name"]


def batch() -> dict[str, Any]:
    """Return a message for a thousand customers, every other one in German."""
    shared = {name: value for name, value in VALUES.items() if name != "name"}
    return {
        "template_id": EMAIL,
        "variables": shared,
        "items": [
            {
                "key": number,
                "variables": {"name": f"Customer {number}", "articles": number},
                "language": "de" if number % 2 else "en",
            }
            for number in range(1, BATCH + 1)
        ],
    }
