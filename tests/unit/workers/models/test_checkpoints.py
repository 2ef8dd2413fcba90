"""Checkpoints in ComfyUI's folders: which models they are, and that they are."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from domain.models.catalogue import Baseline, ModelEntry
from infrastructure.models.catalogue import ModelCatalogue, models_from
from infrastructure.settings.watched_file import WatchedFile
from tests.unit.workers.models.checkpoint_files import FLUX, SD_1, SDXL, Shapes, write_safetensors
from workers.models.checkpoints import CheckpointKind, ComfyUIModelFiles
from workers.models.comfyui_folders import CHECKPOINTS, files_of
from workers.models.hashes import HashCache


class Comfy:
    """A base folder of ComfyUI, and a catalogue."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "ComfyUI"
        self.catalogue = ""
        self.read: list[int] = []
        self._own = folder

    def file(self, name: str, fill: int = 0, shapes: Shapes = SD_1) -> str:
        """Lay a file below ``models``, and return its SHA-256."""
        path = self.folder / "models" / name
        data = write_safetensors(path, shapes, fill)
        return hashlib.sha256(data).hexdigest()

    def knows(self, model: str, *files: str, baseline: str = "stable diffusion 1") -> None:
        """Put a model into the catalogue, each file as the lines of its table."""
        self.catalogue += f'[[model]]\nname = "{model}"\nbaseline = "{baseline}"\n'
        for file in files:
            self.catalogue += f'[[model.files]]\nurl = "https://models.test/a"\n{file}\n'

    def models(self) -> ComfyUIModelFiles:
        """Look into the folder as a process that starts now."""
        own = WatchedFile[Mapping[str, ModelEntry]](self._own / "none", lambda _: {}, empty={})
        return ComfyUIModelFiles(
            self.folder,
            ModelCatalogue(models_from(self.catalogue), own),
            HashCache(self._own / "hashes.json"),
            on_bytes=lambda done, total: self.read.append(done),
        )


@pytest.fixture
def comfy(tmp_path: Path) -> Comfy:
    return Comfy(tmp_path)


def test_no_folder_has_no_models(comfy: Comfy) -> None:
    assert comfy.models().names() == ()
    assert comfy.models().file_of("any") is None


def test_a_file_outside_the_catalogue_goes_by_its_own_name(comfy: Comfy) -> None:
    digest = comfy.file("checkpoints/sdxl/Big One.safetensors", shapes=SDXL)
    comfy.file("unet/flux.sft", shapes=FLUX)
    comfy.file("checkpoints/notes.txt")
    comfy.file("checkpoints/.git/old.safetensors")
    comfy.file("loras/style.safetensors")
    models = comfy.models()
    assert models.names() == ("Big One", "flux")
    found = models.file_of("Big One")
    assert found is not None
    assert (found.name, found.kind) == ("sdxl/Big One.safetensors", CheckpointKind.CHECKPOINT)
    assert (found.sha256, found.baseline) == (digest, Baseline.SDXL)
    assert found.path == comfy.folder / "models" / "checkpoints" / found.name
    flux = models.file_of("flux")
    assert flux is not None
    assert (flux.kind, flux.baseline) == (CheckpointKind.DIFFUSION_MODEL, Baseline.FLUX)


def test_a_file_of_the_catalogue_is_the_catalogues_model(comfy: Comfy) -> None:
    digest = comfy.file("checkpoints/a/dreams_v8.safetensors")
    line = f'name = "dreams_v8.safetensors"\nsha256 = "{digest}"'
    comfy.knows("Dreams", line, baseline="stable diffusion 2")
    models = comfy.models()
    assert models.names() == ("Dreams",)
    found = models.file_of("Dreams")
    assert found is not None
    assert (found.name, found.sha256) == ("a/dreams_v8.safetensors", digest)
    assert found.baseline is Baseline.SD_2
    assert models.file_of("dreams_v8") is None


def test_a_file_with_another_digest_is_not_offered(comfy: Comfy) -> None:
    digest = comfy.file("checkpoints/dreams.safetensors", fill=1)
    line = f'name = "dreams.safetensors"\nsha256 = "{"0" * 64}"'
    comfy.knows("Dreams", line)
    models = comfy.models()
    with capture_logs() as logged:
        assert models.names() == ()
        assert models.names() == ()
        assert models.file_of("Dreams") is None
        assert models.file_of("dreams") is None
    warned = [entry for entry in logged if entry["log_level"] == "warning"]
    assert [(entry["sha256"], entry["expected"]) for entry in warned] == [(digest, "0" * 64)]


def test_of_two_files_of_one_name_the_right_one_counts(comfy: Comfy) -> None:
    comfy.file("checkpoints/a/dreams.safetensors", fill=1)
    digest = comfy.file("checkpoints/b/dreams.safetensors", fill=2)
    comfy.knows("Dreams", f'name = "dreams.safetensors"\nsha256 = "{digest}"')
    found = comfy.models().file_of("Dreams")
    assert found is not None
    assert (found.name, found.sha256) == ("b/dreams.safetensors", digest)


def test_a_file_must_not_pass_for_a_model_of_the_catalogue(comfy: Comfy) -> None:
    comfy.file("checkpoints/Dreams.safetensors")
    comfy.knows("Dreams", 'name = "dreams_v8.ckpt"')
    assert comfy.models().names() == ()
    assert comfy.models().file_of("Dreams") is None


def test_each_file_is_read_once(comfy: Comfy) -> None:
    digest = comfy.file("checkpoints/dreams.safetensors")
    comfy.file("checkpoints/other.safetensors", fill=1)
    comfy.knows("Dreams", f'name = "dreams.safetensors"\nsha256 = "{digest}"')
    comfy.models().names()
    assert len(comfy.read) == 1
    models = comfy.models()
    models.names()
    models.file_of("other")
    models.file_of("other")
    assert len(comfy.read) == 2


def test_a_file_comes_and_goes(comfy: Comfy) -> None:
    models = comfy.models()
    comfy.file("checkpoints/a.safetensors")
    assert models.names() == ("a",)
    path = comfy.folder / "models" / "checkpoints" / "a.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert models.names() == ()
    path.write_bytes(whole)
    assert models.names() == ("a",)
    comfy.file("checkpoints/a.safetensors", shapes=SDXL)
    found = models.file_of("a")
    assert found is not None
    assert found.baseline is Baseline.SDXL
    path.unlink()
    assert models.names() == ()


def test_what_is_no_model_is_not_offered(comfy: Comfy) -> None:
    comfy.file("checkpoints/lora.safetensors", shapes={"lora_unet_a.lora_up.weight": (2, 2)})
    (comfy.folder / "models" / "checkpoints" / "page.safetensors").write_text("<html>")
    (comfy.folder / "models" / "checkpoints" / "gone.safetensors").symlink_to("nowhere")
    assert comfy.models().names() == ()


def test_a_pickled_files_family_is_told_by_the_catalogue_or_its_name(comfy: Comfy) -> None:
    folder = comfy.folder / "models" / "checkpoints"
    folder.mkdir(parents=True)
    for name in ("plain.ckpt", "big [SDXL].ckpt", "known.ckpt"):
        (folder / name).write_bytes(name.encode())
    comfy.knows("Known", 'name = "known.ckpt"', baseline="stable diffusion 2 512")
    models = comfy.models()
    families = {}
    for name in models.names():
        found = models.file_of(name)
        assert found is not None
        families[name] = found.baseline
    assert families == {
        "Known": Baseline.SD_2_512,
        "big [SDXL]": Baseline.SDXL,
        "plain": Baseline.SD_1,
    }


def test_a_model_of_several_files_needs_them_all(comfy: Comfy) -> None:
    comfy.file("diffusion_models/flux.safetensors", shapes=FLUX)
    encoder = comfy.file("text_encoders/t5.safetensors", fill=1)
    comfy.knows(
        "Flux",
        'name = "flux.safetensors"\ntype = "unet"',
        f'name = "t5.safetensors"\ntype = "text_encoder"\nsha256 = "{encoder}"',
        'name = "ae.safetensors"\ntype = "vae"',
        baseline="flux_1",
    )
    assert comfy.models().names() == ()
    comfy.file("vae/flux/ae.safetensors")
    found = comfy.models().file_of("Flux")
    assert found is not None
    assert found.baseline is Baseline.FLUX
    assert [(part.type, part.name) for part in found.parts] == [
        ("text_encoder", "t5.safetensors"),
        ("vae", "flux/ae.safetensors"),
    ]
    comfy.file("text_encoders/t5.safetensors", fill=2)
    # The file of that name elsewhere is not what ComfyUI would load as a text encoder.
    comfy.file("vae/t5.safetensors", fill=1)
    assert comfy.models().names() == ()


def test_the_file_that_comfyui_would_load_is_the_one(comfy: Comfy) -> None:
    models = comfy.models()
    second = comfy.file("diffusion_models/flux.safetensors", fill=2, shapes=FLUX)
    found = models.file_of("flux")
    assert found is not None
    assert found.sha256 == second
    first = comfy.file("unet/flux.safetensors", fill=1, shapes=FLUX)
    found = models.file_of("flux")
    assert found is not None
    assert (found.sha256, found.path.parent.name) == (first, "unet")


def test_a_file_that_was_given_before_is_looked_at_again(comfy: Comfy) -> None:
    models = comfy.models()
    before = comfy.file("checkpoints/a.safetensors", fill=1)
    found = models.file_of("a")
    assert found is not None
    assert found.sha256 == before
    assert models.file_of("a") is found
    after = comfy.file("checkpoints/a.safetensors", fill=2)
    again = models.file_of("a")
    assert again is not None
    assert again.sha256 == after
    again.path.unlink()
    assert models.file_of("a") is None


def test_a_denoiser_alone_is_no_checkpoint(comfy: Comfy) -> None:
    comfy.file("checkpoints/flux.safetensors", shapes=FLUX)
    comfy.file("checkpoints/known.safetensors", shapes=FLUX)
    comfy.knows("Known", 'name = "known.safetensors"\ntype = "unet"', baseline="flux_1")
    assert comfy.models().names() == ()
    comfy.file("unet/known.safetensors", shapes=FLUX)
    assert comfy.models().names() == ("Known",)


def test_links_that_lead_round_end(comfy: Comfy) -> None:
    comfy.file("checkpoints/a/model.safetensors")
    folder = comfy.folder / "models" / "checkpoints"
    os.symlink(folder, folder / "a" / "round")
    found = files_of(comfy.folder, CHECKPOINTS)
    assert [file.name for file in found] == ["a/model.safetensors"]
