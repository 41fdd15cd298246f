"""The finding of `rlm doctor` on formats: what can be read, and what others need."""

import shutil

import pytest

from durable_rlm.nodes.input.formats import Format
from durable_rlm.studio.doctor import software

_KNOWN = (
    Format("CSV", (".csv",)),
    Format("WELL", (".well",), reader="a:b", needs=("json",)),
    Format("MISSING", (".missing",), reader="a:b", needs=("json", "no_such_module")),
    Format("PNG", (".png",), unread="a PNG image"),
)


@pytest.mark.parametrize("office", ["/usr/bin/soffice", None])
def test_missing_reader_libraries_and_libreoffice_are_named(
    monkeypatch: pytest.MonkeyPatch, office: str | None
) -> None:
    monkeypatch.setattr(software, "formats", lambda: _KNOWN)
    monkeypatch.setattr(shutil, "which", lambda name: office)  # pyright: ignore[reportUnknownLambdaType]
    found = software._documents()
    assert (found.level, found.value) == ("note", "text, CSV, WELL")
    assert "For MISSING (no_such_module): pip install 'durable-rlm[documents]'" in found.hint
    assert ("LibreOffice" in found.hint) == (office is None)


def test_nothing_is_advised_where_everything_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(software, "formats", lambda: _KNOWN[:2])
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/soffice")  # pyright: ignore[reportUnknownLambdaType]
    assert (software._documents().level, software._documents().hint) == ("ok", "")
