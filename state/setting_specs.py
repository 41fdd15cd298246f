"""The settings of a run as users meet them: one table for the command line, LangGraph Studio's form and the docs.

Types, defaults and checks are in `state.settings`, which imports Pydantic; this module imports little, because
`rlm --help` reads it. Tests hold both, the command line's options and the table in `docs/command-line.md` together.
"""

from collections.abc import Mapping
from dataclasses import dataclass

MODEL, LIMITS, APPROVAL, KERNEL = "Model", "Limits", "Approval", "Kernel"
INPUT, OUTPUT, NOTIFY = "Input", "Output", "Notifications"
"""The panels of `--help`."""


@dataclass(frozen=True)
class SettingSpec:
    """The name, label and explanation of one setting."""

    name: str
    """Its key in `rlm.toml`; with dashes its flag, in capitals after `RLM_` its variable."""
    title: str
    """Its label in a form."""
    panel: str
    metavar: str | None
    """None: a switch."""
    help: str
    default: str
    """Its default in words; empty when it must be given."""

    @property
    def variable(self) -> str:
        """Its variable in the environment."""
        return f"RLM_{self.name.upper()}"

    @property
    def flag(self) -> str:
        """Its flag on the command line."""
        return f"--{self.name.replace('_', '-')}"


_ALL = (
    SettingSpec(
        *("model", "Root model", MODEL, "PROVIDER:NAME"),
        "The root model, such as openai:gpt-5-mini; scripted:PATH is an offline stand-in",
        "",
    ),
    SettingSpec(
        *("sub_model", "Sub-model", MODEL, "PROVIDER:NAME"),
        "The model that answers sub-calls; a smaller one saves money",
        "the root model",
    ),
    SettingSpec(
        *("base_url", "Base URL", MODEL, "URL"),
        "An OpenAI-compatible server of your own, for both models",
        "the provider's own",
    ),
    SettingSpec(
        *("sub_base_url", "Base URL of the sub-model", MODEL, "URL"),
        "An OpenAI-compatible server for sub-calls alone, such as one of your own beside a hosted root model",
        "that of the root model",
    ),
    SettingSpec(
        *("price", "Price", MODEL, "IN,OUT"),
        "The price of tokens, in US dollars per million",
        "the built-in price list",
    ),
    SettingSpec(
        *("sub_price", "Price of the sub-model", MODEL, "IN,OUT"),
        "The price of the sub-model's tokens, in US dollars per million",
        "--price, else the built-in price list",
    ),
    SettingSpec(
        *("option", "Options of the root model", MODEL, "K=V"),
        "An option of the root model, also for sub-calls unless another model answers them: temperature, top_p, effort "
        "(none to max), seed, max_output (tokens of a reply), header.NAME (a secret as env:NAME), body.KEY for all "
        "else. May be repeated",
        "the server's own",
    ),
    SettingSpec(
        *("sub_option", "Options of the sub-model", MODEL, "K=V"),
        "An option of the model that answers sub-calls. May be repeated",
        "those of the root model if it answers them, else the server's own",
    ),
    SettingSpec(
        *("then", "Fallback model", MODEL, "MODEL[@N]"),
        "The root model from then on when the first one has failed N turns in a row (3 by default), or for good",
        "the run fails",
    ),
    SettingSpec(
        *("then_base_url", "Base URL of the fallback", MODEL, "URL"),
        "An OpenAI-compatible server for the fallback model",
        "the provider's own",
    ),
    SettingSpec(*("concurrency", "Concurrency", MODEL, "N"), "Model calls in flight at once", "32"),
    SettingSpec(
        *("mode", "Mode", MODEL, "MODE"),
        "rlm: by code in a REPL; auto: a small input is given to the model whole, which answers or asks for the REPL; "
        "direct: always whole, in one call",
        "rlm",
    ),
    SettingSpec(*("max_turns", "Turns", LIMITS, "N"), "Turns of the root model; the last one must answer", "30"),
    SettingSpec(
        *("max_depth", "Depth", LIMITS, "N"),
        "0: code may not call models; 1: sub-calls are plain model calls; 2: rlm_query starts a sub-RLM, a run with a "
        "REPL of its own, whose sub-calls are plain; and so on",
        "1",
    ),
    SettingSpec(
        *("max_calls", "Model requests", LIMITS, "N"),
        "Model requests: root turns, sub-calls and retries; one is reserved for a last turn",
        "2000",
    ),
    SettingSpec(
        *("max_tokens", "Tokens", LIMITS, "N"),
        "Tokens, input and output together, of the run and its sub-RLMs",
        "no limit",
    ),
    SettingSpec(
        *("max_cost", "Cost in USD", LIMITS, "USD"),
        "US dollars; the models' prices must be known. A price list older than 90 days is warned about",
        "no limit",
    ),
    SettingSpec(
        *("max_time", "Seconds", LIMITS, "SECONDS"),
        "Wall time, over all executions of the run, which ends whatever it waits for; a tenth of it, at most 60 s, is "
        "kept for a last turn",
        "no limit",
    ),
    SettingSpec(
        *("strict_budget", "Strict budget", LIMITS, None),
        "Count a request whose answer was lost (kill -9, a broken connection) as all that it may have taken",
        "what it is likely to have taken",
    ),
    SettingSpec(
        *("max_home_size", "Size of the home", LIMITS, "SIZE"),
        "Bytes that the home, with all its runs, may have on disk, such as 20G; no work is begun that would exceed it",
        "no limit",
    ),
    SettingSpec(
        *("approve", "Approval gates", APPROVAL, "GATE"),
        "Wait for approval. code: before code runs (code:writes, code:imports, code:calls: only such code); calls or "
        "'calls>N': before sub-calls, or more of them than N; 'cost>USD': before more is spent, and after each further "
        "as much; final: before it answers; budget: when it is spent; all. May be repeated",
        "no approval is asked for",
    ),
    SettingSpec(
        *("allow_imports", "Allowed imports", APPROVAL, "MODULE"),
        "A module that code may import without approval, for code:imports. May be repeated",
        "harmless ones only",
    ),
    SettingSpec(
        *("kernels", "Kernels", KERNEL, "N"),
        "Kernels alive at once, --max-depth at least: the run has one, and each sub-RLM that is executed; more "
        "sub-RLMs wait for others to end",
        "as memory allows, at most 32",
    ),
    SettingSpec(
        *("cell_timeout", "Cell timeout", KERNEL, "SECONDS"),
        "A cell's own computing; waiting for sub-calls does not count",
        "300",
    ),
    SettingSpec(
        *("kernel_idle", "Idle kernel", KERNEL, "SECONDS"),
        "A kernel that has been idle for longer is ended; the next cell gets a restored one",
        "900",
    ),
    SettingSpec(*("memory", "Memory", KERNEL, "SIZE"), "Memory of a kernel, such as 512M", "4G"),
    SettingSpec(
        *("kernel_env", "Kernel environment", KERNEL, "VENV"),
        "Virtual environment that code runs in; it needs ipykernel, cloudpickle and pydantic",
        "this program's own, with numpy, and with pandas and the readers of documents where durable-rlm[all] is "
        "installed",
    ),
    SettingSpec(
        *("kernel_provisioner", "Kernel provisioner", KERNEL, "NAME"),
        "Jupyter kernel provisioner that starts and confines kernels",
        "the fork server",
    ),
    SettingSpec(
        *("unsandboxed", "Unsandboxed", KERNEL, None),
        "Run model code as your user, without a sandbox",
        "refuse to run where no sandbox holds",
    ),
    SettingSpec(
        *("encoding", "Encoding", INPUT, "NAME"),
        "The encoding of the text files, such as windows-1252; a byte order mark in a file still decides",
        "what each file declares or is",
    ),
    SettingSpec(
        *("hidden", "Hidden files", INPUT, None), "Read hidden files of folders too, such as .env", "skip them"
    ),
    SettingSpec(
        *("password", "Passwords", INPUT, "env:NAME|file:PATH"),
        "Where a password of protected files is: in a variable of the environment, or on a line of a file; never the "
        "password itself. It is not saved. May be repeated",
        "protected files are skipped",
    ),
    SettingSpec(
        *("schema", "Answer schema", OUTPUT, "FILE"),
        "A JSON Schema that the answer must match; the answer is then JSON",
        "any text or value",
    ),
    SettingSpec(
        *("instructions", "Instructions", OUTPUT, "FILE"),
        "Instructions of your own, a text of at most 32,768 characters: appended to the system prompt of the run and "
        "of its sub-RLMs",
        "none",
    ),
    SettingSpec(
        *("require_citations", "Required citations", OUTPUT, None),
        "Accept only an answer whose quotations are cited and found in the input; another one goes back to the model, "
        "at most twice, and is then marked",
        "citations that are not found are only marked",
    ),
    SettingSpec(
        *("notify", "Notifications", NOTIFY, "CMD|URL"),
        "Send a notification, without the answer, when the run waits for approval, is answered, fails, runs out of "
        "budget or has used 80 % of a limit: as JSON on stdin of a command (no shell), or as a POST to an address; "
        "env:NAME takes either from a variable of the environment. May be repeated",
        "none is sent",
    ),
    SettingSpec(
        *("notify_key", "Key of notifications", NOTIFY, "env:NAME"),
        "The variable of the environment that has the key with which notifications to addresses are signed",
        "they are not signed",
    ),
)

SETTINGS: Mapping[str, SettingSpec] = {spec.name: spec for spec in _ALL}
"""The settings by name, in the order in which `--help` and the documentation list them."""
