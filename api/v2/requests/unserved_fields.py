"""Fields of later versions of the v2 API that change the image, and that no engine here serves.

A field that nobody knows is ignored. One of these is refused instead, unless it asks for what is
done anyway: whoever sends it would get another image than the one asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from domain.return_codes import Refused

_ANY_VALUE: tuple[object, ...] = ()

_OF_PARAMS: Mapping[str, tuple[object, ...]] = {
    "control_strength": (1,),
    "flow_shift": _ANY_VALUE,
    "post_processing_order": _ANY_VALUE,
}
"""The fields of ``params``, each with the values that change nothing; ``scheduler`` beside them."""

_SAMPLER = "sampler_"
_OF_SAMPLERS: Mapping[str, tuple[object, ...]] = {
    "sampler_s_churn": (0,),
    "sampler_s_noise": (1,),
    "sampler_s_tmin": (0,),
}
"""Of whatever begins so, the values that change nothing."""

_OF_REQUESTS: Mapping[str, tuple[object, ...]] = {"template_fields": ({}, [])}


def require_served_params(given: Mapping[str, Any]) -> None:
    """Refuse ``params`` that would be drawn otherwise than they say.

    :raises Refused: ``NotServed``.
    """
    scheduler = "normal" if given.get("karras") is False else "karras"
    _require(given, {**_OF_PARAMS, "scheduler": (scheduler,)}, "params.")
    unknown = {
        name: _OF_SAMPLERS.get(name, _ANY_VALUE)
        for name in given
        if name.startswith(_SAMPLER) and name != "sampler_name"
    }
    _require(given, unknown, "params.")


def require_served_fields(given: Mapping[str, Any]) -> None:
    """Refuse fields of a request that would be ignored.

    :raises Refused: ``NotServed``.
    """
    _require(given, _OF_REQUESTS, "")


def _require(
    given: Mapping[str, Any], fields: Mapping[str, tuple[object, ...]], prefix: str
) -> None:
    for name, neutral in fields.items():
        value = given.get(name)
        if value is not None and value not in neutral:
            field = f"{prefix}{name}"
            raise Refused("NotServed", f"{field}: leave it out.", {field: "is not served here"})
