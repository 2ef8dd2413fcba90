"""The operators' documents: files in the data folder."""

from __future__ import annotations

from html import escape
from pathlib import Path

from api.v2.service.documents import NAMES
from infrastructure.settings.watched_file import WatchedFile

_ENDINGS = {"html": ".html", "markdown": ".md"}


class DocumentFiles:
    """Reads ``terms.md``, ``terms.html`` and so on, again whenever one changes."""

    def __init__(self, data: Path) -> None:
        """Look into this data folder."""
        self._files = {
            (name, form): WatchedFile[str](data / f"{name}{ending}", str, empty="")
            for name in NAMES
            for form, ending in _ENDINGS.items()
        }

    def text(self, name: str, form: str) -> str:
        """Return a document as ``html`` or ``markdown``; empty where there is no file.

        Where there is Markdown alone, the HTML shows it as it is written.
        """
        text = self._files[name, form].content()
        if text or form != "html":
            return text
        written = self._files[name, "markdown"].content()
        return f"<pre>{escape(written)}</pre>" if written else ""
