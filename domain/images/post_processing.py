"""Post-processors: what may be done to an image once it is drawn."""

from __future__ import annotations

UPSCALERS = frozenset(
    {
        "2xModernSpanimationV1",
        "4xLSDIRplus",
        "4xNomos2_hq_dat2",
        "4xNomos2_realplksr_dysample",
        "4xNomos8kSC",
        "4xNomosWebPhoto_RealPLKSR",
        "4x_AnimeSharp",
        "NMKD_Siax",
        "RealESRGAN_x2plus",
        "RealESRGAN_x4plus",
        "RealESRGAN_x4plus_anime_6B",
    }
)
"""Those that make the image larger, by their v2 names."""

FACE_FIXERS = frozenset({"CodeFormers", "GFPGAN", "GFPGANv1.3", "RestoreFormer"})
"""Those that draw faces again; ``facefixer_strength`` is theirs."""

POST_PROCESSORS = UPSCALERS | FACE_FIXERS | {"strip_background"}
"""Every post-processor of the v2 API."""

HEAVY_POST_PROCESSORS = frozenset(
    {
        "4xLSDIRplus",
        "4xNomos2_hq_dat2",
        "4xNomos8kSC",
        "4x_AnimeSharp",
        "CodeFormers",
        "NMKD_Siax",
        "RealESRGAN_x4plus",
        "RealESRGAN_x4plus_anime_6B",
        "RestoreFormer",
    }
)
"""Those that need so much memory that a batch has to be smaller: the AI Horde's list."""
