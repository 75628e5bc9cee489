"""The routes that workers use, guarded by a token: claim a job, renew its lease, bring what was made."""

import asyncio
import hmac
import time
from collections.abc import Callable

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import FileResponse, JSONResponse

from serving.api import Endpoint
from serving.asking import read_body, read_fields
from serving.errors import ApiError
from serving.jobs import Job, LeaseLost
from serving.media_store import GIVEN, STILL, VIDEO

SECONDS_TO_HOLD_A_CLAIM = 2.0  # a worker that finds nothing waits here, so that a new job is taken at once
SECONDS_BETWEEN_LOOKS = 0.1
MOST_CLIP_BYTES = 256 * 2**20
TOLD = ("id", "kind", "prompt", "width", "height", "frames", "fps", "seed", "image", "lease")


def internal_routes(endpoint: Endpoint, token: str) -> APIRouter:
    """Return the routes below /internal."""

    def guarded(request: Request) -> None:
        given = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, f"Bearer {token}".encode()):
            raise ApiError(401, "the worker's token is wrong; give both the same KINORA_WORKER_TOKEN.", "bad_token")

    router = APIRouter(prefix="/internal", dependencies=[Depends(guarded)])
    jobs, media = endpoint.jobs, endpoint.media

    @router.post("/claim")
    async def claim(request: Request) -> Response:
        asked = await read_fields(request)
        worker, version, facts = str(asked["worker"]), str(asked["version"]), dict(asked["facts"])
        end = time.monotonic() + SECONDS_TO_HOLD_A_CLAIM
        while not await request.is_disconnected():
            job = jobs.claim(worker, version, facts)
            if job is not None:
                return _told(job)
            if time.monotonic() >= end:
                break
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
        return Response(status_code=204)

    @router.get("/jobs/{name}/image")
    def given_image(name: str, request: Request) -> Response:
        _held(endpoint, name, request)
        return FileResponse(media.path(name, GIVEN), media_type="image/png")

    @router.post("/jobs/{name}/renew")
    async def renew(name: str, request: Request) -> Response:
        asked = await read_fields(request)
        return _if_held(lambda: jobs.renew(name, _lease(request), int(asked["progress"]), str(asked["worker"])))

    @router.put("/jobs/{name}/still")
    async def still(name: str, request: Request) -> Response:
        job = _held(endpoint, name, request)
        media.put(name, STILL, await read_body(request, MOST_CLIP_BYTES))
        return (
            _if_held(lambda: jobs.finish(name, _lease(request))) if job.kind == "image" else Response(status_code=204)
        )

    @router.put("/jobs/{name}/video")
    async def video(name: str, request: Request) -> Response:
        _held(endpoint, name, request)
        media.put(name, VIDEO, await read_body(request, MOST_CLIP_BYTES))
        return _if_held(lambda: jobs.finish(name, _lease(request)))

    @router.post("/jobs/{name}/fail")
    async def fail(name: str, request: Request) -> Response:
        asked = await read_fields(request)
        return _if_held(lambda: jobs.fail(name, _lease(request), str(asked["code"]), str(asked["message"])))

    @router.post("/jobs/{name}/give-back")
    def give_back(name: str, request: Request) -> Response:
        return _if_held(lambda: jobs.give_back(name, _lease(request)))

    return router


def _told(job: Job) -> Response:
    return JSONResponse({name: getattr(job, name) for name in TOLD})


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
