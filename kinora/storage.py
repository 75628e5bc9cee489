"""Where artifacts live: a URI, `file://` (or a plain path) or `s3://bucket/prefix`, behind one interface.

Any S3 server will do. Its address and keys are read from the environment when a store is opened: `KINORA_S3_ENDPOINT`
(host:port, or a whole http:// or https:// address), `KINORA_S3_SECURE` (0 for http), `AWS_ACCESS_KEY_ID`,
`AWS_SECRET_ACCESS_KEY` and, where the server insists on one, `AWS_REGION`.

What must outlive a run and its machine has one place, the artifact root: `checkpoints/` (the state of trainings),
`steps/` (finished artifacts) and `models/` (the registry of model versions).
"""

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

import minio
import urllib3

from kinora.errors import KinoraError, UsageError
from kinora.files import atomic_folder, atomic_write, file_digest, friendly_os_errors

# A folder's manifest lists its files and is stored after them: a folder without one is not there.
MANIFEST = "manifest.json"
MISSING = ("NoSuchKey", "NoSuchObject")  # how servers say that there is no such file
TRANSFERS = 8  # files on their way at the same time
CONNECT_SECONDS, READ_SECONDS, RETRIES = 5.0, 60.0, 2
PIECE = 1 << 20  # bytes of a file that are in memory at a time on its way


# Names the artifact root; a command's own option comes first.
ARTIFACT_ROOT = "KINORA_ARTIFACT_ROOT"
WORK = Path("work")
T = TypeVar("T")
R = TypeVar("R")


def artifact_root(named: str = "", work: Path = WORK) -> str:
    """Return the artifact root: the one `named`, else `artifacts` in a work folder of one's own, else the environment's
    KINORA_ARTIFACT_ROOT, else work/artifacts."""
    own = "" if work != WORK else os.environ.get(ARTIFACT_ROOT, "")
    return named or own or str(work.absolute() / "artifacts")


class Store(Protocol):
    """Files and folders under keys, which are relative paths with `/`."""

    def put_file(self, local: str | Path, key: str) -> str:
        """Store a file, replacing what is there; return its URI."""

    def get_file(self, key: str, local: str | Path) -> Path:
        """Fetch a file, whole or not at all."""

    def get_ranges(self, ranges: Sequence[tuple[str, int, int]]) -> list[bytes]:
        """Return parts of files: of each key, from an offset, so many bytes (fewer where the file ends before)."""

    def put_folder(self, local: str | Path, key: str) -> str:
        """Store a folder, whole or absent, replacing what is there; return its URI."""

    def get_folder(self, key: str, local: str | Path) -> Path:
        """Fetch a folder that `put_folder` stored and verify every file against its manifest."""

    def exists(self, key: str) -> bool:
        """Say whether there is a file, or a whole folder, under `key`."""

    def list(self, prefix: str = "") -> list[str]:
        """Return the keys of all files below the folder `prefix`, sorted."""

    def walk(self, prefix: str = "") -> Iterator[tuple[str, int, str]]:
        """Yield what `list` returns one by one, in no set order: key, size in bytes, and a tag of the contents.

        The tag changes when the file does. However many files there are, few are in memory at a time.
        """

    def status(self, key: str) -> tuple[int, str] | None:
        """Return the size and the tag, as `walk` has them, of the file under `key`; None where there is none."""

    def uri(self, key: str) -> str:
        """Return the URI of `key`."""

    def delete(self, key: str) -> None:
        """Remove a file or a folder; nothing happens where there is none."""


def open_store(uri: str) -> Store:
    """Open the store whose root is `uri`.

    Raises:
        UsageError: for a scheme that is neither file nor s3, or an S3 address without KINORA_S3_ENDPOINT.
        KinoraError: if the S3 server cannot be reached, refuses, or has no such bucket.
    """
    scheme, bucket, path = split_uri(uri)
    if scheme == "file":
        return FileStore(Path(path))
    environment = (
        "KINORA_S3_ENDPOINT",
        "KINORA_S3_SECURE",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_REGION",
    )
    return S3Store(_bucket(bucket, *(os.environ.get(name, "") for name in environment)), bucket, path.strip("/"))


def split_uri(uri: str) -> tuple[str, str, str]:
    """Split a URI into scheme (file or s3), bucket ("" for a file) and path. A plain path is a file.

    Raises:
        UsageError: for another scheme.
    """
    if "://" not in uri:
        return "file", "", uri
    parts = urlsplit(uri)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return "file", "", unquote(parts.path)
    # Kubeflow Pipelines writes minio:// for the S3 server it was installed with.
    if parts.scheme in ("s3", "minio") and parts.netloc:
        return "s3", parts.netloc, uri.split("://", 1)[1].partition("/")[2]
    raise UsageError(f"{uri} is no place Kinora can store to; give a path, file:///folder or s3://bucket/prefix.")


def join(base: str, uri: str) -> str:
    """Return `uri` as an absolute one: itself, or below `base` if it is relative."""
    return uri if "://" in uri or uri.startswith("/") else f"{base.rstrip('/')}/{uri}"


def uri_exists(uri: str) -> bool:
    """Say whether a file or whole folder is at `uri`."""
    scheme, _, path = split_uri(uri)
    if scheme == "file":
        return Path(path).exists()
    root, _, name = uri.rpartition("/")
    return open_store(root).exists(name)


class FileStore:
    """A folder on disk."""

    def __init__(self, root: Path):
        self.root = root.absolute()

    def put_file(self, local: str | Path, key: str) -> str:
        with friendly_os_errors(self.root), atomic_write(self.root / _checked(key)) as temporary:
            shutil.copyfile(local, temporary)
        return self.uri(key)

    def get_file(self, key: str, local: str | Path) -> Path:
        if not (self.root / _checked(key)).is_file():
            raise KinoraError(f"there is no file {self.uri(key)}.")
        with friendly_os_errors(local), atomic_write(local) as temporary:
            shutil.copyfile(self.root / key, temporary)
        return Path(local)

    def get_ranges(self, ranges: Sequence[tuple[str, int, int]]) -> list[bytes]:
        found = []
        for key, offset, size in ranges:
            try:
                with open(self.root / _checked(key), "rb", buffering=0) as file:
                    found.append(os.pread(file.fileno(), size, offset))
            except OSError as error:
                raise KinoraError(f"{self.uri(key)} cannot be read: {error.strerror}; look at its disk.") from error
        return found

    def put_folder(self, local: str | Path, key: str) -> str:
        manifest = _manifest(Path(local))
        with friendly_os_errors(self.root), atomic_folder(self.root / _checked(key)) as temporary:
            for name in manifest:
                (temporary / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(Path(local) / name, temporary / name)
            (temporary / MANIFEST).write_text(json.dumps(manifest, indent=1))
        return self.uri(key)

    def get_folder(self, key: str, local: str | Path) -> Path:
        folder = self.root / _checked(key)
        if not (folder / MANIFEST).is_file():
            raise KinoraError(f"there is no whole folder {self.uri(key)}.")
        manifest = json.loads((folder / MANIFEST).read_text())
        with friendly_os_errors(local), atomic_folder(local) as temporary:
            for name in manifest:
                if (folder / name).is_file():  # one that is missing is found when the copy is verified
                    (temporary / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(folder / name, temporary / name)
            _verify(temporary, manifest, self.uri(key))
        return Path(local)

    def exists(self, key: str) -> bool:
        path = self.root / _checked(key)
        return path.is_file() or (path / MANIFEST).is_file()

    def list(self, prefix: str = "") -> list[str]:
        return sorted(key for key, _, _ in self.walk(prefix))

    def walk(self, prefix: str = "") -> Iterator[tuple[str, int, str]]:
        folder = self.root / _checked(prefix) if prefix else self.root
        for path in folder.rglob("*"):
            key = path.relative_to(self.root)
            if not any(part.startswith(".") for part in key.parts) and (found := self.status(key.as_posix())):
                yield key.as_posix(), *found

    def status(self, key: str) -> tuple[int, str] | None:
        path = self.root / _checked(key)
        if not path.is_file():
            return None
        status = path.stat()
        return status.st_size, f"{status.st_size}-{status.st_mtime_ns}"

    def uri(self, key: str) -> str:
        return (self.root / _checked(key)).as_uri()

    def delete(self, key: str) -> None:
        path = self.root / _checked(key)
        with friendly_os_errors(path):
            # Without its manifest a folder is not there, even if removing the rest is interrupted.
            (path if path.is_file() else path / MANIFEST).unlink(missing_ok=True)
            if path.is_dir():
                shutil.rmtree(path)


class S3Store:
    """A prefix in a bucket of an S3 server."""

    def __init__(self, client: minio.Minio, bucket: str, prefix: str):
        self.client, self.bucket, self.prefix = client, bucket, prefix

    def put_file(self, local: str | Path, key: str) -> str:
        with _answered(self.uri(key)):
            self.client.fput_object(self.bucket, self._name(key), str(local))
        return self.uri(key)

    def get_file(self, key: str, local: str | Path) -> Path:
        local = Path(local)

        def write(response: urllib3.BaseHTTPResponse) -> None:
            with open(temporary, "wb") as file:
                file.writelines(response.stream(PIECE))

        with friendly_os_errors(local), atomic_write(local) as temporary:
            self._receive(key, write)
        return local

    def get_ranges(self, ranges: Sequence[tuple[str, int, int]]) -> list[bytes]:
        return _all_at_once(self._get_range, ranges)

    def _get_range(self, wanted: tuple[str, int, int]) -> bytes:
        key, offset, size = wanted
        return self._receive(key, lambda response: response.read(), offset=offset, length=size) if size else b""

    def _receive(self, key: str, take: Callable[[urllib3.BaseHTTPResponse], R], offset: int = 0, length: int = 0) -> R:
        """Ask for a file, or a part of it, and hand the answer to `take`."""
        with _answered(self.uri(key)):
            for attempt in range(RETRIES + 1):
                response = self.client.get_object(self.bucket, self._name(key), offset=offset, length=length)
                try:
                    return take(response)
                except urllib3.exceptions.HTTPError:  # a connection that breaks within an answer is not tried again
                    if attempt == RETRIES:
                        raise
                    time.sleep(2**attempt)
                finally:
                    response.close()
                    response.release_conn()
        raise AssertionError("the last attempt returns or raises")

    def put_folder(self, local: str | Path, key: str) -> str:
        manifest = _manifest(Path(local))
        self.delete(key)
        _all_at_once(lambda name: self.put_file(Path(local) / name, f"{key}/{name}"), manifest)
        content = json.dumps(manifest, indent=1).encode()
        with _answered(self.uri(key)):
            self.client.put_object(self.bucket, self._name(f"{key}/{MANIFEST}"), BytesIO(content), len(content))
        return self.uri(key)

    def get_folder(self, key: str, local: str | Path) -> Path:
        with friendly_os_errors(local), atomic_folder(local) as temporary:
            listed = temporary / MANIFEST
            if not self.exists(f"{key}/{MANIFEST}"):
                raise KinoraError(f"there is no whole folder {self.uri(key)}.")
            manifest = json.loads(self.get_file(f"{key}/{MANIFEST}", listed).read_text())
            listed.unlink()
            _all_at_once(lambda name: self.get_file(f"{key}/{name}", temporary / name), manifest)
            _verify(temporary, manifest, self.uri(key))
        return Path(local)

    def exists(self, key: str) -> bool:
        return any(self.status(name) is not None for name in (key, f"{key}/{MANIFEST}"))

    def list(self, prefix: str = "") -> list[str]:
        return sorted(key for key, _, _ in self.walk(prefix))

    def walk(self, prefix: str = "") -> Iterator[tuple[str, int, str]]:
        below = self._name(prefix) if prefix else self.prefix
        start = f"{below}/" if below else ""
        cut = len(self.prefix) + 1 if self.prefix else 0
        with _answered(f"s3://{self.bucket}/{start}"):
            for item in self.client.list_objects(self.bucket, prefix=start, recursive=True):
                if item.object_name and not item.is_dir:
                    yield item.object_name[cut:], item.size or 0, _tag(item)

    def status(self, key: str) -> tuple[int, str] | None:
        with _answered(self.uri(key)):
            try:
                found = self.client.stat_object(self.bucket, self._name(key))
            except minio.error.S3Error as error:
                if error.code in MISSING:
                    return None
                raise
        return found.size or 0, _tag(found)

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{self._name(key)}"

    def delete(self, key: str) -> None:
        found = self.list(key) or ([key] if self.exists(key) else [])
        # Without its manifest a folder is not there, even if removing the rest is interrupted.
        for some in ({f"{key}/{MANIFEST}"} & set(found), set(found) - {f"{key}/{MANIFEST}"}):
            self._remove(sorted(some))

    def _remove(self, keys: Iterable[str]) -> None:
        def remove(key: str) -> None:
            with _answered(self.uri(key)):
                self.client.remove_object(self.bucket, self._name(key))

        _all_at_once(remove, keys)

    def _name(self, key: str) -> str:
        return f"{self.prefix}/{_checked(key)}" if self.prefix else _checked(key)


def _tag(item: minio.datatypes.Object) -> str:
    return (item.etag or "").strip('"') or f"{item.size}-{item.last_modified}"


def _checked(key: str) -> str:
    """Return `key`, unless it would leave the store."""
    if not key or key.startswith("/") or ".." in PurePosixPath(key).parts:
        raise KinoraError(f"'{key}' is no key in a store; give a relative path without '..'.")
    return key


def _manifest(folder: Path) -> dict[str, dict[str, Any]]:
    """List the files below a folder: relative name to size in bytes and sha256."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    listed = {
        path.relative_to(folder).as_posix(): {"size": path.stat().st_size, "sha256": file_digest(path)}
        for path in files
    }
    if MANIFEST in listed:
        raise KinoraError(f"{folder} holds a file named {MANIFEST}, a name that the store keeps for itself; rename it.")
    return listed


def _verify(folder: Path, manifest: dict[str, dict[str, Any]], uri: str) -> None:
    for name, expected in manifest.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != expected["size"] or file_digest(path) != expected["sha256"]:
            raise KinoraError(f"{uri} is damaged: {name} is not what was stored; store it again.")


def _all_at_once(task: Callable[[T], R], items: Iterable[T]) -> list[R]:
    with ThreadPoolExecutor(max_workers=TRANSFERS) as workers:
        futures = [workers.submit(task, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            workers.shutdown(wait=True, cancel_futures=True)
            raise


@lru_cache(maxsize=16)
def _bucket(bucket: str, endpoint: str, secure: str, key: str, secret: str, region: str) -> minio.Minio:
    """Connect to a bucket once for each set of settings; a failed attempt is not remembered."""
    if not endpoint:
        raise UsageError(f"s3://{bucket} needs the server's address; set KINORA_S3_ENDPOINT to host:port.")
    scheme, _, host = endpoint.rpartition("://")
    pool = urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
        # A server that is away must be one sentence within seconds, not minutes of silence.
        # InternalError (500) is to be tried again, as S3's documentation has it; the last answer says why.
        retries=urllib3.Retry(
            total=RETRIES, backoff_factor=0.2, status_forcelist=(500, 502, 503, 504), raise_on_status=False
        ),
        maxsize=2 * TRANSFERS,
    )
    try:
        client = minio.Minio(
            host.rstrip("/"),
            access_key=key or None,
            secret_key=secret or None,
            secure=scheme != "http" and secure.lower() not in ("0", "false", "no"),
            region=region or None,
            http_client=pool,
        )
    except ValueError as error:
        raise UsageError(
            f"KINORA_S3_ENDPOINT is '{endpoint}', which is no address ({error}); set host:port."
        ) from error
    with _answered(f"s3://{bucket} at {endpoint}"):
        if not client.bucket_exists(bucket):
            raise KinoraError(f"s3://{bucket} at {endpoint}: there is no such bucket; make it, or name another.")
    return client


@contextmanager
def _answered(place: str) -> Iterator[None]:
    """Turn an S3 server's refusal or silence into one sentence."""
    try:
        yield
    except (minio.error.MinioException, urllib3.exceptions.HTTPError) as error:
        raise KinoraError(_refusal(place, error)) from error
    except ValueError as error:  # the client checks bucket names and sizes before it asks
        raise KinoraError(f"{place} cannot be used: {error}.") from error


def _refusal(place: str, error: Exception) -> str:
    # Some servers label their XML so that the client does not read the code in it.
    found = re.search(r"<Code>(\w+)</Code>", str(error))
    code = error.code if isinstance(error, minio.error.S3Error) else found[1] if found else None
    if code in MISSING:
        return f"there is no file {place}."
    if code in ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "Forbidden"):
        return f"{place} is refused ({code}); check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what they may do."
    if code == "NoSuchBucket":
        return f"{place}: there is no such bucket; make it, or name another."
    if code:
        return f"{place} cannot be used: the S3 server answers {code}; look in its log."
    cause = getattr(error, "reason", None) or error
    if isinstance(cause, urllib3.exceptions.SSLError):
        return f"{place} does not speak TLS as expected; for a server that speaks plain http, set KINORA_S3_SECURE=0."
    return f"{place} does not answer ({type(cause).__name__}); check KINORA_S3_ENDPOINT and that the server runs."
