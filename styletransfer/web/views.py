"""What the page shows of jobs, as HTML; all text in it is escaped."""

import base64
import json
import time
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from styletransfer.web.queue import Course
from styletransfer.web.records import CANCELLED, DONE, FAILED, QUEUED, Job

STYLES, _COLUMNS = 28, 7
_NAMES = {"stylize": "painted at once", "optimise": "optimised", "film": "film"}

CSS = """
.st-view img, .st-view video { width: 100%; display: block; border-radius: 6px }
.st-bar { height: 8px; border-radius: 4px; background: #8884; margin: .5rem 0; overflow: hidden }
.st-bar div { height: 100%; background: var(--color-accent) }
.st-slider { position: relative }
.st-slider .st-after { position: absolute; inset: 0; overflow: hidden; clip-path: inset(0) }
.st-slider img { height: 100%; object-fit: fill }
.st-range { width: 100%; margin: .5rem 0; min-height: 32px }
.st-error { color: var(--error-text-color, #b00); font-weight: 600 }
.st-cards { display: grid; gap: 10px; grid-template-columns: repeat(auto-fill, minmax(130px, 1fr)) }
.st-cards button { text-align: left; padding: 0; border: 2px solid transparent; border-radius: 8px }
.st-cards button:focus, .st-cards .st-chosen { border-color: var(--color-accent) }
.st-cards img, .st-cards .st-none { width: 100%; height: 110px; object-fit: cover;
  background: #8883; border-radius: 6px; display: block }
.st-cards small { display: block; padding: 2px 4px }
.st-tiles { display: grid; gap: 4px; grid-template-columns: repeat(auto-fill, minmax(52px, 1fr)) }
.st-tiles button { aspect-ratio: 1; border: 3px solid transparent; border-radius: 6px;
  background-image: var(--sheet); background-size: 700% 400% }
.st-tiles .st-chosen { border-color: var(--color-accent) }
.st-recipe { white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85em }
.st-mask canvas { width: 100%; touch-action: none; background: #8883; border-radius: 6px }
footer { display: none !important }
@media (max-width: 480px) { .st-tabs .tab-container button { padding: 0 .6rem } }
"""


def progress(job: Job, course: Course, facts: dict[str, Any], preview: Path | None) -> str:
    """Return a job on its way, or what became of it."""
    if job.state == QUEUED:
        return _page(f"<p>waiting, {facts.get('before', 0)} before it</p>{_bar(0)}")
    if job.state in (DONE, CANCELLED) and job.result:
        return _page(_result(job) + f"<p>{escape(_summary(job))}</p>" + curve(course.points))
    if job.state == FAILED:
        return _page(f'<p class="st-error">{escape(job.error)}</p>')
    if job.state == CANCELLED:
        return _page("<p>cancelled</p>")
    parts = [f"<p>{escape(_on_the_way(course, facts))}</p>", _bar(course.done)]
    if preview is not None:
        data = base64.b64encode(preview.read_bytes()).decode()
        parts.append(f'<img class="st-live" alt="so far" src="data:image/jpeg;base64,{data}">')
    return _page("".join([*parts, curve(course.points)]))


def curve(points: Sequence[tuple[int, float]]) -> str:
    """Return the course of a loss as a drawing, its logarithm upwards."""
    import math

    drawn = [(x, math.log10(y)) for x, y in points if y > 0]
    if len(drawn) < 3:
        return ""
    (left, _), (right, _) = drawn[0], drawn[-1]
    low, high = min(y for _, y in drawn), max(y for _, y in drawn)
    line = " ".join(
        f"{300 * (x - left) / max(right - left, 1):.1f},"
        f"{5 + 70 * (high - y) / ((high - low) or 1):.1f}"
        for x, y in drawn
    )
    return (
        '<svg class="st-curve" viewBox="0 0 300 80" width="100%" role="img"'
        ' aria-label="the course of the loss"><polyline fill="none" stroke="currentColor"'
        f' stroke-width="1.5" points="{line}"/></svg><small>the loss, {10**high:.3g} to'
        f" {10**low:.3g}, in logarithms</small>"
    )


def cards(jobs: Sequence[Job], chosen: str | None) -> str:
    """Return the pictures that were made, small, to choose among."""
    if not jobs:
        return _page("<p>Nothing has been made yet.</p>")
    parts = []
    for job in jobs:
        marked = ' class="st-chosen"' if job.id == chosen else ""
        picture = '<span class="st-none"></span>'
        if job.result:
            address = f"/api/jobs/{job.id}/preview"
            picture = f'<img loading="lazy" alt="" src="{address}">'
        when = time.strftime("%d %b %H:%M", time.localtime(job.made))
        parts.append(
            f'<button type="button" data-id="{job.id}"{marked}>{picture}'
            f"<small>{_NAMES[job.kind]}, {job.state}<br>{when}</small></button>"
        )
    return _page(f'<div class="st-cards">{"".join(parts)}</div>')


def recipe(job: Job) -> str:
    """Return what a job was made of, and what became of it."""
    values = escape(json.dumps(job.values, indent=1))
    shown = _result(job) if job.result else ""
    link = f'<p><a href="/api/jobs/{job.id}/result?download">Download</a></p>' if job.result else ""
    return _page(
        f"{shown}{link}<p>{escape(_summary(job))}</p>"
        f'<details open><summary>recipe: {_NAMES[job.kind]}</summary><pre class="st-recipe">'
        f"{values}</pre></details>"
    )


def tiles(chosen: int) -> str:
    """Return the styles of `samples`, to choose one."""
    sheet = files("styletransfer.web").joinpath("styles.jpg").read_bytes()
    data = base64.b64encode(sheet).decode()
    parts = []
    for style in range(STYLES):
        y, x = divmod(style, _COLUMNS)
        place = f"{100 * x / (_COLUMNS - 1):.2f}% {100 * y / (STYLES // _COLUMNS - 1):.2f}%"
        marked = ' class="st-chosen"' if style == chosen else ""
        parts.append(
            f'<button type="button"{marked} data-style="{style}" title="style {style}"'
            f' aria-label="style {style}" style="background-position: {place}"></button>'
        )
    rule = f"--sheet: url(data:image/jpeg;base64,{data})"
    return f'<div class="st-tiles" style="{rule}">{"".join(parts)}</div>'


def _page(content: str) -> str:
    return f'<div class="st-view">{content}</div>'


def _bar(done: float) -> str:
    return f'<div class="st-bar"><div style="width: {100 * done:.1f}%"></div></div>'


def _result(job: Job) -> str:
    """Return a result: a film, or a picture over what it was made of, with a slider between."""
    place = f"/api/jobs/{job.id}"
    if job.result.endswith((".mp4", ".webm")):
        return f'<video controls loop src="{place}/result"></video>'
    if job.kind == "film":
        return f'<img class="st-result" alt="the film" src="{place}/result">'
    move = (
        "this.previousElementSibling.lastElementChild.style.clipPath='inset(0 0 0 '+this.value+'%)'"
    )
    return (
        f'<div><div class="st-slider"><img alt="before" src="{place}/before"><div class="st-after">'
        f'<img class="st-result" alt="after" src="{place}/result"></div></div>'
        '<input class="st-range" type="range" min="0" max="100" value="0"'
        f' aria-label="before and after" oninput="{move}"></div>'
    )


def _on_the_way(course: Course, facts: dict[str, Any]) -> str:
    words = []
    if "iterations" in facts:
        words.append(f"{facts['iteration']} of {facts['iterations']}")
    if "loss" in facts:
        words.append(f"loss {facts['loss']:.4g}")
    if "eta" in facts:
        words.append(f"{_time(facts['eta'])} to go")
    if not words:
        words.append(str(course.facts.get("note", "under way")))
    return ", ".join(words)


def _summary(job: Job) -> str:
    facts = job.facts
    words = [job.state]
    if "size" in facts:
        words.append("{}x{}".format(*facts["size"]))
    for name in ("iterations", "frames"):
        if name in facts:
            words.append(f"{facts[name]} {name}")
    if "loss" in facts:
        words.append(f"loss {facts['loss']:.4g}")
    if "seconds" in facts:
        words.append(f"{facts['seconds']:.1f} s")
    words += [text for text in (job.note, job.error) if text]
    return ", ".join(words)


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
