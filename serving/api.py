"""The public API under /v1, in the shape of OpenAI's Videos and Images."""

import asyncio
import base64
import hashlib
import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, JSONResponse

from kinora.generation.request import Task
from serving.errors import ApiError
from serving.fields import read_fields, whole_number
from serving.jobs import COMPLETED, FAILED, IN_PROGRESS, QUEUED, Job, JobStore, KeyReused, QueueFull
from serving.known import MOST_PROMPTS, KnownClips, clip_object
from serving.media_store import IMAGE, PREVIEW, VIDEO, MediaStore
from serving.model_store import MODEL
from serving.request_log import RequestLog
from serving.requests import CheckedRequest, Limits, checked_request, unknown_words_of

POLL_AFTER_MS = 500
MOST_IMAGES = 4
SECONDS_FOR_IMAGES = 300.0
SECONDS_BETWEEN_POLLS = 0.1
FINISHED_KEPT = 1000
VARIANTS = ("video", "thumbnail", "spritesheet", "preview")


@dataclass(frozen=True)
class Endpoint:
    """What the routes share."""

    jobs: JobStore
    media: MediaStore
    limits: Limits
    known: KnownClips = field(default_factory=KnownClips)
    log: RequestLog = field(default_factory=lambda: RequestLog(""))  # keeps nothing until it is started


def public_routes(endpoint: Endpoint) -> APIRouter:
    """Return the routes below /v1."""
    router = APIRouter(prefix="/v1")
    jobs, media = endpoint.jobs, endpoint.media

    async def create(request: Request, task: Task | None) -> Response:
        fields = await read_fields(request)
        checked = await _checked(endpoint, fields, "video", task)
        return _video_response(endpoint, _create(endpoint, request, fields, checked))

    @router.post("/videos")
    async def create_video(request: Request) -> Response:
        return await create(request, None)

    @router.post("/videos/extensions")
    async def extend_video(request: Request) -> Response:
        return await create(request, Task.EXTEND)

    @router.post("/videos/edits")
    async def edit_video(request: Request) -> Response:
        return await create(request, Task.EDIT)

    @router.post("/videos/characters")
    @router.post("/videos/{name}/remix")
    def not_here(request: Request) -> Response:
        message = f"{request.url.path} is not served; POST /v1/videos/edits changes a video by a prompt."
        raise ApiError(400, message, "not_available")

    @router.get("/videos")
    def list_videos(after: str | None = None, limit: str = "20", order: str = "desc") -> dict[str, Any]:
        if order not in ("asc", "desc"):
            raise ApiError(400, f"there is no order '{order[:20]}'; give asc or desc.", "invalid_value", "order")
        count = whole_number(limit, 1, 100)
        if count is None:
            raise ApiError(
                400, f"the limit '{limit[:20]}' is not from 1 to 100; give such a one.", "invalid_value", "limit"
            )
        try:
            found, more = jobs.listed(after, count, order == "asc")
        except KeyError as error:
            raise ApiError(
                400, f"there is no video '{(after or '')[:80]}' to go on after.", "not_found", "after"
            ) from error
        data = [video_object(endpoint, job) for job in found]
        ids = {"first_id": found[0].id if found else None, "last_id": found[-1].id if found else None}
        return {"object": "list", "data": data, "has_more": more} | ids

    @router.get("/videos/{name}")
    def retrieve_video(name: str) -> Response:
        return _video_response(endpoint, _found(endpoint, name))

    @router.delete("/videos/{name}")
    def delete_video(name: str) -> dict[str, Any]:
        _found(endpoint, name)
        jobs.delete(name)
        media.delete(name)
        return {"id": name, "object": "video.deleted", "deleted": True}

    @router.get("/videos/{name}/content")
    def download(name: str, variant: str = "video") -> Response:
        job = _found(endpoint, name)
        if variant not in VARIANTS:
            message = f"there is no variant '{variant[:20]}'; give one of {', '.join(VARIANTS)}."
            raise ApiError(400, message, "invalid_value", "variant")
        if variant == "preview":
            path = media.path(name, PREVIEW)
            if not path.is_file():
                raise ApiError(404, f"there is no preview of {name}; it has one while it is made.", "not_found")
            return FileResponse(path, media_type="image/webp", headers={"Cache-Control": "no-store"})
        if job.status == FAILED:
            raise ApiError(404, f"the video {name} was not made: {job.error}", "not_made")
        if job.status != COMPLETED:
            # Not 409, which the client would retry at once.
            raise ApiError(400, f"the video {name} is not ready; ask again when its status is completed.", "not_ready")
        if variant == "thumbnail":
            return FileResponse(media.path(name, IMAGE), media_type="image/png")
        if variant == "spritesheet":
            return FileResponse(media.spritesheet(name), media_type="image/png")
        return FileResponse(media.path(name, VIDEO), media_type="video/mp4", filename=f"{name}.mp4")

    @router.post("/images/generations")
    async def generate_images(request: Request) -> dict[str, Any]:
        fields = await read_fields(request)
        made = await _images(endpoint, request, fields)
        return {
            "created": int(made[0].completed or time.time()),
            "data": [{"b64_json": base64.b64encode(media.path(job.id, IMAGE).read_bytes()).decode()} for job in made],
            "output_format": "png",
            "size": f"{made[0].width}x{made[0].height}",
        }

    @router.get("/models")
    def list_models() -> dict[str, Any]:
        return {"object": "list", "data": [model_object(endpoint)]}

    @router.get("/models/{name}")
    def retrieve_model(name: str) -> dict[str, Any]:
        if name != MODEL:
            message = f"there is no model '{name[:60]}'; ask for '{MODEL}'."
            raise ApiError(404, message, "model_not_found", "model")
        return model_object(endpoint)

    @router.get("/clips/{clip_id}")
    def retrieve_clip(clip_id: str) -> dict[str, Any]:
        clip = endpoint.known.clip(clip_id)
        if clip is None:
            message = f"no clip '{clip_id[:80]}' is known; give the sha256 of a published clip's file."
            raise ApiError(404, message, "not_found", "clip_id")
        return clip_object(clip_id, clip)

    @router.get("/prompts")
    def list_prompts(near: str = "", limit: str = "5") -> dict[str, Any]:
        count = whole_number(limit, 1, MOST_PROMPTS)
        if count is None:
            message = f"the limit '{limit[:20]}' is not from 1 to {MOST_PROMPTS}; give such a one."
            raise ApiError(400, message, "invalid_value", "limit")
        if not near.strip():
            raise ApiError(400, "near is empty; give the text that known prompts are to be near to.", "missing", "near")
        return {"object": "list", "data": endpoint.known.prompts(near, count)}

    @router.api_route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)
    def nothing(request: Request, path: str) -> Response:
        raise ApiError(
            404, f"there is no {request.method} /v1/{path[:80]}; see docs/reference/endpoint.md.", "not_found"
        )

    return router


def video_object(endpoint: Endpoint, job: Job) -> dict[str, Any]:
    """Return a job as the API's video object, with what that does not know beside: the task and its options, frames,
    fps, seed, model_version, what the prompt was sampled as, notes on what was chosen, and the number of previews."""
    error = {"code": job.error_code, "message": job.error} if job.status == FAILED else None
    _, facts = endpoint.jobs.workers()
    return {
        "id": job.id,
        "object": "video",
        "model": MODEL,
        "status": job.status,
        "progress": job.progress,
        "created_at": int(job.created),
        "completed_at": int(job.completed) if job.completed else None,
        "expires_at": None,
        "prompt": job.prompt,
        "sampled": job.sampled,
        "task": job.task,
        **job.options,
        "notes": job.notes,
        "size": f"{job.width}x{job.height}",
        "seconds": f"{job.frames / job.fps:g}",
        "remixed_from_video_id": None,
        "error": error,
        "frames": job.frames,
        "fps": job.fps,
        "seed": job.seed,
        "model_version": job.model_version,
        "jobs_ahead": endpoint.jobs.ahead(job.id) if job.status == QUEUED else 0,
        "previews": job.previews if job.status == IN_PROGRESS else 0,
        "unknown_words": unknown_words_of(job.prompt, job.options.get("expand", True), facts),
    }


def model_object(endpoint: Endpoint) -> dict[str, Any]:
    """Return the deployed model, with what its version says of itself."""
    alive, facts = endpoint.jobs.workers()
    known = {name: value for name, value in (facts or {}).items() if name != "vocabulary"}
    return {"id": MODEL, "object": "model", "created": 0, "owned_by": "kinora", "workers": alive} | known


async def _checked(endpoint: Endpoint, fields: dict[str, Any], kind: str, task: Task | None = None) -> CheckedRequest:
    _, facts = endpoint.jobs.workers()
    checked = await checked_request(
        fields, kind, facts or {}, endpoint.limits, lambda name, param: _made(endpoint, name, param), task
    )
    version = checked.job.requested_version
    if version and not endpoint.jobs.serves(version):
        message = f"the model version {version} is not deployed; ask for '{MODEL}'."
        raise ApiError(404, message, "model_not_found", "model")
    notes = await endpoint.known.notes(fields)
    return replace(checked, job=replace(checked.job, notes=(*checked.job.notes, *notes))) if notes else checked


def _made(endpoint: Endpoint, name: str, param: str) -> Path:
    """Return the file of a finished video."""
    job = endpoint.jobs.get(name)
    if job is None or job.kind != "video":
        raise ApiError(
            404, f"there is no video '{name[:80]}'; send one, or the id of one made here.", "not_found", param
        )
    if job.status != COMPLETED:
        raise ApiError(400, f"the video {name} is {job.status}; name one that is completed.", "not_ready", param)
    return endpoint.media.path(name, VIDEO)


def _create(endpoint: Endpoint, request: Request, fields: dict[str, Any], checked: CheckedRequest, nth: int = 0) -> Job:
    """Put a job into the queue, or return the one that an earlier try of the same request made."""
    key = request.headers.get("idempotency-key")
    retried = request.headers.get("x-stainless-retry-count", "0")

    def keep_media(name: str) -> None:
        for what, frames in checked.media.items():
            endpoint.media.put_given(name, what, frames, checked.job.fps)

    try:
        job, new = endpoint.jobs.create(
            checked.job,
            _fingerprint(request, fields, checked, nth),
            endpoint.limits.queued,
            f"{key[:200]}/{nth}" if key else None,
            retried.isdecimal() and int(retried[:9]) > 0,
            keep_media,
        )
    except QueueFull as error:
        message = f"{endpoint.limits.queued} requests are waiting already; ask again in a while."
        raise ApiError(429, message, "queue_full", headers={"Retry-After": "10"}) from error
    except KeyReused as error:
        message = "this idempotency key came with another request before; use a new one."
        raise ApiError(400, message, "idempotency_key_reused") from error
    if new:
        endpoint.log.add(checked.job)
        for old in endpoint.jobs.oldest_finished(FINISHED_KEPT):
            endpoint.jobs.delete(old)
            endpoint.media.delete(old)
    return job


def _fingerprint(request: Request, fields: dict[str, Any], checked: CheckedRequest, nth: int) -> str:
    """Return what two tries of one request have in common: what is to be made, and who asks."""
    told = {"notes"} | ({"seed"} if fields.get("seed") in (None, "") else set())  # by us, and not by the client
    same = {name: value for name, value in vars(checked.job).items() if name not in told}
    who = [request.client.host if request.client else "", request.headers.get("authorization", ""), nth]
    total = hashlib.sha256(json.dumps([same, who], sort_keys=True).encode())
    for frames in checked.media.values():
        total.update(frames.tobytes())
    return total.hexdigest()


async def _images(endpoint: Endpoint, request: Request, fields: dict[str, Any]) -> list[Job]:
    """Make the images of a request, and wait until they are there."""
    number = fields.get("n")
    count = 1 if number in (None, "") else whole_number(number, 1, MOST_IMAGES)
    if count is None:
        raise ApiError(400, f"n is '{str(number)[:20]}'; give 1 to {MOST_IMAGES}.", "invalid_value", "n")
    if fields.get("stream"):
        raise ApiError(400, "images are not streamed; leave stream out.", "invalid_value", "stream")
    if fields.get("output_format") not in (None, "png"):
        raise ApiError(400, "images come as PNG files; leave output_format out.", "invalid_value", "output_format")
    checked = await _checked(endpoint, fields, "image")
    seeds = [(checked.job.seed + nth) % 2**31 for nth in range(count)]
    each = [replace(checked, job=replace(checked.job, seed=seed)) for seed in seeds]
    jobs = [_create(endpoint, request, fields, one, nth) for nth, one in enumerate(each)]
    names = [job.id for job in jobs]
    end = time.monotonic() + SECONDS_FOR_IMAGES
    while time.monotonic() < end:
        # Not as seen by the client: when its connection is lost, its next try must find the same jobs.
        found = [_known(endpoint, name, seen=False) for name in names]
        failed = next((job for job in found if job.status == FAILED), None)
        if failed is not None:
            raise ApiError(500, f"{failed.error}", failed.error_code or "failed", headers={"x-should-retry": "false"})
        if all(job.status == COMPLETED for job in found):
            return found
        await asyncio.sleep(SECONDS_BETWEEN_POLLS)
    for name in names:
        endpoint.jobs.delete(name)
    message = f"the images were not ready within {SECONDS_FOR_IMAGES:.0f} seconds; ask again in a while."
    raise ApiError(503, message, "timeout", headers={"Retry-After": "30"})


def _found(endpoint: Endpoint, name: str) -> Job:
    return _known(endpoint, name, seen=True)


def _known(endpoint: Endpoint, name: str, seen: bool) -> Job:
    job = endpoint.jobs.get(name, seen)
    if job is None:
        raise ApiError(404, f"there is no video '{name[:80]}'.", "not_found", "video_id")
    return job


def _video_response(endpoint: Endpoint, job: Job) -> Response:
    running = job.status in (QUEUED, IN_PROGRESS)
    headers = {"openai-poll-after-ms": str(POLL_AFTER_MS)} if running else None
    return JSONResponse(video_object(endpoint, job), headers=headers)
