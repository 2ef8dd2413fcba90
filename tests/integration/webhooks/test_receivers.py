"""The receivers that the documentation offers: they run as they stand there, and verify."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from infrastructure.webhooks.signing import WebhookSigner, public_key_of
from tests.paths import ROOT
from tests.signing_keys import new_secret, new_signing_key
from tests.waiting import DEADLINE_SECONDS, wait_until

PAGE = ROOT / "docs" / "how-to" / "webhooks.md"
MADE = {"id": "6b3f", "request": "a9c1", "img": "https://images.example/6b3f ⛵", "kudos": 7.5}
BODY = json.dumps(MADE, ensure_ascii=False).encode()


# The page has the part that matters; this is the program around it.
GO_PROGRAM = """package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"sync"
)

func main() {
	secret := strings.TrimPrefix(os.Getenv("WEBHOOK_SECRET"), "whsec_")
	key, err := base64.StdEncoding.DecodeString(secret)
	if err != nil {
		log.Fatal(err)
	}
	var seen sync.Map
	receive := func(answer http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		if !isOurs(key, request.Header, body) {
			answer.WriteHeader(400)
			return
		}
		if _, again := seen.LoadOrStore(request.Header.Get("webhook-id"), true); !again {
			fmt.Println("new:", string(body))
		}
		answer.WriteHeader(204)
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), http.HandlerFunc(receive)))
}
"""


def example(heading: str, language: str) -> str:
    """Return the code of a section of the page."""
    section = PAGE.read_text("utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    [code] = re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return str(code)


@dataclass
class Receiver:
    """An example that runs."""

    address: str
    output: Path

    def post(self, headers: Mapping[str, str], body: bytes = BODY) -> int:
        """Send it a webhook and return the status of its answer."""
        return httpx.post(self.address, content=body, headers=headers, trust_env=False).status_code

    def told(self) -> int:
        """Return how many webhooks it took for new ones."""
        return self.output.read_text("utf-8").count("new:")


@contextmanager
def running(command: list[str], folder: Path, secret: str) -> Iterator[Receiver]:
    """Run an example until the end of the block."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    output = folder / "output"
    with output.open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | {"WEBHOOK_SECRET": secret, "PORT": str(port)},
        )

    def listens() -> bool:
        assert process.poll() is None, output.read_text("utf-8")
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            return False
        return True

    try:
        wait_until(listens, "the example to listen")
        yield Receiver(f"http://127.0.0.1:{port}/hoard", output)
    finally:
        process.kill()
        process.wait(DEADLINE_SECONDS)


def python_example(folder: Path) -> list[str]:
    (folder / "receiver.py").write_text(example("Python", "python"), "utf-8")
    return [sys.executable, str(folder / "receiver.py")]


def node_example(folder: Path) -> list[str]:
    (folder / "receiver.mjs").write_text(example("Node", "js"), "utf-8")
    return ["node", str(folder / "receiver.mjs")]


def go_example(folder: Path) -> list[str]:
    (folder / "verify.go").write_text(example("Go", "go"), "utf-8")
    (folder / "receiver.go").write_text(GO_PROGRAM, "utf-8")
    built = folder / "receiver"
    apart = {"GOCACHE": str(folder / "cache"), "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    subprocess.run(
        ["go", "build", "-o", built, "verify.go", "receiver.go"],
        cwd=folder,
        env=os.environ | apart,
        check=True,
    )
    return [str(built)]


EXAMPLES = [
    python_example,
    *([node_example] if shutil.which("node") else ()),
    *([go_example] if shutil.which("go") else ()),
]
"""Those whose language this machine can run."""


@pytest.mark.parametrize("prepared", EXAMPLES)
def test_a_receiver_takes_what_we_signed_once_and_nothing_else(
    prepared: Callable[[Path], list[str]], tmp_path: Path
) -> None:
    secret, other, key = new_secret(), new_secret(), new_signing_key()
    now = datetime.now(UTC)
    ours = WebhookSigner([secret])
    good = ours.headers("first", now, BODY)
    with running(prepared(tmp_path), tmp_path, secret) as receiver:
        assert receiver.post(good) == 204
        assert receiver.told() == 1
        assert receiver.post(ours.headers("first", now + timedelta(seconds=9), BODY)) == 204
        assert receiver.told() == 1

        # The secret is the old one, the new one, and one beside a public key.
        for place, keys in enumerate([[other, secret], [secret, other], [key, secret]]):
            assert receiver.post(WebhookSigner(keys).headers(f"r{place}", now, BODY)) == 204
            assert receiver.told() == 2 + place

        bad: dict[str, Mapping[str, str]] = {
            "signed with another secret": WebhookSigner([other]).headers("n", now, BODY),
            "signed with a private key only": WebhookSigner([key]).headers("n", now, BODY),
            "too old": ours.headers("n", now - timedelta(minutes=6), BODY),
            "from the future": ours.headers("n", now + timedelta(minutes=6), BODY),
            "with another id": good | {"webhook-id": "n"},
            "without a moment": good | {"webhook-timestamp": "soon"},
            "of another scheme": good
            | {"webhook-signature": good["webhook-signature"].replace("v1,", "v2,")},
            "half signed": good | {"webhook-signature": "v1,"},
            "not even that": good | {"webhook-signature": "v1"},
            "unsigned": {},
        }
        for missing in good:
            bad[f"without {missing}"] = {n: v for n, v in good.items() if n != missing}
        for what, headers in bad.items():
            assert receiver.post(headers) == 400, what
        assert receiver.post(good, BODY.replace(b"7.5", b"8.5")) == 400
        assert receiver.told() == 4
        assert receiver.post(ours.headers("last", now, BODY)) == 204


def test_the_example_for_public_keys_verifies() -> None:
    names: dict[str, Any] = {}
    exec(example("With a public key", "python"), names)
    is_ours = names["is_ours"]
    key, other, secret = new_signing_key(), new_signing_key(), new_secret()
    public, now = public_key_of(key), datetime.now(UTC)
    for keys in ([key], [other, key], [secret, key]):
        headers = WebhookSigner(keys).headers("a", now, BODY)
        assert is_ours(public, headers, BODY)
        assert not is_ours(public, headers, BODY + b" ")
        assert not is_ours(public, headers | {"webhook-id": "b"}, BODY)
    for keys in ([other], [secret]):
        assert not is_ours(public, WebhookSigner(keys).headers("a", now, BODY), BODY)
    late = WebhookSigner([key]).headers("a", now - timedelta(minutes=6), BODY)
    assert not is_ours(public, late, BODY)
    assert not is_ours(public, late | {"webhook-signature": "v1a,!"}, BODY)
