"""Form the journal keys of a cell's calls, and find what was recorded under the keys of earlier versions and settings.

A key is what the code asked, so that a resume with another model or server pays for no recorded call again. A
`cache=True` call is the exception: it is shared by all turns of a run, and two of them are equal when they would send
the same request. In a cell that was begun before the settings changed, such a call still has its former key.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...kernel.session import PostedCall
from ...state.blobs.texts import Texts
from ...state.call_journal import ThreadJournal
from ...state.call_keys import call_key, content_key, request_digest, shared_key
from ...state.call_records import SCHEMA
from ...state.run_state import FormerModels
from ...state.settings import RunSettings, saved_settings
from ..models.urls import shown


def parameters_of(options: Mapping[str, Any], call: PostedCall | None = None) -> dict[str, Any]:
    """Return what a request asks for beside its prompt: nothing that was not given."""
    asked = dict(options)
    if call and call.max_tokens:
        asked["max_output"] = call.max_tokens
    if call and call.schema is not None:
        asked[SCHEMA] = True
    return asked


async def recorded(parameters: Mapping[str, Any], schema: Mapping[str, Any] | None, texts: Texts) -> dict[str, Any]:
    """Return the parameters of a request as they are recorded, with the schema as the hash of a stored text."""
    return dict(parameters) if schema is None else {**parameters, SCHEMA: await texts.put(json.dumps(schema))}


class _Models:
    """The models of some settings, as requests to them are recorded."""

    def __init__(self, settings: RunSettings) -> None:
        # The sub-model comes last: a call that names it, or nothing, is made as a sub-call is.
        specs = [settings.root_spec, settings.sub_spec]
        self._asked: dict[str | None, tuple[str, str, Mapping[str, Any]]] = {
            spec.name: (spec.name, shown(spec.base_url), spec.options) for spec in specs
        }
        self._asked[None] = self._asked[settings.sub_spec.name]

    def of(self, call: PostedCall) -> tuple[str, str, Mapping[str, Any]]:
        """Return the name, the server and the options of the model for a call, whether or not it is configured."""
        return self._asked.get(call.model) or (call.model or "", "", {})


def _with_models(settings: RunSettings, former: FormerModels) -> RunSettings:
    return saved_settings({**settings.frozen(), **former["settings"]})


class CallKeys:
    """The keys of one cell's calls. Calls of equal content are numbered in the order in which they come."""

    def __init__(
        self, journal: ThreadJournal, turn: int, settings: RunSettings, former: Sequence[FormerModels] = ()
    ) -> None:
        """`former`: what the run asked with until its settings were changed, the earliest first."""
        self._journal = journal
        self._turn = turn
        self._first_model = (_with_models(settings, former[0]) if former else settings).calls_model
        before = [_with_models(settings, one) for one in former if one["until"] >= turn]
        self._models = _Models(settings)
        self._former = [_Models(one) for one in reversed(before)]
        self._occurrences: Counter[str] = Counter()

    def key_of(self, call: PostedCall, context: str | None) -> str:
        """Return the call's key. `context`: the digest of what a sub-RLM is handed."""
        if call.cache:
            keys = list(self._shared_keys(call, context))
            return next((key for key in keys if self._journal.find(key)), keys[0])
        key = self._counted(content_key(call.kind, call.prompt, call.model, call.schema, context, call.max_tokens))
        if self._journal.old_keys and self._journal.find(key) is None:
            old_key = self._counted(self._old_content(call, context))
            return old_key if old_key in self._journal.old_keys else key
        return key

    def _counted(self, content: str) -> str:
        self._occurrences[content] += 1
        return call_key(self._turn, content, self._occurrences[content])

    def _old_content(self, call: PostedCall, context: str | None) -> str:
        """Return the content's digest as it was until format 4, with the name of the model that was to answer."""
        return content_key(call.kind, call.prompt, call.model or self._first_model, call.schema, context)

    def _shared_keys(self, call: PostedCall, context: str | None) -> Iterator[str]:
        """Yield the keys that a `cache=True` call may have, the one for new answers first."""
        for models in (self._models, *self._former):
            yield shared_key(_request(call, context, models))
        if self._journal.old_keys:
            yield shared_key(self._old_content(call, context))

    def request_of(self, call: PostedCall, context: str | None) -> str:
        """Return the digest of the request that a call makes."""
        return _request(call, context, self._models)

    async def parameters_of(self, call: PostedCall, texts: Texts) -> dict[str, Any]:
        """Return what the request of a call asks for beside its prompt, as it is recorded. Stores its schema."""
        return await recorded(parameters_of(self._models.of(call)[2], call), call.schema, texts)


def _request(call: PostedCall, context: str | None, models: _Models) -> str:
    name, server, options = models.of(call)
    return request_digest(name, server, parameters_of(options, call), call.kind, call.prompt, call.schema, context)
