"""The lines between the packages: which may import which, and how few files know each heavy library."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("corpus", "index", "tutor", "ui", "evals")
BELOW = {
    "corpus": {"corpus"},
    "index": {"corpus", "index"},
    "tutor": {"corpus", "index", "tutor"},
    "ui": {"corpus", "index", "tutor", "ui"},
    "evals": {"corpus", "index", "tutor", "evals"},
}
# A library that takes long to import, or that might be replaced one day, and the only files that may know it.
KNOWN_IN = {
    "torch": {
        "tutor/transformers_model.py",
        "tutor/placement.py",
        "tutor/decoding.py",
        "tutor/model_catalog.py",
        "tutor/doctor.py",
        "tutor/classifier_judge.py",
        "index/encoder_training.py",
        "tutor/word_training.py",
    },
    "transformers": {
        "tutor/transformers_model.py",
        "tutor/placement.py",
        "tutor/decoding.py",
        "tutor/classifier_judge.py",
    },
    "llguidance": {"tutor/transformers_model.py"},
    "bitsandbytes": {"tutor/transformers_model.py"},
    "sentence_transformers": {"index/embedder.py", "index/reranker.py"},
    "faiss": {"index/vector_index.py"},
    "bm25s": {"index/keyword_index.py", "index/words.py"},
    "langchain_text_splitters": {"corpus/chunks.py"},
    "langchain_core": {"index/langchain_retriever.py", "tutor/langchain_model.py"},
    "langchain_openai": {"tutor/endpoint_model.py"},
    "openai": {"tutor/endpoint_model.py"},
    "huggingface_hub": {"tutor/model_catalog.py"},
    "sqlalchemy": {
        "tutor/database.py",
        "tutor/progress.py",
        "tutor/migrations/0001_history.py",
        "tutor/migrations/0002_interviews.py",
    },
    "alembic": {"tutor/database.py", "tutor/migrations/0001_history.py", "tutor/migrations/0002_interviews.py"},
    "fsrs": {"tutor/schedule.py"},
    "genanki": {"tutor/exports.py"},
    "pint": {"tutor/quantities.py"},
    "sympy": {"tutor/written_formulas.py"},
    "pypdfium2": {"corpus/pdf_pages.py"},
    "markdownify": {"corpus/html_pages.py"},
    "mammoth": {"corpus/formats.py"},
    "pptx": {"corpus/formats.py"},
    "httpx": {"corpus/web.py"},
    "pwdlib": {"tutor/users.py"},
    "zxcvbn": {"tutor/users.py"},
    "tomlkit": {"tutor/users.py"},
    "limits": {"ui/gate.py"},
    "starlette": {"ui/app.py", "ui/gate.py"},
}
MODULES = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))


def name_of(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def imports(file: Path) -> Iterator[str]:
    """Every module that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(file)} has a relative import"
            yield node.module or ""


def test_imports_point_down():
    wrong = [
        f"{name_of(file)} imports {module}"
        for file in MODULES
        for module in imports(file)
        if module.split(".")[0] in set(PACKAGES) - BELOW[file.relative_to(ROOT).parts[0]]
        # Two doors lead from the faces to the evals, and none back.
        and not (name_of(file) in {"ui/eval_cli.py", "ui/quality_tab.py"} and module.split(".")[0] == "evals")
    ]

    assert wrong == []


def test_no_module_imports_in_a_circle():
    names = {name_of(file).removesuffix(".py").removesuffix("/__init__").replace("/", "."): file for file in MODULES}
    graph = {name: {module for module in imports(file) if module in names} for name, file in names.items()}

    while leaves := [name for name, below in graph.items() if not below & graph.keys()]:
        for name in leaves:
            del graph[name]

    assert graph == {}


@pytest.mark.parametrize("library", KNOWN_IN)
def test_each_heavy_library_is_known_in_the_fewest_files(library: str):
    knowing = {name_of(file) for file in MODULES if library in {module.split(".")[0] for module in imports(file)}}

    assert knowing == KNOWN_IN[library]


def test_gradio_is_known_to_the_page_and_its_tabs_alone():
    knowing = {name_of(file) for file in MODULES if any(module.split(".")[0] == "gradio" for module in imports(file))}

    parts = {"ui/app.py", "ui/page.py", "ui/chat_views.py", "ui/conversation_list.py"}
    assert all(name in parts or name.endswith("_tab.py") for name in knowing)


def test_no_other_langchain_library_came_in():
    used = {module.split(".")[0] for file in MODULES for module in imports(file) if module.startswith("langchain")}

    assert used == {"langchain_text_splitters", "langchain_core", "langchain_openai"}


def python(code: str, home: Path) -> str:
    """What a fresh Python prints that runs the code with a home of its own."""
    environment = {"TUTOR_HOME": str(home), "PATH": "/usr/bin:/bin", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_help_is_printed_without_a_heavy_library(home: Path):
    heavy = "torch transformers sentence_transformers faiss gradio numpy sklearn scipy bm25s sqlalchemy pydantic"
    code = f"""
import sys
from ui.cli import main
try:
    main(["--help"])
except SystemExit as end:
    assert not end.code
print("loaded:", *[name for name in {heavy.split()!r} if name in sys.modules])
"""

    printed = python(code, home)

    assert "Usage: " in printed
    assert printed.endswith("loaded:\n")
    assert not home.exists()


def test_importing_makes_no_folder_and_loads_no_model_library(home: Path):
    names = [name_of(file).removesuffix(".py").replace("/", ".") for file in MODULES]
    code = f"""
import importlib, logging, sys, warnings
for name in {[name for name in names if not name.startswith("ui.")]!r}:
    importlib.import_module(name)
heavy = ("torch", "transformers", "sentence_transformers", "faiss", "sklearn", "gradio")
print([name for name in heavy if name in sys.modules])
with warnings.catch_warnings(action="ignore"):
    for name in {[name for name in names if name.startswith("ui.")]!r}:
        importlib.import_module(name)
print([name for name in heavy[:4] if name in sys.modules], logging.getLogger().handlers)
"""

    assert python(code, home) == "[]\n[] []\n"
    assert not home.exists()


def test_every_module_says_in_a_line_what_it_holds():
    without = [name_of(file) for file in MODULES if not ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))]

    assert without == []


def test_the_readme_names_every_file_of_ours():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    missing = [
        file.name for package in PACKAGES for file in (ROOT / package).glob("[!_]*.py") if file.name not in readme
    ]

    assert not missing
