"""Placeholders of other engines, which readers would see as they stand."""

import re
from collections.abc import Iterator
from typing import Any, Final

from tasks.rendering.markup import BLOCK
from tasks.rendering.masks import text_mask
from tasks.rendering.warnings.codes import Code, Place, warning

_NAME: Final = r"[A-Za-z_][\w.-]*"
# What stands in brackets in templates that people fill in by hand; notes such as [DRAFT] are text.
_FILLED_IN: Final = (
    "NAME|EMAIL|E-MAIL|DATE|TIME|COMPANY|ORGANISATION|ORGANIZATION|ADDRESS|AMOUNT|PRICE|NUMBER|"
    "PHONE|CITY|PRODUCT|TITLE|LINK|URL|CODE"
)
_FOREIGN = re.compile(
    rf"""(?=[<&%{{[(*$\#@!_\uff5b])(?:
    (?:<|&lt;)%.{{0,200}}?%(?:>|&gt;)                                        # ERB, EJS, ASP
  | %7B .{{0,200}}? %7D(?:%7D)?                 # an encoded address
  | (?:&\#(?:123|x7b);){{2}} .{{0,200}}? (?:&\#(?:125|x7d);){{2}}
  | (?:&(?:lbrace|lcub);){{2}} .{{0,200}}? (?:&(?:rbrace|rcub);){{2}}
  | [{{\uff5b]\s+[{{%\#] [^{{}}\n]* [%\#}}]\s*\}}  # braces with a space, as some editors leave them
  | \uff5b\uff5b .{{0,200}}? \uff5d\uff5d
  | [$\#@%!]\{{\s*[^{{}}\s\x1a\x1b][^{{}}\n\x1a\x1b]*\}}  # JavaScript, Ruby, Thymeleaf
    # Python, ICU MessageFormat, Smarty, Salesforce
  | \{{\s* (?:[$!@]\s*)?{_NAME} (?:\ {_NAME}){{0,3}}
      (?:[|:][^{{}}\n]*)? \s*\}}
  | \{{\d{{0,2}}\}}
  | \{{\s*{_NAME}\s*,\s*(?:plural|select|selectordinal|number|date|time)\b
  | \(\(\s*\??{_NAME}(?:\s[\w .-]*)?(?:\?\?[^()\n]*)?\)\)  # GOV.UK Notify
  | \*\|[^|\n]+\|\*                                # Mailchimp
  | %%[A-Za-z_=][^%\n]*%%                          # Salesforce Marketing Cloud
  | (?<![\w%])%{_NAME}%(?![\w%])                   # Mailgun
  | %\({_NAME}\)[a-z]                              # Python
  | (?<![\w%])%(?:\d\$)?[sd]\b                     # printf
  | \[\[\s*[-+!*$~]{{0,3}}{_NAME}(?:[ :?&=][^\[\]\n]*)?\s*\]\]  # Twilio, Mailjet, MODX
  | \[[=$]{_NAME}\]                                # FreeMarker
  | (?-i:\[(?:[A-Z]+[ _]){{0,3}}(?:{_FILLED_IN})\])(?![(\[:])
  | (?-i:\[(?:[Yy]our|[Ff]irst|[Ll]ast|[Ff]ull|[Cc]ustomer|[Cc]ompany)[ _-]?[Nn]ame\])(?![(\[:])
  | \[{_NAME},\s*fallback=[^\]\n]*\]               # Campaign Monitor
  | \[%.{{0,200}}?%\]                                      # Template Toolkit
  | (?:<<|&lt;&lt;)\s*{_NAME}\s*(?:>>|&gt;&gt;)
  | (?<![\w\#])\#\#{_NAME}\#\#(?![\w\#])
  | (?<![\w@])@@{_NAME}@@(?![\w@])
  | (?<![\w&\#])\#[A-Za-z_]\w*\#(?![\w\#])             # ColdFusion
  | (?<![\w$])\$[A-Za-z_][\w.]*\$(?![\w$])             # StringTemplate
  | (?-i:(?<!\w)__[A-Z][A-Z0-9_]*__(?!\w))
  | \{{\*\s*{_NAME}\s*\*\}}
    )""",
    re.VERBOSE | re.IGNORECASE,
)
_LONGEST_SHOWN: Final = 40


def foreign_placeholders(source: str, path: str) -> Iterator[dict[str, Any]]:
    """Yield a warning for each different placeholder of another engine, at its first place.

    Tags, raw blocks, style sheets and scripts are left out.
    """
    seen = set()
    for match in _FOREIGN.finditer(text_mask(source)):
        text = match[0]
        if BLOCK not in text and text not in seen:
            seen.add(text)
            shown = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
            message = f"'{shown}' looks like a placeholder of another engine, and is sent as it is"
            place = Place(path, source, match.start())
            yield warning(Code.FOREIGN_PLACEHOLDER, place, message)
