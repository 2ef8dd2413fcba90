"""A server that speaks ComfyUI's API and can be told to fail in ways that the real one seldom does.

The real ComfyUI is tested in ``tests/comfyui``.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from starlette.background import BackgroundTask

from tests.unit.workers.comfyui.comfyui_batches import installed
from tests.waiting import wait_until

Says = tuple[str, dict[str, Any]]

STATS = {
    "system": {"comfyui_version": "0.3.75", "pytorch_version": "2.13.0+cu130"},
    "devices": [{"name": "cuda:0 NVIDIA H100 80GB HBM3 : cudaMallocAsync", "type": "cuda"}],
}


def colour(index: int) -> tuple[int, int, int]:
    """The colour of an execution's image by its place among the files."""
    return (10 * index, 100, 200 - 10 * index)


@dataclass
class ComfyUIDouble:
    """What it shall do, and what was done to it."""

    nodes: dict[str, Any] = field(default_factory=lambda: dict(installed().nodes))
    refusal: tuple[int, dict[str, Any]] | None = None
    """Status and body with which graphs are rejected."""
    holds: bool = False
    """Whether executions stay as they are after their progress, until they are interrupted."""
    waits: bool = False
    """Whether executions stay in the queue and never start."""
    hangs_up: bool = False
    """Whether the connection is closed after the progress."""
    forgets: bool = False
    """Whether it knows nothing of an execution after its progress, as after a restart."""
    silent: bool = False
    """Whether no message is sent at all."""
    ends_with: Says | None = None
    """The failure that executions end in."""
    file_names: Callable[[list[dict[str, str]]], list[dict[str, str]]] = list
    """What becomes of the list of the files of an execution."""
    unavailable: bool = False
    graphs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The graphs that were submitted, by their executions."""
    uploads: dict[str, bytes] = field(default_factory=dict)
    forgotten: list[str] = field(default_factory=list)
    interrupted: list[str] = field(default_factory=list)
    unqueued: list[str] = field(default_factory=list)
    looks: int = 0
    """How often all nodes were asked for."""
    running: list[str] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)
    history: dict[str, dict[str, Any]] = field(default_factory=dict)
    sockets: dict[str, WebSocket] = field(default_factory=dict)
    url: str = ""

    @property
    def graph(self) -> dict[str, Any]:
        """The only graph that was submitted."""
        (graph,) = self.graphs.values()
        return graph

    async def execute(self, prompt_id: str, client_id: str, graph: dict[str, Any]) -> None:
        """Do with a graph what shall be done."""
        self.graphs[prompt_id] = graph
        if self.waits:
            self.pending.append(prompt_id)
            return
        self.running.append(prompt_id)
        says: list[Says] = [("status", {}), ("execution_start", {"prompt_id": prompt_id})]
        says += [
            ("progress", {"value": step, "max": inputs["steps"], "node": node})
            for node, inputs in _of_kind(graph, "KSampler")
            for step in range(1, inputs["steps"] + 1)
        ]
        for kind, data in says:
            await self._say(client_id, kind, data | {"prompt_id": prompt_id})
            # Another client's execution goes on at the same time.
            await self._say(client_id, kind, data | {"prompt_id": "another"})
        if self.hangs_up:
            await self.sockets[client_id].close()
        if self.forgets:
            self.running.remove(prompt_id)
        elif not self.holds and not self.hangs_up:
            await self.end(prompt_id, client_id, self.ends_with)

    async def end(self, prompt_id: str, client_id: str, failure: Says | None) -> None:
        """Finish an execution."""
        outputs = {
            node: {"images": self.file_names(_files(self.graphs[prompt_id], inputs))}
            for node, inputs in _of_kind(self.graphs.get(prompt_id, {}), "SaveImage")
        }
        messages = [["execution_start", {"prompt_id": prompt_id}]]
        if failure is not None:
            await self._say(client_id, failure[0], failure[1] | {"prompt_id": prompt_id})
            messages.append([failure[0], failure[1]])
        self.running.remove(prompt_id)
        self.history[prompt_id] = {
            "outputs": {} if failure else outputs,
            "status": {"messages": messages},
        }
        await self._say(client_id, "executing", {"node": None, "prompt_id": prompt_id})

    async def _say(self, client_id: str, kind: str, data: dict[str, Any]) -> None:
        if not self.silent and client_id in self.sockets:
            await self.sockets[client_id].send_bytes(b"a preview")
            await self.sockets[client_id].send_json({"type": kind, "data": data})


def _of_kind(graph: dict[str, Any], kind: str) -> list[tuple[str, dict[str, Any]]]:
    return [(key, node["inputs"]) for key, node in graph.items() if node["class_type"] == kind]


def _files(graph: dict[str, Any], inputs: dict[str, Any]) -> list[dict[str, str]]:
    taken = _of_kind(graph, "LatentFromBatch")
    empty = _of_kind(graph, "EmptyLatentImage")
    count = len(taken) or (empty[0][1]["batch_size"] if empty else 1)
    folder, _, name = inputs["filename_prefix"].rpartition("/")
    return [
        {"filename": f"{name}_{index + 1:05}_.png", "subfolder": folder, "type": "output"}
        for index in range(count)
    ]


def _app(double: ComfyUIDouble) -> FastAPI:
    app = FastAPI()

    @app.middleware("http")
    async def refuse(request: Request, call_next: Any) -> Any:
        return Response(status_code=502) if double.unavailable else await call_next(request)

    @app.websocket("/ws")
    async def listen(socket: WebSocket) -> None:
        await socket.accept()
        double.sockets[socket.query_params["clientId"]] = socket
        try:
            while True:
                await socket.receive()
        except (WebSocketDisconnect, RuntimeError):
            pass

    @app.post("/prompt")
    async def submit(request: Request) -> Any:
        body = await request.json()
        if double.refusal is not None:
            status, answer = double.refusal
            return _json(answer, status)
        # What is said is said after the answer, as by the real one.
        response = _json({"prompt_id": body["prompt_id"]})
        response.background = BackgroundTask(
            double.execute, body["prompt_id"], body["client_id"], body["prompt"]
        )
        return response

    @app.get("/history/{prompt_id}")
    async def history(prompt_id: str) -> Any:
        entry = double.history.get(prompt_id)
        return {} if entry is None else {prompt_id: entry}

    @app.post("/history")
    async def forget(request: Request) -> None:
        double.forgotten += (await request.json())["delete"]

    @app.get("/queue")
    async def queue() -> Any:
        return {
            "queue_running": [[0, each, {}, {}, []] for each in double.running],
            "queue_pending": [[0, each, {}, {}, []] for each in double.pending],
        }

    @app.post("/queue")
    async def unqueue(request: Request) -> None:
        for each in (await request.json())["delete"]:
            if each in double.pending:
                double.pending.remove(each)
                double.unqueued.append(each)

    @app.post("/interrupt")
    async def interrupt(request: Request) -> None:
        prompt_id = (await request.json())["prompt_id"]
        double.interrupted.append(prompt_id)
        await double.end(prompt_id, prompt_id, ("execution_interrupted", {}))

    @app.get("/view")
    async def view(filename: str, subfolder: str, type: str) -> Response:
        index = int(filename.removesuffix("_.png").rpartition("_")[2]) - 1
        file, text = io.BytesIO(), PngInfo()
        text.add_text("prompt", "what was asked for")
        Image.new("RGB", (8, 8), colour(index)).save(file, "PNG", pnginfo=text)
        return Response(file.getvalue(), media_type="image/png")

    @app.post("/upload/image")
    async def upload(request: Request) -> Any:
        file = await request.body()
        name = file.partition(b'filename="')[2].partition(b'"')[0].decode()
        double.uploads[name] = file
        return {"name": name, "subfolder": "", "type": "temp"}

    @app.get("/object_info")
    async def object_info() -> Any:
        double.looks += 1
        return double.nodes

    @app.get("/embeddings")
    async def embeddings() -> Any:
        return ["glow"]

    @app.get("/system_stats")
    async def stats() -> Any:
        return STATS

    return app


def _json(body: dict[str, Any], status: int = 200) -> Response:
    return JSONResponse(body, status)


@contextmanager
def comfyui(double: ComfyUIDouble, port: int = 0) -> Iterator[ComfyUIDouble]:
    """Serve it on a port of this machine."""
    config = uvicorn.Config(
        _app(double), host="127.0.0.1", port=port, log_config=None, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started, "the server")
        double.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        yield double
    finally:
        server.should_exit = True
        thread.join()
