"""Message and result of ``version.diff``."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from tasks.messages.base import Message, Result
from tasks.messages.described import described
from tasks.messages.fields import TemplateId, VersionName
from tasks.messages.variables import Declarations

Declaration = Annotated[dict[str, Any], described(x_model="DeclaredVariable")]
State = Literal["current", "stale"]


class DiffVersions(Message):
    """``version.diff``: what changes from one version of a template to another."""

    template_id: TemplateId
    from_version: VersionName
    to_version: VersionName


class FromTo(Result):
    """Base of results with a member ``from``, which is a word of Python."""

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)


class TextChange(Result):
    """A text in two versions.

    ``diff`` is a unified diff of lines with 3 lines of context, without the two lines that name
    files. It is null where nothing changed, and where comparing would take too long. Lines are
    what is between line feeds, so a text that ends in one has an empty last line; a null has
    no lines at all.
    """

    changed: bool
    diff: list[str] | None


class VariableChange(FromTo):
    """A variable that both versions declare, not in the same way."""

    name: str
    from_: Declaration = Field(alias="from")
    to: Declaration


class VariableChanges(Result):
    """The declared variables in two versions, in the order in which they are declared."""

    added: Declarations
    removed: Declarations
    changed: list[VariableChange]


class KeyChanges(Result):
    """The keys of two JSON objects, each list in order."""

    added: list[str]
    removed: list[str]
    changed: list[str]


class OwnLanguage(FromTo):
    """The language of each version's own text."""

    from_: str = Field(alias="from")
    to: str


class StateChange(FromTo):
    """The state of a translation in each version."""

    from_: State = Field(alias="from")
    to: State


class SameTranslation(Result):
    """A translation whose text is the same in both versions."""

    language: str
    state: StateChange


class ChangedTranslation(SameTranslation):
    """A translation whose text is not the same in both versions."""

    subject: TextChange
    body: TextChange
    text: TextChange
    preheader: TextChange


class TranslationChanges(Result):
    """The translations in two versions, each list in the order of the language."""

    added: list[str]
    removed: list[str]
    changed: list[ChangedTranslation]
    unchanged: list[SameTranslation]


class Breaking(Result):
    """A change for which the second version may refuse values that matched the first."""

    path: str
    type: Literal["now_required", "type_changed"]
    message: str


class VersionDifference(Result):
    """Answer of ``version.diff``."""

    template_id: str
    from_version: str
    to_version: str
    language: OwnLanguage
    subject: TextChange
    body: TextChange
    text: TextChange
    preheader: TextChange
    variables: VariableChanges
    metadata: KeyChanges
    languages: TranslationChanges
    breaking: list[Breaking]
