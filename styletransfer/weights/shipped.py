"""Networks that this project made itself.

`samples` paints in one pass, also in the styles of the sample pictures (`train --base`). The other
file is for where a network's own weights cannot be had.

GoogLeNet's are in no package registry: a machine that reaches nothing else would have none. The
file that stands in for them was trained to predict VGG-19's features (`tools/distill`). It gives
other pictures than the original program, and is never used without saying so.
"""

import sysconfig
from pathlib import Path

from styletransfer.networks import Network
from styletransfer.weights import cache
from styletransfer.weights.cache import Provenance
from styletransfer.weights.containers import Weights
from styletransfer.weights.places import checkout_models

FILES = {
    "googlenet": Path("googlenet", "googlenet-distilled.onnx"),
    "samples": Path("feedforward", "samples.onnx"),
}


def path(name: str) -> Path | None:
    """Return the file of a network that this project made, None where there is none.

    It lies in ``models`` of a checkout; installed, among the data files of the environment.
    """
    if name not in FILES:
        return None
    installed = Path(sysconfig.get_path("data")) / "share" / "styletransfer" / "models"
    places = (folder / FILES[name] for folder in (checkout_models() or installed, installed))
    return next((place for place in places if place.is_file()), None)


def read(network: Network) -> tuple[Path, Weights, Provenance] | None:
    """Return the weights that stand in for a network's, None where there are none."""
    place = path(network.name)
    return None if place is None else (place, *cache.read(place, network))
