"""Text from outside as it can be printed."""

LONGEST = 4000


def printable(text: str, limit: int = LONGEST) -> str:
    """placeholder"""
    return text


def encodable(text: str, encoding: str | None) -> str:
    return text
