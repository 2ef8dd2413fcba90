"""Which worker software can do what, by the name and version that it presents."""

from __future__ import annotations

import pytest

from domain.workers.bridges import IN_CLUSTER_AGENT, REMOTE_AGENT, Feature, is_capable


@pytest.mark.parametrize(
    ("agent", "feature", "capable"),
    [
        ("AI Horde Worker reGen:2:contact", Feature.LORA_VERSIONS, False),
        ("AI Horde Worker reGen:3:contact", Feature.LORA_VERSIONS, True),
        ("AI Horde Worker reGen:10.0.7:https://example.org", Feature.FLUX, True),
        ("AI Horde Worker reGen:10.0.7:https://example.org", "RestoreFormer", False),
        ("AI Horde Worker reGen:13", "RestoreFormer", True),
        ("AI Horde Worker reGen:new:contact", Feature.TILING, False),
        ("AI Horde Worker reGen", Feature.TILING, False),
        ("AI Horde Worker:24:contact", Feature.TEXTUAL_INVERSION, True),
        ("AI Horde Worker:23:contact", Feature.TEXTUAL_INVERSION, False),
        ("AI Horde Worker:24:contact", Feature.TRANSPARENT, False),
        ("HordeAutoWebBridge:2:contact", Feature.TILING, True),
        (f"{IN_CLUSTER_AGENT}:1:operator", Feature.CLIP_SKIP, False),
        (f"{REMOTE_AGENT}:1:somebody", Feature.CLIP_SKIP, False),
        ("AI Horde Worker reGen:99:contact", Feature.REPLICATION, False),
        ("somebody's own:0:contact", Feature.REPLICATION, False),
        ("somebody's own:0:contact", Feature.TRANSPARENT, True),
        ("unknown:0:unknown", "RestoreFormer", True),
        ("", Feature.FLUX, True),
    ],
)
def test_what_software_can_do(agent: str, feature: str, capable: bool) -> None:
    assert is_capable(agent, (feature,)) is capable


def test_all_of_what_is_needed_counts() -> None:
    agent = "AI Horde Worker reGen:3:contact"
    assert is_capable(agent, ())
    assert is_capable(agent, (Feature.TILING, Feature.LORA_VERSIONS))
    assert not is_capable(agent, (Feature.TILING, Feature.FLUX))
