"""A graph's model and its large constants, each by itself."""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper

from styletransfer.onnxgrad.builder import GraphBuilder, gives_shapes
from styletransfer.onnxgrad.reading import needed


def apart(
    builder: GraphBuilder, outputs: Sequence[str]
) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """Return the model that computes outputs without its large constants, and these.

    Of them the model has the name, the type and the shape: a runtime is given the arrays, and
    hundreds of megabytes are neither serialised nor read again.

    Parameters
    ----------
    builder : GraphBuilder
        The graph.
    outputs : sequence of str
        As of `GraphBuilder.model`.

    Returns
    -------
    model : onnx.ModelProto
        Its large constants are said to lie in a file, of which there is none.
    constants : dict of str to ndarray
        Their values, those of the builder itself.
    """
    _, read = needed(builder.nodes, outputs)
    constants = {
        name: array
        for name, array in builder.initializers.items()
        if name in read and not gives_shapes(array)
    }
    model = builder.model(outputs, without=constants)
    for name, array in constants.items():
        tensor = model.graph.initializer.add(
            name=name,
            data_type=helper.np_dtype_to_tensor_dtype(array.dtype),
            dims=array.shape,
            data_location=onnx.TensorProto.EXTERNAL,
        )
        tensor.external_data.add(key="location", value="given")
    return model, constants
