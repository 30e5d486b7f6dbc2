"""More training pictures: what an optimiser makes of the pictures with the student as it stands.

A network that learned from photographs alone is wrong in its own way about pictures that were
optimised against it, and style transfer shows it nothing else. So, from time to time, training
pictures are repainted with the student's own style loss, and the teacher says what it sees in them.
"""

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .data import Pictures
from .model import STYLE_LAYERS, Student
from .train import network_input

SIDE = 192
BATCH = 4
STEPS = 60
KEPT = (20, 60)  # the picture is kept after these steps
LAYERS = STYLE_LAYERS[:3]  # nearly all of the style loss with the default weights is in these


def stylise(folder: Path, count: int, seed: int, device: str) -> None:
    """Repaint `count` crops of the training pictures; append to stylised.bin and stylised.json."""
    student = Student()
    state = torch.load(folder / "checkpoint.pt", weights_only=True)["average"]
    student.load_state_dict(state)
    student.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)
    pictures = Pictures(folder, held=False, seed=seed, stylised=False)
    generator = np.random.default_rng(seed)
    index_path = folder / "stylised.json"
    index = json.loads(index_path.read_text()) if index_path.exists() else []
    for _ in range(0, count, BATCH):
        contents, styles, starts = (
            torch.from_numpy(np.stack([pictures.crop(SIDE, plain=True) for _ in range(BATCH)]))
            for _ in range(3)
        )
        if generator.random() < 0.5:
            starts = contents
        elif generator.random() < 0.5:
            starts = torch.rand_like(starts) * 255
        with open(folder / "stylised.bin", "ab") as store:
            for pixels in _repaint(student, contents, styles, starts, generator, device):
                offset = store.tell()
                store.write(pixels.tobytes())
                index.append({"held": False, "offset": offset, "shape": pixels.shape})
        index_path.with_suffix(".new").write_text(json.dumps(index))
        index_path.with_suffix(".new").replace(index_path)


def _repaint(
    student: Student,
    contents: Tensor,
    styles: Tensor,
    starts: Tensor,
    generator: np.random.Generator,
    device: str,
) -> list[np.ndarray]:
    """Optimise with Adam; return the kept pictures, (SIDE, SIDE, 3) uint8."""
    weights = generator.dirichlet(np.ones(len(LAYERS)))
    content_weight = float(generator.choice([0, 0.003, 0.03]))
    kept = []
    with torch.autocast(device, torch.bfloat16):
        grams = _grams(student(network_input(styles.to(device)), shallow=True))
        wanted = student(network_input(contents.to(device)), shallow=True)[
            "inception_3a/output"
        ].float()
    image = starts.to(device).clone().requires_grad_(True)
    optimizer = torch.optim.Adam([image], lr=10)
    for step in range(1, STEPS + 1):
        optimizer.param_groups[0]["lr"] = 10 * (1 - step / STEPS) + 0.5
        with torch.autocast(device, torch.bfloat16):
            features = student(network_input(image), shallow=True)
        loss = content_weight * (features["inception_3a/output"].float() - wanted).square().mean()
        loss = BATCH * loss / wanted.square().mean()
        for weight, own, gram in zip(weights, _grams(features), grams, strict=True):
            errors = (own - gram).square().sum((1, 2)) / gram.square().sum((1, 2))
            loss = loss + float(weight) * errors.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            image.clamp_(0, 255)
        if step in KEPT:
            kept += list(np.rint(image.detach().cpu().numpy()).astype(np.uint8))
    return kept


def _grams(features: dict[str, Tensor]) -> list[Tensor]:
    cells = [features[layer].float().flatten(2) for layer in LAYERS]
    return [values @ values.transpose(1, 2) / values.shape[2] for values in cells]
