"""Which frames of a film, and how they hang together."""

from fractions import Fraction

import pytest

from styletransfer.errors import UsageError
from styletransfer.settings.film import Film


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("0", 0),
        ("120", 120),
        ("4.8", Fraction("4.8")),
        ("4s", Fraction(4)),
        ("1:02", Fraction(62)),
        ("1:02:03.5", Fraction("3723.5")),
    ],
)
def test_places_are_frames_or_times(text, place):
    begin = Film(begin=text).begin
    assert begin == place
    assert type(begin) is type(place)


@pytest.mark.parametrize("text", ["", "-1", "one", "1:2:3:4", "٣", "1e3", "9" * 50, True])
def test_what_is_no_place_is_told(text):
    with pytest.raises(UsageError, match=r"give a frame's number such as 120, or a time"):
        Film(begin=text)


def test_plain_is_what_json_has():
    plain = Film(begin="1.5", end="9", fps=12).plain()
    assert plain["begin"] == "3/2"
    assert plain["end"] == 9
    assert plain["no_coherence"] is False
