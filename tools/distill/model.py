"""The teacher, VGG-19 to conv5_4; the student, GoogLeNet to inception_5a; what learns from what."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from styletransfer import networks

from . import filters

# inception_5b is behind all that is matched.
INCEPTION = {name: widths for name, widths in networks.INCEPTIONS.items() if name != "inception_5b"}
VGG19 = {
    f"conv{block}_{index}": (channels, index == 1 and block > 1)
    for block, channels, depth in ((1, 64, 2), (2, 128, 2), (3, 256, 4), (4, 512, 4), (5, 512, 4))
    for index in range(1, depth + 1)
}

# The centre of a cell of the student lies further right and down than that of the teacher's, more
# so in deeper layers (Caffe's pools have no padding). Moving the teacher's crop by SHIFT pixels
# brings the two within a third of a cell everywhere; in the first two layers it is whole cells.
SHIFT = 4
SIDE = 128


@dataclass(frozen=True)
class Pair:
    """A layer of the student and a map of the teacher that it has to predict.

    `reduce` brings the teacher's map to the student's stride: "" as it is, "pool" by 2x2 averages,
    "phases" by stacking 2x2 neighbours as channels. Cells `first` to `last` of the student are used
    on both axes; the teacher's are `back` cells before them. `weight` is the pair's in the loss.
    """

    student: str
    teacher: str
    reduce: str
    channels: int
    first: int
    last: int
    back: int = 0
    weight: float = 1.0

    @property
    def name(self) -> str:
        return f"{self.student} < {self.teacher}{self.reduce and ' ' + self.reduce}"

    def student_cells(self, features: Tensor) -> Tensor:
        return features[:, :, self.first : self.last, self.first : self.last]

    def teacher_cells(self, features: Mapping[str, Tensor]) -> Tensor:
        target = features[self.teacher]
        if self.reduce == "pool":
            target = functional.avg_pool2d(target, 2)
        elif self.reduce == "phases":
            target = functional.pixel_unshuffle(target, 2)
        start, stop = self.first - self.back, self.last - self.back
        return target[:, :, start:stop, start:stop]


PAIRS = (
    Pair("conv1/7x7_s2", "conv1_1", "phases", 256, 20, 44, back=2),
    Pair("conv1/7x7_s2", "conv1_2", "pool", 64, 20, 44, back=2),
    Pair("conv2/3x3", "conv2_2", "pool", 128, 4, 28, back=1, weight=2),
    Pair("conv2/3x3", "conv3_1", "", 256, 4, 28, back=1, weight=2),
    Pair("inception_3a/output", "conv3_4", "pool", 256, 1, 15, weight=1.5),
    Pair("inception_3a/output", "conv4_1", "", 512, 1, 15, weight=1.5),
    Pair("inception_3b/output", "conv4_2", "", 512, 1, 15),
    Pair("inception_4a/output", "conv4_4", "pool", 512, 0, 8),
    Pair("inception_4a/output", "conv5_1", "", 512, 0, 8),
    Pair("inception_4e/output", "conv5_1", "", 512, 0, 8),
    Pair("inception_4e/output", "conv5_4", "", 512, 0, 8),
    Pair("inception_5a/output", "conv5_4", "pool", 512, 0, 4),
)
# Pairs of the layers that decide the look: with the default weights nearly all of the style loss
# is in the first three style layers. Most training steps end there.
SHALLOW = 6
STYLE_LAYERS = (
    "conv1/7x7_s2",
    "conv2/3x3",
    "inception_3a/output",
    "inception_4a/output",
    "inception_5a/output",
)


class Teacher(nn.Module):
    """VGG-19 with average pooling, as the product runs it; input BGR 0..255 minus mean."""

    def __init__(self, weights: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        super().__init__()
        self.convolutions = nn.ModuleDict()
        for name, (weight, bias) in weights.items():
            layer = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
            layer.weight.data, layer.bias.data = weight, bias
            self.convolutions[name] = layer

    def forward(self, x: Tensor, shallow: bool = False) -> dict[str, Tensor]:
        """Return the maps that are learned from; `shallow`: from the first SHALLOW pairs' only."""
        wanted = {pair.teacher for pair in PAIRS[: SHALLOW if shallow else None]}
        features = {}
        for name, (_, starts_block) in VGG19.items():
            if starts_block:
                x = functional.avg_pool2d(x, 2)
            x = functional.relu(self.convolutions[name](x))
            if name in wanted:
                features[name] = x
            if wanted <= features.keys():
                break
        return features


class Unit(nn.Module):
    """Convolution without bias, batch normalisation, ReLU; export folds the first two into one."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")
        self.norm = nn.BatchNorm2d(outputs, momentum=0.02)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.norm(self.conv(x)))

    def folded(self) -> tuple[Tensor, Tensor]:
        scale = self.norm.weight / torch.sqrt(self.norm.running_var + self.norm.eps)
        weight = self.conv.weight * scale[:, None, None, None]
        return weight.detach(), (self.norm.bias - self.norm.running_mean * scale).detach()


class Stem(nn.Module):
    """The first layer: fixed kernels, each standardised on photographs, and ReLU.

    Equal variances make every band of frequencies count alike in the Gram matrix, though the fine
    ones are faint in photographs.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernels", torch.from_numpy(filters.bank()))
        self.register_buffer("mean", torch.zeros(64))
        self.register_buffer("deviation", torch.ones(64))

    @torch.no_grad()
    def measure(self, data: Tensor) -> None:
        """Find each kernel's mean and deviation over photographs, (N, 3, H, W)."""
        self.deviation, self.mean = torch.std_mean(
            functional.conv2d(data, self.kernels, None, 2), (0, 2, 3)
        )

    def folded(self) -> tuple[Tensor, Tensor]:
        return self.kernels / self.deviation.view(-1, 1, 1, 1), -self.mean / self.deviation

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(functional.conv2d(x, *self.folded(), 2, 3))


class Inception(nn.Module):
    """The four branches. The 1x1 convolutions that read the module's input run as one.

    A 1x1 convolution without bias commutes with average pooling, so the pool branch projects first
    and has less to pool.
    """

    def __init__(self, inputs: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        one, three_in, three, five_in, five, pool = self.widths = widths
        self.entry = nn.Conv2d(inputs, one + three_in + five_in + pool, 1, bias=False)
        nn.init.kaiming_normal_(self.entry.weight, nonlinearity="relu")
        self.norm = nn.BatchNorm2d(one + three_in + five_in + pool, momentum=0.02)
        self.three = Unit(three_in, three, 3)
        self.five = Unit(five_in, five, 5)

    def forward(self, x: Tensor) -> Tensor:
        one, three_in, _, five_in, _, pool = self.widths
        x = self.entry(x)
        pooled = functional.avg_pool2d(x[:, -pool:], 3, 1, 1)
        x = functional.relu(self.norm(torch.cat([x[:, :-pool], pooled], 1)))
        first, third, fifth, last = x.split([one, three_in, five_in, pool], 1)
        return torch.cat([first, self.three(third), self.five(fifth), last], 1)

    def folded(self) -> dict[str, tuple[Tensor, Tensor]]:
        one, three_in, _, five_in, _, pool = self.widths
        scale = self.norm.weight / torch.sqrt(self.norm.running_var + self.norm.eps)
        weight = (self.entry.weight * scale[:, None, None, None]).detach()
        bias = (self.norm.bias - self.norm.running_mean * scale).detach()
        sizes = [one, three_in, five_in, pool]
        names = ["1x1", "3x3_reduce", "5x5_reduce", "pool_proj"]
        layers = dict(
            zip(names, zip(weight.split(sizes), bias.split(sizes), strict=True), strict=True)
        )
        return layers | {"3x3": self.three.folded(), "5x5": self.five.folded()}


class Student(nn.Module):
    """GoogLeNet without LRN, with average pools of Caffe's sizes; input BGR 0..255 minus mean."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = Stem()
        self.reduce = Unit(64, 64, 1)
        self.conv2 = Unit(64, 192, 3)
        modules, inputs = {}, 192
        for name, widths in INCEPTION.items():
            modules[name] = Inception(inputs, widths)
            inputs = widths[0] + widths[2] + widths[4] + widths[5]
        self.inception = nn.ModuleDict(modules)

    def forward(self, x: Tensor, shallow: bool = False) -> dict[str, Tensor]:
        """Return the layers that something is to be matched in; `shallow`: up to inception_3a."""
        features = {"conv1/7x7_s2": (x := self.conv1(x))}
        features["conv2/3x3"] = x = self.conv2(self.reduce(_halve(x)))
        for name, module in self.inception.items():
            if name == "inception_3b" and shallow:
                break
            if name in ("inception_3a", "inception_4a", "inception_5a"):
                x = _halve(x)
            features[f"{name}/output"] = x = module(x)
        return features

    def folded(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Return weight and bias of every convolution by Caffe name, normalisation folded in."""
        layers = {"conv1/7x7_s2": self.conv1.folded()}
        layers["conv2/3x3_reduce"] = self.reduce.folded()
        layers["conv2/3x3"] = self.conv2.folded()
        for name, module in self.inception.items():
            layers |= {f"{name}/{part}": value for part, value in module.folded().items()}
        return layers


def _halve(x: Tensor) -> Tensor:
    return functional.avg_pool2d(x, 3, 2, ceil_mode=True)


class Heads(nn.ModuleDict):
    """One linear 1x1 map a pair, from the student's channels to the teacher's standardised ones."""

    def __init__(self, student: Student) -> None:
        with torch.no_grad():
            features = student.eval()(torch.zeros(1, 3, SIDE, SIDE))
        student.train()
        super().__init__(
            {
                str(number): nn.Conv2d(features[pair.student].shape[1], pair.channels, 1)
                for number, pair in enumerate(PAIRS)
            }
        )
