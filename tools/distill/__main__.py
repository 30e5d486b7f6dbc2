"""Distil a GoogLeNet from VGG-19. See README.md."""

import argparse
from pathlib import Path

import torch

from . import data, export, stylise, train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--folder", type=Path, default=Path("distill-work"), help="pictures and checkpoints"
    )
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: PyTorch's choice")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("prepare", help="download, unpack and decode the pictures")
    exporting = commands.add_parser(
        "export", help="write the checkpoint as the product's ONNX file"
    )
    exporting.add_argument("--target", type=Path, required=True)
    training = commands.add_parser(
        "train", help="train, or go on from the checkpoint in the folder"
    )
    training.add_argument("--teacher", type=Path, required=True, help="the project's vgg19.onnx")
    training.add_argument(
        "--minutes", type=float, default=train.Settings.minutes, help="wall-clock budget"
    )
    repaint = commands.add_parser("stylise", help="make more training pictures with the student")
    repaint.add_argument("--count", type=int, default=200, help="at least so many pictures")
    repaint.add_argument("--seed", type=int, default=0, help="another for each call")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if arguments.command == "prepare":
        data.prepare(data.download(arguments.folder), arguments.folder)
    elif arguments.command == "export":
        export.export(arguments.folder, arguments.target)
    elif arguments.command == "stylise":
        stylise.stylise(arguments.folder, arguments.count, arguments.seed, arguments.device)
    else:
        teacher = train.load_teacher(arguments.teacher, torch.bfloat16, arguments.device)
        settings = train.Settings(minutes=arguments.minutes)
        train.Trainer(teacher, arguments.folder, settings, arguments.device).run()


if __name__ == "__main__":
    main()
