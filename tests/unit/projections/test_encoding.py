"""How declarations stand in view columns."""

from __future__ import annotations

from dataclasses import replace

from domain.workers.matching import Capabilities
from projections.sql.encoding import capabilities_from_json, capabilities_to_json

DECLARED = Capabilities(
    models=("A",),
    amount=4,
    max_pixels=512 * 512,
    nsfw=False,
    threads=1,
    extra_slow=False,
    bridge_agent="test:1:nobody",
    blacklist=("gore",),
)


def test_a_declaration_comes_back_as_it_was_written() -> None:
    able = replace(DECLARED, features=("hires_fix", "replication"))
    for declared in (DECLARED, able):
        assert capabilities_from_json(capabilities_to_json(declared)) == declared


def test_what_older_programs_wrote_stays_the_same_text() -> None:
    assert "features" not in capabilities_to_json(DECLARED)
