"""The folders in which networks are looked for."""

import sys
from pathlib import Path

import pytest

from styletransfer import weights
from styletransfer.weights import places
from tests.conftest import MODELS


@pytest.fixture
def installed(monkeypatch, tmp_path) -> Path:
    """The package is not in a checkout but installed; return its folder there."""
    package = tmp_path / "site-packages" / "styletransfer"
    monkeypatch.setattr(places, "__file__", str(package / "weights" / "places.py"))
    monkeypatch.delenv("STYLETRANSFER_MODELS", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return package


@pytest.mark.usefixtures("installed")
def test_folders_in_their_order(monkeypatch, tmp_path):
    data = tmp_path / "data" / "styletransfer" / "models"
    assert weights.model_directories() == [data]
    (tmp_path / "models").mkdir()
    monkeypatch.setenv("STYLETRANSFER_MODELS", str(tmp_path / "env"))
    assert weights.model_directories("given") == [
        Path("given"),
        tmp_path / "env",
        Path("models"),
        data,
    ]


def test_a_checkout_s_own_folder_is_found_from_everywhere(installed, monkeypatch, tmp_path):
    data = tmp_path / "data" / "styletransfer" / "models"
    root = installed.parent
    (root / "models").mkdir(parents=True)
    assert weights.model_directories() == [data]  # a folder of that name is no checkout
    (root / "pyproject.toml").touch()
    assert weights.model_directories() == [root / "models", data]
    (tmp_path / "models").mkdir()
    assert weights.model_directories() == [Path("models"), root / "models", data]
    monkeypatch.chdir(root)
    assert weights.model_directories() == [Path("models"), data]


def test_this_checkout_s_own_folder_is_found(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert MODELS in weights.model_directories()


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {"XDG_DATA_HOME": "relative"}, "home/.local/share"),
        ("linux", {}, "home/.local/share"),
        ("darwin", {}, "home/Library/Application Support"),
        ("win32", {}, "home/AppData/Local"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local"),
    ],
)
@pytest.mark.usefixtures("installed")
def test_user_data_folder_of_each_system(monkeypatch, tmp_path, platform, environment, expected):
    monkeypatch.setattr(sys, "platform", platform)
    for variable in ("XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in (environment | {"HOME": str(tmp_path / "home")}).items():
        monkeypatch.setenv(variable, value)
    assert weights.model_directories() == [tmp_path / expected / "styletransfer" / "models"]
