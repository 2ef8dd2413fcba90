"""From the body of a front-end to a request specification."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

import pytest

from api.http.authentication import ANONYMOUS
from api.v2.requests.schemas import GenerationInputStable
from api.v2.requests.specification import (
    Installation,
    checked_request,
    exact_loras,
    requester_from,
    split_prompt,
)
from domain.accounts.directory import AccountEntry
from domain.accounts.roles import Roles
from domain.images.sampling import seed_from_text
from domain.models.catalogue import Baseline, ModelEntry, UnknownModels
from domain.models.loras import InjectionTarget, Lora, ResolvedLora, TextualInversion
from domain.requests.prompts import joined_prompt
from domain.requests.specification import Requester, RequestSpecification
from domain.return_codes import Refused
from domain.workers.directory import WorkerEntry
from domain.workers.matching import Capabilities

KNOWN = UUID("11111111-1111-4111-8111-111111111111")
OTHER = UUID("00000000-2222-4222-8222-222222222222")


class OneWorker:
    """One worker."""

    def worker(self, worker_id: UUID) -> WorkerEntry | None:
        return self.worker_by_name("known") if worker_id == KNOWN else None

    def worker_by_name(self, name: str) -> WorkerEntry | None:
        if name != "known":
            return None
        capabilities = Capabilities(("m",), 1, 512 * 512, False, 1, False, "a:1:b")
        return WorkerEntry(KNOWN, name, OTHER, capabilities, maintenance=False, paused=False)


class Catalogue:
    """Two models."""

    def entry(self, name: str) -> ModelEntry | None:
        family = {"a": Baseline.SD_1, "b": Baseline.SDXL}.get(name)
        return None if family is None else ModelEntry(name=name, baseline=family)

    def names(self) -> Collection[str]:
        return ("a", "b")


def installation(unknown: UnknownModels = UnknownModels.ALLOW) -> Installation:
    return Installation(OneWorker(), Catalogue(), unknown, lambda: {"offered"})


def checked(
    account: AccountEntry = ANONYMOUS,
    unknown: UnknownModels = UnknownModels.ALLOW,
    **fields: Any,
) -> RequestSpecification:
    """Return what a request with these fields asks for."""
    given = GenerationInputStable.model_validate({"prompt": "a fox", **fields})
    return checked_request(given, account, installation(unknown))


def specification(account: AccountEntry = ANONYMOUS, **fields: Any) -> RequestSpecification:
    """Return the specification of a request with these fields."""
    return checked(account, **fields)


def requester(account: AccountEntry = ANONYMOUS, **fields: Any) -> Requester:
    """Return who submits a request with these fields."""
    given = GenerationInputStable.model_validate({"prompt": "a fox", **fields})
    return requester_from(
        given, account, client_address="192.0.2.1", client_agent="agent:1:somebody"
    )


def refusal(account: AccountEntry = ANONYMOUS, **fields: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        checked(account, **fields)
    return caught.value


def test_every_setting_arrives() -> None:
    account = AccountEntry(OTHER, "somebody", Roles(), shared_key_id=KNOWN)
    params = {
        "n": 7,
        "width": 640,
        "height": 384,
        "steps": 12,
        "sampler_name": "k_heun",
        "cfg_scale": 3.5,
        "karras": False,
        "clip_skip": 2,
        "seed": "hello",
        "seed_variation": 9,
        "denoising_strength": 0.4,
        "hires_fix": True,
        "hires_fix_denoising_strength": 0.6,
        "tiling": True,
        "transparent": True,
        "post_processing": ["GFPGAN", "RealESRGAN_x2plus"],
        "facefixer_strength": 0.7,
        "loras": [
            {"name": "one"},
            {
                "name": "246747",
                "model": 0.5,
                "clip": -1,
                "inject_trigger": "any",
                "is_version": True,
            },
        ],
        "tis": [{"name": "two", "inject_ti": "negprompt", "strength": 0.25}, {"name": "three"}],
    }
    made = specification(
        account,
        params=params,
        nsfw=False,
        censor_nsfw=True,
        trusted_workers=True,
        slow_workers=False,
        extra_slow_workers=True,
        models=["b", "a", "b"],
        workers=["known"],
        worker_blacklist=True,
        disable_batching=True,
        shared=True,
        r2=False,
    )
    settings = made.settings
    assert (settings.width, settings.height, settings.steps) == (640, 384, 12)
    assert (settings.sampler, settings.cfg_scale) == ("k_heun", 3.5)
    assert (settings.karras, settings.clip_skip) == (False, 2)
    assert settings.denoising_strength == 0.4
    assert (settings.hires_fix, settings.hires_fix_denoising_strength) == (True, 0.6)
    assert (settings.tiling, settings.transparent) == (True, True)
    assert settings.post_processing == ("GFPGAN", "RealESRGAN_x2plus")
    assert settings.facefixer_strength == 0.7
    assert settings.loras == (
        Lora("one"),
        Lora("246747", 0.5, -1, inject_trigger="any", is_version=True),
    )
    assert settings.tis == (
        TextualInversion("two", InjectionTarget.NEGATIVE_PROMPT, 0.25),
        TextualInversion("three"),
    )
    assert (made.images, made.seed, made.seed_variation) == (7, seed_from_text("hello"), 9)
    wanted = made.requirements
    assert (wanted.models, wanted.pixels) == (("a", "b"), 640 * 384)
    assert (wanted.nsfw, wanted.trusted_workers) == (False, True)
    assert (wanted.slow_workers, wanted.extra_slow_workers) == (False, True)
    assert (wanted.workers, wanted.worker_blacklist) == ((KNOWN,), True)
    assert (wanted.lora, wanted.post_processing) == (True, True)
    assert (made.disable_batching, made.shared, made.r2) == (True, True, False)
    assert made.censor_nsfw
    submitter = requester(account)
    assert (submitter.account_id, submitter.shared_key_id) == (OTHER, KNOWN)
    assert submitter.client_address == "192.0.2.1"


def test_a_source_image_and_what_a_controlnet_takes_from_it() -> None:
    params = {"control_type": "depth", "return_control_map": True}
    made = specification(source_image="aGVsbG8=", params=params)
    assert (made.settings.control_type, made.settings.steps) == ("depth", 20)
    assert (made.settings.return_control_map, made.settings.image_is_control) == (True, False)
    assert (made.requirements.img2img, made.requirements.controlnet) == (True, True)


def test_a_workflow_with_its_texts_runs_one_image_at_a_time() -> None:
    texts = [{"text": "https://example.org", "reference": "qr_code"}]
    made = specification(params={"workflow": "qr_code", "extra_texts": texts, "n": 4})
    assert made.settings.workflow == "qr_code"
    assert made.extra_texts == (("https://example.org", "qr_code"),)
    assert made.disable_batching


@pytest.mark.parametrize(
    ("params", "steps"),
    [
        ({}, 30),
        ({"steps": 50}, 50),
        ({"control_type": "canny"}, 20),
        ({"control_type": "canny", "steps": 40}, 40),
    ],
)
def test_usual_steps(params: dict[str, Any], steps: int) -> None:
    assert specification(source_image="aGVsbG8=", params=params).settings.steps == steps


def test_who_allows_adult_content_gets_it_uncensored() -> None:
    assert specification(censor_nsfw=True).censor_nsfw
    assert not specification(censor_nsfw=True, nsfw=True).censor_nsfw


@pytest.mark.parametrize(
    ("text", "prompt", "negative"),
    [
        ("a fox", "a fox", ""),
        (" a fox ### blurry ", " a fox ", " blurry "),
        ("### blurry", "", " blurry"),
        ("a fox###", "a fox", ""),
        ("a ## fox", "a ## fox", ""),
        ("a###b###c", "a", "b###c"),
    ],
)
def test_the_negative_prompt_stands_after_three_hashes(
    text: str, prompt: str, negative: str
) -> None:
    assert split_prompt(text) == (prompt, negative)
    if negative:
        assert joined_prompt(prompt, negative) == text


@pytest.mark.parametrize("text", [" ", "\n", "###", " ### \n"])
def test_blanks_are_no_prompt(text: str) -> None:
    with pytest.raises(Refused, match="MissingPrompt"):
        split_prompt(text)


def test_a_prompt_has_at_most_7500_words() -> None:
    assert split_prompt("w " * 7500)[0].endswith("w ")
    with pytest.raises(Refused, match="InvalidPromptSize"):
        split_prompt("w " * 7501)
    with pytest.raises(Refused, match="InvalidPromptSize"):
        split_prompt("w" * 100_001)


def test_no_seed_leaves_it_to_chance() -> None:
    assert specification().seed is None
    assert specification(params={"seed": ""}).seed is None
    assert specification(params={"seed": "0"}).seed == 0


@pytest.mark.parametrize("blacklist", [False, True])
@pytest.mark.parametrize("unknown", ["nobody", str(OTHER)])
def test_workers_that_there_are_not_are_refused(unknown: str, blacklist: bool) -> None:
    known = specification(workers=["known"], worker_blacklist=blacklist)
    assert known.requirements.workers == (KNOWN,)
    refused = refusal(workers=["known", unknown], worker_blacklist=blacklist)
    assert refused.code.name == "WorkerNotFound"
    assert refused.errors == {"workers.1": "does not exist"}


def test_an_empty_deny_list_is_no_requirement() -> None:
    assert specification(worker_blacklist=True).requirements == specification().requirements


def test_unknown_models_are_let_through_or_refused_as_the_operator_says() -> None:
    assert specification(models=["unheard of"]).requirements.models == ("unheard of",)
    refuse = UnknownModels.REFUSE
    assert refusal(unknown=refuse, models=["unheard of"]).code.name == "UnsupportedModel"
    served: list[str]
    for served in ([], ["a"], ["offered"], ["unheard of", "a"]):
        asked = checked(unknown=refuse, models=served)
        assert asked.requirements.models == tuple(sorted(served))


@pytest.mark.parametrize(
    ("roles", "fields", "code"),
    [
        (Roles(), {"style": "my style"}, "NotServed"),
        (Roles(), {"params": {"special": {"key": {}}}}, "BadRequest"),
        (Roles(special=True), {"params": {"special": {"key": {}}}}, "NotServed"),
        (Roles(), {"proxied_account": "somebody"}, "OnlyServiceAccountProxy"),
        (Roles(), {"extra_source_images": [{"image": "aGVsbG8="}]}, "InvalidExtraSourceImages."),
        (
            Roles(),
            {"source_image": "aGVsbG8=", "extra_source_images": [{"image": "aGVsbG8="}]},
            "InvalidExtraSourceImages.",
        ),
    ],
)
def test_what_is_not_for_everybody_or_not_served(
    roles: Roles, fields: dict[str, Any], code: str
) -> None:
    assert refusal(AccountEntry(OTHER, "somebody", roles), **fields).code.name == code


def test_a_service_asks_for_others() -> None:
    service = AccountEntry(OTHER, "service", Roles(service=True))
    checked(service, proxied_account="their user 7")
    assert requester(service, proxied_account="their user 7").proxied_account == "their user 7"


@pytest.mark.parametrize(
    "agent",
    ["", "unknown:0:unknown", "AiHordeForGimp", "my bot", "x/1.0 (abc)", "a:b", "ünïcode", "n:1:"],
)
def test_a_client_calls_itself_as_it_likes(agent: str) -> None:
    given = GenerationInputStable.model_validate({"prompt": "a fox"})
    for text, kept in ((agent, agent), (agent + "x" * 2000, (agent + "x" * 2000)[:1000])):
        made = requester_from(given, ANONYMOUS, client_address="192.0.2.1", client_agent=text)
        assert made.client_agent == kept


class Versions:
    """Knows one LoRA."""

    def resolve(self, lora: Lora) -> ResolvedLora | None:
        if lora.name != "known":
            return None
        return ResolvedLora("1", "77", "known", None, "SD 1.5")


def test_loras_are_named_by_their_exact_versions_where_these_are_known() -> None:
    given = (Lora("known", 0.5, 0.25, "word"), Lora("unknown", 2.0))
    assert exact_loras(given, Versions()) == (
        Lora("77", 0.5, 0.25, "word", is_version=True),
        Lora("unknown", 2.0),
    )
