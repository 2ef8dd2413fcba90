"""LoRAs on disk: the version that is asked for or none, whatever servers and disks do."""

from __future__ import annotations

import hashlib
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from domain.models.loras import MOST_LORAS, Lora
from infrastructure.models.civitai import Civitai
from infrastructure.models.lora_store import open_lora_store
from infrastructure.outbound.downloads import GuardedDownloads
from infrastructure.outbound.guard import Outbound
from infrastructure.settings.environment import Settings
from tests.integration.models.civitai_server import CivitaiServer, civitai
from tests.integration.models.lora_downloads import LoraDownload, a_lora, publish
from tests.paths import ROOT
from tests.waiting import wait_until
from tests.web_server import WebServer, web_server
from workers.models.hashes import HashCache
from workers.models.lora_store import LoraFile, LoraLimits, LoraStore, LoraUnavailable

LOOPBACK = ip_network("127.0.0.0/8")
MODEL = 58390
OF_ONE = len(a_lora(1))


class HandTime:
    """Seconds since 1970 that go on when they are told to."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


class Loras:
    """A folder of LoRAs, and what its stores are made of."""

    def __init__(self, folder: Path, server: CivitaiServer) -> None:
        self.folder = folder / "loras"
        self.hashes = folder / "hashes.json"
        self.server = server
        self.time = HandTime()
        self.pauses: list[float] = []
        self._closing: list[Callable[[], None]] = []

    def store(
        self,
        *,
        token: str | None = None,
        permitted: bool = True,
        offline: bool = False,
        **limits: Any,
    ) -> LoraStore:
        """Return a store on the folder, as another process would have it."""
        outbound = Outbound(
            permitted=[LOOPBACK] if permitted else [],
            ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        )
        made = LoraStore(
            self.folder,
            None if offline else Civitai(self.server.url, timeout=30, token=token),
            GuardedDownloads(outbound, token=token, token_for=self.server.url),
            HashCache(self.hashes),
            limits=LoraLimits(**limits),
            now=self.time,
            pause=self.pauses.append,
        )
        self._closing += [made.close, outbound.close]
        return made

    def close(self) -> None:
        """Close all stores."""
        for close in self._closing:
            close()

    @property
    def files(self) -> list[str]:
        """The names of the files that ComfyUI would list."""
        return sorted(path.name for path in self.folder.glob("*.safetensors"))

    @property
    def parts(self) -> list[str]:
        """The names of the parts of downloads."""
        return sorted(path.name for path in self.folder.glob(".hoard/*.part*"))


@pytest.fixture
def server() -> Iterator[CivitaiServer]:
    with civitai() as running:
        yield running


@pytest.fixture
def loras(tmp_path: Path, server: CivitaiServer) -> Iterator[Loras]:
    made = Loras(tmp_path, server)
    yield made
    made.close()


@pytest.fixture
def elsewhere() -> Iterator[WebServer]:
    with web_server() as running:
        yield running


def version(version_id: int) -> Lora:
    return Lora(str(version_id), is_version=True)


def given(server: CivitaiServer, version_id: int = 62833, **how: Any) -> LoraDownload:
    """Publish a model with one version."""
    published, download = publish(server, version_id, **how)
    server.add(MODEL + version_id, f"Model {version_id}", (published,))
    return download


def refused(store: LoraStore, lora: Lora) -> str:
    with pytest.raises(LoraUnavailable) as caught:
        store.fetch(lora)
    assert lora.name not in caught.value.reason
    return caught.value.reason


class Fetching:
    """A process that fetches a version."""

    def __init__(self, loras: Loras, version_id: int, name: str) -> None:
        self._told = loras.folder.parent / f"{name}.out"
        with self._told.open("w") as out:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tests.integration.models.lora_process",
                    str(loras.folder.parent),
                    loras.server.url,
                    str(version_id),
                ],
                stdout=out,
                cwd=ROOT,
            )

    def __enter__(self) -> Fetching:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def told(self) -> list[str]:
        """What it told so far, line by line."""
        return self._told.read_text().splitlines()

    def answer(self) -> str:
        """Wait for its end, and return the last that it told."""
        assert self._process.wait(60) == 0
        return self.told[-1]


def is_whole(file: LoraFile, download: LoraDownload) -> bool:
    digest = hashlib.sha256(download.data).hexdigest()
    return file.path.read_bytes() == download.data and file.sha256 == digest


def test_a_version_is_fetched_once_and_says_what_it_is(loras: Loras) -> None:
    download = given(loras.server, words=("detail", "more detail"))
    store = loras.store()
    file = store.fetch(version(62833))
    assert is_whole(file, download)
    assert (file.name, file.version_id) == ("hoard-62833.safetensors", "62833")
    assert file.path == loras.folder / file.name
    assert (file.trigger_words, file.base_model) == (("detail", "more detail"), "SD 1.5")
    assert file.identity.sha256 == file.sha256
    asked = len(loras.server.asked)
    assert store.fetch(version(62833)) == file
    assert loras.store().fetch(Lora("062833", is_version=True)) == file
    assert (len(loras.server.asked), len(download.asked)) == (asked, 1)
    assert loras.parts == []


def test_a_name_and_a_model_id_mean_the_latest_version(loras: Loras) -> None:
    old, _ = publish(loras.server, 100)
    new, _ = publish(loras.server, 200)
    loras.server.add(MODEL, "Detail Tweaker", (old,))
    store = loras.store(fresh_seconds=3600)
    assert store.fetch(Lora("detail tweaker")).version_id == "100"
    loras.server.add(MODEL, "Detail Tweaker", (new, old))
    asked = len(loras.server.asked)
    assert store.fetch(Lora("Detail Tweaker")).version_id == "100"
    assert store.fetch(Lora(str(MODEL))).version_id == "100"
    assert len(loras.server.asked) == asked
    loras.time.seconds += 3601
    assert store.fetch(Lora("Detail Tweaker")).version_id == "200"
    assert store.fetch(Lora(str(MODEL))).version_id == "200"
    assert store.fetch(version(100)).version_id == "100"


def test_a_version_that_was_withdrawn_is_the_latest_no_more(loras: Loras) -> None:
    old, _ = publish(loras.server, 100)
    new, _ = publish(loras.server, 200)
    store = loras.store(fresh_seconds=3600)
    for versions, meant in (((old,), "100"), ((new, old), "200"), ((old,), "100")):
        loras.server.add(MODEL, "Detail Tweaker", versions)
        assert store.fetch(Lora("Detail Tweaker")).version_id == meant
        asked = len(loras.server.asked)
        assert store.fetch(Lora("Detail Tweaker")).version_id == meant
        assert len(loras.server.asked) == asked
        loras.time.seconds += 3601
    assert loras.store(offline=True).fetch(Lora("Detail Tweaker")).version_id == "100"


def test_an_older_version_that_lies_here_is_never_taken_for_the_latest(loras: Loras) -> None:
    old, _ = publish(loras.server, 100)
    new, _ = publish(loras.server, 200)
    loras.server.add(MODEL, "Detail Tweaker", (new, old))
    loras.store().fetch(version(100))
    assert refused(loras.store(offline=True), Lora("Detail Tweaker"))
    assert loras.store().fetch(Lora("Detail Tweaker")).version_id == "200"


def test_metadata_of_another_version_is_not_believed(loras: Loras) -> None:
    given(loras.server, 200)
    another = httpx.get(f"{loras.server.url}/model-versions/200")
    loras.server.body = another.content
    assert refused(loras.store(), version(100)) == "the metadata describes another version"
    assert loras.files == []


@pytest.mark.parametrize("name", ["9" * 30, "0", "../1", "-1", "\u0661"])
def test_what_is_no_version_is_none(loras: Loras, name: str) -> None:
    assert refused(loras.store(), Lora(name, is_version=True)) == "there is no such version"
    assert refused(loras.store(), Lora("nobody's")) == "there is no such LoRA"


def test_a_download_that_is_cut_goes_on_where_it_was(loras: Loras) -> None:
    download = given(loras.server, cuts=[70_000, 30_000])
    assert is_whole(loras.store().fetch(version(62833)), download)
    assert download.starts == [0, 70_000, 100_000]
    assert [each.get("if-range") for each in download.asked] == [None, '"one"', '"one"']
    assert len(loras.pauses) == 2


def test_another_process_goes_on_with_what_one_left(loras: Loras) -> None:
    download = given(loras.server, cuts=[50_000, 0, 0, 0, 0])
    assert refused(loras.store(), version(62833)) == "download failed: unreachable"
    assert loras.files == []
    assert is_whole(loras.store().fetch(version(62833)), download)
    assert download.starts == [0, *[50_000] * 5]


def test_who_stops_a_download_finds_it_half_done(loras: Loras) -> None:
    download = given(loras.server)

    class Stopped(Exception):
        pass

    def stop(done: int, total: int | None) -> None:
        assert total == len(download.data)
        if done > 100_000:
            raise Stopped

    with pytest.raises(Stopped):
        loras.store().fetch(version(62833), stop)
    assert is_whole(loras.store().fetch(version(62833)), download)
    assert download.starts[0] == 0
    assert download.starts[1] > 60_000


def test_a_server_that_knows_no_ranges_is_asked_for_the_whole(loras: Loras) -> None:
    download = given(loras.server, knows_ranges=False, cuts=[70_000])
    assert is_whole(loras.store().fetch(version(62833)), download)
    assert download.starts == [0, 70_000]


def test_a_server_that_gives_the_rest_in_pieces_is_asked_for_each(loras: Loras) -> None:
    download = given(loras.server, most_at_once=15_000, cuts=[70_000])
    assert is_whole(loras.store().fetch(version(62833)), download)
    assert download.starts == [0, *range(70_000, OF_ONE, 15_000)]


def test_a_file_that_was_replaced_meanwhile_is_fetched_from_its_start(loras: Loras) -> None:
    first = given(loras.server, data=a_lora(1), cuts=[70_000, 0, 0, 0, 0])
    refused(loras.store(), version(62833))
    second = given(loras.server, data=a_lora(2), etag='"two"')
    assert first.data != second.data
    assert is_whole(loras.store().fetch(version(62833)), second)
    assert [each.get("if-range") for each in second.asked] == ['"one"']


@pytest.mark.parametrize("etag", ['"one"', None, 'W/"weak"'])
def test_parts_of_two_files_are_never_put_together(loras: Loras, etag: str | None) -> None:
    given(loras.server, data=a_lora(1), etag=etag, cuts=[70_000, 0, 0, 0, 0])
    refused(loras.store(), version(62833))
    second = given(loras.server, data=a_lora(2), etag=etag)
    assert is_whole(loras.store().fetch(version(62833)), second)
    assert second.starts == [70_000, 0]


def test_without_a_digest_only_what_the_server_tells_apart_is_gone_on_with(loras: Loras) -> None:
    download = given(loras.server, sha256=None, etag=None, cuts=[70_000])
    assert is_whole(loras.store().fetch(version(62833)), download)
    assert download.starts == [0, 0]


@pytest.mark.parametrize("is_known", [True, False])
def test_a_part_that_is_whole_is_asked_for_again_only_if_nobody_knows_that(
    loras: Loras, is_known: bool
) -> None:
    download = given(loras.server)
    store = loras.store()
    file = store.fetch(version(62833))
    # As if the process had been killed just before the file got its name.
    part = loras.folder / ".hoard" / "62833.part"
    file.path.rename(part)
    whole = len(download.data)
    if is_known:
        part.with_name("62833.part.json").write_text(f'{{"validator": null, "total": {whole}}}')
    assert is_whole(store.fetch(version(62833)), download)
    assert download.starts == ([0] if is_known else [0, whole, 0])


def test_a_file_that_is_not_the_one_published_is_deleted(loras: Loras) -> None:
    download = given(loras.server, sha256="A" * 64)
    reason = refused(loras.store(), version(62833))
    assert reason == "the file is not the one published: its SHA-256 differs"
    assert (loras.files, loras.parts) == ([], [])
    assert len(download.asked) == 1


def test_a_file_that_changed_on_disk_is_fetched_anew(loras: Loras) -> None:
    download = given(loras.server)
    file = loras.store().fetch(version(62833))
    file.path.write_bytes(a_lora(3))
    assert refused(loras.store(offline=True), version(62833))
    assert is_whole(loras.store().fetch(version(62833)), download)
    assert len(download.asked) == 2


def test_a_file_may_be_as_large_as_it_may_be_and_no_larger(loras: Loras) -> None:
    too_large: dict[str, Any] = {"largest_bytes": OF_ONE - 1}
    as_published = given(loras.server, 1)
    assert refused(loras.store(**too_large), version(1)) == "the file is too large"
    assert as_published.asked == []
    given(loras.server, 2, size_kb=1)
    assert refused(loras.store(**too_large), version(2)).endswith("the file is too large")
    given(loras.server, 3, size_kb=1, tells_length=False)
    assert refused(loras.store(**too_large), version(3)).endswith("the file is too large")
    given(loras.server, 4, size_kb=1)
    assert refused(loras.store(budget_bytes=OF_ONE - 1), version(4)).endswith("too large")
    assert (loras.files, loras.parts) == ([], [])
    assert loras.store(largest_bytes=OF_ONE).fetch(version(1)).version_id == "1"


def test_what_is_not_safetensors_is_no_lora(loras: Loras) -> None:
    pickled = given(loras.server, 1, name="lora.pt")
    given(loras.server, 2, data=b"PK" * 1000, sha256=None)
    given(loras.server, 3, data=a_lora(3)[:-1])
    for version_id in (1, 2, 3):
        reason = refused(loras.store(), version(version_id))
        assert reason == "the file is not of the safetensors format"
    assert pickled.asked == []
    assert (loras.files, loras.parts) == ([], [])


@pytest.mark.parametrize(
    ("how", "reason", "attempts"),
    [
        ({"status": 404}, "the server answered with status 404", 1),
        ({"status": 503}, "the server answered with status 503", 5),
        ({"status": 401}, "the server gives the file only to those it knows", 1),
        ({"media_type": "text/html; charset=utf-8"}, "a page came instead of the file", 1),
    ],
)
def test_what_a_server_refuses_is_said(
    loras: Loras, how: dict[str, Any], reason: str, attempts: int
) -> None:
    download = given(loras.server, **how)
    assert refused(loras.store(), version(62833)) == f"download failed: {reason}"
    assert len(download.asked) == attempts


def test_an_address_inside_is_refused_unless_it_is_permitted(loras: Loras) -> None:
    download = given(loras.server)
    reason = refused(loras.store(permitted=False), version(62833))
    assert reason == "download failed: address invalid"
    assert download.asked == []


def test_the_token_is_shown_to_its_server_alone(loras: Loras, elsewhere: WebServer) -> None:
    data = a_lora(1)
    path = elsewhere.answers("/signed?by=them", data, "application/octet-stream")
    download = given(loras.server, data=data, redirect=elsewhere.url(path, "127.0.0.1"))
    file = loras.store(token="secret").fetch(version(62833))
    assert file.path.read_bytes() == data
    assert loras.server.shown == ["Bearer secret"]
    assert [each.get("authorization") for each in download.asked] == ["Bearer secret"]
    assert "authorization" not in elsewhere.headers[0]
    loras.server.models.clear()
    published, _ = publish(loras.server, 2)
    published["files"][1]["downloadUrl"] = elsewhere.url(
        elsewhere.answers("/2", a_lora(2), "application/octet-stream"), "127.0.0.1"
    )
    loras.server.add(MODEL, "Elsewhere", (published,))
    loras.store(token="secret").fetch(version(2))
    assert "authorization" not in elsewhere.headers[1]


def test_what_was_not_used_for_the_longest_time_goes_first(loras: Loras) -> None:
    for version_id in (1, 2, 3, 4):
        given(loras.server, version_id)
    store = loras.store(budget_bytes=3 * OF_ONE)
    for version_id in (1, 2, 3, 1):
        store.fetch(version(version_id))
        loras.time.seconds += 60
    store.fetch(version(4))
    assert loras.files == [f"hoard-{version_id}.safetensors" for version_id in (1, 3, 4)]
    assert not (loras.folder / ".hoard" / "2.json").exists()


@pytest.mark.parametrize("tells_length", [True, False])
def test_room_is_made_before_a_file_comes_if_its_size_is_told(
    loras: Loras, tells_length: bool
) -> None:
    for version_id in (1, 2):
        given(loras.server, version_id, tells_length=tells_length, size_kb=0)
    store = loras.store(budget_bytes=OF_ONE + 10)
    store.fetch(version(1))
    loras.time.seconds += 60
    there: set[str] = set()
    store.fetch(version(2), lambda done, total: there.update(loras.files))
    assert there == (set() if tells_length else {"hoard-1.safetensors"})
    assert loras.files == ["hoard-2.safetensors"]


def test_what_is_in_use_stays_and_the_budget_holds(loras: Loras) -> None:
    for version_id in range(1, 10):
        given(loras.server, version_id)
    # Two jobs at a time, each in a process of its own.
    here, there = loras.store(budget_bytes=3 * OF_ONE), loras.store(budget_bytes=3 * OF_ONE)
    here.fetch(version(1))
    there.fetch(version(2))
    here.fetch(version(3))
    assert refused(here, version(4)) == "the disk budget for LoRAs is in use"
    assert loras.files == [f"hoard-{version_id}.safetensors" for version_id in (1, 2, 3)]
    assert loras.parts == []
    there.close()
    here.fetch(version(5))
    assert loras.files == [f"hoard-{version_id}.safetensors" for version_id in (1, 3, 5)]


def test_all_the_loras_of_one_job_stay(loras: Loras) -> None:
    budget = MOST_LORAS * OF_ONE
    for version_id in range(1, 2 * MOST_LORAS + 1):
        given(loras.server, version_id)
    store = loras.store(budget_bytes=budget)
    for first in (1, MOST_LORAS + 1):
        files = [store.fetch(version(first + place)) for place in range(MOST_LORAS)]
        assert all(file.path.exists() for file in files)
        loras.time.seconds += 60


def test_what_somebody_left_half_done_makes_room_first(loras: Loras) -> None:
    given(loras.server, 1, cuts=[100_000, 0, 0, 0, 0])
    given(loras.server, 2)
    given(loras.server, 3)
    first = loras.store(budget_bytes=2 * OF_ONE + 10)
    first.fetch(version(2))
    refused(first, version(1))
    assert loras.parts == ["1.part", "1.part.json"]
    loras.time.seconds += 60
    first.fetch(version(3))
    assert loras.parts == []
    assert loras.files == ["hoard-2.safetensors", "hoard-3.safetensors"]


def test_two_processes_at_once_download_it_once(loras: Loras) -> None:
    download = given(loras.server)
    download.hold.clear()
    try:
        with Fetching(loras, 62833, "one") as one, Fetching(loras, 62833, "other") as other:
            wait_until(lambda: download.asked, "one process to ask for the file")
            wait_until(lambda: "waiting" in one.told + other.told, "the other to wait", 60)
            download.hold.set()
            answers = {one.answer(), other.answer()}
    finally:
        download.hold.set()
    assert answers == {f"62833 {hashlib.sha256(download.data).hexdigest()}"}
    assert len(download.asked) == 1


def test_offline_what_lies_on_disk_is_what_it_was(loras: Loras) -> None:
    download = given(loras.server, words=("detail",))
    fetched = loras.store().fetch(Lora("Model 62833"))
    offline = loras.store(offline=True, fresh_seconds=0)
    assert offline.fetch(Lora("model 62833")) == fetched
    assert offline.fetch(Lora(str(MODEL + 62833))) == fetched
    assert offline.fetch(version(62833)) == fetched
    assert len(download.asked) == 1
    assert refused(offline, version(1)) == "no address of the version is known"
    assert refused(offline, Lora("Other")) == "the latest version is unknown"


def test_metadata_that_is_away_is_left_alone_for_a_while(loras: Loras) -> None:
    given(loras.server)
    store = loras.store(fresh_seconds=10)
    fetched = store.fetch(Lora("Model 62833"))
    loras.time.seconds += 11
    loras.server.status = 500
    assert store.fetch(Lora("Model 62833")) == fetched
    assert refused(store, version(1)) == "no address of the version is known"
    asked = len(loras.server.asked)
    store.fetch(Lora("Model 62833"))
    assert len(loras.server.asked) == asked
    loras.time.seconds += 31
    loras.server.status = 200
    given(loras.server, 1)
    assert store.fetch(version(1)).version_id == "1"


def test_metadata_of_one_lora_that_is_broken_keeps_no_other_from_being_fetched(
    loras: Loras,
) -> None:
    given(loras.server)
    loras.server.faults["/model-versions/1"] = (500, b"")
    store = loras.store()
    assert refused(store, version(1)) == "no address of the version is known"
    assert store.fetch(version(62833)).version_id == "62833"
    asked = len(loras.server.asked)
    assert refused(store, version(1)) == "no address of the version is known"
    assert len(loras.server.asked) == asked


def test_an_operators_own_file_is_meant_by_its_name(loras: Loras) -> None:
    data = a_lora(7)
    (loras.folder / "mine").mkdir(parents=True)
    (loras.folder / "mine" / "sketchy.safetensors").write_bytes(data)
    (loras.folder / "123.safetensors").write_bytes(data)
    file = loras.store().fetch(Lora("sketchy"))
    assert (file.name, file.version_id) == ("mine/sketchy.safetensors", "sketchy")
    assert file.sha256 == hashlib.sha256(data).hexdigest()
    assert loras.server.asked == []
    for other in (Lora("123"), Lora("mine/sketchy"), Lora("hoard-1")):
        assert refused(loras.store(), other) == "there is no such LoRA"


def test_a_folder_that_cannot_be_written_is_said(loras: Loras) -> None:
    given(loras.server)
    loras.folder.write_text("a file")
    assert refused(loras.store(), version(62833)) == "the folder of LoRAs cannot be used"


def test_the_settings_describe_a_store(loras: Loras, tmp_path: Path) -> None:
    download = given(loras.server)
    given(loras.server, 2, data=a_lora(2, 1024**2))
    settings = Settings(
        data=tmp_path,
        civitai_url=loras.server.url,
        civitai_token=SecretStr("secret"),
        worker_lora_largest_mib=1,
        permit_networks="127.0.0.0/8",
    )
    outbound = Outbound(permitted=settings.permitted_networks)
    store = open_lora_store(settings, outbound, HashCache(loras.hashes))
    assert store.fetch(version(62833)).path == tmp_path / "loras" / "hoard-62833.safetensors"
    assert download.asked[0]["authorization"] == loras.server.shown[0] == "Bearer secret"
    assert refused(store, version(2)) == "the file is too large"
    alone = settings.model_copy(update={"civitai_url": None})
    alone_store = open_lora_store(alone, outbound, HashCache(loras.hashes))
    assert alone_store.fetch(version(62833)).version_id == "62833"
    assert refused(alone_store, version(3)) == "no address of the version is known"
    for close in (store.close, alone_store.close, outbound.close):
        close()
