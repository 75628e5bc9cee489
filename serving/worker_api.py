"""The routes that workers use, guarded by a token: claim a job, renew its lease, upload what was made."""

import asyncio
import hmac
import time
from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import FileResponse, JSONResponse

from serving.api import Endpoint
from serving.errors import ApiError
from serving.fields import read_body, read_fields
from serving.jobs import QUEUED, Job, JobRequest, LeaseLost
from serving.media_store import IMAGE, PREVIEW, VIDEO

T = TypeVar("T")
SECONDS_TO_HOLD_A_CLAIM = 2.0  # a worker that finds nothing waits here, so that a new job is taken at once
SECONDS_BETWEEN_POLLS = 0.1
MOST_CLIP_BYTES = 512 * 2**20
MOST_PREVIEW_BYTES = 2**18
# What the worker that claimed a job is told of it.
CLAIMED_FIELDS = ("id", "lease", *(field.name for field in fields(JobRequest)))


def worker_routes(endpoint: Endpoint, token: str) -> APIRouter:
    """Return the routes below /internal."""

    def guarded(request: Request) -> None:
        sent = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(sent, f"Bearer {token}".encode()):
            raise ApiError(401, "the worker's token is wrong; give both the same KINORA_WORKER_TOKEN.", "bad_token")

    router = APIRouter(prefix="/internal", dependencies=[Depends(guarded)])
    jobs, media = endpoint.jobs, endpoint.media

    async def upload(name: str, suffix: str, request: Request, last: bool) -> Response:
        media.put(name, suffix, await read_body(request, MOST_CLIP_BYTES))
        try:
            jobs.finish(name, _lease(request)) if last else jobs.held(name, _lease(request))
        except LeaseLost as error:
            if jobs.get(name) is None:  # deleted meanwhile, and nothing would ever remove what was just written
                media.delete(name)
            raise _lost() from error
        if last:
            media.remove(name, PREVIEW)
        return Response(status_code=204)

    @router.post("/claim")
    async def claim(request: Request) -> Response:
        body = await read_fields(request)
        worker, version, facts = (
            _field(body, "worker", str),
            _field(body, "version", str),
            _field(body, "facts", dict),
        )
        job, end = jobs.claim(worker, version, facts), time.monotonic() + SECONDS_TO_HOLD_A_CLAIM
        while job is None and time.monotonic() < end:
            await asyncio.sleep(SECONDS_BETWEEN_POLLS)
            # A claim writes, counting does not. And a worker that went away must not get a job.
            if jobs.counts()[QUEUED] and not await request.is_disconnected():
                job = jobs.claim(worker, version, facts)
        return Response(status_code=204) if job is None else _claimed(job)

    @router.get("/jobs/{name}/given/{what}")
    def given(name: str, what: str, request: Request) -> Response:
        if what not in _held(endpoint, name, request).media:
            raise ApiError(404, f"the job has no '{what[:20]}'.", "not_found")
        return FileResponse(media.given(name, what))

    @router.post("/jobs/{name}/renew")
    async def renew(name: str, request: Request) -> Response:
        body = await read_fields(request)
        progress, worker = _field(body, "progress", int), _field(body, "worker", str)
        expanded = _field(body, "sampled", str) if body.get("sampled") else None
        return _if_held(lambda: jobs.renew(name, _lease(request), progress, worker, expanded))

    @router.put("/jobs/{name}/preview")
    async def preview(name: str, request: Request) -> Response:
        _held(endpoint, name, request)
        media.put(name, PREVIEW, await read_body(request, MOST_PREVIEW_BYTES))
        try:
            jobs.preview(name, _lease(request))
        except LeaseLost as error:
            media.remove(name, PREVIEW)
            raise _lost() from error
        return Response(status_code=204)

    @router.put("/jobs/{name}/image")
    async def image(name: str, request: Request) -> Response:
        job = _held(endpoint, name, request)
        return await upload(name, IMAGE, request, last=job.kind == "image")

    @router.put("/jobs/{name}/video")
    async def video(name: str, request: Request) -> Response:
        _held(endpoint, name, request)
        return await upload(name, VIDEO, request, last=True)

    @router.post("/jobs/{name}/fail")
    async def fail(name: str, request: Request) -> Response:
        body = await read_fields(request)
        code, message = _field(body, "code", str), _field(body, "message", str)
        media.remove(_held(endpoint, name, request).id, PREVIEW)
        return _if_held(lambda: jobs.fail(name, _lease(request), code, message))

    @router.post("/jobs/{name}/release")
    def release(name: str, request: Request) -> Response:
        return _if_held(lambda: jobs.release(name, _lease(request)))

    return router


def _field(body: dict[str, Any], name: str, kind: type[T]) -> T:
    value = body.get(name)
    if not isinstance(value, kind):
        message = f"'{name}' is missing or wrong; run the worker and the gateway of one version of Kinora."
        raise ApiError(400, message, "invalid_value", name)
    return value


def _claimed(job: Job) -> Response:
    return JSONResponse({name: getattr(job, name) for name in CLAIMED_FIELDS})


def _lease(request: Request) -> str:
    return request.headers.get("x-kinora-lease", "")


def _held(endpoint: Endpoint, name: str, request: Request) -> Job:
    try:
        return endpoint.jobs.held(name, _lease(request))
    except LeaseLost as error:
        raise _lost() from error


def _if_held(action: Callable[[], None]) -> Response:
    try:
        action()
    except LeaseLost as error:
        raise _lost() from error
    return Response(status_code=204)


def _lost() -> ApiError:
    return ApiError(409, "the job is no longer this worker's; leave it.", "lease_lost")
