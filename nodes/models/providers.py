"""Find the model that `provider:model` names, and explain what is missing when there is a problem."""

import importlib
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from ...state.base_urls import HIDDEN, SecretMissing, secrets_of, takes_provider_key, whole_url
from ...state.errors import ModelSetupError
from .api_keys import ApiKey, find_key
from .client import ModelClient
from .errors import Target
from .langchain_anthropic_compat import make_client
from .langchain_http_clients import bound_http_clients
from .options import RequestOptions, check_sampling, resolve_options, settings_of
from .pricing import Price
from .provider_protocol import Role, Sender
from .provider_table import PROVIDERS, Provider
from .redaction import redact
from .retry import RetryPolicy
from .scripted import ScriptedSender
from .tokens import window_of
from .urls import is_loopback, is_openai, shown

REQUEST_SECONDS = 600.0
CONNECTIONS = 1000


def open_client(
    name: str,
    *,
    base_url: str = "",
    price: Price | None = None,
    retry: RetryPolicy | None = None,
    seconds: float = REQUEST_SECONDS,
    connections: int = CONNECTIONS,
    options: Mapping[str, Any] | None = None,
    key_names: Sequence[str] = (),
    roles: Collection[Role] = ("root", "sub"),
) -> ModelClient:
    """Return the client of the model `provider:model`, or of the script `scripted:PATH`; close it when done.

    Nothing is sent yet, but the provider's package is imported, which may take a second. `base_url` is an
    OpenAI-compatible server; `price` dollars per million (input, output) tokens; `seconds` the time limit of one
    request; `connections` the most requests in flight; `options` what `parse_options` (`state/model_options.py`) takes.
    A script is sent no options. `key_names` are environment variables that may hold the key, tried before the
    provider's own; `roles` what the model is asked as, for which a script must have functions. Raises ModelSetupError,
    also for an option that the provider cannot express.
    """
    kind, colon, model = name.partition(":")
    if not (kind and colon and model.strip()):
        raise ModelSetupError(
            f"{name!r} does not name a model." if name else "No model is named.",
            hint="Write it as PROVIDER:NAME, such as `--model openai:gpt-5-mini`, or as scripted:PATH.",
        )
    resolved = resolve_options(options or {})
    sender: Sender
    if kind == "scripted":
        sender, target = ScriptedSender(model, roles), Target(name, seconds=None)
    elif kind == "openai":
        provided = [PROVIDERS[kind].key_name] if takes_provider_key(base_url) else []
        key = find_key([*key_names, *provided])
        address = _whole(base_url)
        target = _openai_target(name, address, seconds, key, resolved.secrets)
        sender = _openai(model, target, address, connections, resolved, key)
    else:
        key = find_key(key_names)
        secrets = tuple(filter(None, [key.value, *resolved.secrets]))
        name_of_key = key.name if key.value else _provider(kind).key_name
        target = Target(name, key_name=name_of_key, seconds=seconds, secrets=secrets)
        sender = _other(kind, model, target, base_url, resolved, key)
    return ModelClient(
        target,
        sender,
        price=price,
        window=window_of(name, base_url),
        max_output=resolved.max_output,
        retry=retry,
    )


def _provider(kind: str) -> Provider:
    if kind not in PROVIDERS:
        known = ", ".join(sorted(PROVIDERS))
        raise ModelSetupError(f"There is no model provider named {kind!r}.", hint=f"There are {known}, and scripted.")
    return PROVIDERS[kind]


def _whole(base_url: str) -> str:
    """Return a saved address with its secrets. Raises ModelSetupError when they were not given to this process."""
    try:
        return whole_url(base_url)
    except SecretMissing:
        raise ModelSetupError(
            f"The address {base_url} has a secret ({HIDDEN}) that is never saved, and it is not known here.",
            hint="Give the whole address again: --base-url URL (--sub-base-url, --then-base-url), or RLM_BASE_URL "
            "(RLM_SUB_BASE_URL, RLM_THEN_BASE_URL) in the environment.",
        ) from None


def _openai_target(name: str, base_url: str, seconds: float, key: ApiKey, more_secrets: tuple[str, ...]) -> Target:
    where = shown(base_url)
    if not base_url:
        if not key.value:
            raise ModelSetupError(
                f"{name} needs a key: OPENAI_API_KEY is not set.",
                hint="Set it, or name a server of your own with --base-url.",
            )
        # Applied silently, it would move a saved run to another server; ignored, documents would go to OpenAI.
        for variable in ("OPENAI_BASE_URL", "OPENAI_API_BASE"):
            if os.environ.get(variable):
                raise ModelSetupError(
                    f"{variable} is set, but the server is chosen with --base-url.",
                    hint=f'Write --base-url "${variable}", or unset it.',
                )
    secrets = (key.value, *secrets_of(base_url), *more_secrets)
    return Target(name, where, key.name, seconds, tuple(filter(None, secrets)))


def _openai(
    model: str, target: Target, base_url: str, connections: int, options: RequestOptions, key: ApiKey
) -> Sender:
    _refuse_to_spend(target.name, base_url)
    if not base_url or is_openai(base_url):
        # Other servers may give any model a name of OpenAI's.
        check_sampling(target.name, PROVIDERS["openai"], options)
    _module(PROVIDERS["openai"])
    from .openai import OPENAI_URL, PLACEHOLDER_KEY, OpenAISender

    return OpenAISender(
        model,
        base_url=base_url or OPENAI_URL,
        key=key.value or PLACEHOLDER_KEY,
        seconds=target.seconds or REQUEST_SECONDS,
        connections=connections,
        headers=options.headers,
        fields=options.completions_body(),
    )


def _other(kind: str, model: str, target: Target, base_url: str, options: RequestOptions, key: ApiKey) -> Sender:
    provider = _provider(kind)
    if base_url:
        raise ModelSetupError(
            f"--base-url names an OpenAI-compatible server, which {target.name} would not use.",
            hint=f"Write openai:{model}, or leave --base-url out; for sub-calls alone it is --sub-base-url.",
        )
    settings = settings_of(target.name, provider, options)
    fields = {**provider.fixed, **settings.fields, **({"api_key": key.value} if key.value else {})}
    chat_model = getattr(_module(provider), provider.chat_model)
    _refuse_to_spend(target.name, _address(provider))
    from .langchain import LangChainSender

    try:
        chat = chat_model(model=model, disable_streaming=True, cache=False, **fields)
        if provider.client_is_late:
            make_client(chat)
        bound_http_clients(chat)
        chat = _with_headers(chat, provider, options.headers)
    except Exception as error:
        said = redact(" ".join(str(error).split())[:300], target.secrets)
        hint = f"Set {provider.key_name}." if provider.key_name else "Check its settings."
        raise ModelSetupError(f"{target.name} cannot be set up: {said or type(error).__name__}.", hint=hint) from None
    _check_fields(provider, type(chat), [provider.limit_field, *settings.fields])
    # Set on a copy: in the constructor some packages refuse None.
    chat = chat.model_copy(update={name: None for name in provider.unset if name not in settings.fields})
    caches = provider.caches is not None and provider.caches.match(model) is not None
    return LangChainSender(chat, provider.limit_field, call=settings.call, caches=caches)


def _with_headers(chat: Any, provider: Provider, headers: Mapping[str, str]) -> Any:
    """Return the chat model whose client sends the headers, and whose fields, which tracing sends, do not have them."""
    if not headers:
        return chat
    if provider.headers == "async_client":
        chat.async_client.headers.update(headers)
        return chat
    place = provider.headers.partition(".")[0]
    return chat.model_copy(update={place: None, **provider.headers_copied})


def _check_fields(provider: Provider, chat_model: type[BaseModel], wanted: Iterable[str]) -> None:
    """Raise ModelSetupError for a field that the installed package does not have."""
    known = {name for field, info in chat_model.model_fields.items() for name in (field, info.alias)}
    if missing := next((name for name in wanted if name not in known), ""):
        what = "limit a reply" if missing == provider.limit_field else "take an option"
        raise ModelSetupError(
            f"The installed {provider.package} cannot {what}: it has no {missing}.",
            hint=f"Install another version: pip install --upgrade {provider.package}",
        )


def _module(provider: Provider) -> Any:
    """Return the provider's package, imported only now: `langchain_openai` takes a second."""
    try:
        return importlib.import_module(provider.module)
    except ImportError:
        raise ModelSetupError(
            f"{provider.chat_model} needs the package {provider.package}, which cannot be imported.",
            hint=f"Install it: pip install {provider.package}",
        ) from None


def _address(provider: Provider) -> str:
    """Return the server's address that the environment gives to the provider's package; one on loopback comes last."""
    given = [address for variable in provider.url_names if (address := os.environ.get(variable))]
    return next((address for address in given if not is_loopback(address)), given[0] if given else "")


def _refuse_to_spend(name: str, base_url: str) -> None:
    """Raise ModelSetupError in tests, which must not be able to spend.

    pytest marks its environment, and child processes inherit that.
    """
    tested = "PYTEST_VERSION" in os.environ or "PYTEST_CURRENT_TEST" in os.environ
    if tested and not (base_url and is_loopback(base_url)):
        raise ModelSetupError(
            f"{name} would spend money, and this is a test.", hint="Give a --base-url on 127.0.0.1 or a scripted model."
        )
