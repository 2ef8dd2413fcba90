"""The catalogue of models: what ships, what the operator adds, and the files behind it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from domain.models.catalogue import Baseline, ModelEntry, ModelFile, ModelStyle
from infrastructure.models.catalogue import (
    CatalogueInvalid,
    ModelCatalogue,
    add_model,
    models_from,
    shipped_models,
)
from infrastructure.models.file_checks import FileState, answers_of, files_in
from infrastructure.settings.environment import Settings
from infrastructure.settings.watched_file import WatchedFile

OWN = """
[[model]]
name = "Mine"
baseline = "flux_1"
"""


def test_what_operators_expect_ships() -> None:
    models = shipped_models()
    albedo = models["AlbedoBase XL (SDXL)"]
    assert albedo.baseline is Baseline.SDXL
    assert not albedo.nsfw
    assert [file.name for file in albedo.files] == ["albedo_base_xl.safetensors"]
    assert {model.baseline for model in models.values()} >= set(Baseline) - {Baseline.SD_2_512}
    assert sum(model.requires_source for model in models.values()) >= 3
    assert 25 <= len(models) <= 60


def test_the_model_that_the_embedded_worker_serves_is_known() -> None:
    assert Settings.model_fields["worker_model_name"].default in shipped_models()


def test_every_shipped_model_can_be_downloaded_and_no_two_share_a_sum() -> None:
    files = [file for model in shipped_models().values() for file in model.files]
    sums = [file.sha256 for file in files if file.sha256]
    assert len(set(sums)) == len(sums)
    assert len({file.name for file in files}) == len(files)
    without = [model.name for model in shipped_models().values() if not model.files]
    assert without == ["Hoard Scenes"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[[model]]\nname = 'x'", "model.0.baseline: Field required"),
        (OWN + "colour = 'red'", "model.0.colour: Extra inputs"),
        (OWN + OWN, "more than once in it: Mine"),
        (OWN.replace("flux_1", "flux"), "model.0.baseline"),
        (OWN + "optimal = { steps_min = 9, steps_max = 3 }", "Mine: optimal: steps: 9 is above 3"),
        (OWN + "optimal = { samplers = ['euler'] }", "samplers.0: is none of the samplers"),
        (OWN + "files = [{ name = '../x', url = 'https://a.org/x' }]", "without any folder"),
        (OWN + "files = [{ name = 'x', url = 'http://a.org/x' }]", "must be an https address"),
        (OWN + "files = [{ name = 'x', url = 'https://a.org', sha256 = 'abc' }]", "sha256"),
        ("[[model\n", "line 1"),
    ],
)
def test_a_wrong_catalogue_is_refused_and_says_where(text: str, complaint: str) -> None:
    with pytest.raises(CatalogueInvalid) as refused:
        models_from(text)
    assert complaint in str(refused.value)


def test_the_operator_s_models_join_and_replace_the_shipped_ones(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text(
        OWN + '[[model]]\nname = "Deliberate"\nbaseline = "stable_diffusion_xl"\n'
    )
    catalogue = ModelCatalogue.in_folder(tmp_path)
    mine, changed = catalogue.entry("Mine"), catalogue.entry("Deliberate")
    assert mine == ModelEntry(name="Mine", baseline=Baseline.FLUX)
    assert changed == ModelEntry(name="Deliberate", baseline=Baseline.SDXL)
    assert catalogue.entry("SDXL 1.0") is not None
    assert catalogue.entry("Nobody's") is None
    assert set(catalogue.names()) == shipped_models().keys() | {"Mine"}
    assert [catalogue.is_own(name) for name in ("Mine", "Deliberate", "SDXL 1.0")] == [
        True,
        True,
        False,
    ]


def test_a_wrong_file_of_the_operator_is_named(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text("nonsense")
    with pytest.raises(CatalogueInvalid, match=r"models\.toml"):
        ModelCatalogue.in_folder(tmp_path)


def test_a_model_is_added_below_what_stands_there(tmp_path: Path) -> None:
    path = tmp_path / "data" / "models.toml"
    added = add_model(path, {"name": 'a "quoted" ünï', "baseline": "flux_1", "nsfw": True}, ())
    assert added == ModelEntry(name='a "quoted" ünï', baseline=Baseline.FLUX, nsfw=True)
    path.write_text("# a comment\n" + path.read_text())
    file = {"name": "x.safetensors", "url": "https://a.org/x", "sha256": "A" * 64}
    add_model(path, {"name": "second", "baseline": "flux_1", "style": "anime"}, (file,))

    text = path.read_text()
    assert text.startswith("# a comment\n")
    assert models_from(text)["second"] == ModelEntry(
        name="second",
        baseline=Baseline.FLUX,
        style=ModelStyle.ANIME,
        files=(ModelFile(name="x.safetensors", url="https://a.org/x", sha256="a" * 64),),
    )
    with pytest.raises(CatalogueInvalid, match="more than once"):
        add_model(path, {"name": "second", "baseline": "flux_1"}, ())
    assert path.read_text() == text
    assert os.listdir(path.parent) == ["models.toml"]


def test_a_file_is_read_again_when_it_changed_and_kept_when_it_became_nonsense(
    tmp_path: Path,
) -> None:
    now = 0.0
    path = tmp_path / "models.toml"
    file = WatchedFile[Mapping[str, ModelEntry]](path, models_from, empty={}, clock=lambda: now)
    assert file.content() == {}
    path.write_text(OWN)
    assert file.content() == {}
    now = 5.0
    assert list(file.content()) == ["Mine"]
    first = file.content()
    now = 10.0
    assert file.content() is first
    path.write_text("nonsense, and longer than before")
    now = 15.0
    assert file.content() is first
    path.write_text(OWN.replace("Mine", "Another"))
    now = 20.0
    assert list(file.content()) == ["Another"]
    path.unlink()
    now = 25.0
    assert file.content() == {}


def _model(**files: str | None) -> ModelEntry:
    return ModelEntry(
        name="m",
        baseline=Baseline.SDXL,
        files=tuple(
            ModelFile(name=name, url=f"https://a.org/{name}", sha256=digest)
            for name, digest in files.items()
        ),
    )


def test_files_are_found_anywhere_below_a_folder_and_compared(tmp_path: Path) -> None:
    deep = tmp_path / "checkpoints" / "sdxl"
    deep.mkdir(parents=True)
    for name in ("whole", "wrong", "there"):
        (deep / name).write_bytes(name.encode())
    model = _model(
        whole=hashlib.sha256(b"whole").hexdigest(), wrong="0" * 64, there=None, missing=None
    )
    assert {found.file.name: found.state for found in files_in(tmp_path, [model])} == {
        "whole": FileState.WHOLE,
        "wrong": FileState.WRONG,
        "there": FileState.THERE,
        "missing": FileState.MISSING,
    }


def test_addresses_are_asked_for_heads_only() -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.method)
        match request.url.path:
            case "/moved":
                return httpx.Response(302, headers={"location": "https://b.org/here"})
            case "/here":
                return httpx.Response(200)
            case "/away":
                raise httpx.ConnectError("nobody there", request=request)
        return httpx.Response(404)

    model = _model(here=None, moved=None, gone=None, away=None)
    found = list(answers_of([model], transport=httpx.MockTransport(answer)))
    assert [(each.file.name, each.answer, each.answers) for each in found] == [
        ("here", "200", True),
        ("moved", "200", True),
        ("gone", "404", False),
        ("away", "ConnectError", False),
    ]
    assert set(asked) == {"HEAD"}
