"""Form the journal keys of a cell's calls, and find what was recorded under the keys of earlier versions and settings.

A key is what the code asked, so that a resume with another model or server pays for no recorded call again. A
`cache=True` call is the exception: it is shared by all turns of a run, and two of them are equal when they would send
the same request. In a cell that was begun before the settings changed, such a call still has its former key.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from ...kernel.session import PostedCall
from ...state.call_journal import ThreadJournal
from ...state.call_keys import call_key, content_key, request_digest, shared_key
from ...state.call_records import SCHEMA
from ...state.model_specs import ModelSpec
from ...state.run_state import FormerModels
from ...state.settings import RunSettings, saved_settings
from ..models.urls import shown


def parameters_of(spec: ModelSpec | None, call: PostedCall | None = None) -> dict[str, Any]:
    """Return what a request asks for beside its prompt, as it is recorded: nothing that was not given."""
    asked: dict[str, Any] = dict(spec.options) if spec else {}
    if call and call.max_tokens:
        asked["max_output"] = call.max_tokens
    if call and call.schema is not None:
        asked[SCHEMA] = True
    return asked


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
        self._settings = settings
        self._first = _with_models(settings, former[0]) if former else settings
        self._former = [_with_models(settings, one) for one in former if one["until"] >= turn]
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
        model = call.model or self._first.calls_model
        return content_key(call.kind, call.prompt, model, call.schema, context)

    def _shared_keys(self, call: PostedCall, context: str | None) -> Iterator[str]:
        """Yield the keys that a `cache=True` call may have, the one for new answers first."""
        for settings in (self._settings, *reversed(self._former)):
            yield shared_key(self.request_of(call, context, settings))
        if self._journal.old_keys:
            yield shared_key(self._old_content(call, context))

    def request_of(self, call: PostedCall, context: str | None, settings: RunSettings | None = None) -> str:
        """Return the digest of the request that a call makes, by default with the present settings."""
        settings = settings or self._settings
        spec = settings.spec_of(call.model) if call.model else settings.sub_spec
        model, server = (spec.name, shown(spec.base_url)) if spec else (call.model or "", "")
        return request_digest(model, server, parameters_of(spec, call), call.kind, call.prompt, call.schema, context)
