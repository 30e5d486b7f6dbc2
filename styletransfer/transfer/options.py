"""The keyword arguments of `StyleTransfer.transfer_style`, for editors and type checkers."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from styletransfer.settings import choices


class Options(TypedDict, total=False):
    """Parameters of `Settings`, as loosely as they are taken; what each means stands there."""

    any_size: bool
    seed: int | None
    style_layers: Mapping[str, float] | Sequence[str] | None
    content_layers: Mapping[str, float] | Sequence[str] | None
    style_weights: Sequence[float] | None
    style_scale: float | Sequence[float]
    style_loss: choices.StyleLoss
    gram: choices.Normalization | None
    reduction: choices.Reduction
    tv: float
    tv_kind: choices.Variation
    pooling: choices.Pooling
    mean: Sequence[float] | None
    optimizer: str
    history: int | None
    tolerance: float | None
    step: float | None
    betas: Sequence[float] | None
    epsilon: float | None
    decay: float | None
    average: float | None
    time: float | None
    scales: int | str
    stages: Sequence[Mapping[str, float] | Any]
    conv: choices.Convolution
    preserve_colors: str | Sequence[str] | None
