"""The page: header, tabs, theme. The tabs fill themselves; this file joins them and serves them."""

from __future__ import annotations

import html
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import gradio as gr
import typer
from starlette.middleware import Middleware

from index.passage_index import IndexMissingError
from tutor.tutor import Tutor
from tutor.users import UserFile
from ui.ask_tab import SHOW_LAST_TURN, build_ask_tab
from ui.gate import FAILED_LOGIN_MINUTES, Gate, Logins
from ui.interview_tab import FOCUS_ANSWER, build_interview_tab
from ui.library_tab import build_library_tab
from ui.page import INDEX_ERRORS, editor_tutor, known_errors_shown, learner_tutor, shown_by
from ui.progress_tab import build_progress_tab
from ui.quality_tab import build_quality_tab
from ui.render import typed

_FOLDER = Path(__file__).parent
_HEADER = """\
<header>
  <h1>Interview Tutor</h1>
  <p>Ask, practise and be graded for deep-learning interviews. Every answer names its source.</p>
</header>"""
_ACCOUNT = "<p>Logged in as <b>{name}</b> · <a href='logout'>Log out</a></p>"
_LOGIN_NOTE = (
    "Your instructor gives you a name and a password. Somebody who mistypes them too often is not let in for "
    f"{FAILED_LOGIN_MINUTES} minutes, even with the right ones."
)
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
_WAITING = 1_000
"""Clicks that may wait: each of 50 learners who open the page at once brings half a dozen."""


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

    def mend(self, request: gr.Request, progress: gr.Progress = gr.Progress()) -> TroubleView:  # noqa: B008
        """Build the index anew from the guides."""
        with known_errors_shown():
            try:
                editor_tutor(self.tutor, request).update_index(rebuild=True, progress=shown_by(progress))
            except (ValueError, OSError) as error:
                raise gr.Error(str(error), print_exception=False) from error
        return self.look()

    def greet(self, request: gr.Request) -> gr.HTML:
        """Who is logged in, with the way out; nothing where nobody needs to be."""
        if self.tutor.settings.users_file is None:
            return gr.HTML(visible=False)
        name = html.escape(learner_tutor(self.tutor, request).settings.learner)
        return gr.HTML(_ACCOUNT.format(name=name), visible=True)


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
        account = gr.HTML(visible=False, elem_id="account", js_on_load=None)
        with gr.Column(visible=False, elem_id="trouble") as banner:
            message = gr.Markdown()
            mend = gr.Button("Build the index now", variant="primary", scale=0, min_width=180)
        if tutor.model_problem:
            gr.Markdown(f"**Answers are the guides' own words.** {typed(tutor.model_problem)}", elem_id="model-problem")
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("Chat", id="chat"):
                asking = build_ask_tab(tutor)
            with gr.Tab("Interview", id="interview"):
                interview = build_interview_tab(tutor)
            with gr.Tab("Progress", id="progress") as progress_tab:
                progress = build_progress_tab(tutor)
            with gr.Tab("Library", id="library") as library_tab:
                library = build_library_tab(tutor)
            with gr.Tab("Quality", id="quality") as quality_tab:
                quality = build_quality_tab(tutor)
        links = gr.HTML(js_on_load=(_FOLDER / "page.js").read_text(encoding="utf-8"), elem_id="links")

        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        trouble = IndexHandlers(tutor)
        app.load(trouble.look, None, [banner, message], **quiet)
        app.load(trouble.greet, None, account, **quiet)
        mended = mend.click(trouble.mend, None, [banner, message], show_progress_on=message, api_visibility="private")
        for event in (mended.then, app.load, library_tab.select):
            event(library.handlers.refresh, None, list(library.view), **quiet)
        bank_changes: tuple[Any, ...] = (mended.then, app.load, *library.changes)
        for event in bank_changes:
            event(interview.handlers.look, None, list(interview.setup), **quiet)
            restored = event(asking.list_handlers.restore, asking.conversation, list(asking.opened), **quiet)
            restored.then(None, js=SHOW_LAST_TURN)
        shown = progress_tab.select(progress.handlers.refresh, progress.dates, list(progress.view), **quiet)
        shown.then(progress.handlers.plan, **progress.planning)
        quality_tab.select(quality.handlers.refresh, quality.choice, list(quality.view), **quiet)
        links.show_source(asking.handlers.show_source, asking.conversation, asking.sources, **quiet)
        chosen = links.choose_day(progress.handlers.choose_day, progress.dates, progress.dates, **quiet)
        chosen.then(progress.handlers.plan, **progress.planning)
        links.save(progress.handlers.save, None, progress.parcel, **quiet)
        practised = links.practise(interview.handlers.practise, None, [tabs, *interview.room], **quiet)
        practised.success(None, js=FOCUS_ANSWER)
        links.read_guide(library.handlers.open_link, None, [tabs, *library.reading], **quiet)
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
    ).set(
        # Gradio's own grey and its buttons are too pale to be read; the login knows no style but this.
        block_info_text_color="*neutral_500",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_800",
        button_primary_text_color="white",
        button_primary_text_color_dark="white",
    )


def start(tutor: Tutor, *, host: str, port: int) -> gr.Blocks:
    """Serve the page in the background. Raises OSError, naming the port, where it cannot be had."""
    _check_address(host, port)
    settings = tutor.settings
    logins = (
        Logins(UserFile(settings.users_file), failed_logins=settings.failed_logins) if settings.users_file else None
    )
    # After every click Gradio makes a table of its last ten thousand clicks, for a monitor that is switched off here.
    os.environ["GRADIO_ANALYTICS_CACHE_FREQUENCY"] = str(sys.maxsize)
    app = build_app(tutor)
    app.queue(default_concurrency_limit=8, max_size=_WAITING, api_open=False)
    app.launch(
        server_name=host,
        server_port=port,
        root_path=settings.root_path or None,
        auth=logins.check if logins else None,  # type: ignore[arg-type]  # Gradio awaits it, and does not say so
        auth_message=_LOGIN_NOTE,
        app_kwargs={"middleware": [Middleware(Gate, requests_a_minute=settings.requests_a_minute)]},
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
        max_file_size=f"{settings.max_upload_mb}mb",
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
    Thread(target=tutor.prepare, daemon=True).start()
    typer.echo(f"Interview Tutor is at {app.local_url}  (Ctrl+C ends it)")
    app.block_thread()
