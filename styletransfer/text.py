"""Text from outside, made fit for a terminal or a log.

File names, metadata of pictures and networks, and what servers answer may hold control characters:
a terminal obeys them, and a newline forges a message of its own.
"""

import re
from collections.abc import Iterable, Sequence

# C0 and DEL and C1, what begins a new line, what changes the direction of writing, and halves of
# characters, as which Python has the bytes of a file name that is not UTF-8.
_UNSAFE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)

_NEAR = 0.75
"""How alike words are that may be meant for each other: conv9 is not conv5_3."""


def printable(text: str, limit: int = 2000) -> str:
    r"""Return a text on one line, at most so long, with control characters as escapes (``\x1b``).

    All else stays as it is, so that the result can be encoded in UTF-8. What is too long loses its
    middle: a message begins with what is wrong, and ends with what to do.
    """
    # Cut before, too, so that a text of any length costs little.
    return _cut(_UNSAFE.sub(_escaped, _cut(text, limit)), limit)


def clause(text: object, limit: int = 80) -> str:
    """Return text from outside, such as a server's, as a part of a sentence."""
    return printable(" ".join(str(text).split()), limit)


def suggestion(word: object, words: Iterable[str]) -> str:
    """Return the end of a sentence that names the known word that was meant, if one is near."""
    from difflib import get_close_matches  # here: it is needed only where something is wrong

    near = get_close_matches(str(word)[:100], list(words), n=1, cutoff=_NEAR)
    return f"; did you mean {near[0]}?" if near else ""


def some(names: Sequence[str], most: int = 24) -> str:
    """Return a list of names; of many, the last of each block (a/b, a/c is a block), no more.

    Blocks are what layers of large networks lie in, and the last is the block's result.
    """
    if len(names) <= most:
        return ", ".join(names)
    blocks = {name.partition("/")[0]: name for name in names}
    return f"{len(names)}, such as {', '.join([*blocks.values()][:most])}"


def counted(number: int, what: str) -> str:
    """Return a number of things: 1 file, 2 files."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def encodable(text: str, encoding: str | None) -> str:
    """Return a text with escapes for what an encoding lacks; None is UTF-8."""
    encoding = encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    end = limit // 3
    return f"{text[: limit - end - 3]}...{text[len(text) - end :]}"


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte that could not be decoded
        return f"\\x{code - 0xDC00:02x}"
    return match[0].encode("unicode_escape").decode("ascii")
