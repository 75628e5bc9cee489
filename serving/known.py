"""What the endpoint knows of the clips that models are trained on: it asks the feature store under the artifact root.

A thread reads the store when the gateway has started, and looks for what is published later; no request waits for that.
"""

import asyncio
import hashlib
import re
import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.datastructures import UploadFile

from kinora.errors import KinoraError
from kinora.storage import open_store
from serving.errors import ApiError
from serving.fields import Fields
from serving.given import FIELD_OF

if TYPE_CHECKING:
    from kinora.data.features import Features

SECONDS_BETWEEN_LOOKS = 60.0
MOST_PROMPTS = 20
LONGEST_CAPTION = 200  # characters in a note
AUTHORS = {"human": "a person", "simulator": "the simulator"}


class KnownClips:
    """The known clips of an artifact root ("" for none); may be asked from many threads."""

    def __init__(self, artifact_root: str = ""):
        self._artifact_root = artifact_root
        self._features: Features | None = None
        self._reading, self._asking, self._over = threading.Event(), threading.Lock(), threading.Event()

    def start(self) -> None:
        """Begin to read the store."""
        if self._artifact_root:
            threading.Thread(target=self._keep, name="known clips", daemon=True).start()

    def stop(self) -> None:
        """Look for nothing more."""
        self._over.set()

    def clip(self, clip_id: str) -> dict[str, Any] | None:
        """Return what is known of a clip now, None where it is unknown or nothing is published.

        Raises:
            ApiError: while the store is being read, or where it does not answer.
        """
        features = self._read()
        if features is None or not re.fullmatch(r"[0-9a-f]{64}", clip_id):
            return None
        try:
            with self._asking:
                return features.online([clip_id])[0]
        except KinoraError as error:
            raise ApiError(503, str(error), "known_clips_failed", headers={"Retry-After": "10"}) from error

    def prompts(self, near: str, limit: int) -> list[dict[str, Any]]:
        """Return the training captions nearest to a text, nearest first; none where nothing is published.

        Raises:
            ApiError: while the store is being read, or where it is damaged.
        """
        features = self._read()
        try:
            found = [] if features is None else features.nearest_prompts(near, limit)
        except KinoraError as error:
            raise ApiError(503, str(error), "known_clips_failed") from error
        return [
            {"object": "prompt", "prompt": known.prompt, "source": known.source, "clips": known.clips}
            | {"score": round(known.score, 4)}
            for known in found
        ]

    async def notes(self, fields: Fields) -> list[str]:
        """Say of each uploaded medium that is a known clip which one it is, as far as the store is read."""
        uploads = {name: value for name in FIELD_OF.values() if isinstance(value := fields.get(name), UploadFile)}
        if self._features is None or not uploads:
            return []
        contents = {}
        for name, upload in uploads.items():
            await upload.seek(0)
            contents[name] = await upload.read()
        return await asyncio.to_thread(self._notes, contents)

    def _notes(self, contents: Mapping[str, bytes]) -> list[str]:
        notes = []
        for name, content in contents.items():
            clip_id = hashlib.sha256(content).hexdigest()
            try:
                clip = self.clip(clip_id)
            except ApiError as error:  # a note is no reason to refuse what can be made
                print(f"gateway: {error.message}", file=sys.stderr)
                continue
            if clip is not None:
                notes.append(_note(name, clip_id, clip))
        return notes

    def _read(self) -> "Features | None":
        if self._features is None and self._reading.is_set():
            message = "the known clips are being read; ask again in a few seconds."
            raise ApiError(503, message, "not_ready", headers={"Retry-After": "5"})
        return self._features

    def _keep(self) -> None:
        """Read the store once there is one, and then what is published later, until told to stop."""
        said, wait = "", 0.0
        while not self._over.wait(wait):
            wait = SECONDS_BETWEEN_LOOKS
            try:
                self._look()
            except Exception as error:  # whatever it is, what is known stays so, and the next look may succeed
                failed = str(error) if isinstance(error, KinoraError) else f"{type(error).__name__}: {error}"
                if failed != said:
                    print(f"gateway: the known clips cannot be read: {failed}", file=sys.stderr, flush=True)
                said = failed
                self._reading.clear()

    def _look(self) -> None:
        if self._features is None and not open_store(self._artifact_root).list("features/clips"):
            return
        if self._features is None:
            self._reading.set()
        from kinora.data.features import Features  # takes seconds, with Feast

        Features.open(self._artifact_root).refresh()
        if self._features is None:
            features = Features.open(self._artifact_root)
            features.online(["0" * 64])  # the first question is the slow one
            self._features = features


def clip_object(clip_id: str, clip: Mapping[str, Any]) -> dict[str, Any]:
    """Return a known clip as the API says it."""
    named = ("caption", "short_caption", "caption_source", "split", "kind", "frames", "fps")
    size = f"{clip['width']}x{clip['height']}"
    told = {"id": clip_id, "object": "clip", "size": size, "observed_at": int(clip["observed_at"].timestamp())}
    return told | {name: clip[name] for name in named}


def _note(field: str, clip_id: str, clip: Mapping[str, Any]) -> str:
    what = f"The {field.replace('_', ' ')} is the {clip['split']} clip {clip_id[:12]}"
    caption = " ".join(clip["caption"].split())
    if not caption:
        return f"{what}, which has no caption."
    short = caption if len(caption) <= LONGEST_CAPTION else f"{caption[:LONGEST_CAPTION]}…"
    return f"{what}, of which {AUTHORS.get(clip['caption_source'], 'a captioner')} says: {short}"
