"""``hoard worker run --server``: a worker for another Hoard or AI Horde."""

from __future__ import annotations

from infrastructure.cli.terminal.errors import WRONGLY_ASKED, CliError
from infrastructure.cli.terminal.options import usable_key
from infrastructure.cli.terminal.output import Output
from infrastructure.settings.environment import Settings
from workers.engines.protocol import EngineFailed
from workers.remote.server import NotAdmitted

_ADVICE = {
    "AnonForbiddenWorker": "Register an account there and give its key as --api-key.",
    "InvalidAPIKey": "Check --api-key, or HOARD_API_KEY: it must be a key of an account there.",
    "PolymorphicNameConflict": "Choose another name with --name.",
    "ProfaneWorkerName": "Choose another name with --name.",
    "TooLongWorkerName": "Choose a shorter name with --name.",
    "UnsupportedModel": "Name models that this server knows, with --model NAME=FOLDER.",
    "WorkerNameAlreadyExists": "Choose another name with --name.",
    "WrongCredentials": "The name is another account's worker: choose another with --name.",
    "": "Is --server the address of a Hoard or AI Horde, such as https://aihorde.net?",
}


def run_remote_worker(settings: Settings, *, server: str, api_key: str) -> int:
    """Serve another server until Ctrl-C or SIGTERM; return the exit status.

    :param server: where it listens, with or without ``/api/v2``.
    :param api_key: of the account there that the worker belongs to; it goes to that server alone.
    :raises CliError: when the server will not have the worker, or there is no engine.
    """
    from infrastructure.logs.configuration import configure_logs
    from infrastructure.models.catalogue import CatalogueInvalid
    from infrastructure.processes.remote_worker import BRIDGE_AGENT, serve_remotely
    from workers.inference.safety import InspectorInvalid
    from workers.remote.server import Server

    api_key = usable_key(api_key)
    try:
        remote = Server(server, api_key, agent=BRIDGE_AGENT)
    except ValueError as error:
        raise CliError(
            f"--server cannot be used: {error}.", advice=_ADVICE[""], exit_status=WRONGLY_ASKED
        ) from None
    configure_logs(settings.log_level, json=settings.log_json)
    with remote:
        try:
            remote.require_key()
            serve_remotely(settings, remote, lambda: _say_ready(settings, remote.url))
        except NotAdmitted as refusal:
            raise CliError(
                f"{remote.url} does not take this worker: {refusal}",
                advice=_ADVICE.get(refusal.rc, "Change what it says, then start again."),
                exit_status=WRONGLY_ASKED,
            ) from None
        except (CatalogueInvalid, EngineFailed, InspectorInvalid) as failure:
            raise CliError(f"The worker cannot start: {failure}.") from None
    return 0


def _say_ready(settings: Settings, url: str) -> None:
    output = Output()
    output.say(
        f"Worker “{settings.worker_name}” makes images with {settings.worker_engine} for {url}."
    )
    output.say("  stop   Ctrl-C")
    output.out.file.flush()
