"""The report of `rlm doctor --data`: where each byte of a run goes, and which hosts are asked.

It is read from the settings that a run would have here; nothing is asked and nothing is started. Addresses are shown
without what may be secret in them.
"""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ...graph.tracing import VARIABLE, asked_for, switch_set
from ...nodes.models.provider_table import PROVIDERS
from ...state.model_specs import ModelSpec, provider_of
from ...state.settings import RunSettings
from ..cli import local_servers
from ..terminal.escape import safe_line

_OWN_ADDRESS = {
    "openai": "https://api.openai.com",
    "anthropic": "https://api.anthropic.com",
    "deepseek": "https://api.deepseek.com",
    "fireworks": "https://api.fireworks.ai",
    "google_genai": "https://generativelanguage.googleapis.com",
    "groq": "https://api.groq.com",
    "mistralai": "https://api.mistral.ai",
    "nvidia": "https://integrate.api.nvidia.com",
    "ollama": "http://127.0.0.1:11434",
    "openrouter": "https://openrouter.ai",
    "perplexity": "https://api.perplexity.ai",
    "together": "https://api.together.xyz",
    "upstage": "https://api.upstage.ai",
    "xai": "https://api.x.ai",
}
"""The addresses that the providers' packages ask when none is set."""
_OTHER_NAMES = {"openai": ("OPENAI_API_BASE", "OPENAI_BASE_URL"), "azure_openai": ("AZURE_OPENAI_ENDPOINT",)}
"""Further variables from which these packages read an address."""
_LANGSMITH = "https://api.smith.langchain.com"
_PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
_SENT = {
    "root": "the question, a preview of the input, the code so far and what it printed",
    "sub": "the prompts that code writes, with any part of the input in them",
}


@dataclass(frozen=True)
class Destination:
    """A place where data of a run goes, or a host that is asked."""

    name: str
    value: str
    """The data that goes there, and where that is."""
    hosts: list[str] = field(default_factory=list[str])
    """The hosts that are asked, with their ports; none: it stays on this machine."""

    def to_json(self) -> dict[str, Any]:
        """Return the object that `rlm doctor --data --json` prints."""
        return asdict(self)


def destinations(settings: RunSettings, home: Path, environment: Mapping[str, str] | None = None) -> list[Destination]:
    """Return where the data of a run with these settings goes. Raises UsageError for a wrong `RLM_TRACING`."""
    variables = os.environ if environment is None else environment
    return [
        _home(home),
        *_models(settings, variables),
        _proxy(variables),
        _kernels(settings),
        _tracing(variables),
        Destination("Prices", "the list that genai-prices was installed with; nothing is asked"),
        Destination(
            "Server", "`rlm dev` listens on 127.0.0.1 unless --host names another address; asks no host by itself"
        ),
        Destination(
            "Search",
            "`rlm doctor`, and `rlm run` without a model, look for model servers; nothing of a run is sent",
            [f"127.0.0.1:{port}" for port in local_servers.SERVERS],
        ),
        Destination("Telemetry", "none; no version check, no reports of errors"),
    ]


def _home(home: Path) -> Destination:
    kept = "the question, the input, all prompts, answers, code, output and variables: files for this user alone"
    return Destination("Home", f"{safe_line(str(home.absolute()))}: {kept}")


def _models(settings: RunSettings, variables: Mapping[str, str]) -> list[Destination]:
    if not settings.model:
        return [Destination("Models", "none is named by RLM_MODEL or rlm.toml: the host is that of --model")]
    return [_model(spec, variables) for spec in settings.specs]


def _model(spec: ModelSpec, variables: Mapping[str, str]) -> Destination:
    sent = "; ".join(_SENT[role] for role in spec.roles)
    name = safe_line(spec.name, 100)
    provider = provider_of(spec.name)
    if provider == "scripted":
        return Destination("Models", f"{name}: a file on this machine, which may do anything that you may")
    address = spec.base_url or _named_address(provider, variables) or _OWN_ADDRESS.get(provider, "")
    if not address:
        return Destination("Models", f"{name}: {sent}; to the address that its package chooses", ["unknown"])
    return Destination("Models", f"{name}: {sent}", [host_of(address)])


def _named_address(provider: str, variables: Mapping[str, str]) -> str:
    known = PROVIDERS.get(provider)
    names = (*_OTHER_NAMES.get(provider, ()), *(known.url_names if known else ()))
    return next((variables[name] for name in names if variables.get(name)), "")


def _proxy(variables: Mapping[str, str]) -> Destination:
    if name := next((name for name in _PROXIES if variables.get(name)), ""):
        return Destination("Proxy", f"requests to models pass it ({name})", [host_of(variables[name])])
    return Destination("Proxy", "none")


def _kernels(settings: RunSettings) -> Destination:
    if settings.kernel_provisioner:
        who = safe_line(settings.kernel_provisioner, 80)
        return Destination("Kernels", f"the provisioner {who} decides what code can reach", ["unknown"])
    if settings.unsandboxed:
        return Destination("Kernels", "UNSANDBOXED: code of the model can send anything anywhere", ["any"])
    return Destination("Kernels", "the input and the variables, in memory and under /tmp/rlm-…; no network")


def _tracing(variables: Mapping[str, str]) -> Destination:
    if asked_for(variables):
        address = variables.get("LANGSMITH_ENDPOINT") or variables.get("LANGCHAIN_ENDPOINT") or _LANGSMITH
        sent = f"LangSmith gets what runs read, ask and answer, because {VARIABLE} says so"
        return Destination("Tracing", sent, [host_of(address)])
    ignored = f"; {switch}, which is set, turns nothing on" if (switch := switch_set(variables)) else ""
    return Destination("Tracing", f"off: nothing is sent unless --tracing or {VARIABLE}=1 asks for it{ignored}")


def host_of(address: str) -> str:
    """Return the host of an address, with its port if one is named: without a user, a path or a query."""
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "unknown"
    host = f"[{host}]" if ":" in host else host
    return safe_line(f"{host}:{port}" if port else host, 200) or "unknown"
