"""``python -m infrastructure.processes NAME`` runs one process of Hoard."""

from __future__ import annotations

import argparse
from importlib import import_module

from infrastructure.processes.garbage import collecting_later

NAMES = ("api", "projector", "webhooks", "worker")


def main() -> None:
    """Run the process that the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m infrastructure.processes",
        description="Run one process of Hoard until SIGTERM. Its settings are HOARD_ variables.",
    )
    parser.add_argument("name", choices=NAMES, help="which one")
    name = parser.parse_args().name
    with collecting_later():
        process = import_module(f"infrastructure.processes.{name}")
    process.main()


if __name__ == "__main__":
    main()
