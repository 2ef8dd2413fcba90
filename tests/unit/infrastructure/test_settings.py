from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from domain.images.source_images import MOST_BYTES
from infrastructure.settings.environment import Settings, SettingsInvalid, load_settings


def complaint_about(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> str:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsInvalid) as refused:
        load_settings()
    return str(refused.value)


def test_defaults_keep_everything_in_the_data_folder(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    assert settings.ledger_database == f"sqlite:///{tmp_path}/ledger.db"
    assert settings.views_database == f"sqlite:///{tmp_path}/views.db"
    assert settings.broker == f"redis+socket://{tmp_path}/redis.sock"
    assert settings.has_embedded_redis
    assert settings.blob_folder == tmp_path / "blobs"
    assert settings.master_key_file == tmp_path / "master.key"
    assert settings.pipeline_folder.parts[-3:] == ("workers", "pipelines", "scenes")
    assert settings.base_url == "http://127.0.0.1:7001"


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOARD_DATA", str(tmp_path))
    monkeypatch.setenv("HOARD_PORT", "8000")
    monkeypatch.setenv("HOARD_LOG_LEVEL", "debug")
    settings = load_settings()
    assert (settings.data, settings.port, settings.log_level) == (tmp_path, 8000, "DEBUG")


def test_an_empty_variable_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOARD_PORT", "")
    monkeypatch.setenv("HOARD_LEDGER_URL", "")
    assert load_settings().port == 7001
    assert load_settings().ledger_url is None


def test_an_override_wins_and_none_is_no_override(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOARD_PORT", "8000")
    assert load_settings(port=9000).port == 9000
    assert load_settings(port=None).port == 8000


def test_a_relative_data_folder_is_fixed_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings()
    monkeypatch.chdir("/")
    assert settings.data == tmp_path / "hoard-data"
    assert settings.blob_folder == tmp_path / "hoard-data" / "blobs"


def test_a_child_process_reads_the_same_settings(tmp_path: Path) -> None:
    settings = Settings(
        data=tmp_path,
        port=8123,
        ledger_url="postgresql://somebody:pässword@example.org/ledger",
        worker_name="Worker № 2",
        log_json=False,
        follow_seconds=0.25,
        egress_proxy=SecretStr("http://somebody:pässword@proxy.example.org:3128"),
        webhook_http=True,
        master_key=SecretStr("ab" * 32),
    )
    child = subprocess.run(
        [
            sys.executable,
            "-c",
            "from infrastructure.settings.environment import load_settings\n"
            "print(sorted(load_settings().as_environment().items()))",
        ],
        env={
            "PYTHONPATH": os.pathsep.join(sys.path),
            "PYTHONUTF8": "1",
            **settings.as_environment(),
        },
        capture_output=True,
        check=True,
        encoding="utf-8",
    )
    assert child.stdout.strip() == str(sorted(settings.as_environment().items()))


def test_postgresql_holds_the_views_too() -> None:
    url = "postgresql://ledger@example.org/hoard"
    assert Settings(ledger_url=url).views_database == url
    assert Settings(ledger_url=url, views_url="sqlite:///views.db").views_database == (
        "sqlite:///views.db"
    )


def test_images_outlive_the_requests_that_they_belong_to() -> None:
    with pytest.raises(SettingsInvalid, match="four times"):
        load_settings(image_days=1, request_lifetime_seconds=21_601)
    assert load_settings(image_days="inf", request_lifetime_seconds=10**9).image_days > 10**9


def test_networks_are_separated_as_one_likes() -> None:
    settings = Settings(permit_networks="10.0.0.0/8, fd00::/8 127.0.0.1")
    assert [str(each) for each in settings.permitted_networks] == [
        "10.0.0.0/8",
        "fd00::/8",
        "127.0.0.1/32",
    ]
    assert Settings().permitted_networks == ()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_ledger_in_memory_leaves_no_views_behind(url: str) -> None:
    assert Settings(ledger_url=url).views_database == url


def test_views_may_not_outlive_a_ledger_in_memory() -> None:
    with pytest.raises(SettingsInvalid, match="needs views in memory"):
        load_settings(ledger_url="sqlite://", views_url="sqlite:///views.db")


def test_settings_cannot_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().port = 1  # type: ignore[misc]


def test_a_misspelt_setting_is_refused() -> None:
    with pytest.raises(SettingsInvalid, match="HOARD_PROT"):
        load_settings(prot=8000)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("HOARD_PORT", "0", "greater than or equal to 1"),
        ("HOARD_PORT", "65536", "less than or equal to 65535"),
        ("HOARD_PORT", "http", "valid integer"),
        ("HOARD_WORKER_AMOUNT", "0", "greater than or equal to 1"),
        ("HOARD_WORKER_AMOUNT", "21", "less than or equal to 20"),
        ("HOARD_WORKER_MAX_PIXELS", "4095", "greater than or equal to 4096"),
        ("HOARD_WORKER_NAME", "n" * 101, "at most 100 characters"),
        ("HOARD_LEASE_MINIMUM_SECONDS", "0", "greater than 0"),
        ("HOARD_REQUEST_LIFETIME_SECONDS", "-1", "greater than 0"),
        ("HOARD_SWEEP_SECONDS", "nan", "finite number"),
        ("HOARD_FOLLOW_SECONDS", "inf", "finite number"),
        ("HOARD_PERMIT_NETWORKS", "10.1.2.3/8", "has host bits set"),
        ("HOARD_PERMIT_NETWORKS", "intranet", "does not appear to be an IPv4 or IPv6 network"),
        ("HOARD_EGRESS_PROXY", "proxy:3128", "named as http://host:port"),
        ("HOARD_EGRESS_PROXY", "socks5://proxy:1080", "named as http://host:port"),
        ("HOARD_WEBHOOK_HTTP", "perhaps", "boolean"),
        ("HOARD_WEBHOOK_SECONDS", "0.5", "greater than or equal to 1"),
        ("HOARD_WEBHOOK_SECONDS", "61", "less than or equal to 60"),
        ("HOARD_WEBHOOK_SECONDS", "nan", "finite number"),
        ("HOARD_IMAGE_DAYS", "0.5", "greater than or equal to 1"),
        ("HOARD_IMAGE_DAYS", "nan", "greater than or equal to 1"),
        ("HOARD_IMAGE_ADDRESS_SECONDS", "59", "greater than or equal to 60"),
        ("HOARD_UNKNOWN_MODELS", "perhaps", "'allow' or 'refuse'"),
        ("HOARD_CIVITAI_URL", "civitai.com", "https://"),
        ("HOARD_CIVITAI_TIMEOUT_SECONDS", "0", "greater than 0"),
        ("HOARD_CIVITAI_WAIT_SECONDS", "2.5", "less than or equal to 2"),
        ("HOARD_CIVITAI_FRESH_SECONDS", "1", "greater than or equal to 60"),
        ("HOARD_REGISTRATIONS_PER_HOUR", "-1", "greater than or equal to 0"),
        ("HOARD_MAX_BODY_BYTES", "1", "greater than or equal to 65536"),
        ("HOARD_LEDGER_URL", "mysql://example.org/ledger", "postgresql"),
        ("HOARD_VIEWS_URL", "views.db", "sqlite"),
        ("HOARD_BROKER_URL", "kafka://example.org", "redis"),
        ("HOARD_PUBLIC_URL", "example.org", "http:// or https://"),
        ("HOARD_PUBLIC_URL", "https://example.org/?a=b", "path only"),
        ("HOARD_MASTER_KEY", "too short", "32 bytes"),
        ("HOARD_LOG_LEVEL", "LOUD", "'INFO'"),
        ("HOARD_LOG_JSON", "perhaps", "boolean"),
        ("HOARD_DATA", "/srv/what?", "may not contain ?"),
    ],
)
def test_a_bad_value_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    complaint = complaint_about(monkeypatch, variable, value)
    assert complaint.startswith(f"{variable}: ")
    assert said in complaint
    assert "\n" not in complaint


def test_every_bad_value_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOARD_PORT", "0")
    complaint = complaint_about(monkeypatch, "HOARD_WORKER_AMOUNT", "21")
    assert sorted(line.partition(":")[0] for line in complaint.splitlines()) == [
        "HOARD_PORT",
        "HOARD_WORKER_AMOUNT",
    ]


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(
        ledger_url="postgresql://a:hushhush@example.org/ledger",
        views_url="postgresql://a:hushhush@example.org/views",
        broker_url="redis://:hushhush@example.org",
        egress_proxy=SecretStr("http://a:hushhush@proxy.example.org:3128"),
        master_key=SecretStr("cd" * 32),
    )
    assert "hushhush" not in repr(settings)
    assert "cdcd" not in repr(settings)
    with pytest.raises(ValidationError) as refused:
        Settings(ledger_url="x://a:hushhush@b")
    assert "hushhush" not in str(refused.value)
    assert "hushhush" not in complaint_about(monkeypatch, "HOARD_LEDGER_URL", "x://a:hushhush@b")
    assert "hushhush" not in complaint_about(monkeypatch, "HOARD_MASTER_KEY", "hushhush")
    assert "hushhush" not in complaint_about(
        monkeypatch, "HOARD_EGRESS_PROXY", "http://a:hushhush@proxy:port"
    )


def test_webhooks_need_tls_and_end_soon_unless_the_operator_says_so() -> None:
    settings = Settings()
    assert not settings.webhook_http
    assert settings.webhook_seconds == 15
    assert settings.egress_proxy is None


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:7001"),
        ("::", "http://[::1]:7001"),
        ("2001:db8::7", "http://[2001:db8::7]:7001"),
        ("example.org", "http://example.org:7001"),
    ],
)
def test_links_lead_to_where_the_server_listens(host: str, url: str) -> None:
    assert Settings(host=host).base_url == url


def test_links_lead_to_the_public_url_first() -> None:
    settings = Settings(host="0.0.0.0", public_url="https://images.example.org/hoard/")
    assert settings.base_url == "https://images.example.org/hoard"


def test_a_socket_can_be_bound_below_a_deep_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = Settings(data=tmp_path / ("deep" * 40))
    assert deep.redis_socket != Settings(data=tmp_path / ("deep" * 41)).redis_socket
    assert deep.broker == f"redis+socket://{deep.redis_socket}"
    # The socket's own folder stands in for the real one, which is not this test's to make.
    standing_in = tmp_path / deep.redis_socket.parent.name
    standing_in.mkdir()
    # From within, since the folder of a test may itself lie too deep.
    monkeypatch.chdir(standing_in)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(deep.redis_socket.name)
    assert len(os.fsencode(deep.redis_socket)) <= 100


def test_the_longest_path_that_is_kept_can_be_bound(tmp_path: Path) -> None:
    room = 100 - len(f"{tmp_path}//redis.sock")
    data = tmp_path / ("d" * room)
    data.mkdir()
    path = Settings(data=data).redis_socket
    assert path == data / "redis.sock"
    assert len(os.fsencode(path)) == 100
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(path))
    longer = tmp_path / ("d" * (room + 1))
    assert Settings(data=longer).redis_socket.parent != longer


def test_two_images_of_the_largest_size_fit_into_a_request() -> None:
    assert Settings().max_body_bytes >= 2 * MOST_BYTES * 4 / 3 + 100_000
    assert Settings().max_body_bytes < 50_000_000
