"""Train the student on the teacher's maps, with a store of taught crops, checkpoints and resume."""

import json
import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from .data import Pictures
from .model import PAIRS, SHALLOW, SHIFT, SIDE, STYLE_LAYERS, VGG19, Heads, Student, Teacher

MEAN = torch.tensor([104.00698793, 116.66876762, 122.67891434]).view(1, 3, 1, 1)  # BGR
KERNEL_LAYERS = STYLE_LAYERS[1:]  # the first is not learned
KERNEL_CELLS = 512  # cells that are compared with one another, a step and style layer


@dataclass(frozen=True)
class Settings:
    """Hyperparameters; the learning rate follows a cosine over the wall-clock budget."""

    minutes: float = 110
    batch: int = 16
    reuse: float = 5  # how often a taught crop is used before it is replaced
    capacity: int = 2000  # crops in the store
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.3  # of the student's kernels
    noise: float = 25.0  # grey levels: the most white noise the student's input gets
    attack: float = 3.0  # grey levels: the largest adversarial perturbation, root mean square
    warm_up: int = 200  # steps
    average: float = 0.995  # decay of the moving average of the weights
    kernel_weight: float = 1.0
    deep_every: int = 6  # the other steps are shallow, see model.SHALLOW
    deep_share: float = 0.25  # of the crops get maps for the deep steps
    seed: int = 0


def load_teacher(path: Path, dtype: torch.dtype, device: str) -> Teacher:
    """Read VGG-19 from the project's ONNX file: initializers `<layer>/weight`, `<layer>/bias`."""
    values = {tensor.name: tensor for tensor in onnx.load(path).graph.initializer}
    weights = {
        name: tuple(
            torch.from_numpy(numpy_helper.to_array(values[f"{name}/{part}"]).astype(np.float32))
            for part in ("weight", "bias")
        )
        for name in VGG19
    }
    teacher = Teacher(weights).eval().requires_grad_(False)
    return teacher.to(device, dtype, memory_format=torch.channels_last)


def network_input(crops: Tensor) -> Tensor:
    """Turn (N, H, W, 3) uint8 RGB crops into the networks' input, BGR minus mean."""
    data = crops.flip(-1).permute(0, 3, 1, 2).float() - MEAN.to(crops.device)
    return data.contiguous(memory_format=torch.channels_last)


def _mapped(path: Path, dtype: type, shape: tuple[int, ...]) -> np.memmap:
    """Map a file that keeps what an interrupted run has put there."""
    return np.memmap(path, dtype, "r+" if path.exists() else "w+", shape=shape)


class Lesson:
    """Crops and what the teacher says of them, standardised a channel; on disk, memory-mapped.

    Running the teacher costs more than a step of the student, so each crop is used a few times
    before a new one takes its place.
    """

    def __init__(
        self, teacher: Teacher, pictures: Pictures, folder: Path, name: str, capacity: int
    ) -> None:
        self._teacher = teacher
        self.pictures = pictures
        self.capacity = capacity
        sizes = [pair.channels * (pair.last - pair.first) ** 2 for pair in PAIRS]
        self._edges = np.cumsum([0, *sizes])
        self.crops = _mapped(folder / f"{name}.crops", np.uint8, (capacity, SIDE, SIDE, 3))
        self.maps = _mapped(folder / f"{name}.maps", np.float16, (capacity, int(self._edges[-1])))
        self.filled = self.next = 0
        self.deep = np.zeros(capacity, bool)  # which crops have all maps, not only the shallow
        self.scales: list[tuple[Tensor, Tensor]] = []  # mean and deviation a channel, by pair

    def _teach(self, count: int, plain: bool, deep: bool) -> tuple[np.ndarray, list[Tensor]]:
        large = [
            np.rint(self.pictures.crop(SIDE + SHIFT, plain)).astype(np.uint8) for _ in range(count)
        ]
        crops = np.stack(large)
        weight = next(self._teacher.parameters())
        with torch.inference_mode():
            data = network_input(torch.from_numpy(crops[:, SHIFT:, SHIFT:]).to(weight.device))
            features = self._teacher(data.to(weight.dtype), shallow=not deep)
            pairs = PAIRS if deep else PAIRS[:SHALLOW]
            maps = [pair.teacher_cells(features).float().cpu() for pair in pairs]
        return crops[:, :SIDE, :SIDE], [m.contiguous() for m in maps]

    def measure(self, count: int = 256, batch: int = 16) -> None:
        """Find the mean and standard deviation of the teacher's channels over `count` crops."""
        first = [torch.zeros(pair.channels, dtype=torch.float64) for pair in PAIRS]
        second = [torch.zeros(pair.channels, dtype=torch.float64) for pair in PAIRS]
        for _ in range(count // batch):
            for number, values in enumerate(self._teach(batch, plain=False, deep=True)[1]):
                first[number] += values.double().mean((0, 2, 3)) * batch / count
                second[number] += values.double().square().mean((0, 2, 3)) * batch / count
        for mean, square in zip(first, second, strict=True):
            deviation = (square - mean.square()).clamp_min(0).sqrt()
            # Some channels hardly ever fire.
            deviation = deviation.clamp_min(0.02 * deviation.mean())
            self.scales.append((mean.float(), deviation.float()))

    def add(self, count: int, deep: bool, plain: bool = False) -> None:
        """Put `count` new crops in the store, over the oldest where it is full."""
        crops, maps = self._teach(count, plain, deep)
        places = (self.next + np.arange(count)) % self.capacity
        self.crops[places] = crops
        self.deep[places] = deep
        for number, values in enumerate(maps):
            mean, deviation = self.scales[number]
            values = (values - mean.view(-1, 1, 1)) / deviation.view(-1, 1, 1)
            start, stop = self._edges[number : number + 2]
            self.maps[places, start:stop] = values.flatten(1).numpy().astype(np.float16)
        self.next = (self.next + count) % self.capacity
        self.filled = min(self.filled + count, self.capacity)

    def take(self, places: np.ndarray, deep: bool, device: str) -> tuple[Tensor, list[Tensor]]:
        """Return the networks' input and the standardised maps of the crops at these places."""
        pairs = PAIRS if deep else PAIRS[:SHALLOW]
        rows = torch.from_numpy(self.maps[places, : self._edges[len(pairs)]]).to(device).float()
        maps = []
        for number, pair in enumerate(pairs):
            start, stop = self._edges[number : number + 2]
            side = pair.last - pair.first
            maps.append(rows[:, start:stop].view(-1, pair.channels, side, side))
        return network_input(torch.from_numpy(self.crops[places]).to(device)), maps


def head_losses(
    heads: nn.ModuleDict,
    features: Mapping[str, Tensor],
    maps: list[Tensor],
    scales: list[tuple[Tensor, Tensor]],
) -> list[Tensor]:
    """Squared error of each head's prediction: half with channels alike, half by their variance."""
    losses = []
    for number, (pair, target, (_, deviation)) in enumerate(zip(PAIRS, maps, scales, strict=False)):
        predicted = heads[str(number)](pair.student_cells(features[pair.student])).float()
        variance = deviation.square()
        weight = 0.5 + 0.5 * variance / variance.mean()
        error = (predicted - target).square().mean((0, 2, 3))
        losses.append(pair.weight * (error * weight).mean())
    return losses


def kernel_losses(
    features: Mapping[str, Tensor], maps: list[Tensor], scales: list[tuple[Tensor, Tensor]]
) -> list[Tensor]:
    """How far the student's inner products of cells are from the teacher's, by style layer.

    The distance of two Gram matrices is a sum of squared inner products of cells, so where these
    are proportional, the style losses are. One minus the cosine between the two kernel matrices,
    plus the same of the centred matrices (centred kernel alignment).
    """
    losses = []
    for layer in KERNEL_LAYERS:
        if layer not in features:
            continue
        numbers = [number for number, pair in enumerate(PAIRS) if pair.student == layer]
        pair = PAIRS[numbers[0]]
        own = _cells(pair.student_cells(features[layer]).float())
        chosen = torch.randperm(len(own), device=own.device)[:KERNEL_CELLS]
        own, taught = own[chosen], 0
        for number in numbers:
            mean, deviation = scales[number]
            raw = _cells(maps[number])[chosen] * deviation + mean
            taught = taught + raw @ raw.T / raw.square().sum(1).mean()
        kernel = own @ own.T
        losses.append(2 - _cosine(kernel, taught) - _cosine(_centred(kernel), _centred(taught)))
    return losses


def _strengths(data: Tensor) -> Tensor:
    """Return a number in 0..1 for each crop, to multiply the crops with."""
    return torch.rand(len(data), 1, 1, 1, device=data.device)


def _cells(features: Tensor) -> Tensor:
    return features.permute(0, 2, 3, 1).flatten(0, 2)


def _centred(kernel: Tensor) -> Tensor:
    return kernel - kernel.mean(0, keepdim=True) - kernel.mean(1, keepdim=True) + kernel.mean()


def _cosine(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum() / (a.norm() * b.norm() + 1e-12)


def explained(
    student: Student, heads: nn.ModuleDict, lesson: Lesson, device: str
) -> dict[str, float]:
    """Return the share of the teacher's variance that each head explains, and the kernel losses."""
    error = torch.zeros(len(PAIRS))
    total = torch.zeros(len(PAIRS))
    kernels = torch.zeros(len(KERNEL_LAYERS))
    student.eval()
    batches = np.array_split(np.arange(lesson.filled), max(1, lesson.filled // 16))
    scales = [(mean.to(device), deviation.to(device)) for mean, deviation in lesson.scales]
    with torch.inference_mode():
        for places in batches:
            data, maps = lesson.take(places, True, device)
            with torch.autocast(device, torch.bfloat16):
                features = student(data)
            for number, pair in enumerate(PAIRS):
                cells = pair.student_cells(features[pair.student]).float()
                residual = heads[str(number)](cells) - maps[number]
                error[number] += residual.square().sum().cpu()
                total[number] += maps[number].square().sum().cpu()
            kernels += torch.stack(kernel_losses(features, maps, scales)).cpu() / len(batches)
    student.train()
    figures = {
        pair.name: round(float(1 - e / t), 4)
        for pair, e, t in zip(PAIRS, error, total, strict=True)
    }
    return figures | {
        f"kernel {layer}": round(float(v), 4)
        for layer, v in zip(KERNEL_LAYERS, kernels, strict=True)
    }


class Trainer:
    """All that a checkpoint holds, and the loop."""

    def __init__(self, teacher: Teacher, folder: Path, settings: Settings, device: str) -> None:
        torch.manual_seed(settings.seed)
        self.settings, self.folder, self.device = settings, folder, device
        self.student = Student()
        plain = Pictures(folder, False, settings.seed, stylised=False)
        crops = np.stack([plain.crop(SIDE, plain=True) for _ in range(256)])
        self.student.conv1.measure(network_input(torch.from_numpy(crops)))
        self.student.to(device, memory_format=torch.channels_last)
        self.heads = Heads(self.student.cpu()).to(device, memory_format=torch.channels_last)
        self.student.to(device)
        self.average = Student().to(device)
        self.average_heads = Heads(self.average.cpu()).to(device)
        self.average.to(device).load_state_dict(self.student.state_dict())
        self.average_heads.load_state_dict(self.heads.state_dict())
        kernels = [tensor for tensor in self.student.parameters() if tensor.ndim > 1]
        others = [tensor for tensor in self.student.parameters() if tensor.ndim == 1]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": kernels, "weight_decay": settings.weight_decay},
                {"params": [*others, *self.heads.parameters()], "weight_decay": 0.0},
            ],
            settings.learning_rate,
            fused=True,
        )
        self.step, self.taught, self.owed, self.started = 0, 0, 0.0, time.time()
        scales, stored, deep_places = self._resume()
        seed = settings.seed + self.step  # a resumed run sees new crops
        self.choice = np.random.default_rng(seed)
        self.lesson = Lesson(
            teacher, Pictures(folder, False, seed), folder, "lesson", settings.capacity
        )
        self.exam = Lesson(teacher, Pictures(folder, True, 1), folder, "exam", 192)
        if scales:
            self.lesson.scales = scales
            self.lesson.filled = min(stored[0], settings.capacity)
            self.lesson.next = stored[1] % settings.capacity
            self.lesson.deep[[place for place in deep_places if place < settings.capacity]] = True
        else:
            self.lesson.measure()
        self.exam.scales = self.lesson.scales
        for _ in range(self.exam.capacity // 16):
            self.exam.add(16, deep=True, plain=True)

    def _resume(self) -> tuple[list[tuple[Tensor, Tensor]], tuple[int, int], list[int]]:
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return [], (0, 0), []
        state = torch.load(path, weights_only=True)
        for name in ("student", "heads", "average", "average_heads", "optimizer"):
            getattr(self, name).load_state_dict(state[name])
        self.step, self.taught, self.started = state["step"], state["taught"], state["started"]
        deep = state.get("deep", range(state["stored"][0]))
        return state["scales"], state["stored"], list(deep)

    def save(self) -> None:
        names = ("student", "heads", "average", "average_heads", "optimizer")
        state = {name: getattr(self, name).state_dict() for name in names}
        state |= {"step": self.step, "taught": self.taught, "started": self.started}
        state |= {"scales": self.lesson.scales, "stored": (self.lesson.filled, self.lesson.next)}
        state |= {"deep": np.flatnonzero(self.lesson.deep).tolist()}
        torch.save(state, self.folder / "checkpoint.new")
        os.replace(self.folder / "checkpoint.new", self.folder / "checkpoint.pt")

    def progress(self) -> float:
        return (time.time() - self.started) / (60 * self.settings.minutes)

    def _advance(self) -> dict[str, float]:
        settings = self.settings
        rate = settings.learning_rate * min(1, (self.step + 1) / settings.warm_up)
        rate *= 0.5 + 0.5 * math.cos(math.pi * min(1.0, self.progress()))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.owed += settings.batch / settings.reuse
        while self.owed >= 16 or self.lesson.filled < 256:
            self.lesson.add(16, deep=self.choice.random() < settings.deep_share)
            self.taught += 16
            self.owed = max(0.0, self.owed - 16)
        deep = self.step // 2 % settings.deep_every == 0
        usable = np.flatnonzero(self.lesson.deep) if deep else self.lesson.filled
        places = self.choice.choice(usable, settings.batch)
        data, maps = self.lesson.take(places, deep, self.device)
        scales = [(mean.to(self.device), dev.to(self.device)) for mean, dev in self.lesson.scales]
        data = data + _strengths(data) * settings.noise * torch.randn_like(data)
        figures = {"rate": rate}
        for name in ("", "attacked "):
            data.requires_grad_(True)
            with torch.autocast(self.device, torch.bfloat16):
                features = self.student(data, shallow=not deep)
                # The first layer does not learn; what its heads miss must not steer the attack.
                features[STYLE_LAYERS[0]] = features[STYLE_LAYERS[0]].detach()
                errors = head_losses(self.heads, features, maps, scales)
            kernels = kernel_losses(features, maps, scales)
            loss = sum(errors) + settings.kernel_weight * sum(kernels)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            slope = data.grad / data.grad.square().mean((1, 2, 3), True).sqrt().clamp_min(1e-20)
            data = data.detach() + _strengths(data) * settings.attack * slope
            nn.utils.clip_grad_norm_(self._parameters(), 5.0)
            self.optimizer.step()
            self.step += 1
            self._update_average()
            figures[f"{name}error"] = float(sum(errors).detach()) / len(errors)
            figures[f"{name}kernel"] = float(sum(kernels).detach()) / len(kernels)
        return figures

    def _parameters(self) -> list[nn.Parameter]:
        return [*self.student.parameters(), *self.heads.parameters()]

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.settings.average, (1 + self.step) / (10 + self.step))
        for mean, live in ((self.average, self.student), (self.average_heads, self.heads)):
            pairs = zip(mean.state_dict().values(), live.state_dict().values(), strict=True)
            floats = [(a, b) for a, b in pairs if a.is_floating_point()]
            torch._foreach_lerp_([a for a, _ in floats], [b for _, b in floats], 1 - decay)

    def run(self, report_minutes: float = 3) -> None:
        """Train until the budget is spent; every few minutes evaluate, write log.jsonl and save."""
        due = time.time() + 60
        sums: dict[str, float] = {}
        count = 0
        while self.progress() < 1:
            for key, value in self._advance().items():
                sums[key] = sums.get(key, 0) + value
            count += 1
            if time.time() > due:
                means = {key: round(value / count, 5) for key, value in sums.items()}
                self.report(means)
                sums, count, due = {}, 0, time.time() + 60 * report_minutes
        self.report({})

    def report(self, means: dict[str, float]) -> None:
        figures = explained(self.average, self.average_heads, self.exam, self.device)
        minutes = round((time.time() - self.started) / 60, 2)
        line = {"minutes": minutes, "step": self.step, "taught": self.taught, **means, **figures}
        with open(self.folder / "log.jsonl", "a") as log:
            log.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)
        self.save()
        self.lesson.pictures.refresh()
