"""Average pools without ceil_mode beside those with it, on the runtime."""

import numpy as np
import pytest

from styletransfer.onnxgrad import GraphBuilder
from styletransfer.onnxgrad.rewrites import pools
from tests.onnxgrad.graphs import run


@pytest.mark.parametrize("counts", [0, 1])
@pytest.mark.parametrize(
    ("size", "kernel", "stride", "pad", "plain"),
    [
        ((8, 12), 2, 2, 0, True),
        ((9, 13), 3, 2, 0, True),
        ((9, 12), 2, 2, 0, True),
        ((8, 13), 3, 2, 0, True),
        ((8, 8), 3, 1, 1, True),
        ((9, 9), 3, 2, 1, True),
        ((8, 9), 3, 2, 1, False),
    ],
)
def test_pools_lose_ceil_mode(size, kernel, stride, pad, plain, counts) -> None:
    x = np.random.default_rng(0).standard_normal((1, 3, *size)).astype(np.float32)
    builder = GraphBuilder()
    y = builder.op(
        "AveragePool",
        builder.input("x", x.shape),
        kernel_shape=[kernel] * 2,
        strides=[stride] * 2,
        pads=[pad] * 4,
        ceil_mode=1,
        count_include_pad=counts,
    )
    expected = run(builder.model([y]), {"x": x})[y]
    pools.rewrite(builder)
    assert ("ceil_mode" in {a.name for a in builder.nodes[0].attribute}) != plain
    np.testing.assert_allclose(run(builder.model([y]), {"x": x})[y], expected, atol=1e-6)
