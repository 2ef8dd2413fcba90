"""LoRAs laid over a loaded pipeline, each with its strengths."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from domain.images.metadata import LONGEST_REF, GenerationMetadata, MetadataType, MetadataValue
from domain.images.provenance import LoraIdentity
from domain.models.loras import Lora, trigger_of
from workers.engines.diffusers.devices import is_out_of_memory
from workers.models.downloads import OnDownloaded
from workers.models.lora_versions import LoraFile, LoraSource, LoraUnavailable


@dataclass(frozen=True, slots=True)
class AppliedLoras:
    """What came of a batch's LoRAs."""

    identities: tuple[LoraIdentity, ...] = ()
    """Those that are in effect, in the order of the settings."""
    triggers: tuple[str, ...] = ()
    """What they want in the prompt."""
    metadata: tuple[GenerationMetadata, ...] = ()
    """Of each that is left out, why."""


@dataclass(slots=True)
class _Choice:
    """One LoRA of a batch on its way into the pipeline."""

    lora: Lora
    file: LoraFile

    @property
    def adapter(self) -> str:
        return f"lora_{self.file.sha256}"


@dataclass(slots=True)
class LoadedLoras:
    """The LoRAs that are loaded into one pipeline; those of the last batch stay."""

    pipeline: Any
    _loaded: set[str] = field(default_factory=set)
    """Names of adapters."""

    def apply(
        self, loras: Sequence[Lora], store: LoraSource | None, on_bytes: OnDownloaded
    ) -> AppliedLoras:
        """Put exactly these LoRAs into effect.

        One that cannot be had, read or used with the model is left out, and the answer says so, as
        the workers of the AI Horde do; never is another version taken for it. The same file named
        twice counts once, with its last strengths.

        :param on_bytes: called with the progress of a download; what it raises is passed on.
        """
        metadata: list[GenerationMetadata] = []
        choices: dict[str, _Choice] = {}
        for lora in loras:
            try:
                choice = _Choice(lora, _fetch(lora, store, on_bytes))
            except LoraUnavailable:
                metadata.append(_left_out(lora, MetadataValue.DOWNLOAD_FAILED))
                continue
            choices[choice.adapter] = choice
        for unused in self._loaded.difference(choices):
            self._drop(unused)
        for choice in tuple(choices.values()):
            failure = None if choice.adapter in self._loaded else self._load(choice)
            if failure is not None:
                metadata.append(_left_out(choice.lora, failure))
                del choices[choice.adapter]
        self._set_strengths(list(choices.values()))
        return _applied(list(choices.values()), metadata)

    def _load(self, choice: _Choice) -> MetadataValue | None:
        """Load one; why not, if it cannot be."""
        from safetensors.torch import load_file

        try:
            weights = load_file(choice.file.path)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            return MetadataValue.PARSE_FAILED
        try:
            with _several_at_once():
                self.pipeline.load_lora_weights(weights, adapter_name=choice.adapter)
        except Exception as error:
            self._drop(choice.adapter)
            if is_out_of_memory(error):
                raise
            return MetadataValue.BASELINE_MISMATCH
        if not self._parts_with(choice.adapter):
            return MetadataValue.BASELINE_MISMATCH
        self._loaded.add(choice.adapter)
        return None

    def _drop(self, adapter: str) -> None:
        self._loaded.discard(adapter)
        with _several_at_once():
            if self._loaded:
                self.pipeline.delete_adapters(adapter)
            else:
                self.pipeline.unload_lora_weights()

    def _set_strengths(self, choices: Sequence[_Choice]) -> None:
        if not choices:
            return
        strengths: list[dict[str, float]] = [
            {
                part: choice.lora.clip if part.startswith("text_encoder") else choice.lora.model
                for part in self._parts_with(choice.adapter)
            }
            for choice in choices
        ]
        self.pipeline.set_adapters([choice.adapter for choice in choices], strengths)

    def _parts_with(self, adapter: str) -> list[str]:
        parts: dict[str, list[str]] = self.pipeline.get_list_adapters()
        return [part for part, adapters in parts.items() if adapter in adapters]


@contextmanager
def _several_at_once() -> Iterator[None]:
    """Keep peft from advising against several LoRAs in a model and against taking active ones out,
    both of which is meant here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def _fetch(lora: Lora, store: LoraSource | None, on_bytes: OnDownloaded) -> LoraFile:
    if store is None:
        raise LoraUnavailable("this worker loads no LoRAs")
    return store.fetch(lora, on_bytes)


def _applied(choices: Sequence[_Choice], metadata: list[GenerationMetadata]) -> AppliedLoras:
    triggers = (
        trigger_of(choice.lora.inject_trigger, choice.file.trigger_words) for choice in choices
    )
    return AppliedLoras(
        identities=tuple(choice.file.identity for choice in choices),
        triggers=tuple(trigger for trigger in triggers if trigger is not None),
        metadata=tuple(metadata),
    )


def _left_out(lora: Lora, value: MetadataValue) -> GenerationMetadata:
    return GenerationMetadata(MetadataType.LORA, value, lora.name[:LONGEST_REF])
