"""Messages and results. Generated from the contract by client/generate.py."""

from typing import Any, Literal, NotRequired, TypedDict


class ActivateVersion(TypedDict):
    """`version.activate`: make a version current, to roll back or forward, now or later."""

    expected_version: NotRequired[str | Literal[0] | None]
    expected_digest: NotRequired[str | None]
    idempotency_key: NotRequired[str | None]
    template_id: str
    version: str
    activate_at: NotRequired[str | None]


class ActivatedVersion(TypedDict):
    """Answer of `version.activate`; with `activate_at` it becomes current only then."""

    template_id: str
    version: str
    version_id: str
    previous_version: str | None
    activate_at: str | None


class AppliedBundle(TypedDict):
    """Answer of `bundle.apply`, with the templates in the order of the message."""

    dry_run: bool
    applied: bool
    added: int
    changed: int
    unchanged: int
    refused: int
    templates: "list[AppliedTemplate]"


class AppliedTemplate(TypedDict):
    """Result for one template of a bundle.

    `fields` are the template's own fields that change. `version` is the published one; if
    none is, the draft that has these contents already, or the current one. `digest` is the
    template's digest afterwards. `problems` has the reasons of a refusal, in a dry run.
    """

    template_id: str | None
    type: Literal["email", "in_app", "sms", "push", "partial", "json"] | None
    action: Literal["added", "changed", "unchanged", "refused"]
    fields: list[str]
    version: str | None
    version_id: str | None
    previous_version: str | None
    is_current: bool
    activate_at: str | None
    digest: str | None
    translations: "CarriedTranslations"
    breaking: "list[Change]"
    users: "list[PartialUse]"
    warnings: "list[TextWarning]"
    problems: list[dict[str, Any]]


class ApplyBundle(TypedDict):
    """`bundle.apply`: create and change a set of templates, all of them or none.

    Templates are validated one by one, as `BundledTemplate`, so that the problems of all are
    reported. With `dry_run` nothing is stored, and the answer says what would be.
    """

    idempotency_key: NotRequired[str | None]
    templates: "list[BundledTemplate]"
    dry_run: NotRequired[bool]


class BatchItem(TypedDict):
    """One recipient of a batch; the result repeats `key`."""

    key: str | int
    variables: NotRequired[dict[str, Any]]
    language: NotRequired[str | None]


class BatchRendered(TypedDict):
    """Answer of `render.batch`: a result for each item, in their order."""

    template_id: str
    version: str
    version_id: str
    type: Literal["email", "in_app", "sms", "push", "partial", "json"]
    rendered: int
    failed: int
    items: "list[RenderedItem | FailedItem]"


class Breaking(TypedDict):
    """A change for which the second version may refuse values that matched the first."""

    path: str
    type: Literal["now_required", "type_changed"]
    message: str


class BundledTemplate(TypedDict):
    """A template of a bundle: all of its own fields, and the version to publish, if any."""

    expected_version: NotRequired[str | Literal[0] | None]
    expected_digest: NotRequired[str | None]
    template_id: str
    name: str
    type: Literal["email", "in_app", "sms", "push", "partial", "json"]
    description: NotRequired[str | None]
    category: NotRequired[str | None]
    is_active: NotRequired[bool]
    metadata: NotRequired[dict[str, Any]]
    version: NotRequired["NewVersion | None"]


class CarriedTranslations(TypedDict):
    """The languages of the previous version: carried over or dropped. Each list is sorted.

    `carried` were taken over, because their placeholders match; `stale` are the carried ones
    whose source text has changed; `dropped` were not taken over.
    """

    carried: list[str]
    stale: list[str]
    dropped: list[str]


class Change(TypedDict):
    """A change that breaks producers of the current version, as `Problem`."""

    path: str
    type: str
    message: str


class ChangedTranslation(TypedDict):
    """A translation whose text is not the same in both versions."""

    language: str
    state: "StateChange"
    subject: "TextChange"
    body: "TextChange"
    text: "TextChange"
    preheader: "TextChange"


class CreateTemplate(TypedDict):
    """`template.create`: a template without a version yet."""

    idempotency_key: NotRequired[str | None]
    template_id: str
    name: str
    type: Literal["email", "in_app", "sms", "push", "partial", "json"]
    description: NotRequired[str | None]
    category: NotRequired[str | None]
    is_active: NotRequired[bool]
    metadata: NotRequired[dict[str, Any]]


class DeclaredVariable(TypedDict):
    """A variable of a version; members that were not declared are left out."""

    name: str
    type: Literal[
        "string",
        "integer",
        "number",
        "decimal",
        "boolean",
        "date",
        "datetime",
        "url",
        "email",
        "array",
        "object",
        "any",
        "markdown",
    ]
    required: NotRequired[bool]
    default: NotRequired[Any]
    description: NotRequired[str]
    example: NotRequired[Any]


class DeleteTemplate(TypedDict):
    """`template.delete`: soft delete; nothing is rendered from it any more."""

    expected_version: NotRequired[str | Literal[0] | None]
    expected_digest: NotRequired[str | None]
    idempotency_key: NotRequired[str | None]
    template_id: str


class DeleteTranslation(TypedDict):
    """`translation.delete`: remove one language of the current version, or of the one named."""

    expected_version: NotRequired[str | Literal[0] | None]
    expected_digest: NotRequired[str | None]
    idempotency_key: NotRequired[str | None]
    template_id: str
    language_code: str
    version: NotRequired[str | None]


class DeletedTranslation(TypedDict):
    """Answer of `translation.delete`."""

    template_id: str
    version: str
    language_code: str


class DiffVersions(TypedDict):
    """`version.diff`: what changes from one version of a template to another."""

    template_id: str
    from_version: str
    to_version: str


class ExportTemplates(TypedDict):
    """`template.export`: a page of templates with all that their authors wrote.

    Filters work as in `template.list`; `template_ids` names the templates. Without `content`
    the answer has their digests only. `version` exports another version than the current
    one, of a single template.
    """

    template_ids: NotRequired[list[str] | None]
    version: NotRequired[str | None]
    type: NotRequired[Literal["email", "in_app", "sms", "push", "partial", "json"] | None]
    category: NotRequired[str | None]
    is_active: NotRequired[bool | None]
    prefix: NotRequired[str | None]
    tag: NotRequired[str | None]
    content: NotRequired[bool]
    after: NotRequired[str | None]
    limit: NotRequired[int]


class ExportedDigest(TypedDict):
    """A version without its contents."""

    is_current: bool
    is_draft: bool
    activated_at: str | None
    activate_at: str | None
    schedule_error: str | None
    version: str
    version_id: str
    created_at: str
    digest: str


class ExportedPage(TypedDict):
    """Answer of `template.export`; pass `next` as `after` for the page that follows."""

    templates: "list[ExportedTemplate]"
    next: str | None


class ExportedTemplate(TypedDict):
    """A template; `digest` covers its fields and its current version.

    `version` is the current one, or the one asked for, and null where there is none.
    """

    template_id: str
    name: str
    type: Literal["email", "in_app", "sms", "push", "partial", "json"]
    description: str | None
    category: str | None
    is_active: bool
    metadata: dict[str, Any]
    current_version: str | None
    digest: str
    created_at: str
    updated_at: str
    version: "ExportedVersion | ExportedDigest | None"


class ExportedText(TypedDict):
    """A translation, as it was sent; without a subject the version's is used."""

    state: Literal["current", "stale"]
    subject: str | None
    body: str
    text: str | None
    preheader: str | None


class ExportedVersion(TypedDict):
    """A version with its sources as they were sent, and its translations by language."""

    is_current: bool
    is_draft: bool
    activated_at: str | None
    activate_at: str | None
    schedule_error: str | None
    version: str
    version_id: str
    created_at: str
    digest: str
    subject: str | None
    body: str
    text: str | None
    preheader: str | None
    format: str | None
    inline_css: bool
    variables: list[dict[str, Any]]
    metadata: dict[str, Any]
    translations: "dict[str, ExportedText]"


class FailedItem(TypedDict):
    """An item of a batch that was refused; `key` is null if the item has none."""

    key: str | int | None
    ok: "Literal[False]"
    error: "ItemError"


class GetTemplate(TypedDict):
    """`template.get`: the current version, or the one named; with one language's text."""

    template_id: str
    version: NotRequired[str | None]
    language: NotRequired[str | None]


class ItemError(TypedDict):
    """Refusal of an item, as `render.one` would have it; paths begin with the item."""

    code: str
    message: str
    details: "list[Problem]"


class KeyChanges(TypedDict):
    """The keys of two JSON objects, each list in order."""

    added: list[str]
    removed: list[str]
    changed: list[str]


class LanguageState(TypedDict):
    """A language of a version.

    `state` is `source` for the version's own text, `current` for a translation of it, and
    `stale` for one whose source text has changed since it was made.
    """

    language: str
    state: Literal["source", "current", "stale"]


class LanguageText(TypedDict):
    """The text of one language."""

    language: str
    state: Literal["source", "current", "stale"]
    subject: str | None
    body: str
    text: str | None
    preheader: str | None


class ListTemplates(TypedDict):
    """`template.list`: a page in the order of template_id, deleted templates left out.

    `prefix` is the beginning of the template_id, `tag` one of the texts in `metadata.tags`.
    `text` is searched for, ignoring case, in the template_id, the name, the description and
    the sources of the current version in every language.
    """

    type: NotRequired[Literal["email", "in_app", "sms", "push", "partial", "json"] | None]
    category: NotRequired[str | None]
    is_active: NotRequired[bool | None]
    prefix: NotRequired[str | None]
    tag: NotRequired[str | None]
    text: NotRequired[str | None]
    after: NotRequired[str | None]
    limit: NotRequired[int]


class ListVersions(TypedDict):
    """`version.list`: every version of a template, the newest first."""

    template_id: str


class NewVersion(TypedDict):
    """The contents of a version, and how it is published.

    `variables` left out are inferred from the sources. `text` is the text part of an e-mail
    (left out, it is derived from the body), `preheader` the line that inboxes show after the
    subject. `format` is the language in which bodies are written, HTML or text where it is
    left out. `inline_css` writes the rules of `<style>` into the elements that they select.

    `carry_translations` takes over the previous version's translations that the message
    lacks, `allow_breaking` lets changes pass that producers must follow, and
    `allow_dropped_translations` drops the translations that no longer fit. Without
    `activate` the version is a draft; with `activate_at` it becomes current then.
    `replace_draft` replaces the draft named `version`, whose digest may have to be
    `expected_draft`.
    """

    body: str
    subject: NotRequired[str | None]
    text: NotRequired[str | None]
    preheader: NotRequired[str | None]
    format: NotRequired[Literal["mjml"] | None]
    inline_css: NotRequired[bool]
    variables: NotRequired["list[str | Variable] | None"]
    metadata: NotRequired[dict[str, Any]]
    version: NotRequired[str | None]
    translations: NotRequired["dict[str, Text]"]
    carry_translations: NotRequired[bool]
    activate: NotRequired[bool]
    activate_at: NotRequired[str | None]
    allow_breaking: NotRequired[bool]
    allow_dropped_translations: NotRequired[bool]
    replace_draft: NotRequired[bool]
    expected_draft: NotRequired[str | None]


OwnLanguage = TypedDict("OwnLanguage", {"from": str, "to": str})


class PartialUse(TypedDict):
    """A template that uses a changed partial; `problems` is how the change breaks it.

    `checked` is false if the time limit of the message was reached first.
    """

    template_id: str
    in_bundle: bool
    checked: bool
    problems: list[dict[str, Any]]


class PartialUser(TypedDict):
    """A template whose current version uses a partial.

    `steps` is 1 where it includes or extends the partial itself, else over how many
    partials.
    """

    template_id: str
    type: Literal["email", "in_app", "sms", "push", "partial", "json"]
    steps: int


class Preview(TypedDict):
    """`render.preview`: a text's output, on the path of a real render; nothing is stored.

    `variables_schema` is what `version.publish` takes as `variables`. With `variables` left
    out, the examples and defaults of the schema are used.
    """

    type: Literal["email", "in_app", "sms", "push", "partial", "json"]
    body: str
    subject: NotRequired[str | None]
    text: NotRequired[str | None]
    preheader: NotRequired[str | None]
    format: NotRequired[Literal["mjml"] | None]
    inline_css: NotRequired[bool]
    variables_schema: NotRequired["list[str | Variable] | None"]
    variables: NotRequired[dict[str, Any] | None]
    language: NotRequired[str | None]


class Previewed(TypedDict):
    """Answer of `render.preview`; `variables` is the schema, inferred if none was given.

    `warnings` are as in `PublishedVersion`.
    """

    subject: str | None
    body: str
    text: NotRequired[str | None]
    preheader: NotRequired[str | None]
    document: NotRequired[Any]
    encoding: NotRequired[Literal["GSM-7", "UCS-2"] | None]
    length: NotRequired[int | None]
    segments: NotRequired[int | None]
    ucs2_characters: NotRequired[list[str] | None]
    title: NotRequired[str | None]
    content_sha256: str
    type: Literal["email", "in_app", "sms", "push", "partial", "json"]
    language: str
    partials: "list[UsedPartial]"
    variables: "list[DeclaredVariable]"
    defaulted: list[str]
    unused: list[str]
    warnings: NotRequired["list[TextWarning]"]


class Problem(TypedDict):
    """One problem of a message."""

    path: str
    type: str
    message: str
    line: NotRequired[int]
    column: NotRequired[int]
    snippet: NotRequired[str]
    template_id: NotRequired[str]
    code: NotRequired[str]
    expected: NotRequired[Any]
    current: NotRequired[Any]
    current_version: NotRequired[Any]


class PublishVersion(TypedDict):
    """`version.publish`: insert an immutable version and, by default, make it current."""

    expected_version: NotRequired[str | Literal[0] | None]
    expected_digest: NotRequired[str | None]
    idempotency_key: NotRequired[str | None]
    template_id: str
    body: str
    subject: NotRequired[str | None]
    text: NotRequired[str | None]
    preheader: NotRequired[str | None]
    format: NotRequired[Literal["mjml"] | None]
    inline_css: NotRequired[bool]
    variables: NotRequired["list[str | Variable] | None"]
    metadata: NotRequired[dict[str, Any]]
    version: NotRequired[str | None]
    translations: NotRequired["dict[str, Text]"]
    carry_translations: NotRequired[bool]
    activate: NotRequired[bool]
    activate_at: NotRequired[str | None]
    allow_breaking: NotRequired[bool]
    allow_dropped_translations: NotRequired[bool]
    replace_draft: NotRequired[bool]
    expected_draft: NotRequired[str | None]


class PublishedVersion(TypedDict):
    """Answer of `version.publish`; `previous_version` was current before.

    `activate_at` is when the version becomes current, null without a schedule. `breaking` is
    what `allow_breaking` let pass. Each of `warnings` has a code, a path, a message and a
    remedy, with line and column where there is a source.
    """

    template_id: str
    version: str
    version_id: str
    previous_version: str | None
    is_current: bool
    activate_at: str | None
    variables: "list[DeclaredVariable]"
    translations: "CarriedTranslations"
    breaking: "list[Change]"
    warnings: NotRequired["list[TextWarning]"]


class RenderBatch(TypedDict):
    """`render.batch`: one version for many recipients.

    `variables` are shared: an item's own come before them. Items are validated one by one,
    as `BatchItem`, so that a bad one does not fail the others.
    """

    template_id: str
    items: "list[BatchItem]"
    variables: NotRequired[dict[str, Any]]
    language: NotRequired[str | None]
    version: NotRequired[str | None]
    fallback: NotRequired[Literal["closest", "strict", "default"]]


class RenderOne(TypedDict):
    """`render.one`: a finished subject and body, in the language nearest to `language`."""

    template_id: str
    variables: NotRequired[dict[str, Any]]
    language: NotRequired[str | None]
    version: NotRequired[str | None]
    fallback: NotRequired[Literal["closest", "strict", "default"]]


class Rendered(TypedDict):
    """Answer of `render.one`."""

    subject: str | None
    body: str
    text: NotRequired[str | None]
    preheader: NotRequired[str | None]
    document: NotRequired[Any]
    encoding: NotRequired[Literal["GSM-7", "UCS-2"] | None]
    length: NotRequired[int | None]
    segments: NotRequired[int | None]
    ucs2_characters: NotRequired[list[str] | None]
    title: NotRequired[str | None]
    content_sha256: str
    requested_language: str | None
    language: str
    language_reason: Literal["own", "exact", "closest", "default"]
    fallback_chain: list[str]
    partials: "list[UsedPartial]"
    stale: bool
    defaulted: list[str]
    unused: list[str]
    template_id: str
    version: str
    version_id: str
    type: Literal["email", "in_app", "sms", "push", "partial", "json"]


class RenderedItem(TypedDict):
    """An item of a batch that was rendered."""

    subject: str | None
    body: str
    text: NotRequired[str | None]
    preheader: NotRequired[str | None]
    document: NotRequired[Any]
    encoding: NotRequired[Literal["GSM-7", "UCS-2"] | None]
    length: NotRequired[int | None]
    segments: NotRequired[int | None]
    ucs2_characters: NotRequired[list[str] | None]
    title: NotRequired[str | None]
    content_sha256: str
    requested_language: str | None
    language: str
    language_reason: Literal["own", "exact", "closest", "default"]
    fallback_chain: list[str]
    partials: "list[UsedPartial]"
    stale: bool
    defaulted: list[str]
    unused: list[str]
    key: str | int
    ok: "Literal[True]"


class RestoreTemplate(TypedDict):
    """`template.restore`: undo a soft delete."""

    expected_version: NotRequired[str | Literal[0] | None]
    expected_digest: NotRequired[str | None]
    idempotency_key: NotRequired[str | None]
    template_id: str


class SameTranslation(TypedDict):
    """A translation whose text is the same in both versions."""

    language: str
    state: "StateChange"


class ScheduledVersion(TypedDict):
    """A version that will be current."""

    version: str
    activate_at: str


StateChange = TypedDict(
    "StateChange", {"from": Literal["current", "stale"], "to": Literal["current", "stale"]}
)


class Template(TypedDict):
    """A template as the database has it."""

    template_id: str
    name: str
    type: Literal["email", "in_app", "sms", "push", "partial", "json"]
    description: str | None
    category: str | None
    is_active: bool
    metadata: dict[str, Any]
    current_version: str | None
    created_at: str
    updated_at: str
    deleted_at: str | None


class TemplateDetails(TypedDict):
    """Answer of `template.get`; `version` is null before the first publish.

    `scheduled` has the versions that will be current, by time. `used_by` has the templates
    that use a partial, in the order of template_id; it is empty for other types.
    """

    template: "Template"
    version: "VersionText | None"
    languages: "list[LanguageState]"
    text: "LanguageText | None"
    used_by: "list[PartialUser]"
    scheduled: "list[ScheduledVersion]"


class TemplatePage(TypedDict):
    """Answer of `template.list`; pass `next` as `after` for the page that follows."""

    templates: "list[Template]"
    next: str | None


class Text(TypedDict):
    """The sources of one language; a missing subject is the version's.

    A missing `text` is derived from the body, and without `preheader` there is none: neither
    is taken from another language.
    """

    subject: NotRequired[str | None]
    body: str
    text: NotRequired[str | None]
    preheader: NotRequired[str | None]


class TextChange(TypedDict):
    """A text in two versions.

    `diff` is a unified diff of lines with 3 lines of context, without the two lines that
    name files. It is null where nothing changed, and where comparing would take too long.
    Lines are what is between line feeds, so a text that ends in one has an empty last line;
    a null has no lines at all.
    """

    changed: bool
    diff: list[str] | None


class TextWarning(TypedDict):
    """A possible mistake; it refuses nothing. `line` and `column` count from 1."""

    code: str
    path: str
    message: str
    remedy: str
    line: NotRequired[int]
    column: NotRequired[int]


class Translation(TypedDict):
    """A translation; `subject` is null where it takes the version's."""

    template_id: str
    version: str
    version_id: str
    language_code: str
    subject: str | None
    body: str
    text: str | None
    preheader: str | None
    state: Literal["current", "stale"]
    created_at: str
    updated_at: str


class TranslationChanges(TypedDict):
    """The translations in two versions, each list in the order of the language."""

    added: list[str]
    removed: list[str]
    changed: "list[ChangedTranslation]"
    unchanged: "list[SameTranslation]"


class TranslationState(TypedDict):
    """A translation of a version, without its text."""

    language: str
    state: Literal["current", "stale"]


class UnscheduleVersion(TypedDict):
    """`version.unschedule`: forget when a version was to become current."""

    idempotency_key: NotRequired[str | None]
    template_id: str
    version: str


class UnscheduledVersion(TypedDict):
    """Answer of `version.unschedule`; `activate_at` is the time that was cancelled, if any."""

    template_id: str
    version: str
    cancelled: bool
    activate_at: str | None


class UpdateTemplate(TypedDict):
    """`template.update`: only given fields change; null empties description and category.

    `metadata` takes the place of the whole object.
    """

    expected_version: NotRequired[str | Literal[0] | None]
    expected_digest: NotRequired[str | None]
    idempotency_key: NotRequired[str | None]
    template_id: str
    name: NotRequired[str | None]
    description: NotRequired[str | None]
    category: NotRequired[str | None]
    is_active: NotRequired[bool | None]
    metadata: NotRequired[dict[str, Any] | None]


class UpsertTranslation(TypedDict):
    """`translation.upsert`: write one language of the current version, or of the one named."""

    expected_version: NotRequired[str | Literal[0] | None]
    expected_digest: NotRequired[str | None]
    idempotency_key: NotRequired[str | None]
    template_id: str
    language_code: str
    body: str
    subject: NotRequired[str | None]
    text: NotRequired[str | None]
    preheader: NotRequired[str | None]
    version: NotRequired[str | None]


class UpsertedTranslation(TypedDict):
    """Answer of `translation.upsert`.

    `warnings` are as in `PublishedVersion`.
    """

    translation: "Translation"
    created: bool
    warnings: NotRequired["list[TextWarning]"]


class UsedPartial(TypedDict):
    """A partial that went into a text."""

    template_id: str
    version: str
    language: str


class Variable(TypedDict):
    """A placeholder that a version's sources may use.

    `name` is a path: `user.name` is the member `name` of the object `user`, and
    `items[].sku` the member `sku` of each item of the array `items`. A variable with a
    default is optional.
    """

    name: str
    type: NotRequired[
        Literal[
            "string",
            "integer",
            "number",
            "decimal",
            "boolean",
            "date",
            "datetime",
            "url",
            "email",
            "array",
            "object",
            "any",
            "markdown",
        ]
    ]
    required: NotRequired[bool]
    default: NotRequired[Any]
    description: NotRequired[str | None]
    example: NotRequired[Any]


VariableChange = TypedDict(
    "VariableChange", {"name": str, "from": "DeclaredVariable", "to": "DeclaredVariable"}
)


class VariableChanges(TypedDict):
    """The declared variables in two versions, in the order in which they are declared."""

    added: "list[DeclaredVariable]"
    removed: "list[DeclaredVariable]"
    changed: "list[VariableChange]"


class VersionDifference(TypedDict):
    """Answer of `version.diff`."""

    template_id: str
    from_version: str
    to_version: str
    language: "OwnLanguage"
    subject: "TextChange"
    body: "TextChange"
    text: "TextChange"
    preheader: "TextChange"
    variables: "VariableChanges"
    metadata: "KeyChanges"
    languages: "TranslationChanges"
    breaking: "list[Breaking]"


class VersionList(TypedDict):
    """Answer of `version.list`."""

    template_id: str
    versions: "list[VersionSummary]"


class VersionSummary(TypedDict):
    """A version without its source."""

    is_current: bool
    is_draft: bool
    activated_at: str | None
    activate_at: str | None
    schedule_error: str | None
    version: str
    version_id: str
    created_at: str
    languages: "list[TranslationState]"


class VersionText(TypedDict):
    """A version with its source."""

    is_current: bool
    is_draft: bool
    activated_at: str | None
    activate_at: str | None
    schedule_error: str | None
    version: str
    version_id: str
    subject: str | None
    body: str
    text: str | None
    preheader: str | None
    format: str | None
    inline_css: bool
    variables: "list[DeclaredVariable]"
    metadata: dict[str, Any]
    created_at: str
