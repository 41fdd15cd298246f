"""Files that a browser has sent for a new run, in a folder of their own until the run has stored them."""

import contextlib
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from starlette.datastructures import UploadFile

from ...state.errors import UsageError

MOST_BYTES = 2_000_000_000
"""The most bytes of one form; larger inputs are named by their paths."""
_MOST_FORMS = 8
_NAME = re.compile(r"[\x00-\x1f\x7f/\\]")
_LONGEST = 200
_PIECE = 1_000_000


class Uploads:
    """The uploaded files of forms that have not begun a run yet, by a name that nobody can guess."""

    def __init__(self) -> None:
        self._folders: dict[str, Path] = {}

    async def keep(self, files: Iterable[UploadFile], name: str = "") -> str:
        """Keep files, beside those kept under `name` before. Return the name; empty when there are none.

        Only the last few forms are kept. Raises UsageError when no file can be stored, or when those kept under `name`
        are not here any more.
        """
        given = [file for file in files if file.filename]
        if name and name not in self._folders:
            raise UsageError("The files that were sent before are not here any more.", hint="Choose all of them again.")
        if not given:
            return name
        kept = name
        if not kept:
            self._forget_oldest()
            kept = secrets.token_urlsafe(16)
            self._folders[kept] = Path(tempfile.mkdtemp(prefix="rlm-upload-"))
        try:
            for file in given:
                await _store(file, self._folders[kept])
        except BaseException:
            if not name:
                # The form does not know the name yet.
                self.forget(kept)
            raise
        return kept

    def paths(self, name: str) -> list[Path]:
        """Return the files and folders that were sent under `name`."""
        folder = self._folders.get(name)
        return sorted(folder.iterdir()) if folder else []

    def names(self, name: str) -> list[str]:
        """Return the names of all files that were sent under `name`, as they were sent."""
        folder = self._folders.get(name)
        return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()) if folder else []

    def forget(self, name: str) -> None:
        """Delete the files of a form."""
        if folder := self._folders.pop(name, None):
            shutil.rmtree(folder, ignore_errors=True)

    def forget_all(self) -> None:
        """Delete the files of all forms."""
        for name in list(self._folders):
            self.forget(name)

    def _forget_oldest(self) -> None:
        while len(self._folders) >= _MOST_FORMS:
            self.forget(next(iter(self._folders)))


async def _store(file: UploadFile, folder: Path) -> None:
    path = folder / relative_name(file.filename or "")
    try:
        path = _free(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as stored:
            while piece := await file.read(_PIECE):
                stored.write(piece)
    except OSError as error:
        raise UsageError(
            f"{path.name[:80]} cannot be kept: {error.strerror}.", hint="Name its path instead."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            await file.close()


def relative_name(sent: str) -> PurePosixPath:
    """Return the name that a file is kept under: the folders and the name that were sent, none of which leads out."""
    parts = [_NAME.sub("_", part)[:_LONGEST] for part in sent.replace("\\", "/").split("/")]
    kept = [part for part in parts if part not in ("", ".", "..")]
    # A file whose name begins with a dot would be skipped as hidden.
    return PurePosixPath(*[part.lstrip(".") or "_" for part in kept[-8:]] or ["file"])


def _free(path: Path) -> Path:
    stem, number = path.stem, 2
    while path.exists():
        path = path.with_stem(f"{stem} ({number})")
        number += 1
    return path
