"""Text from outside can neither steer a terminal nor break a stream."""

import os
import sys
import unicodedata

import pytest

from styletransfer.text import encodable, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nsaved b.jpg\r\t", r"a\nsaved b.jpg\r\t"),
        ("\x1b[2J\x07\x00\x7f", r"\x1b[2J\x07\x00\x7f"),
        ("\x9b31m\x85", r"\x9b31m\x85"),
        ("a\u2028b\u2029c", r"a\u2028b\u2029c"),
        ("cat\u202egpj.exe\u2066\u200f", r"cat\u202egpj.exe\u2066\u200f"),
        (os.fsdecode(b"caf\xe9.jpg"), r"caf\xe9.jpg"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_steers_a_terminal_is_escaped(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize(
    "text", ["", "Große Welle 神奈川 🌊", "👩‍🎨 مرحبا שלום", r"C:\new\x1b", "a" * 2000]
)
def test_other_text_stays(text):
    assert printable(text) == text


def test_no_character_is_forgotten():
    every = "".join(map(chr, range(sys.maxunicode + 1)))
    shown = printable(every, 2 * len(every))
    shown.encode("utf-8")
    assert len(shown.splitlines()) == 1
    left = {unicodedata.category(character) for character in shown}
    assert not left & {"Cc", "Cs", "Zl", "Zp"}


@pytest.mark.parametrize("limit", [4, 5, 30, 31, 1000])
@pytest.mark.parametrize("text", ["abc" * 10**6, "\x1b" * 10**6])
def test_length_is_bounded(text, limit):
    assert len(printable(text, limit)) == limit


def test_beginning_and_end_of_a_long_text_are_kept():
    text = "layer 'a' reads " + "x" * 5000 + "; rename one"
    shown = printable(text, 100)
    assert shown.startswith("layer 'a' reads xxx")
    assert shown.endswith("xxx; rename one")
    assert "x...x" in shown


@pytest.mark.parametrize(
    ("text", "encoding", "shown"),
    [
        ("Große Welle", "ascii", r"Gro\xdfe Welle"),
        ("Große 🌊", "latin-1", "Große \\U0001f30a"),
        ("Große 🌊", "utf-8", "Große 🌊"),
        (os.fsdecode(b"\xe9"), "utf-8", r"\udce9"),
        ("Große 🌊", None, "Große 🌊"),
    ],
)
def test_what_a_stream_lacks_is_escaped(text, encoding, shown):
    assert encodable(text, encoding) == shown
