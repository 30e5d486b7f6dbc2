"""Each rule against differences of the operator itself."""

import numpy as np
import pytest

from styletransfer.onnxgrad import GraphBuilder, vjp
from tests.onnxgrad.graphs import check_vjp, evaluate, node_model, run


def normal(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def positive(*shape: int, seed: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.5, 2, shape)


X = normal(2, 4, 7, 6)
# name: (operator, differentiated inputs, constant inputs, attributes)
CASES = {
    "identity": ("Identity", [X], [], {}),
    "neg": ("Neg", [X], [], {}),
    "relu": ("Relu", [X], [], {}),
    "abs": ("Abs", [X], [], {}),
    "sqrt": ("Sqrt", [positive(3, 4)], [], {}),
    "exp": ("Exp", [normal(3, 4)], [], {}),
    "log": ("Log", [positive(3, 4)], [], {}),
    "add": ("Add", [normal(3, 4), normal(3, 4, seed=5)], [], {}),
    "add broadcast": ("Add", [normal(2, 3, 4), normal(3, 1)], [], {}),
    "sum": ("Sum", [normal(3, 4), normal(4), normal(1, 1)], [], {}),
    "sub broadcast": ("Sub", [normal(4), normal(3, 1, 4)], [], {}),
    "mul broadcast": ("Mul", [normal(3, 1), normal(2, 1, 4)], [], {}),
    "mul scalar": ("Mul", [normal(), normal(2, 3)], [], {}),
    "div broadcast": ("Div", [normal(3, 4), positive(4)], [], {}),
    "sum all": ("ReduceSum", [normal(2, 3, 4)], [], {"keepdims": 0}),
    "sum kept": ("ReduceSum", [normal(2, 3, 4)], [np.array([-1, 0])], {}),
    "sum dropped": ("ReduceSum", [normal(2, 3, 4)], [np.array([1])], {"keepdims": 0}),
    "sum none": ("ReduceSum", [normal(2, 3)], [], {"noop_with_empty_axes": 1}),
    "sum square": ("ReduceSumSquare", [normal(2, 3, 4)], [], {"keepdims": 0}),
    "sum square axis": ("ReduceSumSquare", [normal(2, 3, 4)], [np.array([1])], {}),
    "matmul": ("MatMul", [normal(3, 4), normal(4, 5)], [], {}),
    "matmul batch": ("MatMul", [normal(2, 1, 3, 4), normal(5, 4, 2)], [], {}),
    "gemm": ("Gemm", [normal(3, 4), normal(4, 5), normal(5)], [], {"alpha": 2.0, "beta": 3.0}),
    "gemm tt": ("Gemm", [normal(4, 3), normal(5, 4)], [], {"transA": 1, "transB": 1}),
    "gemm nt": ("Gemm", [normal(3, 4), normal(5, 4)], [], {"transB": 1, "alpha": 0.5}),
    "gemm tn": ("Gemm", [normal(4, 3), normal(4, 5), normal(3, 1)], [], {"transA": 1}),
    "reshape": ("Reshape", [normal(2, 3, 4)], [np.array([0, -1])], {}),
    "flatten": ("Flatten", [normal(2, 3, 4)], [], {"axis": 2}),
    "squeeze": ("Squeeze", [normal(2, 1, 4)], [np.array([1])], {}),
    "unsqueeze": ("Unsqueeze", [normal(2, 4)], [np.array([0, 3])], {}),
    "transpose": ("Transpose", [normal(2, 3, 4)], [], {"perm": [1, 2, 0]}),
    "transpose default": ("Transpose", [normal(2, 3, 4)], [], {}),
    "concat": ("Concat", [normal(2, 1, 3), normal(2, 4, 3), normal(2, 2, 3)], [], {"axis": 1}),
    "concat one": ("Concat", [normal(2, 3)], [], {"axis": 0}),
    "concat part": ("Concat", [normal(2, 3)], [normal(2, 2)], {"axis": -1}),
    "leaky relu": ("LeakyRelu", [X], [], {"alpha": 0.3}),
    "prelu": ("PRelu", [X, positive(4, 1, 1)], [], {}),
    "elu": ("Elu", [X], [], {"alpha": 0.7}),
    "sigmoid": ("Sigmoid", [X], [], {}),
    "tanh": ("Tanh", [X], [], {}),
    "clip": ("Clip", [X], [np.array(-0.5), np.array(0.8)], {}),
    "clip one side": ("Clip", [X], [None, np.array(0.8)], {}),
    "pow square": ("Pow", [normal(3, 4)], [np.array(2.0)], {}),
    "pow root": ("Pow", [positive(3, 4)], [np.array(-0.75)], {}),
    "pow": ("Pow", [positive(3, 4), normal(4)], [], {}),
    "max": ("Max", [normal(3, 4), normal(3, 4, seed=5)], [], {}),
    "max broadcast": ("Max", [normal(3, 4), normal(4, seed=5), normal(1, seed=6)], [], {}),
    "max one": ("Max", [normal(3, 4)], [], {}),
    "mean": ("ReduceMean", [normal(2, 3, 4)], [np.array([0, 2])], {}),
    "mean all": ("ReduceMean", [normal(2, 3, 4)], [], {"keepdims": 0}),
    "softmax": ("Softmax", [normal(2, 3, 4)], [], {"axis": 1}),
    "softmax last": ("Softmax", [normal(2, 3)], [], {}),
    "expand": ("Expand", [normal(3, 1)], [np.array([2, 1, 4])], {}),
    "slice": ("Slice", [normal(5, 6)], [[1, -4], [100, -1], [0, 1]], {}),
    "slice no axes": ("Slice", [normal(5, 6)], [[1], [3]], {}),
    "slice steps": ("Slice", [normal(5, 6)], [[1], [3], [-1], [1]], {}),
    "pad": ("Pad", [normal(2, 3)], [[1, 0, 0, 2]], {}),
    "pad reflect": ("Pad", [X], [[0, 0, 3, 1, 0, 0, 2, 4]], {"mode": "reflect"}),
    "pad reflect channels": ("Pad", [X], [[2, 1, 1, 3], None, [1, 2]], {"mode": "reflect"}),
    "pad reflect far": ("Pad", [X], [[3, 5, 4, 2], None, [2, 3]], {"mode": "reflect"}),
    "depth to space": ("DepthToSpace", [normal(2, 8, 3, 2)], [], {"blocksize": 2}),
    "space to depth": ("SpaceToDepth", [normal(2, 3, 4, 6)], [], {"blocksize": 2}),
    "pad edge": ("Pad", [X], [[2, 0, 9, 3], None, [-2, 3]], {"mode": "edge"}),
    "pad axes": ("Pad", [normal(2, 3)], [[1, 2], np.array(7.0), [-1]], {}),
    "conv": ("Conv", [X, normal(3, 4, 3, 2), normal(3)], [], {"pads": [1, 0, 2, 1]}),
    "conv stride": ("Conv", [X, normal(3, 4, 3, 2)], [], {"strides": [3, 2], "pads": [1, 1, 0, 1]}),
    "conv dilation": ("Conv", [X, normal(3, 4, 3, 2)], [], {"dilations": [2, 3]}),
    "conv both": ("Conv", [X, normal(3, 4, 2, 2)], [], {"dilations": [2, 1], "strides": [2, 2]}),
    "conv 1d": ("Conv", [normal(2, 3, 9), normal(4, 3, 3)], [], {}),
    "conv fixed": ("Conv", [normal(1, 6, 7, 5)], [normal(4, 6, 3, 2)], {"pads": [1, 0, 2, 1]}),
    "conv fixed dilation": (
        "Conv",
        [normal(1, 6, 7, 5)],
        [normal(4, 6, 3, 2)],
        {"dilations": [2, 3]},
    ),
    "conv fixed wide": ("Conv", [normal(1, 6, 7, 5)], [normal(4, 6, 1, 2)], {"pads": [2, 0, 1, 3]}),
    "conv fixed stride": ("Conv", [normal(1, 6, 7, 5)], [normal(4, 6, 3, 2)], {"strides": [2, 3]}),
    "conv groups": ("Conv", [normal(2, 6, 7, 5)], [normal(4, 3, 3, 2), normal(4)], {"group": 2}),
    "conv depthwise": ("Conv", [normal(2, 6, 7, 5)], [normal(12, 1, 3, 2)], {"group": 6}),
    "conv groups stride": (
        "Conv",
        [normal(2, 6, 8, 5)],
        [normal(4, 3, 3, 2)],
        {"group": 2, "strides": [2, 1]},
    ),
    "conv groups weights": (
        "Conv",
        [normal(2, 6, 7, 5), normal(4, 3, 3, 2), normal(4)],
        [],
        {"group": 2, "pads": [1, 0, 2, 1]},
    ),
    "conv depthwise weights": ("Conv", [normal(2, 6, 7, 5), normal(12, 1, 3, 2)], [], {"group": 6}),
    "conv groups stride weights": (
        "Conv",
        [normal(2, 6, 8, 5), normal(4, 3, 3, 2)],
        [],
        {"group": 2, "strides": [2, 3], "dilations": [1, 2], "pads": [1, 1, 0, 1]},
    ),
    "conv few channels": ("Conv", [normal(2, 3, 9, 8), normal(24, 3, 5, 4)], [], {"pads": [2] * 4}),
    "conv few maps": ("Conv", [normal(2, 24, 9, 8), normal(3, 24, 5, 4)], [], {"pads": [2] * 4}),
    "conv few maps stride": (
        "Conv",
        [normal(2, 24, 9, 8), normal(3, 24, 5, 4)],
        [],
        {"strides": [2, 2], "dilations": [1, 2]},
    ),
    "conv few 3d": (
        "Conv",
        [normal(2, 1, 4, 5, 6), normal(8, 1, 2, 3, 2)],
        [],
        {"dilations": [1, 2, 1]},
    ),
    "conv crops": ("Conv", [normal(1, 2, 8, 9), normal(3, 2, 2, 2)], [], {"strides": [5, 4]}),
    "deconv groups weights": (
        "ConvTranspose",
        [X, normal(4, 3, 2, 2)],
        [],
        {"group": 2, "strides": [2, 2]},
    ),
    "deconv": ("ConvTranspose", [X, normal(4, 3, 3, 2), normal(3)], [], {"pads": [1, 0, 2, 1]}),
    "deconv stride": (
        "ConvTranspose",
        [X, normal(4, 3, 3, 2)],
        [],
        {"strides": [3, 2], "output_padding": [2, 1]},
    ),
    "deconv groups": ("ConvTranspose", [X], [normal(4, 3, 2, 2)], {"group": 2, "strides": [2, 2]}),
    "average": ("AveragePool", [X], [], {"kernel_shape": [2, 3], "strides": [2, 3]}),
    "global average": ("GlobalAveragePool", [X], [], {}),
    "lrn": ("LRN", [X], [], {"size": 3, "alpha": 0.7, "beta": 0.6, "bias": 1.5}),
    "lrn even": ("LRN", [X], [], {"size": 4, "alpha": 0.7}),
    "batch normalization": (
        "BatchNormalization",
        [X],
        [normal(4), normal(4), normal(4), positive(4)],
        {"epsilon": 1e-3},
    ),
    "batch normalization parameters": (
        "BatchNormalization",
        [X, normal(4), normal(4)],
        [normal(4), positive(4)],
        {"epsilon": 1e-3},
    ),
    "instance normalization": (
        "InstanceNormalization",
        [X, normal(4), normal(4)],
        [],
        {"epsilon": 1e-3},
    ),
    "instance normalization fixed": (
        "InstanceNormalization",
        [normal(2, 3, 5)],
        [normal(3)] * 2,
        {},
    ),
    "instance normalization bias": ("InstanceNormalization", [X, positive(4)], [normal(4)], {}),
    "resize nearest": (
        "Resize",
        [X],
        [None, np.array([1, 1, 2, 3], np.float32)],
        {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
    ),
    "resize nearest half pixel": (
        "Resize",
        [X],
        [None, np.array([1, 1, 2, 3], np.float32)],
        {"coordinate_transformation_mode": "half_pixel", "nearest_mode": "round_prefer_floor"},
    ),
    "resize nearest smaller": (
        "Resize",
        [X],
        [None, None, np.array([2, 4, 3, 9])],
        {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "ceil"},
    ),
    "resize linear": (
        "Resize",
        [X],
        [None, np.array([1, 1, 2, 2.5], np.float32)],
        {"mode": "linear"},
    ),
    "resize linear corners": (
        "Resize",
        [X],
        [None, None, np.array([2, 4, 5, 11])],
        {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
    ),
    "resize linear pytorch": (
        "Resize",
        [X],
        [None, None, np.array([1, 11])],
        {
            "mode": "linear",
            "axes": [2, 3],
            "coordinate_transformation_mode": "pytorch_half_pixel",
        },
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_vector_jacobian_product(case):
    op_type, inputs, constants, attributes = CASES[case]
    feeds = {f"x{i}": x for i, x in enumerate(inputs)}
    held = {f"c{i}": c if c is None else np.asarray(c) for i, c in enumerate(constants)}
    check_vjp(node_model(op_type, feeds, held, **attributes), feeds)


def pool_model(op_type: str, x: np.ndarray, pool: tuple[int, int, int], **attributes: int):
    kernel, stride, margin = pool
    return node_model(
        op_type,
        {"x": x},
        kernel_shape=[kernel] * 2,
        strides=[stride] * 2,
        pads=[margin] * 4,
        **attributes,
    )


# Kernel, stride and margin of square pools, on maps of 7 by 6: tiling, overlapping, with gaps, with
# windows that overhang or would begin in the margin.
POOLS = [(2, 2, 0), (2, 2, 1), (3, 3, 1), (3, 2, 0), (3, 2, 1), (3, 1, 1), (5, 3, 2), (2, 3, 1)]


@pytest.mark.parametrize("ceil_mode", [0, 1])
@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("count_include_pad", [0, 1])
def test_average_pool(pool, ceil_mode, count_include_pad):
    model = pool_model(
        "AveragePool", X, pool, ceil_mode=ceil_mode, count_include_pad=count_include_pad
    )
    check_vjp(model, {"x": X})


# The reference's MaxPool gives wrong indices where there is padding: these run on ONNX Runtime, on
# values so far apart that differences never change which one is the greatest.
APART = np.random.default_rng(3).permutation(2 * 4 * 7 * 6).reshape(2, 4, 7, 6).astype(np.float32)


@pytest.mark.parametrize("ceil_mode", [0, 1])
@pytest.mark.parametrize("pool", POOLS)
def test_max_pool(pool, ceil_mode):
    model = pool_model("MaxPool", APART, pool, ceil_mode=ceil_mode)
    check_vjp(model, {"x": APART}, run, step=0.1, tolerance=1e-4)


def test_global_max_pool():
    model = node_model("GlobalMaxPool", {"x": APART})
    check_vjp(model, {"x": APART}, run, step=0.1, tolerance=1e-4)


@pytest.mark.parametrize("pool", [(2, 2, 0), (3, 2, 0)])
def test_max_pool_gives_equal_elements_one_cotangent(pool):
    """A flat region: the cotangent goes to the first element of a window, and only there."""
    x = np.zeros((1, 1, 6, 6), np.float32)
    model = vjp(pool_model("MaxPool", x, pool), ["y0"], ["x"])
    dy = np.arange(1, 10, dtype=np.float32).reshape(1, 1, 3, 3)[:, :, : 3 - pool[0] // 3, :]
    dy = np.ascontiguousarray(dy[..., : dy.shape[2]])
    dx = run(model, {"x": x, "cotangent/y0": dy})["gradient/x"]
    expected = np.zeros_like(x)
    expected[:, :, : 2 * dy.shape[2] : 2, : 2 * dy.shape[3] : 2] = dy
    np.testing.assert_array_equal(dx, expected)


def test_greatest_of_equal_inputs_is_the_second():
    """As in Caffe: of two equal ones the second, of three the second too."""
    x = np.zeros(2, np.float64)
    for count, winner in [(2, "x1"), (3, "x1")]:
        feeds = {f"x{i}": x for i in range(count)}
        model = vjp(node_model("Max", feeds), ["y0"], list(feeds))
        result = evaluate(model, {**feeds, "cotangent/y0": x + 3})
        for name in feeds:
            expected = x + 3 if name == winner else x
            np.testing.assert_array_equal(result[f"gradient/{name}"], expected)


@pytest.mark.parametrize("used", [("y0", "y1", "y2"), ("y1",), ("y0", "y2")])
@pytest.mark.parametrize("given", [{"split": [1, 2, 4]}, {"num_outputs": 3}])
def test_split(used, given):
    """Outputs without a cotangent count as if theirs were zero."""
    held = {k: np.array(v) for k, v in given.items() if k == "split"}
    rest = {k: v for k, v in given.items() if k != "split"}
    model = node_model("Split", {"x": X}, held, outputs=3, axis=2, **rest)
    cotangents = {name: evaluate(model, {"x": X})[name] for name in used}
    feeds = {f"cotangent/{k}": v for k, v in cotangents.items()}
    dx = evaluate(vjp(model, used, ["x"]), {"x": X, **feeds})["gradient/x"]
    # y is linear in x and its Jacobian's rows are unit vectors: Jᵀ y is x where x was used.
    sizes = [1, 2, 4] if held else [3, 3, 1]
    mask = np.concatenate([np.full(n, f"y{i}" in used) for i, n in enumerate(sizes)])
    np.testing.assert_array_equal(dx, X * mask[:, None])


def test_where():
    condition = normal(3, 4) > 0
    builder = GraphBuilder()
    a, b = builder.input("a", (3, 4), float), builder.input("b", (4,), float)
    builder.op("Where", builder.constant(condition), a, b, output="y")
    check_vjp(builder.model(["y"]), {"a": normal(3, 4, seed=2), "b": normal(4, seed=3)})


def test_gram_matrix_takes_one_product_back():
    """Both operands of a Gemm are one tensor: (dY + dYᵀ) X, not two products."""
    for shape, flips in [((3, 5), {"transB": 1}), ((5, 3), {"transA": 1})]:
        x = normal(*shape)
        builder = GraphBuilder()
        name = builder.input("x", shape, float)
        builder.op("Gemm", name, name, output="y", alpha=0.3, **flips)
        model = builder.model(["y"])
        check_vjp(model, {"x": x})
        emitted = [node.op_type for node in vjp(model, ["y"], ["x"]).graph.node]
        assert emitted.count("Gemm") == 2  # forward and backward


def test_gram_matrices_take_one_product_back():
    """The same where there are several, whose second operand is the first one transposed."""
    builder = GraphBuilder()
    x = builder.input("x", (2, 3, 5), float)
    builder.op("MatMul", x, builder.op("Transpose", x, perm=[0, 2, 1]), output="y")
    model = builder.model(["y"])
    check_vjp(model, {"x": normal(2, 3, 5)})
    emitted = [node.op_type for node in vjp(model, ["y"], ["x"]).graph.node]
    assert emitted.count("MatMul") == 2  # forward and backward
    assert emitted.count("Transpose") == 2


def test_transposed_operand_is_not_transposed_twice():
    builder = GraphBuilder()
    x, z = builder.input("x", (3, 5), float), builder.input("z", (3, 5), float)
    builder.op("MatMul", x, builder.op("Transpose", z, perm=[1, 0]), output="y")
    model = builder.model(["y"])
    check_vjp(model, {"x": normal(3, 5), "z": normal(3, 5, seed=2)})
    emitted = [node.op_type for node in vjp(model, ["y"], ["x", "z"]).graph.node]
    # Forward, Aᵀ in dB = Aᵀ dY, and the way back; Bᵀ in dA = dY Bᵀ is z itself.
    assert emitted.count("Transpose") == 3
