"""Loss terms as forward graph fragments; their gradients are derived by `onnxgrad`.

A term looks at one layer's features. Its *statistic* (the features themselves, their Gram matrix)
is computed from the image under optimisation and, once, from the picture to be matched; its
*distance* is the scalar between the two.
"""

from dataclasses import dataclass

import numpy as np

from styletransfer.onnxgrad import GraphBuilder


@dataclass(frozen=True)
class Content:
    """Half the summed squared difference of the features themselves.

    Attributes
    ----------
    layer : str
        The layer whose output is compared.

    References
    ----------
    Gatys, Ecker, Bethge: A Neural Algorithm of Artistic Style (2015), equation 1.
    """

    layer: str

    @property
    def name(self) -> str:
        """The term's name, unique within one objective."""
        return f"content/{self.layer}"

    def statistic(self, graph: GraphBuilder, features: str) -> str:
        """Return the tensor that is compared: the features, (1, C, H, W)."""
        return features

    def distance(self, graph: GraphBuilder, features: str, statistic: str, target: str) -> str:
        """Return, as (1,), ½ Σ (F − F_content)², not normalised, as in the original."""
        difference = graph.op("Sub", statistic, target)
        return _scaled_sum_of_squares(graph, difference, 0.5)


@dataclass(frozen=True)
class Gram:
    """Quarter of the summed squared difference of Gram matrices, divided by C² M².

    Attributes
    ----------
    layer : str
        The layer whose output's channels are correlated.

    References
    ----------
    Gatys, Ecker, Bethge: A Neural Algorithm of Artistic Style (2015), equations 3 and 4.
    """

    layer: str

    @property
    def name(self) -> str:
        """The term's name, unique within one objective."""
        return f"style/{self.layer}"

    def statistic(self, graph: GraphBuilder, features: str) -> str:
        """Return the Gram matrix F Fᵀ of the features as (C, M), shape (C, C), not normalised."""
        _, channels, *size = graph.shape(features)
        shape = np.array([channels, size[0] * size[1]], np.int64)
        flat = graph.op("Reshape", features, graph.constant(shape))
        return graph.op("Gemm", flat, flat, transB=1)

    def distance(self, graph: GraphBuilder, features: str, statistic: str, target: str) -> str:
        """Return, as (1,), c/4 Σ (G − G_style)².

        c = 1 / (C² M²) has the C and M of the image under optimisation, even where the style
        image has another size: so does the original.
        """
        _, channels, height, width = graph.shape(features)
        difference = graph.op("Sub", statistic, target)
        factor = 0.25 / (channels * height * width) ** 2
        return _scaled_sum_of_squares(graph, difference, factor)


Term = Content | Gram


def _scaled_sum_of_squares(graph: GraphBuilder, values: str, factor: float) -> str:
    """Return factor · Σ values², of shape (1,)."""
    flat = graph.op("Reshape", values, graph.constant(np.array([-1], np.int64)))
    total = graph.op("ReduceSumSquare", flat)
    return graph.op("Mul", total, graph.constant(np.array([factor], graph.dtype(values))))
