"""Files that say how a network is trained: YAML as the published trainers have it, or TOML."""

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from styletransfer.errors import UsageError
from styletransfer.text import clause

_MAX_BYTES = 1 << 16
_LAYERS = ("content_layers", "style_layers")
# Keys that hzy46's files alone have: they mean that trainer's network and losses.
_OF_TF = frozenset({"checkpoint_exclude_scopes", "loss_model_file"})
_LISTS = (*_LAYERS, "style_image")


def read(path: Path) -> dict[str, object]:
    """Return the keys of a file and their values, not checked yet.

    Raises
    ------
    UsageError
        If there is none, or it is no such file.
    """
    if path.suffix.lower() not in (".yml", ".yaml", ".toml"):
        raise UsageError(f"{path} is no configuration: give a .yml, .yaml or .toml file")
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        raise UsageError(f"there is no configuration {path}: check the path") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be opened: {error.strerror}") from None
    if len(data) > _MAX_BYTES:
        raise UsageError(f"{path} is no configuration: it has more than {_MAX_BYTES} bytes")
    kind = "TOML" if path.suffix.lower() == ".toml" else "YAML"
    try:
        text = data.decode()
        values = tomllib.loads(text) if kind == "TOML" else _yaml(text)
    except (ValueError, RecursionError, yaml.YAMLError) as error:  # or not UTF-8
        raise UsageError(f"{path} is no {kind} file: {clause(error, 200)}") from None
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise UsageError(f"{path} is no configuration: give lines such as `style_weight: 100`")
    if _OF_TF.intersection(values):
        values.setdefault("arch", "tf")
    return values


def _yaml(text: str) -> Any:
    """Parse YAML; aliases, by which a short text becomes a huge value, are refused."""
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        if isinstance(token, yaml.AliasToken):
            raise ValueError("it has aliases (*name), which are not read")
    return yaml.safe_load(text)


def assigned(texts: Iterable[str]) -> Mapping[str, object]:
    """Return the keys and values of texts such as ``style_weight=100``.

    Layers and style images are separated by commas; a layer's weight follows a second ``=``.

    Raises
    ------
    UsageError
        If a text is none.
    """
    values: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"--set has {text!r}; give a key and a value: style_weight=100")
        items = [item.strip() for item in value.split(",")]
        values[name.strip()] = items if name.strip() in _LISTS else value.strip()
    return values
