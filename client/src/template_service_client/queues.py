"""The queue of each task. Generated from the contract by client/generate.py."""

from typing import Final

QUEUES: Final = {
    "bundle.apply": "templates",
    "render.batch": "render-bulk",
    "render.one": "render",
    "render.preview": "render",
    "template.create": "templates",
    "template.delete": "templates",
    "template.export": "templates",
    "template.get": "templates",
    "template.list": "templates",
    "template.restore": "templates",
    "template.update": "templates",
    "translation.delete": "templates",
    "translation.upsert": "templates",
    "version.activate": "templates",
    "version.diff": "templates",
    "version.list": "templates",
    "version.publish": "templates",
    "version.unschedule": "templates",
}
