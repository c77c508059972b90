"""Every tunable, its default, and where its present value comes from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource
from pydantic_settings.exceptions import SettingsError as VariableError

import corpus
from corpus.questions import Level
from index.embedder import SHIPPED_EMBEDDER
from tutor.placement import Precision, Quantization

CORPUS_FOLDER = Path(corpus.__file__).parent
AnswerFrom = Literal["guides-only", "guides-first"]
GraderChoice = Literal["auto", "offline"]
RunCode = Literal["limited", "anywhere", "never"]
EXTRACTIVE = "extractive"
"""The setting of `language_model` that needs none: answers are composed of the guides' own sentences."""


class SettingsError(ValueError):
    """A setting that cannot be used; the message names it, where it stands, and what is expected."""


class Settings(BaseSettings):
    """Read from `TUTOR_*` variables, then `settings.toml` in the home folder, then the defaults here."""

    model_config = SettingsConfigDict(env_prefix="TUTOR_", frozen=True, extra="forbid")

    home: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("interview-tutor", appauthor=False)),
        description="Folder of the index, the history and settings.toml.",
    )
    guides: tuple[Path, ...] = Field((CORPUS_FOLDER / "guides",), description="Guides that are always indexed.")
    questions: tuple[Path, ...] = Field((CORPUS_FOLDER / "questions",), description="Question banks.")
    embedder: str = Field(
        SHIPPED_EMBEDDER,
        description="`shipped`, `corpus` (made from the indexed text), or a sentence-transformers model.",
    )
    embedding_dimension: int = Field(256, ge=2, le=4096, description="Dimensions of the `corpus` embedder.")
    chunk_words: int = Field(300, ge=40, le=2000, description="Longest passage; code and tables are never cut.")
    dense_weight: float = Field(
        0.6, ge=0, le=1, description="Share of the dense score beside the keyword score, on text the encoder knows."
    )
    far_dense_weight: float = Field(0.15, ge=0, le=1, description="The same on text of another field.")
    heading_weight: float = Field(0.2, ge=0, le=1, description="Share of the heading's match in the fused score.")
    reranker: str = Field(
        "", description="A cross-encoder (hub id in the cache, or folder) that orders the hits; none."
    )
    hit_count: int = Field(6, ge=1, le=50, description="Passages that an answer may draw on.")
    answer_threshold: float = Field(0.28, ge=0, le=1, description="Confidence below which the tutor declines.")
    language_model: str = Field(
        EXTRACTIVE,
        description="`extractive`, a transformers model (hub id in the cache, or folder), or `openai:<model>@<base url>`.",
    )
    grader: GraderChoice = Field(
        "auto",
        description="`auto`: the language model, where there is one, with the offline grader's second opinion; or `offline`.",
    )
    answer_from: AnswerFrom = Field(
        "guides-only",
        description="`guides-only`, or `guides-first`: what they do not cover the model answers from memory, marked.",
    )
    level: Level = Field(
        "mid", description="Of the interview that the learner prepares for: junior, mid, senior, staff."
    )
    api_key: SecretStr = Field(SecretStr(""), description="Key of the endpoint; most local ones need none.")
    endpoint_seconds: float = Field(
        300, gt=0, le=3600, description="Longest wait for an endpoint's next piece of text."
    )
    endpoint_window_tokens: int = Field(
        4096,
        ge=512,
        le=10_000_000,
        description="Prompt and reply together, where the endpoint does not tell its limit.",
    )
    precision: Precision = Field(
        "auto",
        description="Numbers that a transformers model computes with; auto: bfloat16 where the processor has it.",
    )
    quantization: Quantization = Field(
        "none", description="Smaller weights for a transformers model, with bitsandbytes (the extra `quantized`)."
    )
    draft_tokens: int = Field(
        10,
        ge=0,
        le=64,
        description="Tokens that a transformers model copies from its prompt and checks at once; 0: none.",
    )
    run_code: RunCode = Field(
        "limited",
        description="Code of an answer is run where it can be limited in time, memory, files and network; `anywhere`, or `never`.",
    )
    code_seconds: float = Field(10, gt=0, le=600, description="Longest run of an answer's code with its tests.")
    code_memory_mb: int = Field(1024, ge=64, le=65536, description="Memory of such a run, beside NumPy and PyTorch.")
    max_new_tokens: int = Field(512, ge=16, le=8192, description="Longest generated answer.")
    fetch_seconds: float = Field(60, gt=0, le=3600, description="Longest wait for a guide from the web.")
    learner: str = Field("me", min_length=1, description="Whose progress is kept.")
    questions_a_day: int = Field(
        30, ge=1, le=1000, description="Most questions a day that a plan to a date may ask for."
    )
    database_url: SecretStr = Field(
        SecretStr(""),
        description="Where histories are kept: `postgresql://…` (the extra `postgres`) or `sqlite:///…`; none: progress.db at home.",
    )
    host: str = Field("127.0.0.1", description="Address the page is served at.")
    port: int = Field(7860, ge=1, le=65535, description="Port the page is served at.")
    root_path: str = Field(
        "", description="Path or address of the page behind a proxy that takes it off, e.g. `/tutor`; none."
    )
    users_file: Path | None = Field(None, description="Who may log in (`tutor users`); none: the page asks nobody.")
    failed_logins: int = Field(
        10, ge=1, le=1000, description="Failed logins of a name from one address, in a quarter of an hour."
    )
    requests_at_once: int = Field(
        3, ge=1, le=100, description="What is worked on at once for each learner who logged in."
    )
    requests_a_minute: int = Field(
        120, ge=1, le=100_000, description="What the page may ask of the server for each learner who logged in."
    )
    max_upload_mb: int = Field(20, ge=1, le=4096, description="Largest file that can be uploaded.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments win over variables, variables over the file."""
        del dotenv_settings, file_secret_settings
        home = Path(
            {**env_settings(), **init_settings()}.get("home")
            or cls.model_fields["home"].get_default(call_default_factory=True)
        )
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=home / "settings.toml")

    @property
    def index_folder(self) -> Path:
        """Where the index lives."""
        return self.home / "index"

    @property
    def database(self) -> Path | str:
        """The learners' histories: a file of the home folder, or the URL of the database that was set."""
        return self.database_url.get_secret_value() or self.home / "progress.db"


def read_settings(**overrides: Any) -> Settings:  # noqa: ANN401 - a value for any field
    """The effective settings. Raises SettingsError, naming every bad one, where some cannot be used."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        lines = []
        for item in error.errors():
            name = str(item["loc"][0]) if item["loc"] else "settings"
            known = ", ".join(Settings.model_fields)
            # Whatever was taken for a key or a password may be one.
            got = "" if name in {"api_key", "database_url"} else f"Got {item['input']!r}."
            hint = f"Known settings: {known}." if item["type"] == "extra_forbidden" else got
            lines.append(f"{name}: {item['msg']}. {hint} Set TUTOR_{name.upper()} or mend settings.toml.")
        raise SettingsError(" ".join(lines)) from error
    except VariableError as error:
        raise SettingsError(
            f"A TUTOR_ variable cannot be read ({error}). Expected JSON for a list, e.g. TUTOR_GUIDES='[\"my-guides\"]'."
        ) from error
    except (ValueError, OSError) as error:
        raise SettingsError(
            f"settings.toml cannot be read ({error}). Expected TOML lines such as `port = 7861`."
        ) from error


def origins(settings: Settings, environment: Mapping[str, str]) -> dict[str, str]:
    """For each setting where its value comes from: a variable, the file, or the default."""
    file = settings.home / "settings.toml"
    in_file = set(TomlConfigSettingsSource(Settings, toml_file=file)()) if file.is_file() else set()
    places: dict[str, str] = {}
    upper = {name.upper() for name in environment}
    for name in Settings.model_fields:
        variable = f"TUTOR_{name.upper()}"
        places[name] = variable if variable in upper else str(file) if name in in_file else "default"
    return places
