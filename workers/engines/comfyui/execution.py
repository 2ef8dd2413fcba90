"""Executions of graphs, each from its submission to its images, and abandoned ones."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any
from uuid import uuid4

import structlog

from workers.engines.comfyui.client import ComfyUIClient, Message, SavedImage, Socket
from workers.engines.comfyui.graph.drawing import FOLDER, Drawing, file_prefix
from workers.engines.protocol import EngineAway, EngineFailed, OutOfMemory, Progress

_log = structlog.get_logger(__name__)

SILENCE_SECONDS = 900.0
"""How long an execution that runs may say nothing: loading a large model takes minutes."""

_LOOK_EVERY = 2.0
"""Seconds of silence after which the queue and the history are asked."""

_STOPPING_SECONDS = 15.0
"""How long to wait for an interrupted execution to end; a step on a CPU may take so long."""

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")

_MARK_LENGTH = 16


class Execution:
    """Runs one drawing.

    It listens under a client id of its own, watches only the messages of its own prompt id, and
    takes only images that the history lists under this prompt id and the drawing's own output node,
    with file names that begin with this execution's id.
    """

    def __init__(
        self,
        client: ComfyUIClient,
        drawing: Drawing,
        execution: str,
        *,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        """Prepare it; nothing is sent yet.

        :param execution: the id that the drawing was made for.
        """
        self._client = client
        self._drawing = drawing
        self._execution = execution
        self._silence_seconds = silence_seconds
        self._prompt_id: str | None = None

    def run(self, count: int, on_progress: Callable[[Progress], None]) -> tuple[bytes, ...]:
        """Run it and return the files of its images, in batch order.

        :param count: how many images there have to be.
        :raises OutOfMemory: when the device's memory is too small for it.
        :raises EngineAway: when ComfyUI is gone, or has forgotten this execution.
        :raises EngineFailed: when it fails otherwise, or gives another number of images.
        """
        try:
            with self._client.listening(self._execution) as socket:
                self._prompt_id = self._client.submit(
                    self._drawing.graph.as_prompt(),
                    client_id=self._execution,
                    prompt_id=self._execution,
                )
                try:
                    entry = self._watch(socket, self._prompt_id, on_progress)
                except BaseException:
                    self._stop(socket, self._prompt_id)
                    raise
            _require_success(entry)
            images = self._images(entry, count)
            return tuple(self._client.download(image) for image in images)
        finally:
            self._forget()

    def _watch(
        self, socket: Socket, prompt_id: str, on_progress: Callable[[Progress], None]
    ) -> Mapping[str, Any]:
        """Follow the execution to its end and return its entry in the history."""
        counter = _StepCounter(self._drawing, on_progress)
        heard_at = time.monotonic()
        while True:
            message = socket.next(_LOOK_EVERY)
            if message is not None and message.prompt_id == prompt_id:
                heard_at = time.monotonic()
                if message.type == "progress":
                    counter.note(message.data)
            if message is None or _is_last(message, prompt_id):
                entry = self._finished(prompt_id)
                if entry is not None:
                    return entry
                if time.monotonic() - heard_at > self._silence_seconds:
                    raise EngineFailed("ComfyUI says nothing of the batch any more")

    def _finished(self, prompt_id: str) -> Mapping[str, Any] | None:
        """Return the execution's entry in the history; None while it runs or waits.

        It is asked for in times of silence as well, since messages can be missed.
        """
        entry = self._client.history(prompt_id)
        if entry is None and prompt_id not in self._client.queued():
            # It may have ended between the two questions.
            entry = self._client.history(prompt_id)
            if entry is None:
                raise EngineAway("ComfyUI was started again and has forgotten the batch")
        return entry

    def _images(self, entry: Mapping[str, Any], count: int) -> Sequence[SavedImage]:
        outputs = entry.get("outputs")
        node = outputs.get(self._drawing.output) if isinstance(outputs, dict) else None
        listed = node.get("images") if isinstance(node, dict) else None
        images = [_saved(each) for each in listed] if isinstance(listed, list) else []
        if len(images) != count:
            raise EngineFailed(f"ComfyUI made {len(images)} images instead of {count}")
        names = {image.filename for image in images}
        beginning = f"{file_prefix(self._execution)}_"
        if len(names) != count or not all(name.startswith(beginning) for name in names):
            raise EngineFailed("ComfyUI lists images that are not of this execution")
        if any(image.subfolder != FOLDER or image.type != "output" for image in images):
            raise EngineFailed("ComfyUI lists images that lie elsewhere than they were sent to")
        return images

    def _stop(self, socket: Socket, prompt_id: str) -> None:
        """Take the execution out of the queue, or interrupt it if it is the one that runs."""
        try:
            self._client.unqueue(prompt_id)
            if prompt_id not in self._client.running():
                return
            self._client.interrupt(prompt_id)
            ends_at = time.monotonic() + _STOPPING_SECONDS
            while time.monotonic() < ends_at:
                socket.next(0.5)
                if prompt_id not in self._client.running():
                    return
        except EngineFailed as failure:
            _log.info("ComfyUI could not be told to stop", why=str(failure))

    def _forget(self) -> None:
        """Delete the prompt from ComfyUI's history."""
        if self._prompt_id is None:
            return
        try:
            self._client.forget(self._prompt_id)
        except EngineFailed as failure:
            _log.info("ComfyUI could not be told to forget", why=str(failure))


class _StepCounter:
    """Counts the steps of all runs of samplers as one.

    Each message of a sampler is passed on: one that chooses its own number of steps goes on after
    the last that was counted on, and must still be stoppable.
    """

    def __init__(self, drawing: Drawing, on_progress: Callable[[Progress], None]) -> None:
        self._drawing = drawing
        self._on_progress = on_progress
        self._reported = 0

    def note(self, data: Mapping[str, Any]) -> None:
        """Take one message of a node's progress; nodes other than samplers do not count."""
        value, most = data.get("value"), data.get("max")
        if (
            not isinstance(value, (int, float))
            or not isinstance(most, (int, float))
            or value <= 0
            or most <= 0
        ):
            return
        before = 0
        for each in self._drawing.passes:
            if each.latent.node == data.get("node"):
                done = min(math.ceil(value * each.steps / most), each.steps)
                self._reported = max(self._reported, before + done)
                self._on_progress(Progress(self._reported, self._drawing.steps))
                return
            before += each.steps


def _is_last(message: Message, prompt_id: str) -> bool:
    """Whether it is what ComfyUI says once the history has the execution."""
    return (
        message.prompt_id == prompt_id
        and message.type == "executing"
        and message.data.get("node") is None
    )


def _require_success(entry: Mapping[str, Any]) -> None:
    """Raise what an execution failed with.

    Of an error only the node's class and the exception's are named: all else may quote the prompt.
    """
    for kind, data in _events(entry):
        if kind == "execution_interrupted":
            raise EngineFailed("the batch was interrupted in ComfyUI")
        if kind == "execution_error":
            node, error = data.get("node_type"), data.get("exception_type")
            text = str(data.get("exception_message", "")).lower()
            if "OutOfMemory" in str(error) or any(words in text for words in _OUT_OF_MEMORY):
                raise OutOfMemory(f"ComfyUI's {node} ran out of memory")
            raise EngineFailed(f"ComfyUI's {node} failed with {error}")


def _events(entry: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the messages that the history kept."""
    status = entry.get("status")
    messages = status.get("messages") if isinstance(status, dict) else None
    if not isinstance(messages, list):
        return []
    return [
        (str(each[0]), each[1])
        for each in messages
        if isinstance(each, list) and len(each) == 2 and isinstance(each[1], dict)
    ]


def _saved(listed: Any) -> SavedImage:
    values = listed if isinstance(listed, dict) else {}
    return SavedImage(
        filename=str(values.get("filename", "")),
        subfolder=str(values.get("subfolder", "")),
        type=str(values.get("type", "")),
    )


def mark_of(owner: str) -> str:
    """Return what the ids of all executions of a worker begin with.

    :param owner: what no other worker on the same ComfyUI is called.
    """
    return sha256(owner.encode()).hexdigest()[:_MARK_LENGTH]


def new_execution(mark: str) -> str:
    """Return an id that no other execution has, and that begins with a worker's mark."""
    return f"{mark}{uuid4().hex}"


def stop_orphans(client: ComfyUIClient, mark: str) -> None:
    """Take a worker's executions out of the queue, and interrupt the one that runs.

    To be called while this process has none under way: then they are those of an earlier process,
    which was killed, and behind which the next batch would have to wait.

    :raises EngineFailed: when ComfyUI does not take it.
    """
    left = [each for each in client.queued() if each.startswith(mark)]
    for execution in left:
        client.unqueue(execution)
    for execution in client.running():
        if execution in left:
            client.interrupt(execution)
    if left:
        _log.warning("stopped what an earlier process had left in ComfyUI", executions=len(left))
