"""The page in a real browser, the system's Chromium."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from styletransfer import images
from styletransfer.web import views
from styletransfer.web.making import Maker, PageError, mask
from styletransfer.web.queue import Course
from styletransfer.web.records import Job
from tests.web.conftest import LIMITS, clip, ended, reached
from tests.web.test_server import CAT, WAVE, serving

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SECONDS = 90_000  # milliseconds that anything may take


def test_what_is_shown_is_escaped():
    evil = "<script>alert(1)</script>"
    job = Job("x" * 22, "stylize", {"style": evil}, {}, "failed", error=evil)
    shown = views.recipe(job) + views.progress(job, Course(), {}, None) + views.cards([job], None)
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown


def test_the_course_of_a_loss_is_drawn():
    assert views.curve([(1, 5.0), (2, 4.0)]) == ""
    assert 'points="0.0,5.0 150.0,40.0 300.0,75.0"' in views.curve([(1, 100), (2, 10), (3, 1)])


def test_masks_are_pictures():
    assert mask("") == []
    assert mask("data:image/png;base64,YQ==") == [b"a"]
    for wrong in ("/etc/passwd", "http://x", 7, "data:image/png;base64,é", "x" * (5 << 20)):
        with pytest.raises(PageError):
            mask(wrong)


def test_what_ends_while_it_is_shown_is_shown_once_more(queue, submit, worker):
    worker.script.append("wait")
    name = submit()
    reached(queue, name, "running")
    seen = Maker(queue, LIMITS).followed(name)
    assert "under way" in next(seen)[0]
    queue.cancel(name)
    ended(queue, name)
    assert "cancelled, 4x3" in [*seen][-1][0]


@pytest.fixture
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


def opened_page(browser: Any, client: Any, width: int = 1200) -> Any:
    page = browser.new_page(viewport={"width": width, "height": 1100})
    page.set_default_timeout(SECONDS)
    page.goto(str(client.base_url))
    return page


def tab_of(page: Any, name: str, button: str) -> Any:
    page.get_by_role("tab", name=name).click()
    own = page.get_by_role("button", name=button, exact=True)
    own.wait_for()
    return page.get_by_role("tabpanel").filter(has=own).last


def give(tab: Any, *pictures: Path) -> None:
    """Upload pictures to the first places of a tab without any, and wait until they are there.

    The last one first: while one is on its way, its place is no input.
    """
    for place, picture in reversed([*enumerate(pictures)]):
        tab.locator("input[type=file]").nth(place).set_input_files(picture)
        there = tab.get_by_label("Remove Image").nth(len(pictures) - 1 - place)
        there.wait_for()


def again(page: Any, name: str, button: str) -> Any:
    """Take the newest picture of the gallery back to its tab, which is returned."""
    page.get_by_role("tab", name="Gallery").click()
    page.locator(".st-cards button").first.click()
    page.get_by_role("button", name="Again with…").click()
    tab = tab_of(page, name, button)
    tab.locator("img[src*='style-0']").first.wait_for()
    return tab


def test_a_request_to_the_page_names_uploads_alone(tmp_path: Path, quick_network):
    """Whatever else a browser's request says, for whatever it is: no file here, no address."""
    secret = tmp_path / "secret.png"
    secret.write_bytes(CAT.read_bytes())
    state = tmp_path / "state"
    with serving(state, quick_network[1]) as (_, client):
        client.timeout = 60
        config = client.get("/config").json()
        values = {part["id"]: part["props"].get("value") for part in config["components"]}
        paint = next(d for d in config["dependencies"] if d["api_name"] == "told")
        (sent,) = client.post("/gradio_api/upload", files={"files": CAT.read_bytes()}).json()

        def asked(data: list[Any], event: int = paint["id"]) -> str:
            session = f"{event}-{data}"[:200]
            body = {"data": data, "fn_index": event, "session_hash": session}
            assert client.post("/gradio_api/queue/join", json=body).status_code == 200
            return client.get("/gradio_api/queue/data", params={"session_hash": session}).text

        def file(path: str, stream: bool) -> dict[str, Any]:
            return {"path": path, "meta": {"_type": "gradio.FileData"}, "is_stream": stream}

        def painting(path: str) -> list[Any]:
            data = [values[number] for number in paint["inputs"]]
            data[0] = data[2] = file(path, True)
            return data

        assert '"success":true' in asked(painting(sent))
        for path in (str(secret), "/etc/passwd", f"{sent}/../../../../secret.png"):
            assert "the page has sent what cannot be" in asked(painting(path))
        assert "that is no upload; send the file" in asked(painting("http://127.0.0.1:9/x.png"))
        assert client.get(f"/gradio_api/file={secret}").status_code == 403
        # For all that is no picture, too.
        for event in config["dependencies"]:
            for wrong in (file(str(secret), False), file("http://127.0.0.1:9/x", False), "x", {}):
                told = asked([wrong] * len(event["inputs"]), event["id"])
                assert "secret" not in told
                assert str(state) not in told
                assert "Traceback" not in told
        assert [*state.rglob("*secret*")] == []


def test_what_the_page_does_not_need_is_not_there(tmp_path: Path, quick_network):
    with serving(tmp_path, quick_network[1]) as (_, client):
        client.timeout = 60
        for method, path in (
            ("GET", "/gradio_api/call/told/x"), ("POST", "/gradio_api/call/v2/told"),
            ("GET", "/gradio_api/proxy=https://example.com/"), ("GET", "/gradio_api/dev/reload"),
            ("POST", "/gradio_api/component_server"), ("POST", "/gradio_api/vibe-edit"),
            ("GET", "/gradio_api/deep_link?session_hash=x"), ("GET", "/monitoring"),
            ("POST", "/login"), ("GET", "/x"), ("GET", "/gradio_api/file=/etc/passwd"),
            ("PUT", "/gradio_api/upload"), ("GET", "/static/..%2f..%2fpage.py"),
            ("GET", "/gradio_api/upload_progress"), ("POST", "/gradio_api/upload"),
            ("POST", "/gradio_api/queue/join"),
        ):  # fmt: skip
            answer = client.request(method, path, json={})
            assert answer.status_code in (400, 403, 404, 405, 422), path
            assert [*answer.json()] == ["error"], path
        # A session that nobody has begun ends, and is not cut off.
        assert client.get("/gradio_api/queue/data", params={"session_hash": "x"}).status_code == 200
        assert client.get("/health").json() == {"status": "ok"}


@pytest.mark.browser
def test_the_page(browser, tmp_path: Path, quick_network):
    with serving(tmp_path, quick_network[1]) as (_, client):
        page = opened_page(browser, client)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.reload()
        tab = tab_of(page, "Paint at once", "Paint")
        give(tab, CAT)
        tab.get_by_label("a style of the sheet").check()
        tab.locator(".st-tiles button").nth(7).click()
        tab.get_by_label("number input for longest side, pixels").fill("64")
        tab.get_by_role("button", name="Paint", exact=True).click()
        tab.locator(".st-result").wait_for()
        # By optimisation: the picture so far, and what it was when it is stopped.
        tab = tab_of(page, "Optimise", "Optimise")
        give(tab, CAT, WAVE)
        tab.get_by_label("number input for longest side, pixels").fill("256")
        tab.get_by_label("iterations").fill("100000")
        tab.get_by_role("button", name="Optimise", exact=True).click()
        tab.locator(".st-live").wait_for()
        tab.get_by_role("button", name="Stop").click()
        tab.locator(".st-result").wait_for()
        page.get_by_role("tab", name="Gallery").click()
        cards = page.locator(".st-cards button")
        cards.nth(1).wait_for()
        assert cards.count() == 2
        cards.first.click()
        assert "100000" in page.locator(".st-recipe").inner_text()
        page.get_by_role("button", name="Delete").click()
        cards.nth(1).wait_for(state="detached")
        assert cards.count() == 1
        servers = {urlsplit(url).netloc for url in asked if url.startswith("http")}
        assert servers == {client.base_url.netloc.decode()}
        phone = opened_page(browser, client, 390)
        phone.get_by_role("button", name="Paint", exact=True).wait_for()
        assert phone.evaluate("document.documentElement.scrollWidth") <= 390


MASKED = """() => {
  const canvas = document.querySelector('.st-mask canvas');
  const pen = canvas.getContext('2d'), {width, height} = canvas;
  return pen.getImageData(0, height / 2, width / 4, 1).data.every(value => value > 150);
}"""
"""Whether white lies over the left of the middle of the photo."""


@pytest.mark.browser
def test_a_page_that_has_lost_its_connection_comes_back(browser, tmp_path: Path, quick_network):
    with serving(tmp_path, quick_network[1]) as (_, client):
        page = opened_page(browser, client)
        page.route("**/gradio_api/queue/data*", lambda route: route.abort(), times=1)
        with page.expect_event("load"):
            page.get_by_role("tab", name="Gallery").click()
        page.get_by_role("tab", name="Gallery").click()
        page.get_by_text("Nothing has been made yet.").wait_for()


@pytest.mark.browser
def test_a_drawn_mask_is_used_and_a_job_is_made_again(browser, tmp_path: Path, quick_network):
    with serving(tmp_path, quick_network[1]) as (_, client):
        page = opened_page(browser, client)
        tab = tab_of(page, "Optimise", "Optimise")
        give(tab, CAT, WAVE)
        tab.get_by_label("number input for longest side, pixels").fill("256")
        tab.get_by_label("iterations").fill("3")
        tab.get_by_role("button", name="where the style goes").click()
        canvas = tab.locator(".st-mask canvas")
        # As high as the photo that lies under it.
        page.wait_for_function("document.querySelector('.st-mask canvas').height !== 320")
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        middle = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + 5, middle)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 3, middle, steps=8)
        page.mouse.up()
        tab.get_by_role("button", name="Optimise", exact=True).click()
        tab.locator(".st-result").wait_for()
        (folder,) = made = {*(tmp_path / "jobs").iterdir()}
        drawn = images.load(folder / "style_mask-0.png").mean(2)
        line = drawn[len(drawn) // 2]
        assert line[: len(line) // 4].min() > 0.9
        assert drawn[0].max() == drawn[:, -1].max() == 0
        # The slider uncovers what was before.
        after = tab.locator(".st-after")
        tab.get_by_label("before and after").fill("60")
        assert "60%" in after.evaluate("element => element.style.clipPath")
        # From the gallery back to the tab, with all that it was made of.
        # So it does where the page was opened anew.
        for turn in range(2):
            tab = again(page, "Optimise", "Optimise")
            assert tab.get_by_label("iterations").input_value() == "3"
            assert tab.get_by_label("number input for longest side, pixels").input_value() == "256"
            if turn:
                tab.get_by_role("button", name="where the style goes").click()
            page.wait_for_function(MASKED)
            tab.get_by_role("button", name="Optimise", exact=True).click()
            tab.locator(f".st-result:not([src*='{folder.name}'])").wait_for()
            (folder,) = {*(tmp_path / "jobs").iterdir()} - made
            made.add(folder)
            assert np.abs(images.load(folder / "style_mask-0.png").mean(2) - drawn).max() < 0.1
            page.reload()


@pytest.mark.browser
def test_films_are_painted_stopped_and_made_again(browser, tmp_path, quick_network):
    pytest.importorskip("av", reason="the extra video is not installed")
    short, long = tmp_path / "short.gif", tmp_path / "long.gif"
    short.write_bytes(clip(3))
    long.write_bytes(clip(1000))
    with serving(tmp_path / "state", quick_network[1]) as (_, client):
        page = opened_page(browser, client, 375)
        assert all(tab.is_visible() for tab in page.get_by_role("tab").all()[:4])
        tab = tab_of(page, "Film", "Paint the film")
        go = tab.get_by_role("button", name="Paint the film")
        # One that is long shows how far it is, and its newest frame, until it is stopped.
        tab.locator("input[type=file]").first.set_input_files(long)
        tab.get_by_text("long.gif").first.wait_for()
        tab.get_by_label("number input for longest side, pixels").fill("64")
        tab.get_by_label("a style of the sheet").check()
        tab.locator(".st-tiles button").nth(3).click()
        go.click()
        tab.get_by_text(" of 1000").wait_for()
        first = tab.locator(".st-live").get_attribute("src")
        page.wait_for_function(
            "first => ![first, undefined].includes(document.querySelector('.st-live')?.src)",
            arg=first,
        )
        tab.get_by_role("button", name="Stop").click()
        tab.get_by_text("cancelled").wait_for()
        # One that is short, in one pass and by optimisation.
        tab.get_by_label("Clear").first.click()
        tab.locator("input[type=file]").first.set_input_files(short)
        tab.get_by_text("short.gif").first.wait_for()
        go.click()
        tab.locator("video").wait_for()
        tab.get_by_label("a painting, by optimisation").check()
        tab.get_by_label("iterations").fill("2")
        tab.locator("input[type=file]").last.set_input_files(WAVE)
        tab.get_by_label("Remove Image").wait_for()
        go.click()
        tab.get_by_text("done, 64x48, 3 frames").wait_for(state="detached")
        tab.get_by_text("done, 64x48, 3 frames").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 375
        page.reload()
        tab = again(page, "Film", "Paint the film")
        assert tab.get_by_label("iterations").input_value() == "2"
        assert tab.get_by_label("number input for longest side, pixels").input_value() == "64"
