"""Keywords of a message of each task, as examples of the contract."""

from typing import Any, Final

from tasks.jobs import JOBS

_TEMPLATE: Final[dict[str, Any]] = {"template_id": "welcome_email"}
_MAINTENANCE: Final[dict[str, list[dict[str, Any]]]] = {
    job.name: [{"dry_run": True}] for job in JOBS
}
EXAMPLES: Final[dict[str, list[dict[str, Any]]]] = {
    "template.create": [_TEMPLATE | {"name": "Welcome", "type": "email"}],
    "template.update": [_TEMPLATE | {"is_active": False}],
    "template.delete": [_TEMPLATE],
    "template.restore": [_TEMPLATE],
    "template.get": [_TEMPLATE, _TEMPLATE | {"version": "1", "language": "de"}],
    "template.list": [{"type": "email", "limit": 50}],
    "version.publish": [
        _TEMPLATE
        | {
            "subject": "Welcome, {{ user.name }}!",
            "body": "<p>Hello {{ user.name }}</p>",
            "variables": [{"name": "user.name", "type": "string", "example": "Ada"}],
            "translations": {
                "de": {
                    "subject": "Willkommen, {{ user.name }}!",
                    "body": "<p>Hallo {{ user.name }}</p>",
                }
            },
            "idempotency_key": "welcome_email-1",
        }
    ],
    "version.activate": [_TEMPLATE | {"version": "1", "expected_version": "2"}],
    "version.list": [_TEMPLATE],
    "version.unschedule": [_TEMPLATE | {"version": "2"}],
    "template.export": [{"limit": 100}],
    "bundle.apply": [
        {
            "templates": [
                _TEMPLATE
                | {
                    "name": "Welcome",
                    "type": "email",
                    "version": {"subject": "Welcome", "body": "<p>Hello {{ user.name }}</p>"},
                    "expected_version": 0,
                }
            ],
            "dry_run": True,
        }
    ],
    "version.diff": [_TEMPLATE | {"from_version": "1", "to_version": "2"}],
    "translation.upsert": [
        _TEMPLATE | {"language_code": "fr", "body": "<p>Bonjour {{ user.name }}</p>"}
    ],
    "translation.delete": [_TEMPLATE | {"language_code": "fr"}],
    "render.one": [_TEMPLATE | {"variables": {"user": {"name": "Ada"}}, "language": "de-AT"}],
    "render.batch": [
        _TEMPLATE
        | {
            "items": [
                {"key": 42, "variables": {"user": {"name": "Ada"}}, "language": "de"},
                {"key": "r-43", "variables": {"user": {"name": "Grace"}}},
            ]
        }
    ],
    "render.preview": [{"type": "sms", "body": "Hello {{ name }}", "variables": {"name": "Ada"}}],
} | _MAINTENANCE
