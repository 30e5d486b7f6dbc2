"""Judge GoogLeNets by what they paint: the same transfers with each, VGG-16 says how good.

Needs the product and not PyTorch. `python -m tools.distill.compare ours=FOLDER bvlc=FOLDER ...`,
each a models folder with a googlenet. Results are kept, so that a run can be cut off and go on.
"""

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime

from styletransfer import StyleTransfer, images, networks, weights

JUDGE = networks.NETWORKS["vgg16"]
STYLE_SCALE = 1.2  # the original shows the style a little larger than the content
Features = Callable[[np.ndarray], dict[str, np.ndarray]]


def judge(models: Path | None) -> Features:
    """Return a function from an image, RGB in [0, 1], to VGG-16's maps, (channels, cells)."""
    model = weights.load(JUDGE.name, weights.model_directories(models))
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    layers = [*JUDGE.style_layers, *JUDGE.content_layers]

    def features(rgb: np.ndarray) -> dict[str, np.ndarray]:
        maps = session.run(layers, {"data": images.preprocess(rgb, JUDGE.mean)})
        return {
            layer: values.reshape(values.shape[1], -1).astype(np.float64)
            for layer, values in zip(layers, maps, strict=True)
        }

    return features


def losses(result: dict, content: dict, style: dict) -> dict[str, float]:
    """Return the style and the content loss as the original defines them, layers weighted."""
    style_loss = content_loss = 0.0
    for layer, weight in JUDGE.style_layers.items():
        own, wanted = (values[layer] @ values[layer].T for values in (result, style))
        style_loss += weight * np.square(own - wanted).sum() / (4 * content[layer].size ** 2)
    for layer, weight in JUDGE.content_layers.items():
        content_loss += weight * np.square(result[layer] - content[layer]).sum() / 2
    return {"style": style_loss, "content": content_loss}


def compare(options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Make all pictures that are not there yet and judge them; return losses by run."""
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "losses.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    features = judge(options.judge_models)
    for content_path in options.contents:
        for style_path in options.styles:
            for name, folder in options.variants:
                run = f"{content_path.stem}-{style_path.stem}-{name}"
                if run in results:
                    continue
                content, style = images.load(content_path), images.load(style_path)
                transfer = StyleTransfer("googlenet", use_pbar=False, models=folder)
                transfer.transfer_style(
                    style,
                    content,
                    length=options.length,
                    ratio=options.ratio,
                    n_iter=options.iterations,
                    init="content",
                    optimizer=options.optimizer,
                )
                picture = transfer.get_generated()
                images.save(options.output / f"{run}.png", picture)
                scales = [
                    factor * images.scale_for(rgb.shape, options.length, JUDGE.input_size)
                    for rgb, factor in ((content, 1), (style, STYLE_SCALE))
                ]
                seen = [
                    features(images.rescale(rgb, scale))
                    for rgb, scale in zip((content, style), scales, strict=True)
                ]
                results[run] = losses(features(picture), *seen)
                path.write_text(json.dumps(results, indent=1))
                print(run, results[run], flush=True)
    return results


def table(options: argparse.Namespace, results: dict[str, dict[str, float]]) -> str:
    """Return a Markdown table: every transfer's losses with each network, geometric means last."""
    names = [name for name, _ in options.variants]
    heads = [f"{kind} {name}" for kind in ("style", "content") for name in names]
    lines = [" | ".join(["| transfer", *heads]) + " |", "|---" * (len(heads) + 1) + "|"]
    logarithms = []
    for content in options.contents:
        for style in options.styles:
            pair = f"{content.stem}-{style.stem}"
            row = [results[f"{pair}-{n}"][kind] for kind in ("style", "content") for n in names]
            logarithms.append([math.log(value) for value in row])
            lines.append(" | ".join([f"| {pair}", *(f"{value:.3g}" for value in row)]) + " |")
    means = np.exp(np.mean(logarithms, axis=0))
    lines.append(" | ".join(["| geometric mean", *(f"{value:.3g}" for value in means)]) + " |")
    return "\n".join(lines)


def _variant(text: str) -> tuple[str, Path]:
    name, _, folder = text.partition("=")
    return name, Path(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("variants", nargs="+", type=_variant, metavar="NAME=MODELS")
    parser.add_argument("--contents", nargs="+", type=Path, required=True)
    parser.add_argument("--styles", nargs="+", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path("distill-work/compare"))
    parser.add_argument("--judge-models", type=Path, help="the models folder with VGG-16")
    parser.add_argument("--length", type=int, default=384)
    parser.add_argument("--ratio", type=float, default=1e4)
    parser.add_argument("--iterations", type=int, default=200)
    parser.add_argument("--optimizer", default="lbfgs")
    options = parser.parse_args()
    print(table(options, compare(options)))


if __name__ == "__main__":
    main()
