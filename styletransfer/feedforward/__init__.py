"""Networks that paint a picture in one pass.

`Stylizer` paints: with any painting as the style, with the styles of a published network, or with
any ONNX network from images to images. `Trainer` trains networks that do.
"""

from styletransfer.feedforward.stylizer import Stylizer
from styletransfer.feedforward.trainer import Trainer

__all__ = ["Stylizer", "Trainer"]
