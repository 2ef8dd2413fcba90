"""Bridges: which worker software can do what, from which of its versions on.

The v2 API has flags for the great abilities (img2img, LoRAs, …); whatever else a request may need
follows from the name and version with which a worker's software presents itself.
Source of the figures: the AI Horde's list of its bridges, 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType


class Feature(StrEnum):
    """What a request may need and not every software can do; post-processors come beside these."""

    CLIP_SKIP = "clip_skip"
    EXTRA_SOURCE_IMAGES = "extra_source_images"
    FLUX = "flux"
    HIRES_FIX = "hires_fix"
    IMAGE_IS_CONTROL = "image_is_control"
    LORA_VERSIONS = "lora_versions"
    QR_CODE = "qr_code"
    REPLICATION = "replication"
    """Making one image of an earlier batch again; only ever by the worker's own declaration."""
    RETURN_CONTROL_MAP = "return_control_map"
    TEXTUAL_INVERSION = "textual_inversion"
    TILING = "tiling"
    TRANSPARENT = "transparent"


IN_CLUSTER_AGENT = "Hoard in-cluster"
"""The name that the in-cluster workers' own software goes by."""

REMOTE_AGENT = "Hoard worker"
"""The name that the same software goes by where it serves over HTTP."""

_REGEN_FROM_THE_START = (
    Feature.CLIP_SKIP,
    Feature.HIRES_FIX,
    Feature.IMAGE_IS_CONTROL,
    Feature.RETURN_CONTROL_MAP,
    Feature.TILING,
    "4x_AnimeSharp",
    "CodeFormers",
    "GFPGAN",
    "NMKD_Siax",
    "RealESRGAN_x2plus",
    "RealESRGAN_x4plus",
    "RealESRGAN_x4plus_anime_6B",
    "strip_background",
)
_REGEN_LATEST = (
    "2xModernSpanimationV1",
    "4xLSDIRplus",
    "4xNomos2_hq_dat2",
    "4xNomos2_realplksr_dysample",
    "4xNomos8kSC",
    "4xNomosWebPhoto_RealPLKSR",
    "GFPGANv1.3",
    "RestoreFormer",
)

_KNOWN: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        "AI Horde Worker reGen": {
            **dict.fromkeys(_REGEN_FROM_THE_START, 1),
            Feature.TEXTUAL_INVERSION: 2,
            Feature.LORA_VERSIONS: 3,
            Feature.EXTRA_SOURCE_IMAGES: 5,
            Feature.QR_CODE: 7,
            Feature.TRANSPARENT: 8,
            Feature.FLUX: 9,
            **dict.fromkeys(_REGEN_LATEST, 13),
        },
        "AI Horde Worker": {
            "GFPGAN": 7,
            "RealESRGAN_x4plus": 7,
            "CodeFormers": 9,
            Feature.CLIP_SKIP: 13,
            Feature.HIRES_FIX: 13,
            "RealESRGAN_x4plus_anime_6B": 18,
            Feature.RETURN_CONTROL_MAP: 18,
            "strip_background": 18,
            "4x_AnimeSharp": 19,
            "NMKD_Siax": 19,
            "RealESRGAN_x2plus": 21,
            Feature.IMAGE_IS_CONTROL: 23,
            Feature.TEXTUAL_INVERSION: 24,
        },
        "SD-WebUI Stable Horde Worker Bridge": {
            "CodeFormers": 1,
            Feature.TILING: 2,
            Feature.CLIP_SKIP: 4,
        },
        "HordeAutoWebBridge": {Feature.TILING: 2},
        IN_CLUSTER_AGENT: {},
        REMOTE_AGENT: {},
    }
)
"""By the software's name: what it can do, and since which version. What is not here it cannot,
unless a worker declares it; what our own workers can depends on their engines, so all of theirs is
declared."""

_ONLY_DECLARED = frozenset({Feature.REPLICATION})

_LEADING_DIGITS = re.compile(r"[0-9]{1,9}", re.ASCII)


def is_capable(agent: str, features: Iterable[str]) -> bool:
    """Whether the software can do all of this; software that nobody knows is taken at its word,
    but for what is only ever declared.

    :param agent: ``name:version:contact``, as the worker presents itself. Of a version such as
        ``10.0.7`` the first number counts; what is no number counts as 0.
    """
    features = frozenset(features)
    if not _ONLY_DECLARED.isdisjoint(features):
        return False
    name, _, rest = agent.partition(":")
    since = _KNOWN.get(name)
    if since is None:
        return True
    number = _LEADING_DIGITS.match(rest)
    version = int(number.group()) if number else 0
    return all(feature in since and since[feature] <= version for feature in features)
