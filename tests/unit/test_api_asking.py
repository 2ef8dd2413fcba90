"""From the words of a front-end to the command of the ledger."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from api.authentication import ANONYMOUS
from api.v2.asking import command_from, joined_prompt, split_prompt
from api.v2.schemas.asking import GenerationInputStable
from domain.account import Roles
from domain.commands import SubmitRequest
from domain.matching import Capabilities
from domain.ports import AccountEntry, WorkerEntry
from domain.return_codes import Refused
from domain.sampling import seed_from_text

KNOWN = UUID("11111111-1111-4111-8111-111111111111")
OTHER = UUID("00000000-2222-4222-8222-222222222222")


class OneWorker:
    """A directory of one worker."""

    def account_by_key(self, key_digest: str) -> AccountEntry | None:
        return None

    def account(self, account_id: UUID) -> AccountEntry | None:
        return None

    def worker_by_name(self, name: str) -> WorkerEntry | None:
        if name != "known":
            return None
        capabilities = Capabilities(("m",), 1, 512 * 512, False, 1, False, "a:1:b")
        return WorkerEntry(KNOWN, name, OTHER, capabilities, maintenance=False, paused=False)

    def workers_of(self, owner_id: UUID) -> int:
        return 0


def command(account: AccountEntry = ANONYMOUS, **fields: Any) -> SubmitRequest:
    """Return the command for a request with these fields."""
    return command_from(
        GenerationInputStable.model_validate({"prompt": "a fox", **fields}),
        account=account,
        directory=OneWorker(),
        client_address="192.0.2.1",
        client_agent="agent" * 1000,
    )


def test_every_setting_arrives() -> None:
    account = AccountEntry(OTHER, "somebody", Roles())
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
    }
    made = command(
        account,
        params=params,
        nsfw=True,
        trusted_workers=True,
        slow_workers=False,
        extra_slow_workers=True,
        models=["b", "a", "b"],
        workers=["known", str(OTHER)],
        worker_blacklist=True,
        disable_batching=True,
        shared=True,
        r2=False,
    )
    settings = made.settings
    assert (settings.width, settings.height, settings.steps) == (640, 384, 12)
    assert (settings.sampler, settings.cfg_scale) == ("k_heun", 3.5)
    assert (settings.karras, settings.clip_skip) == (False, 2)
    assert (made.images, made.seed, made.seed_variation) == (7, seed_from_text("hello"), 9)
    wanted = made.requirements
    assert (wanted.models, wanted.pixels) == (("a", "b"), 640 * 384)
    assert (wanted.nsfw, wanted.trusted_workers) == (True, True)
    assert (wanted.slow_workers, wanted.extra_slow_workers) == (False, True)
    assert (wanted.workers, wanted.worker_blacklist) == ((OTHER, KNOWN), True)
    assert (made.disable_batching, made.shared, made.r2) == (True, True, False)
    assert (made.account_id, made.client_address) == (OTHER, "192.0.2.1")
    assert len(made.client_agent) == 1000


@pytest.mark.parametrize(
    ("text", "prompt", "negative"),
    [
        ("a fox", "a fox", ""),
        (" a fox ### blurry ", "a fox", "blurry"),
        ("a fox###", "a fox", ""),
        ("a ## fox", "a ## fox", ""),
        ("a###b###c", "a", "b###c"),
    ],
)
def test_the_negative_prompt_stands_after_three_hashes(
    text: str, prompt: str, negative: str
) -> None:
    assert split_prompt(text) == (prompt, negative)
    assert split_prompt(joined_prompt(prompt, negative)) == (prompt, negative)


@pytest.mark.parametrize("text", [" ", "\n", "###", " ### not this"])
def test_blanks_are_no_prompt(text: str) -> None:
    with pytest.raises(Refused, match="MissingPrompt"):
        split_prompt(text)


def test_a_prompt_has_at_most_7500_words() -> None:
    assert split_prompt("w " * 7500)[0].endswith("w")
    with pytest.raises(Refused, match="InvalidPromptSize"):
        split_prompt("w " * 7501)
    with pytest.raises(Refused, match="InvalidPromptSize"):
        split_prompt("w" * 100_001)


def test_no_seed_leaves_it_to_chance() -> None:
    assert command().seed is None
    assert command(params={"seed": ""}).seed is None
    assert command(params={"seed": "0"}).seed == 0


def test_a_worker_that_is_not_known_is_named() -> None:
    with pytest.raises(Refused) as caught:
        command(workers=["known", "nobody"])
    assert caught.value.code.name == "BadRequest"
    assert "nobody" in caught.value.errors["workers"]


def test_an_empty_deny_list_is_no_requirement() -> None:
    assert command(worker_blacklist=True).requirements == command().requirements
