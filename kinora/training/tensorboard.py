"""The log and the samples of a training as TensorBoard's events: `tensorboard --logdir <folder of the state>`.

The events are written by this thread, not by TensorBoard's own writer, whose thread fails out of sight.
"""

import errno
import io
import os
import socket
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from PIL import Image

from kinora.report import Clip

FOLDER = "tensorboard"


class TensorBoard:
    """Events of one run from the step `start` on, in a file of its own; nothing where the package is not installed.

    TensorBoard drops events of later steps in earlier files, so that a resumed training has one curve.
    """

    def __init__(self, run: Path, start: int):
        name = f"events.out.tfevents.{time.time_ns() / 1e9:.6f}.{socket.gethostname()}.{os.getpid()}"
        self.file, self.start = run / FOLDER / name, start
        self.installed = find_spec("tensorboard") is not None

    def scalars(self, row: dict[str, Any]) -> None:
        """Write every figure of a row of the log."""
        self._append(row["step"], [{"tag": n, "simple_value": float(v)} for n, v in row.items() if n != "step"])

    def clips(self, step: int, clips: Sequence[Clip]) -> None:
        """Write clips as images, those of several frames animated."""
        self._append(
            step, [{"tag": f"sample {n}: {clip.label}", "image": _image(clip)} for n, clip in enumerate(clips)]
        )

    def _append(self, step: int, values: list[dict[str, Any]]) -> None:
        if not self.installed or not values:
            return
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter

        events = [Event(wall_time=time.time(), step=step, summary=Summary(value=values))]
        if not self.file.exists():
            self.file.parent.mkdir(parents=True, exist_ok=True)
            session = SessionLog(status=SessionLog.START)
            events = [
                Event(wall_time=time.time(), file_version="brain.Event:2"),
                Event(wall_time=time.time(), step=self.start + 1, session_log=session),
                *events,
            ]
        records = io.BytesIO()
        for event in events:
            RecordWriter(records).write(event.SerializeToString())
        with open(self.file, "ab", buffering=0) as file:
            whole = file.tell()
            if file.write(records.getvalue()) < len(records.getvalue()):
                file.truncate(whole)  # a record that was cut would hide all that follow
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _image(clip: Clip) -> dict[str, Any]:
    frames = [Image.fromarray(frame) for frame in clip.frames]
    content = io.BytesIO()
    animation = {"save_all": True, "append_images": frames[1:], "duration": round(1000 / clip.fps), "loop": 0}
    frames[0].save(content, "GIF" if len(frames) > 1 else "PNG", **(animation if len(frames) > 1 else {}))
    height, width = clip.frames.shape[1:3]
    return {"height": height, "width": width, "colorspace": 3, "encoded_image_string": content.getvalue()}
