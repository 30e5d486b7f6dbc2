"""The page: Gradio's components around the queue that the service has, too."""

import logging
import os
import shutil
from typing import Any

from fastapi import FastAPI

from styletransfer.text import clause
from styletransfer.web import views
from styletransfer.web.limits import Limits
from styletransfer.web.narrow import Narrow
from styletransfer.web.queue import Queue

logger = logging.getLogger(__name__)

# Read when Gradio is imported: nothing is told to anybody.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"

_SESSIONS = 500  # pages that are open, whose values are kept
_CLEAN_SECONDS = 3600, 24 * 3600  # how often, and what is older, uploads are deleted


def mount(app: FastAPI, queue: Queue, limits: Limits) -> None:
    """Add the page to the application of a service."""
    uploads = queue.place / "uploads"
    shutil.rmtree(uploads, ignore_errors=True)
    uploads.mkdir(mode=0o700)
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)
    import gradio as gr

    page = blocks(queue, limits)
    _close(page)
    app.add_middleware(Narrow)
    gr.mount_gradio_app(
        app,
        page,
        path="/",
        server_name="127.0.0.1",
        footer_links=[],
        run_history=False,
        max_file_size=limits.upload,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        css=views.CSS,
        # The system's own fonts: none is fetched.
        theme=gr.themes.Default(
            font=[gr.themes.Font("system-ui"), gr.themes.Font("sans-serif")],
            font_mono=[gr.themes.Font("ui-monospace"), gr.themes.Font("monospace")],
        ),
    )


def _close(page: Any) -> None:
    """Have events take uploads alone, fetch nothing, and tell what is wrong in a sentence.

    An event's data may name a file, whatever component it is for, and Gradio would copy it among
    the uploads, which it hands out: only applications that it has launched itself are checked.
    """
    import gradio as gr
    from gradio import processing_utils

    page.has_launched = True
    process = page.process_api

    async def told(*given: Any, **named: Any) -> Any:
        try:
            return await process(*given, **named)
        except gr.Error as error:
            error.print_exception = False
            raise
        except Exception as error:
            logger.warning(
                "an event of the page failed (%s)", clause(f"{type(error).__name__}: {error}", 200)
            )
            text = "the page has sent what cannot be; load it anew"
            raise gr.Error(text, print_exception=False, title="") from None

    async def fetched(url: str, cache_dir: str) -> str:
        raise gr.Error("an address is no upload; send the file", print_exception=False, title="")

    page.process_api = told
    processing_utils.async_ssrf_protected_download = fetched


def blocks(queue: Queue, limits: Limits) -> Any:
    """Return the page."""
    import gradio as gr

    from styletransfer.web import tabs
    from styletransfer.web.making import Maker

    maker = Maker(queue, limits)
    with gr.Blocks(
        title="styletransfer", analytics_enabled=False, delete_cache=_CLEAN_SECONDS
    ) as page:
        gr.Markdown("# styletransfer\nThe content of one picture in the style of another.")
        with gr.Tabs(overflow_behavior="wrap", elem_classes="st-tabs") as all_tabs:
            made: dict[str, dict[str, Any]] = {}
            with gr.Tab("Paint at once", id="stylize"):
                made["stylize"] = tabs.paint(maker)
            with gr.Tab("Optimise", id="optimise"):
                made["optimise"] = tabs.optimise(maker)
            with gr.Tab("Film", id="film"):
                made["film"] = tabs.film(maker)
            with gr.Tab("Gallery", id="gallery") as last:
                tabs.gallery(maker, all_tabs, last, made)
    page.state_session_capacity = _SESSIONS
    page.queue(default_concurrency_limit=limits.waiting + 4, max_size=50)
    return page
