"""Every parameter of a picture that a network paints in one pass."""

from dataclasses import dataclass
from typing import Any

from styletransfer.settings import choices
from styletransfer.settings.kinds import Choice, Colors, Number, Numbers, Text
from styletransfer.settings.options import Options, describe, option
from styletransfer.settings.picture import FACTOR

RANGES = {"0..255": (0.0, 255.0), "0..1": (0.0, 1.0), "-1..1": (-1.0, 1.0)}
"""The numbers that black and white can be for a network."""

_RANGE = Choice(tuple(RANGES))


@dataclass(frozen=True)
class Painting(Options):
    """How a picture is painted in one pass; see `styletransfer.feedforward.Stylizer`.

    Raises
    ------
    UsageError
        If a parameter has a value that cannot work; it names the parameter, the value and what
        would do.
    """

    model: str = option(
        "arbitrary",
        Text("the name of a network or a file", metavar="NET"),
        "arbitrary (paintings are its styles), multistyle26, samples (those 26, and the sample"
        " pictures from 26 on), or an ONNX file that paints",
        "picture",
        "-m",
        "--model",
    )
    style: str | None = option(
        None,
        Text("a number such as 7, or numbers with weights such as 3:0.5,12:0.5", metavar="STYLE"),
        "a network's own style: its number, such as 7, or a blend, such as 3:0.5,12:0.5 (default:"
        " 0)",
        "picture",
    )
    strength: float = option(
        1.0,
        Number("a number from 0 to 1", lambda x: 0 <= x <= 1),
        "between the photo's own style (0) and the painting's (1)",
        "picture",
    )
    style_scale: float = option(
        1.0,
        Number("a number from 0.05 to 20", lambda x: 0.05 <= x <= 20),
        "how large strokes are: the network sees the photo so many times smaller",
        "picture",
    )
    length: float | None = option(
        None,
        Number("a number of pixels of at least 16", lambda x: x >= 16, metavar="PIXELS"),
        "the longest side of the result (default: the photo's own size)",
        "picture",
        "-l",
        "--length",
    )
    style_weights: tuple[float, ...] | None = option(
        None, Numbers(FACTOR), "how much each of several paintings counts", "picture"
    )
    preserve_colors: tuple[str, str] | None = option(
        None,
        Colors(choices.COLOUR_METHODS),
        "keep the photo's colours: in the result, or in the painting before",
        "picture",
    )
    order: str | None = option(
        None,
        Choice(("RGB", "BGR")),
        "a file's colours (default: what it says, or RGB)",
        "network",
    )
    takes: str | None = option(
        None,
        _RANGE,
        "a file's black and white, in (default: what it says, or looks like)",
        "network",
    )
    gives: str | None = option(
        None, _RANGE, "a file's black and white, out (default: the same)", "network"
    )

    def options(self) -> dict[str, Any]:
        """Return the parameters but for the model."""
        return {name: value for name, value in vars(self).items() if name != "model"}

    def plain(self) -> dict[str, Any]:
        """Return the parameters as what JSON has."""
        return {name: getattr(self, name) for name in describe(Painting)}
