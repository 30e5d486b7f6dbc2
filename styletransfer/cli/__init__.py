"""The command line: the only part of the program that prints, draws and exits."""

from styletransfer.cli.parser import main, main_style

__all__ = ["main", "main_style"]
