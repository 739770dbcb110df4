"""``render.preview``: the publish gate and a render, nothing stored."""

from tasks.errors import ServiceError, VariablesInvalid
from tasks.messages.render import Preview, Previewed
from tasks.rendering.frames import encode
from tasks.rendering.texts import Sources, declaring, text_of
from tasks.rendering.variables import Schema, nested
from tasks.services import graph
from tasks.services.candidates import Candidate
from tasks.services.formats import formatted
from tasks.services.gate import Gate, Stored
from tasks.services.graph import Place
from tasks.services.outputs import require_parts
from tasks.services.refusals import named, with_places
from tasks.work import Lookup


def preview(message: Preview, work: Lookup) -> Previewed:
    """Render a text that is not stored, with the partials that are."""
    as_sent = Sources.of(message)
    require_parts(
        message.type,
        [("", as_sent)],
        inline_css=message.inline_css,
        source_format=message.format,
    )
    limits = work.configuration.limits
    html = formatted(message.format, {"": as_sent}, work.runtime.renderer, limits)
    with html.places():
        answer = _previewed(message, html.texts[""], work)
    return answer.model_copy(update={"warnings": html.placed(answer.warnings)})


def _previewed(message: Preview, sources: Sources, work: Lookup) -> Previewed:
    """Render a text as it would be stored."""
    library = graph.library(work, sources)
    language = message.language or work.configuration.default_language
    partials_in_language = library.in_language(language, sources=sources.given())
    text = text_of(message.type, language, sources, partials_in_language)
    place = Place(None, height=0, limit=work.configuration.limits.partial_depth)
    deadline = work.runtime.renderer.clock() + work.configuration.limits.trial_seconds
    given = message.variables_schema
    declared = None if given is None else [variable.stored() for variable in given]
    gate = Gate(work.runtime.renderer, library, place, deadline)
    try:
        (as_sent,) = (own,) = gate.compile([Candidate("", text)])
        variables = gate.compare(own, [], declared)
        if message.inline_css:
            (own,) = gate.inline([own])
        gate.try_out([own], variables)
    except ServiceError as error:
        raise _of_the_schema(error) from None
    schema = Schema([*variables, *library.beyond(variables)])
    is_given = message.variables is not None
    values = message.variables if message.variables is not None else _examples(variables)
    bound, problems = schema.bind(values)
    if problems and is_given:
        raise VariablesInvalid.of(
            f"the variables do not match the schema{named(problems)}", with_places(problems, text)
        )
    if problems:
        # Some have neither an example nor a default: samples stand for them, as in a publish.
        every = library.with_undeclared(variables)
        parts = work.runtime.renderer.sample(own.candidate.text, every, deadline)
    else:
        to_render = declaring(own.candidate.text, schema)
        parts = work.runtime.renderer.render(to_render, encode(bound.values))
    adviser = gate.adviser()
    own_names = [variable["name"] for variable in declared or ()]
    warned = [
        *adviser.unused([as_sent], own_names, "variables_schema"),
        *adviser.texts([as_sent]),
        *adviser.output(own.candidate, parts),
    ]
    return Previewed.model_construct(
        type=message.type,
        language=language,
        partials=library.used(text["partials"]),
        variables=variables,
        defaulted=bound.defaulted,
        unused=bound.unused,
        warnings=warned,
        **parts,
    )


def _of_the_schema(error: ServiceError) -> ServiceError:
    """Return an error of the gate for this message, in which ``variables`` are values."""
    details = error.details
    for problem in details:
        if problem["path"].startswith("variables["):
            problem["path"] = problem["path"].replace("variables", "variables_schema", 1)
    return type(error).of(error.message, details)


def _examples(variables: Stored) -> dict[str, object]:
    return nested(
        {
            variable["name"]: variable["example"]
            for variable in variables
            if variable.get("example") is not None
        }
    )
