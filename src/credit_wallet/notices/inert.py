"""Text of strangers made inert: in no service does it become markup, a mention or a link.

A label is what an owner, an agent or a host wrote, a reason is what a payment provider said. Every service has markup
of its own, some recognise addresses and mentions in plain text, and an escape that one of them takes away another
shows. So the characters that begin any of it are replaced by characters that look alike and that no service reads: full
width or small forms, which are in the fonts of every system. What is left reads the same. Programs get webhooks, where
text is exact.

The characters and who reads them:

- ``* _ ` ~ |`` emphasis, code, strike-through, spoilers (Slack, Discord, Telegram, Markdown everywhere)
- ``[ ] < > \\ { }`` links, HTML, Slack's ``<!channel>``, escapes, macros
- ``&`` before an entity (HTML, Slack), ``#`` hashtags and headings, ``$`` cashtags and formulas
- ``@`` mentions and addresses of mail; ``:`` of a scheme or an emoji; ``/`` of a command; ``.`` of a host's name
"""

from __future__ import annotations

import re

from credit_wallet.domain.text import one_line

_LOOK_ALIKE = {
    "*": "＊",
    "_": "＿",
    "`": "｀",
    "~": "～",
    "|": "｜",
    "[": "［",
    "]": "］",
    "<": "＜",
    ">": "＞",
    "\\": "＼",
    "{": "｛",
    "}": "｝",
    "&": "＆",
    "$": "＄",
    ":": "：",
    "/": "／",
    # Some services read the full width forms of these too.
    "#": "﹟",
    "@": "﹫",
    ".": "․",
}
_READ = re.compile(
    r"""
      (?P<decimal> (?<![\w.])\d+\.\d+(?![\w.]))
    | [*`~|\[\]<>\\{}\#@]
    | (?<![0-9A-Za-z])_ | _(?![0-9A-Za-z])      # inside a word it is read as a letter
    | &(?=\#|\w+;)
    | \$(?!\d)
    | (?<!\d):(?!\s|$) | :(?!\d|\s|$)           # not that of a time of day, or of a sentence
    | (?<![0-9A-Za-z])/
    | \.(?!\s|$)
    """,
    re.VERBOSE,
)
_LINK = re.compile(r"https?://[A-Za-z0-9.-]+(:\d+)?(/[A-Za-z0-9/?&=%._~+,;:!$#-]*)?")


def inert(text: str) -> str:
    """``text`` on one line, with nothing in it that a service would read as markup, mention or link."""
    return _READ.sub(lambda found: found["decimal"] or _LOOK_ALIKE[found[0]], one_line(text))


def link(address: str) -> str:
    """An address that people are to open; one that could be more than an address is made inert."""
    return address if _LINK.fullmatch(address) else inert(address)
