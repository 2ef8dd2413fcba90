"""``python -m infrastructure.cli`` is ``hoard``."""

from __future__ import annotations

from infrastructure.cli.app import main

main()
