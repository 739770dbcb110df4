"""Placeholders of other engines, which readers would see as they stand."""

import re
from collections.abc import Iterator
from typing import Any, Final

from tasks.rendering.checks.quoted import literals
from tasks.rendering.html.markup import BLOCK
from tasks.rendering.html.masks import text_mask
from tasks.rendering.places import shortened
from tasks.rendering.syntax import nodes
from tasks.rendering.syntax.blocks import tree
from tasks.rendering.syntax.walk import printed
from tasks.rendering.warnings.codes import Code, Place, warning

_NAME: Final = r"[A-Za-z_][\w.-]*"
# What is in brackets in templates that people fill in by hand; notes such as [DRAFT] are text.
_FILLED_IN: Final = (
    "NAME|EMAIL|E-MAIL|DATE|TIME|COMPANY|ORGANISATION|ORGANIZATION|ADDRESS|AMOUNT|PRICE|NUMBER|"
    "PHONE|CITY|PRODUCT|TITLE|LINK|URL|CODE"
)
_OF_WHAT: Final = (
    "first|last|full|given|family|user|customer|client|company|product|recipient|contact|account|"
    "member|display|nick|sur|fore|order|event|store|shop|brand|your|f|l"
)
# Names of variables: with an underscore or a capital inside (not iPhone, not macOS), and what
# greetings and receipts are made of.
_CODED: Final = r"(?-i:[A-Za-z]+(?:_[A-Za-z0-9]+)+|[a-z]{2,}(?:[A-Z][a-z]+)+)"
_VARIABLE: Final = (
    rf"{_CODED}|(?:(?:{_OF_WHAT})[\ _.-]?)?name"
    r"|(?:order|user|customer|account|invoice|tracking|promo|coupon|voucher|reset)[\ _.-]?"
    r"(?:id|number|code|link|url|date|total)"
)
_DOTTED: Final = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+"
_FOREIGN = re.compile(
    rf"""(?=[<&%{{[(*$\#@!_\uff5b])(?:
    (?:<|&lt;)%.{{0,200}}?%(?:>|&gt;)                                        # ERB, EJS, ASP
  | (?:<|&lt;)\?(?:=|php\b|\s*echo\b).{{0,200}}?\?(?:>|&gt;)               # PHP
  | </?(?:tmpl_\w+|cf(?:output|if|else|loop|set)|c:(?:if|out|forEach|when)|asp:\w+)\b[^<>]*>
  | %7B .{{0,200}}? %7D(?:%7D)?                 # an encoded address
  | (?:&\#(?:123|x7b);){{2}} .{{0,200}}? (?:&\#(?:125|x7d);){{2}}
  | (?:&(?:lbrace|lcub);){{2}} .{{0,200}}? (?:&(?:rbrace|rcub);){{2}}
  | [{{\uff5b]\s+[{{%\#] [^{{}}\n]* [%\#}}]\s*\}}  # braces with a space, as some editors leave them
  | \uff5b\uff5b .{{0,200}}? \uff5d\uff5d
  | [$\#@%!]!?\{{\s*[^{{}}\s\x1a\x1b][^{{}}\n\x1a\x1b]*\}}  # JavaScript, Ruby, Thymeleaf, Velocity
    # Python, ICU MessageFormat, Smarty, Salesforce, Svelte; not the blocks of JavaScript and CSS
  | (?<!\)) \{{\s* (?:[$!@/^:]\s*)?{_NAME} (?:\ {_NAME}){{0,3}} (?:\[[^\[\]{{}}\n]*\])*
      (?:\|[^{{}}\n]*|(?<=\w)!)? \s*\}}
  | (?<![\w)\]]) \{{\s* {_NAME}:[^{{}}\n;]*\}}
  | (?<!\)) \{{(?:if|elseif|foreach|for|section|include|while)\s[^{{}}\n]*[$=][^{{}}\n]*\}}
  | (?<![\w)]) (?<!=>) \{{\d{{0,2}}(?:[:,](?=[A-Za-z])[^{{}}\n]*)?\}}
  | \{{\s*{_NAME}\s*,\s*(?:plural|select|selectordinal|number|date|time)\b
  | \(\(\s*\??{_NAME}(?:\s[\w .-]*)?(?:\?\?[^()\n]*)?\)\)  # GOV.UK Notify
  | \*\|[^|\n]+\|\*                                # Mailchimp
  | %%[A-Za-z_=][^%\n]*%%                          # Salesforce Marketing Cloud
  | (?<![\w%])%{_NAME}%(?![\w%])                   # Mailgun
  | %\({_NAME}\)[a-z]                              # Python
  | (?<![\w%])%(?:\d\$)?(?:[sd]\b|@(?!\w))        # printf, Objective-C
  | \[\[\s*[-+!*$~]{{0,3}}{_NAME}(?:[ :?&=][^\[\]\n]*)?\s*\]\]  # Twilio, Mailjet, MODX
  | \[[=$]{_NAME}\]                                # FreeMarker
  | (?-i:\[(?:[A-Z]+[ _]){{0,3}}(?:{_FILLED_IN})\])(?![(\[:])
  | (?-i:\[(?:[Yy]our|[Ff]irst|[Ll]ast|[Ff]ull|[Cc]ustomer|[Cc]ompany)[ _-]?[Nn]ame\])(?![(\[:])
  | \[{_NAME},\s*fallback=[^\]\n]*\]               # Campaign Monitor
  | \[/?\#(?:if|else|elseif|list|assign|include)\b[^\]\n]*\]
  | (?-i:(?:<|&lt;)/?\#[a-z][\w.]*(?:\s[^<>]{{0,200}}?)?/?(?:>|&gt;))  # FreeMarker
  | \[%.{{0,200}}?%\]                                      # Template Toolkit
  | (?:<<|&lt;&lt;)\s*{_NAME}\s*(?:>>|&gt;&gt;)
  | (?<![\w\#])\#\#{_NAME}\#\#(?![\w\#])
  | (?<![\w@])@@{_NAME}@@(?![\w@])
  | (?<![\w@.])@[A-Za-z_]\w*@(?![\w@.])            # Ant; an address of Mastodon has more
  | (?-i:(?<![\w@])@(?:Model|ViewBag|ViewData|Html)[.\[(]\w)  # Razor
  | (?-i:(?<![\w@])@(?:if|for|foreach|while|switch)\s*\()
  | (?<![\w@])@\(\s*{_DOTTED}[^()\n]*\)
  | (?<![\w&\#])\#[A-Za-z_]\w*\#(?![\w\#])             # ColdFusion
  | (?<![\w&\#])\#(?:if|elseif|foreach|set|parse)\s*\(   # Velocity
  | (?<![\w$])\$[A-Za-z_][\w.]*\$(?![\w$])             # StringTemplate
  | (?<![\w$])\$!?(?-i:(?![A-Z.]+\b){_DOTTED})                       # PHP, Velocity
  | (?<![\w$])\$[\[(]\s*{_NAME}\s*[\])]
  | (?:&|&amp;){{2}}(?<!\w&&){_NAME}(?:&&(?![\w&])|(?:&amp;){{2}})
  | (?-i:(?<!\w)__[A-Z][A-Z0-9_]*__(?!\w))
  | \{{\*\s*{_NAME}\s*\*\}}
    )""",
    re.VERBOSE | re.IGNORECASE,
)
# Brackets that are around ordinary words too: only with what is the name of a variable.
_NAMED = re.compile(
    rf"""(?=[<&$:@\[_~^!+|\u00ab\u2039\u27e8-])(?:
    (?<![\w$])\$!?(?:{_VARIABLE})(?![\w$])
  | (?<![\w@.])@(?:user|customer|order|item|recipient|contact|account)\.\w+(?![\w@])
  | (?<![\w:"'&;]):(?:{_VARIABLE})(?![\w:;=(-])
  | (?<![\w\]]) \[[!*+]?
      (?:{_VARIABLE}|(?:user|customer|order|recipient|contact|account)\.\w+)[!*+]?\](?![(\[:])
  | (?:<(?!(?-i:[a-z]+[A-Z]))|&lt;)\s*(?:{_VARIABLE})\s*(?:>|&gt;)  # not of SVG
  | (?<![\w~^!+|_-])(?P<mark>__|--|!!|[-~^!+|])(?:{_VARIABLE})(?P=mark)(?![\w~^!+|_-])
  | (?!(?-i:.Name.))[\u00ab\u2039\u27e8](?:{_VARIABLE})[\u00bb\u203a\u27e9]  # Word
    )""",
    re.VERBOSE | re.IGNORECASE,
)
_NUMBERED: Final = re.compile(r"\{\{\s*\d{1,2}\s*\}\}")
_LONGEST_SHOWN: Final = 40


def foreign_placeholders(source: str, path: str) -> Iterator[dict[str, Any]]:
    """Yield a warning for each different placeholder of another engine, at its first place.

    Tags, raw blocks, style sheets and scripts are left out.
    """
    seen = set()
    mask = text_mask(source)
    found = [*_FOREIGN.finditer(mask), *_NAMED.finditer(mask)]
    end = 0
    for match in sorted(found, key=lambda each: each.span()):
        if match.start() < end:
            continue
        end, text = match.end(), match[0]
        if text == "{}" and source.lstrip()[:1] in {"{", "["}:
            continue  # an empty object of JSON
        if BLOCK not in text and text not in seen:
            seen.add(text)
            shown = shortened(text)
            message = f"'{shown}' looks like a placeholder of another engine, and is sent unchanged"
            place = Place(path, source, match.start())
            yield warning(Code.FOREIGN_PLACEHOLDER, place, message)
    yield from _in_tags(source, path)


def _in_tags(source: str, path: str) -> Iterator[dict[str, Any]]:
    """Yield warnings of quoted texts, and of numbers in braces: WhatsApp's and SendGrid's."""
    for node in literals(source) if "{{" in source else ():
        match = _FOREIGN.search(str(node.value))
        # A % is for the filter format.
        if match is not None and "%" not in match[0]:
            message = (
                f"'{match[0][:_LONGEST_SHOWN]}' in quotes looks like a placeholder, and is text"
            )
            yield warning(Code.FOREIGN_PLACEHOLDER, Place(path, source, node.start), message)
    for each in printed(tree(source) or ()) if _NUMBERED.search(source) else ():
        if isinstance(each, nodes.Literal) and type(each.value) is int:
            message = f"'{{{{ {each.value} }}}}' prints a number, and is not a placeholder"
            yield warning(Code.FOREIGN_PLACEHOLDER, Place(path, source, each.start), message)
