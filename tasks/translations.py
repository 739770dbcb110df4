"""``translation.*``: the tasks of translations."""

from tasks.base import write
from tasks.messages.translations import (
    DeletedTranslation,
    DeleteTranslation,
    UpsertedTranslation,
    UpsertTranslation,
)
from tasks.services import translations
from tasks.work import Work


@write("translation.upsert", UpsertTranslation)
def upsert(message: UpsertTranslation, work: Work) -> UpsertedTranslation:
    """Write one language of a version."""
    return translations.upsert(message, work)


@write("translation.delete", DeleteTranslation)
def delete(message: DeleteTranslation, work: Work) -> DeletedTranslation:
    """Remove one language of a version."""
    return translations.delete(message, work)
