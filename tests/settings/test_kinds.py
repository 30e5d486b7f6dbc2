"""The kinds of values, read from what people and files write."""

import pytest

from styletransfer.settings.kinds import Choice, Colors, Layers, Number, Numbers, Text

NATURAL = Number("at least 1", lambda x: x >= 1, whole=True)
REAL = Number("a number", lambda x: True)


@pytest.mark.parametrize(
    ("kind", "written", "meant"),
    [
        (NATURAL, "12", 12),
        (NATURAL, 12.0, 12),
        (REAL, "1e4", 1e4),
        (REAL, -3, -3.0),
        (Numbers(REAL), ["1", "2.5"], (1.0, 2.5)),
        (Numbers(REAL), 7, (7.0,)),
        (Numbers(REAL, 2), (0.9, 0.99), (0.9, 0.99)),
        (Choice(("a", "b")), "b", "b"),
        (Text("a text"), -1, "-1"),
        (Layers(), ["a", "b"], {"a": 0.5, "b": 0.5}),
        (Layers(), ["a=2", "b=0"], {"a": 2.0, "b": 0.0}),
        (Layers(), {"a/b=c": 3}, {"a/b=c": 3.0}),
        (Colors({"lab": ("after",)}), ["lab"], ("lab", "after")),
        (Colors({"x": ("before", "after")}), ["x", "after"], ("x", "after")),
        (Colors({"x": ("before", "after")}), "x", ("x", "before")),
    ],
)
def test_values_have_one_form(kind, written, meant):
    value = kind.read(written)
    assert value == meant
    assert type(value) is type(meant)
    assert kind.read(value) == value


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        (NATURAL, "0"),
        (NATURAL, "1.5"),
        (NATURAL, 1.5),
        (NATURAL, True),
        (NATURAL, "9" * 5000),
        (REAL, "nan"),
        (REAL, float("inf")),
        (REAL, None),
        (REAL, [1]),
        (Numbers(REAL), []),
        (Numbers(REAL, 2), [1]),
        (Numbers(REAL), [1] * 1000),
        (Choice(("a",)), ["a"]),
        (Text("a text"), ""),
        (Text("a text"), "x" * 5000),
        (Text("a text"), False),
        (Layers(), []),
        (Layers(), ["a=x"]),
        (Layers(), ["a=-1"]),
        (Layers(), ["a", "a"]),
        (Layers(), [1]),
        (Colors({"lab": ("after",)}), ["lab", "before"]),
        (Colors({"lab": ("after",)}), ["blue"]),
        (Colors({"lab": ("after",)}), []),
    ],
)
def test_what_cannot_be(kind, written):
    with pytest.raises(ValueError, match=r".+"):
        kind.read(written)
