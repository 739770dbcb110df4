"""The template that is measured, and a database full of it."""

from typing import Any, Final

import psycopg

from bench.producer import Producer

TEMPLATE: Final = "bench-0"
FIRST: Final = "bench-"
RICH: Final = "rich"
FOOTER: Final = "rich-footer"
_ROW: Final = (
    '<tr style="border-bottom:1px solid #eee"><td>{{ item.name }}</td>'
    "<td>{{ item.price }}</td></tr>"
)
SUBJECT: Final = "Your order {{ order }} is on its way, {{ first_name }}"
BODY: Final = f"""\
<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>Order {{{{ order }}}}</title></head>
<body style="margin:0;padding:0;font-family:Helvetica,Arial,sans-serif;background-color:#f4f4f4">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0"><tr><td align="center">
<table role="presentation" width="600" cellpadding="24" style="background-color:#ffffff"><tr><td>
<h1 style="font-size:22px;color:#222222">Dear {{{{ first_name }}}} {{{{ last_name }}}},</h1>
<p style="font-size:15px;line-height:22px;color:#444444">thank you for your order of {{{{ date }}}}.
We have handed it to {{{{ carrier }}}}, and expect it to arrive at {{{{ street }}}} in
{{{{ city }}}} within {{{{ days }}}} days. You can follow it on its way:</p>
<p><a href="{{{{ link }}}}" style="display:inline-block;padding:12px 24px;background-color:#0a66c2;\
color:#ffffff;text-decoration:none;border-radius:4px">Track order {{{{ order }}}}</a></p>
<table role="presentation" width="100%" cellpadding="8" style="font-size:14px;color:#444444">
<tr><th align="left">Article</th><th align="left">Price</th></tr>
{{% for item in items %}}{_ROW}{{% endfor %}}
</table>
<p style="font-size:15px;line-height:22px;color:#444444">If anything is missing or damaged, answer
this message within 30 days and we will send it again or give you your money back. There is no
need to call us or to fill in a form; a photograph helps, but is not needed either.</p>
<p style="font-size:12px;line-height:18px;color:#888888">You receive this message because you
ordered in our shop. It was sent by an automatic system, which reads no answers at weekends. Our
terms of sale and our notes on the protection of your data are linked at the foot of our pages.</p>
</td></tr></table></td></tr></table>
</body></html>
"""
VARIABLES: Final[list[Any]] = [
    "order",
    {"name": "first_name", "type": "string"},
    {"name": "last_name", "type": "string"},
    {"name": "date", "type": "date"},
    {"name": "carrier", "type": "string"},
    {"name": "street", "type": "string"},
    {"name": "city", "type": "string"},
    {"name": "days", "type": "integer"},
    {"name": "link", "type": "url"},
    {"name": "items", "type": "array"},
]
VALUES: Final[dict[str, Any]] = {
    "order": "A-1029384",
    "first_name": "Ada",
    "last_name": "Lovelace & Co",
    "date": "2026-11-22",
    "carrier": "Post",
    "street": "12 St James's Square",
    "city": "London",
    "days": 3,
    "link": "https://example.org/track?order=A-1029384&lang=en",
    "items": [{"name": f"Article {number}", "price": f"{number}.99"} for number in range(1, 6)],
}

_COPIES = """
WITH made AS (
    INSERT INTO templates (template_id, name, type)
    SELECT %(first)s::text || n, 'Bench', 'email'
    FROM generate_series(%(low)s::int, %(high)s::int) AS n
    RETURNING id
)
INSERT INTO template_versions (template_id, version, subject, body, variables, is_current)
SELECT made.id, v.version, v.subject, v.body, v.variables, TRUE
FROM made, template_versions AS v JOIN templates AS t ON t.id = v.template_id
WHERE t.template_id = %(template)s
"""


def publish(producer: Producer) -> None:
    """Create the template, as a producer does."""
    producer.call("template.create", {"template_id": TEMPLATE, "name": "Bench", "type": "email"})
    producer.call(
        "version.publish",
        {
            "template_id": TEMPLATE,
            "subject": SUBJECT,
            "body": BODY,
            "variables": VARIABLES,
        },
    )


def publish_rich(producer: Producer) -> None:
    """Create a template with a partial and locale filters, both in two languages."""
    for template, kind in ((FOOTER, "partial"), (RICH, "email")):
        message = {"template_id": template, "name": "Bench", "type": kind}
        producer.call("template.create", message)
    footer = '<p>{{ total|currency("EUR") }} {{ date|date }}</p>'
    body = BODY.replace("</body>", f'{{% include "{FOOTER}" %}}</body>')
    variables = [*VARIABLES, {"name": "total", "type": "any", "example": "1.50"}]
    translations = {"de": {"body": footer}}
    producer.call(
        "version.publish",
        {"template_id": FOOTER, "body": footer, "translations": translations},
    )
    producer.call(
        "version.publish",
        {
            "template_id": RICH,
            "subject": SUBJECT,
            "body": body,
            "variables": variables,
            "translations": {"de": {"body": body}},
        },
    )


def fill(database_url: str, low: int, high: int) -> None:
    """Store copies of the template numbered from ``low`` to ``high``, both included."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            _COPIES, {"first": FIRST, "low": low, "high": high, "template": TEMPLATE}
        )
        for table in ("templates", "template_versions"):
            connection.execute(f"VACUUM ANALYZE {table}")
