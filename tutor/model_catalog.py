"""Language models: the open-weight ones that suit the tutor, those on this machine, how to fetch one, and the one that settings name."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from tutor.endpoint_model import ENDPOINT_PREFIX, EndpointModel, read_address
from tutor.language_model import LanguageModel, ModelUnavailableError
from tutor.placement import free_bytes
from tutor.settings import EXTRACTIVE, Settings
from tutor.transformers_model import TransformersModel

CATALOGUE_DATE = "2025-10"
"""When the list was last looked through; makers publish new models every month."""

MemoryFormat = Literal["bf16", "4-bit"]
_BYTES_PER_PARAMETER: Mapping[MemoryFormat, float] = {"bf16": 2.0, "4-bit": 0.6}
"""4-bit: half a byte, and a tenth for the scales of the groups and for the embeddings, which stay in 16 bits."""
_OVERHEAD = 1.2
"""Room for activations and for the keys and values of a few thousand tokens, as a factor on the weights."""
_SPARE_DISK_BYTES = 1_000_000_000
_WANTED_FILES = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt", "*.tiktoken")
_UNWANTED_FILES = ("*/*", "consolidated*")
"""Copies of the weights in another layout: `original/`, `metal/`, `onnx/`, and Mistral's own."""


class ModelFetchError(RuntimeError):
    """A model that cannot be fetched; the message says why and what to do."""


@dataclass(frozen=True)
class CatalogueModel:
    """An instruction-tuned model with open weights."""

    id: str
    """On the Hugging Face hub."""
    billions: float
    """Parameters, in billions, as its maker counts them."""
    licence: str
    context_tokens: int
    """Prompt and reply together, without extensions such as YaRN."""
    is_gated: bool = False
    """Whether the hub wants its terms accepted, and a token, first."""

    def memory_gb(self, weights: MemoryFormat) -> float:
        """Memory that it takes to run, in GB: the weights and a fifth."""
        return self.billions * _BYTES_PER_PARAMETER[weights] * _OVERHEAD


CATALOGUE: tuple[CatalogueModel, ...] = (
    CatalogueModel("Qwen/Qwen2.5-0.5B-Instruct", 0.5, "Apache-2.0", 32_768),
    CatalogueModel("Qwen/Qwen3-0.6B", 0.6, "Apache-2.0", 32_768),
    CatalogueModel("google/gemma-3-1b-it", 1.0, "Gemma terms", 32_768, is_gated=True),
    CatalogueModel("meta-llama/Llama-3.2-1B-Instruct", 1.2, "Llama 3.2 Community", 131_072, is_gated=True),
    CatalogueModel("Qwen/Qwen2.5-1.5B-Instruct", 1.5, "Apache-2.0", 32_768),
    CatalogueModel("Qwen/Qwen3-1.7B", 1.7, "Apache-2.0", 32_768),
    CatalogueModel("Qwen/Qwen2.5-3B-Instruct", 3.1, "Qwen Research", 32_768),
    CatalogueModel("HuggingFaceTB/SmolLM3-3B", 3.1, "Apache-2.0", 65_536),
    CatalogueModel("meta-llama/Llama-3.2-3B-Instruct", 3.2, "Llama 3.2 Community", 131_072, is_gated=True),
    CatalogueModel("microsoft/Phi-4-mini-instruct", 3.8, "MIT", 131_072),
    CatalogueModel("Qwen/Qwen3-4B-Instruct-2507", 4.0, "Apache-2.0", 262_144),
    CatalogueModel("google/gemma-3-4b-it", 4.3, "Gemma terms", 131_072, is_gated=True),
    CatalogueModel("mistralai/Mistral-7B-Instruct-v0.3", 7.2, "Apache-2.0", 32_768),
    CatalogueModel("Qwen/Qwen2.5-7B-Instruct", 7.6, "Apache-2.0", 32_768),
    CatalogueModel("meta-llama/Llama-3.1-8B-Instruct", 8.0, "Llama 3.1 Community", 131_072, is_gated=True),
    CatalogueModel("Qwen/Qwen3-8B", 8.2, "Apache-2.0", 32_768),
    CatalogueModel("Qwen/Qwen3-14B", 14.8, "Apache-2.0", 32_768),
    CatalogueModel("openai/gpt-oss-20b", 20.9, "Apache-2.0", 131_072),
    CatalogueModel("Qwen/Qwen3-30B-A3B-Instruct-2507", 30.5, "Apache-2.0", 262_144),
    CatalogueModel("Qwen/Qwen3-32B", 32.8, "Apache-2.0", 32_768),
)


def find_model(name: str) -> str:
    """The hub id of a name: the id itself, or the part after the slash of one in the catalogue, in any case.

    Raises ModelFetchError, naming the nearest ones, where it is neither.
    """
    by_name = {key: model.id for model in CATALOGUE for key in (model.id.lower(), model.id.split("/")[1].lower())}
    wanted = name.strip()
    if wanted.lower() in by_name:
        return by_name[wanted.lower()]
    if wanted.count("/") == 1:
        return wanted
    near = [by_name[key] for key in get_close_matches(wanted.lower(), by_name, n=3, cutoff=0.5)]
    hint = f" Did you mean {', '.join(dict.fromkeys(near))}?" if near else ""
    raise ModelFetchError(
        f"{name!r} is no model of the catalogue.{hint} Expected a name from `tutor models`, or a hub id owner/name."
    )


# The machine


@dataclass(frozen=True)
class Machine:
    """The memory that a model could take now, in GB; `gpu_gb` is 0 without a GPU that CUDA knows."""

    ram_gb: float
    gpu_gb: float

    @property
    def memory_gb(self) -> float:
        """Where a model would run: on the GPU, if there is one."""
        return self.gpu_gb or self.ram_gb

    def fits(self, model: CatalogueModel) -> MemoryFormat | None:
        """The best format of its weights in which a model runs here; None where it is too large."""
        formats: tuple[MemoryFormat, ...] = ("bf16", "4-bit")
        return next((one for one in formats if model.memory_gb(one) <= self.memory_gb), None)


def this_machine() -> Machine:
    """Look at the memory that is free."""
    import torch

    return Machine(
        ram_gb=round(free_bytes("cpu") / 1e9, 1),
        gpu_gb=round(free_bytes("cuda") / 1e9, 1) if torch.cuda.is_available() else 0.0,
    )


# The local cache


@dataclass(frozen=True)
class CachedModel:
    """A model whose weights are in the local cache of the hub."""

    id: str
    size_bytes: int


def cached_models() -> list[CachedModel]:
    """The models whose weights and configuration are in the local cache."""
    from huggingface_hub import CacheNotFound, constants, scan_cache_dir

    try:
        repositories = scan_cache_dir(constants.HF_HUB_CACHE).repos
    except CacheNotFound:
        return []
    found = []
    for repository in repositories:
        names = {file.file_name for revision in repository.revisions for file in revision.files}
        is_model = repository.repo_type == "model" and "config.json" in names and any(map(_is_weights, names))
        if is_model and is_cached(repository.repo_id):
            found.append(CachedModel(repository.repo_id, repository.size_on_disk))
    return sorted(found, key=lambda model: model.id.lower())


def is_cached(name: str) -> bool:
    """Whether a model is in the local cache, and no file is missing, as after a download that was broken off."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        snapshot_download(
            name, allow_patterns=list(_WANTED_FILES), ignore_patterns=list(_UNWANTED_FILES), local_files_only=True
        )
    except (LocalEntryNotFoundError, HFValidationError):
        return False
    return True


def _is_weights(name: str) -> bool:
    return name.endswith(".safetensors")


# The model of the settings


def make_language_model(settings: Settings) -> LanguageModel | None:
    """The language model that the settings name, to be loaded or called at first use; None in extractive mode.

    Raises ModelUnavailableError for a name that is none of what can be named; nothing is downloaded to find out.
    """
    name = settings.language_model.strip()
    if name == EXTRACTIVE:
        return None
    if name.startswith(ENDPOINT_PREFIX):
        return EndpointModel(
            read_address(name),
            key=settings.api_key,
            max_new_tokens=settings.max_new_tokens,
            window_tokens=settings.endpoint_window_tokens,
            read_seconds=settings.endpoint_seconds,
        )
    folder = Path(name).expanduser()
    is_folder = bool(name) and folder.is_dir()
    if not is_folder and not is_cached(name):
        raise ModelUnavailableError(
            f"TUTOR_LANGUAGE_MODEL {settings.language_model!r} names no language model: it is neither a folder nor a model "
            f"in the local cache. Expected `{EXTRACTIVE}`, openai:<model>@<base url>, the folder of a transformers model, or "
            "a hub id. Fetch one with: tutor models pull NAME"
        )
    return TransformersModel(
        str(folder) if is_folder else name,
        max_new_tokens=settings.max_new_tokens,
        precision=settings.precision,
        quantization=settings.quantization,
        draft_tokens=settings.draft_tokens,
    )


# Fetching


@dataclass(frozen=True)
class FetchPlan:
    """What fetching a model would take."""

    id: str
    total_bytes: int
    missing_bytes: int
    """Of the total, what is not in the cache yet; a file that was broken off starts over."""


def plan_fetch(name: str) -> FetchPlan:
    """Ask the hub what a model consists of. Raises ModelFetchError where it cannot be had, or the disk is too small."""
    from huggingface_hub import snapshot_download

    with _hub_errors(name):
        files = snapshot_download(
            name, allow_patterns=list(_WANTED_FILES), ignore_patterns=list(_UNWANTED_FILES), dry_run=True
        )
    if not any(_is_weights(file.filename) for file in files):
        raise ModelFetchError(
            f"{name!r} has no weights in the safetensors format. Expected a transformers model, not e.g. one in GGUF: "
            "serve such a model with llama.cpp or Ollama, and name it as openai:<model>@<base url>."
        )
    plan = FetchPlan(
        id=name,
        total_bytes=sum(file.file_size or 0 for file in files),
        missing_bytes=sum(file.file_size or 0 for file in files if file.will_download),
    )
    free = _free_bytes()
    if plan.missing_bytes + _SPARE_DISK_BYTES > free:
        raise ModelFetchError(
            f"{name!r} needs {plan.missing_bytes / 1e9:.1f} GB of disk, and {free / 1e9:.1f} GB are free (1 GB is kept). "
            "Free some, or set HF_HOME to a folder on another disk."
        )
    return plan


def fetch_model(plan: FetchPlan) -> Path:
    """Fetch what is missing into the local cache, with a progress bar. After a break, whole files are kept.

    Raises ModelFetchError.
    """
    from huggingface_hub import snapshot_download

    with _hub_errors(plan.id):
        # By name, not by commit: only then the cache notes which commit the name stands for, and it loads without the hub.
        folder = snapshot_download(plan.id, allow_patterns=list(_WANTED_FILES), ignore_patterns=list(_UNWANTED_FILES))
    return Path(folder)


def _free_bytes() -> int:
    from huggingface_hub.constants import HF_HUB_CACHE

    cache = Path(HF_HUB_CACHE).expanduser().absolute()
    return shutil.disk_usage(next(path for path in (cache, *cache.parents) if path.exists())).free


@contextmanager
def _hub_errors(name: str) -> Iterator[None]:
    """Turn what the hub's library raises, and the HTTP library below it, into ModelFetchError."""
    from huggingface_hub.constants import ENDPOINT, is_offline_mode
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, HFValidationError, RepositoryNotFoundError

    if is_offline_mode():
        raise ModelFetchError(
            "HF_HUB_OFFLINE (or TRANSFORMERS_OFFLINE) forbids to call the hub. Unset it to fetch a model, or copy the model's "
            "folder here by other means, and name the folder in TUTOR_LANGUAGE_MODEL."
        )
    try:
        yield
    except HFValidationError as error:
        raise ModelFetchError(f"{name!r} is no hub id. Expected owner/name, as in Qwen/Qwen3-8B.") from error
    except Exception as error:
        # A dry run wraps the reason.
        reason = error.__cause__ or error
        if isinstance(reason, GatedRepoError):
            said = f"{name!r} is gated. Accept its terms at {ENDPOINT}/{name}, then log in with: hf auth login"
        elif isinstance(reason, RepositoryNotFoundError):
            said = f"The hub {ENDPOINT} has no model {name!r}, or it is private. Look at `tutor models`, or log in with: hf auth login"
        elif isinstance(reason, HfHubHTTPError):
            said = f"The hub {ENDPOINT} answered HTTP {reason.response.status_code} for {name!r}. Try again later."
        elif isinstance(reason, OSError) and reason.errno == errno.ENOSPC:
            said = f"The disk is full; the whole files of {name!r} stay. Free some and pull again, or set HF_HOME to another disk."
        else:
            words = " ".join(str(reason).split())[:200]
            said = (
                f"{name!r} cannot be fetched from {ENDPOINT} ({type(reason).__name__}: {words}). Look at the network and pull "
                "again: whole files stay. Or copy the model's folder here, and name the folder in TUTOR_LANGUAGE_MODEL."
            )
        raise ModelFetchError(said) from error
