"""The page: header, tabs, theme. The tabs fill themselves; this file joins them and serves them."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import typer

from index.passage_index import IndexMissingError
from tutor.tutor import Tutor
from ui.ask_tab import AskHandlers, build_ask_tab
from ui.library_tab import build_library_tab
from ui.page import INDEX_ERRORS, known_errors_shown
from ui.practice_tab import build_practice_tab
from ui.progress_tab import build_progress_tab
from ui.render import typed

_FOLDER = Path(__file__).parent
_HEADER = """\
<header>
  <h1>Interview Tutor</h1>
  <p>Ask, practise and be graded for deep-learning interviews. Every answer names its source.</p>
</header>"""
_SYSTEM_FONTS = (
    "system-ui",
    "-apple-system",
    "Segoe UI",
    "Roboto",
    "Noto Sans",
    "Noto Sans CJK SC",
    "PingFang SC",
    "Microsoft YaHei",
    "sans-serif",
)
_CODE_FONTS = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Noto Sans Mono", "monospace")
MAX_UPLOAD = "20mb"


class TroubleView(NamedTuple):
    """Whether something is wrong with the index, in the order of the banner's parts."""

    banner: gr.Column
    message: str


@dataclass(frozen=True)
class IndexHandlers:
    """What the page does about a missing, stale or damaged index."""

    tutor: Tutor

    def look(self) -> TroubleView:
        """Say what is wrong with the index, and how to mend it; nothing where it is sound."""
        trouble = index_trouble(self.tutor)
        return TroubleView(gr.Column(visible=bool(trouble)), trouble)

    def mend(self, progress: gr.Progress = gr.Progress()) -> TroubleView:  # noqa: B008
        """Build the index anew from the guides."""

        def show(stage: str, done: int, total: int) -> None:
            progress(done / total if total else 0.0, desc=stage)

        with known_errors_shown():
            try:
                self.tutor.update_index(rebuild=True, progress=show)
            except (ValueError, OSError) as error:
                raise gr.Error(str(error), print_exception=False) from error
        return self.look()


def index_trouble(tutor: Tutor) -> str:
    """What is wrong with the index and how to mend it, as Markdown; empty where it is sound."""
    try:
        _ = tutor.index
    except IndexMissingError as error:
        return f"**The guides are not indexed yet.** {error}"
    except INDEX_ERRORS as error:
        return f"**The index cannot be used.** {error}"
    return ""


def build_app(tutor: Tutor) -> gr.Blocks:
    """The whole page over a tutor. Serve it with `start`, which brings theme and style."""
    app = gr.Blocks(title="Interview Tutor", analytics_enabled=False, delete_cache=(3600, 86400))
    with app:
        gr.HTML(_HEADER, elem_id="header", js_on_load=None)
        with gr.Column(visible=False, elem_id="trouble") as banner:
            message = gr.Markdown()
            mend = gr.Button("Build the index now", variant="primary", scale=0, min_width=180)
        if tutor.model_problem:
            gr.Markdown(f"**Answers are the guides' own words.** {typed(tutor.model_problem)}", elem_id="model-problem")
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("Chat", id="chat"):
                asking = build_ask_tab(tutor)
            with gr.Tab("Practice", id="practice"):
                practice = build_practice_tab(tutor)
            with gr.Tab("Progress", id="progress") as progress_tab:
                progress = build_progress_tab(tutor)
            with gr.Tab("Library", id="library") as library_tab:
                library = build_library_tab(tutor)
        links = gr.HTML(js_on_load=(_FOLDER / "page.js").read_text(encoding="utf-8"), elem_id="links")

        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        trouble = IndexHandlers(tutor)
        app.load(trouble.look, None, [banner, message], **quiet)
        mended = mend.click(trouble.mend, None, [banner, message], show_progress_on=message, api_visibility="private")
        for event in (mended.then, app.load, library_tab.select):
            event(library.handlers.refresh, None, list(library.view), **quiet)
        mended.then(practice.handlers.refresh_topics, None, practice.topic, **quiet)
        for event in (practice.graded.then, app.load, progress_tab.select):
            event(progress.handlers.refresh, None, list(progress.view), **quiet)
        links.show_source(AskHandlers(tutor).show_source, asking.conversation, asking.sources, **quiet)
        links.read_guide(library.handlers.open_link, None, [tabs, library.choice, library.text], **quiet)
    return app


def theme() -> gr.themes.Base:
    """Calm, with the fonts that the learner's system has: nothing is fetched."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        secondary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_md,
        font=list(_SYSTEM_FONTS),
        font_mono=list(_CODE_FONTS),
    )


def start(tutor: Tutor, *, host: str, port: int) -> gr.Blocks:
    """Serve the page in the background. Raises OSError, naming the port, where it cannot be had."""
    _check_address(host, port)
    app = build_app(tutor)
    app.queue(default_concurrency_limit=8, max_size=100)
    app.launch(
        server_name=host,
        server_port=port,
        prevent_thread_lock=True,
        quiet=True,
        share=False,
        inbrowser=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        run_history=False,
        enable_monitoring=False,
        footer_links=["settings"],
        max_file_size=MAX_UPLOAD,
        theme=theme(),
        css_paths=_FOLDER / "style.css",
    )
    return app


def _check_address(host: str, port: int) -> None:
    """Raise OSError where the address cannot be served at; Gradio's own message names neither reason nor remedy."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        # Without it the port of a server that has just ended counts as taken for a minute.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            other = port + 1 if port < 65535 else 7860
            raise OSError(
                f"Cannot serve at {host}, port {port} ({error.strerror or error}). "
                f"Choose another one: tutor serve --port {other}"
            ) from error


def launch(tutor: Tutor, *, host: str, port: int) -> None:
    """Serve the page until interrupted. Raises OSError, naming the port, where it cannot be had."""
    app = start(tutor, host=host, port=port)
    typer.echo(f"Interview Tutor is at {app.local_url}  (Ctrl+C ends it)")
    app.block_thread()
