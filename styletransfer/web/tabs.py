"""The tabs of the page."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from styletransfer.settings import presets
from styletransfer.settings.choices import COLOUR_METHODS, NETWORK_NAMES, SAMPLES
from styletransfer.web import views
from styletransfer.web.making import Maker, PageError, Shown, mask
from styletransfer.web.scripts import DRAW, PHOTO, PICK

_PAINTING, _SHEET = "a painting", "a style of the sheet"
_OPTIMISED = "a painting, by optimisation"
_LENGTH = 512
_LEAST = 256  # for presets, which begin at half the size with 64 pixels at least
_STYLE = 26  # of the sheet
_PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
_USUAL = "as the preset"
_COLOURS = ["no", *COLOUR_METHODS]


def _picture(label: str, height: int = 260) -> Any:
    """Return a component for a picture, which goes on as it was uploaded.

    Gradio would read it with whatever Pillow knows, and fetch it where it is an address.
    """
    return _of_uploads(
        gr.Image(
            label=label, type="filepath", sources=["upload", "clipboard"], height=height, buttons=[]
        )
    )


def _of_uploads(component: Any) -> Any:
    """Have a component hand on the path of an upload."""

    def path(payload: Any) -> str | None:
        if payload is None:
            return None
        place = Path(payload.path).resolve()
        if not place.is_relative_to(Path(get_upload_folder()).resolve()):
            raise gr.Error("that is no upload; send the file", print_exception=False, title="")
        return str(place)

    component.preprocess = path
    return component


def _followed(make: Callable[..., Iterator[Shown]]) -> Callable[..., Iterator[Any]]:
    """Return a generator for an event; what is wrong is told in a sentence."""

    def told(*given: Any) -> Iterator[Any]:
        try:
            yield from make(*given)
        except PageError as error:
            raise gr.Error(str(error), print_exception=False, title="") from None

    return told


def _outcome(maker: Maker) -> tuple[Any, Any, Any]:
    """Return where a job is seen, its id, and the button that stops it."""
    job = gr.State(None)
    stop = gr.Button("Stop", size="sm", elem_classes="st-stop")
    shown = gr.HTML(elem_classes="st-outcome", min_height=200)
    stop.click(maker.stop, job, queue=False, **_PRIVATE)
    return shown, job, stop


def _samples(kind: str) -> list[str]:
    """Return the sample pictures of a checkout: content or style; installed there are none."""
    folder = Path(__file__).resolve().parents[2] / "images" / kind
    return sorted(str(path) for path in folder.glob("*.jpg"))


def _examples(kind: str, into: Any) -> None:
    found = _samples(kind)
    if found:
        gr.Examples(found, into, label="samples")


def _needed(what: Any, name: str) -> Any:
    if not what:
        raise PageError(f"there is no {name} yet; choose one first")
    return what


def paint(maker: Maker) -> dict[str, Any]:
    """Fill the tab that paints in one pass; return its components by parameters."""
    most = maker.limits.length
    with gr.Row():
        with gr.Column(min_width=300):
            content = _picture("photo")
            _examples("content", content)
            choice = _style_choice()
            strength = gr.Slider(0, 1, 1, step=0.05, label="strength")
            colours = gr.Dropdown(_COLOURS, value="no", label="keep the photo's colours")
            length = gr.Slider(64, most, _LENGTH, step=32, label="longest side, pixels")
            go = gr.Button("Paint", variant="primary")
        with gr.Column(min_width=300):
            shown, job, _ = _outcome(maker)

    def make(
        photo: Any, kind: str, painting: Any, own: int, much: float, keep: str, size: float
    ) -> Iterator[Shown]:
        values = {
            "strength": much,
            "length": size,
            "preserve_colors": None if keep == "no" else keep,
        }
        files = {"content": [_needed(photo, "photo")]}
        yield from maker.made("stylize", *_with_style(values, files, kind, painting, own))

    inputs = [content, *choice, strength, colours, length]
    go.click(_followed(make), inputs, [shown, job], **_PRIVATE)
    source, style, number = choice
    return {
        "content": content, "style": style, "strength": strength, "length": length,
        "colours": colours, "source": source, "number": number,
    }  # fmt: skip


def _style_choice(*more: str) -> tuple[Any, Any, Any]:
    """Add what chooses a painting or a style of the sheet; return which, and either."""
    source = gr.Radio([_PAINTING, _SHEET, *more], value=_PAINTING, label="style")
    with gr.Column() as painted:
        style = _picture("painting", 180)
        _examples("style", style)
    with gr.Column(visible=False) as sheet:
        number = gr.State(_STYLE)
        tiles = gr.HTML(views.tiles(_STYLE), js_on_load=PICK)

    def chosen(kind: str) -> tuple[Any, Any]:
        return gr.Column(visible=kind != _SHEET), gr.Column(visible=kind == _SHEET)

    source.change(chosen, source, [painted, sheet], **_PRIVATE)
    tiles.select(_chosen_style, None, number, **_PRIVATE)
    return source, style, number


def _with_style(
    values: dict[str, Any], files: dict[str, list[Any]], kind: str, painting: Any, own: int
) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Return the parameters and files of a job with the style that was chosen."""
    if kind != _SHEET:
        return values, files | {"style": [_needed(painting, "painting")]}
    return values | {"model": SAMPLES, "style": str(own)}, files


def _chosen_style(event: gr.EventData) -> int:
    return int(event.chosen) % views.STYLES


def optimise(maker: Maker) -> dict[str, Any]:
    """Fill the tab that optimises; return its components by parameters."""
    with gr.Row():
        with gr.Column(min_width=300):
            content = _picture("photo")
            _examples("content", content)
            style = _picture("style", 180)
            _examples("style", style)
            with gr.Accordion("more styles", open=False), gr.Row():
                others = [_picture(f"style {number}", 140) for number in (2, 3)]
            with gr.Accordion("where the style goes: a mask", open=False):
                drawn = gr.HTML(
                    "",
                    html_template="<div class='st-mask'><canvas width='512' height='320'></canvas>"
                    "<button type='button' class='st-clear'>clear</button></div>",
                    js_on_load=DRAW,
                    elem_classes="st-mask-editor",
                )
            names = presets.names()
            preset = gr.Dropdown(names, value="fast", label="preset")
            network = gr.Dropdown([_USUAL, *NETWORK_NAMES], value=_USUAL, label="network")
            length = gr.Slider(
                min(_LEAST, maker.limits.length), maker.limits.length, _LENGTH, step=32,
                label="longest side, pixels",
            )  # fmt: skip
            with gr.Row():
                ratio = gr.Textbox("", label="ratio style to content", placeholder=_USUAL)
                steps = gr.Textbox("", label="iterations", placeholder=_USUAL)
            colours = gr.Dropdown(_COLOURS, value="no", label="keep the photo's colours")
            go = gr.Button("Optimise", variant="primary")
        with gr.Column(min_width=300):
            shown, job, _ = _outcome(maker)

    def make(
        photo: Any, first: Any, second: Any, third: Any, where: Any,
        name: str, net: str, size: float, much: Any, count: Any, keep: str,
    ) -> Iterator[Shown]:  # fmt: skip
        values = {
            "preset": name,
            "model": None if net == _USUAL else net,
            "length": size,
            "any_size": True,
            "ratio": much,
            "n_iter": count,
            "preserve_colors": None if keep == "no" else keep,
        }
        styles = [one for one in (_needed(first, "style"), second, third) if one]
        masks = mask(where)
        if masks and len(styles) > 1:
            raise PageError("the mask is for one style; leave out the others, or clear it")
        files = {"content": [_needed(photo, "photo")], "style": styles, "style_mask": masks}
        yield from maker.made("optimise", values, files)

    content.change(None, content, None, js=PHOTO)
    inputs = [content, style, *others, drawn, preset, network, length, ratio, steps, colours]
    go.click(_followed(make), inputs, [shown, job], **_PRIVATE)
    return {
        "content": content, "style": style, "length": length, "ratio": ratio, "n_iter": steps,
        "preset": preset, "colours": colours, "model": network, "style 2": others[0],
        "style 3": others[1], "drawn": drawn,
    }  # fmt: skip


def film(maker: Maker) -> dict[str, Any]:
    """Fill the tab that paints films; return its components by parameters."""
    with gr.Row():
        with gr.Column(min_width=300):
            content = _of_uploads(gr.File(label="a short film or an animated GIF", height=120))
            choice = _style_choice(_OPTIMISED)
            strength = gr.Slider(0, 1, 1, step=0.05, label="strength")
            with gr.Row(visible=False) as optimised:
                network = gr.Dropdown([*NETWORK_NAMES], value="googlenet", label="network")
                steps = gr.Textbox("100", label="iterations")
            length = gr.Slider(64, maker.limits.length, 320, step=32, label="longest side, pixels")
            go = gr.Button("Paint the film", variant="primary")
        with gr.Column(min_width=300):
            shown, job, _ = _outcome(maker)
    source, style, number = choice

    def chosen(kind: str) -> tuple[Any, Any]:
        return gr.Slider(visible=kind != _OPTIMISED), gr.Row(visible=kind == _OPTIMISED)

    source.change(chosen, source, [strength, optimised], **_PRIVATE)

    def make(
        clip: Any, kind: str, painting: Any, own: int, much: float, net: str, count: Any,
        size: float,
    ) -> Iterator[Shown]:  # fmt: skip
        how = {"model": net, "n_iter": count} if kind == _OPTIMISED else {"strength": much}
        files = {"content": [_needed(clip, "film")]}
        values = {"length": size, **how}
        yield from maker.made("film", *_with_style(values, files, kind, painting, own))

    inputs = [content, *choice, strength, network, steps, length]
    go.click(_followed(make), inputs, [shown, job], **_PRIVATE)
    return {
        "content": content, "style": style, "strength": strength, "length": length,
        "source": source, "number": number, "model": network, "n_iter": steps,
    }  # fmt: skip


def gallery(maker: Maker, all_tabs: Any, tab: Any, others: dict[str, dict[str, Any]]) -> None:
    """Fill the tab of what was made; `others` are the tabs that make more like it."""
    drawn = others["optimise"].pop("drawn")
    chosen = gr.State(None)
    with gr.Row():
        with gr.Column(scale=3, min_width=300):
            all_cards = gr.HTML(js_on_load=PICK)
        with gr.Column(scale=2, min_width=300):
            details = gr.HTML(elem_classes="st-details")
            with gr.Row(visible=False) as buttons:
                again = gr.Button("Again with…")
                delete = gr.Button("Delete", variant="stop")

    def listed() -> tuple[Any, ...]:
        return views.cards(maker.ended(), None), None, "", gr.Row(visible=False)

    def select(event: gr.EventData) -> tuple[Any, ...]:
        job = maker.queue.get(str(event.chosen))
        if job is None:
            return None, "", gr.Row(visible=False)
        return job.id, views.recipe(job), gr.Row(visible=True)

    def forget(name: str | None) -> tuple[Any, ...]:
        maker.delete(name)
        return listed()

    outputs = [all_cards, chosen, details, buttons]
    tab.select(listed, None, outputs, **_PRIVATE)
    all_cards.select(select, None, [chosen, details, buttons], **_PRIVATE)
    delete.click(forget, chosen, outputs, **_PRIVATE)
    targets = [(kind, name, part) for kind, parts in others.items() for name, part in parts.items()]

    def repeat(name: str | None) -> list[Any]:
        job = None if name is None else maker.queue.get(name)
        if job is None:
            raise gr.Error("this one is gone", print_exception=False, title="")
        given = [
            _given(maker, job, name) if kind == job.kind else gr.skip() for kind, name, _ in targets
        ]
        return [gr.Tabs(selected=job.kind), *given]

    def mask_again(name: str | None) -> Any:
        return "" if name is None else maker.mask_of(name)

    outputs = [all_tabs, *[part for *_, part in targets]]
    filled = again.click(repeat, chosen, outputs, **_PRIVATE)
    # After the photo that it lies over: with another photo a mask is gone.
    filled.success(mask_again, chosen, drawn, **_PRIVATE)


def _given(maker: Maker, job: Any, name: str) -> Any:
    """Return what a component is to show of a job that was made."""
    if name in ("content", "style", "style 2", "style 3"):
        what, _, number = name.partition(" ")
        found = job.files.get(what, [])[int(number or 1) - 1 :]
        path = maker.queue.path(job, found[0]) if found else None
        return None if path is None else _copied(path)
    model, value = job.values.get("model"), job.values.get(name)
    if name == "source":
        return _SHEET if model == SAMPLES else _OPTIMISED if model in NETWORK_NAMES else _PAINTING
    if name == "number":
        own = str(job.values.get("style"))  # or a blend of several
        return int(own) if own.isascii() and own.isdecimal() else gr.skip()
    if name == "colours":
        keep = job.values.get("preserve_colors") or ["no"]
        return keep if isinstance(keep, str) else keep[0]
    if job.kind == "optimise" and name in ("model", "ratio", "n_iter"):
        return str(value or (_USUAL if name == "model" else ""))
    if value is None or (name == "model" and model not in NETWORK_NAMES):
        return gr.skip()
    return float(value) if name in ("length", "strength") else value


def _copied(path: Path) -> str:
    """Return a copy of a file, among the uploads that Gradio hands out."""
    folder = Path(tempfile.mkdtemp(dir=get_upload_folder()))
    return str(shutil.copy(path, folder / path.name))
