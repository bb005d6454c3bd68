"""Stores of exported files: a folder, or S3."""

import shutil
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from faregate.core.errors import ConfigurationError, MissingExtraError
from faregate.core.runtime.private_files import make_private_directory, private_file
from faregate.core.settings import Settings

__all__ = ["FolderStore", "IDayStore", "S3Store", "objects_of_tenant", "store_of"]

_S3 = "s3://"
_CHUNK_BYTES = 1 << 20


def store_of(settings: Settings) -> "IDayStore | None":
    """Return the store that the settings name; None if they name none."""
    place = settings.export_to
    if place is None:
        return None
    return _s3_store(place, settings) if place.startswith(_S3) else FolderStore(Path(place))


def objects_of_tenant(settings: Settings) -> "S3Store | None":
    """Return the objects that belong to the tenant of `settings` alone; None if its exports are not in a bucket."""
    place = settings.export_to or ""
    is_own = settings.tenant is not None and place.endswith(f"/tenants/{settings.tenant}")
    return _s3_store(place, settings) if is_own and place.startswith(_S3) else None


def _s3_store(place: str, settings: Settings) -> "S3Store":
    secret = settings.export_s3_secret_key
    return S3Store(
        place.removeprefix(_S3).rstrip("/"),
        endpoint=settings.export_s3_endpoint,
        region=settings.export_s3_region,
        access_key=settings.export_s3_access_key,
        secret_key=secret.get_secret_value() if secret is not None else None,
    )


class IDayStore(Protocol):
    """Files by name. A file appears whole, or not at all; writing it again replaces it."""

    def read(self, name: str) -> bytes | None:
        """Return a file; None if there is none."""
        ...

    def put(self, name: str, file: Path) -> None:
        """Store a copy of a local file."""
        ...


class FolderStore:
    """Files below a folder, readable by their owner only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> bytes | None:
        """Return a file; None if there is none."""
        path = self._folder / name
        return path.read_bytes() if path.exists() else None

    def put(self, name: str, file: Path) -> None:
        """Store a copy of a local file: under another name first, which readers of Parquet ignore."""
        target = self._folder / name
        make_private_directory(target.parent)
        unfinished = target.with_name(f".{target.name}.part")
        try:
            with file.open("rb") as source, private_file(unfinished) as copy:
                shutil.copyfileobj(source, copy, _CHUNK_BYTES)
            unfinished.replace(target)
        finally:
            unfinished.unlink(missing_ok=True)


class S3Store:
    """Objects below a prefix of a bucket; an object appears when its upload is complete.

    Args:
        place: bucket and prefix.
        endpoint: address of the store; None for AWS.
        access_key, secret_key: None for what AWS's own variables, files and roles say.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """

    def __init__(
        self, place: str, *, endpoint: str | None, region: str | None, access_key: str | None, secret_key: str | None
    ) -> None:
        try:
            fs: Any = import_module("pyarrow.fs")
        except ModuleNotFoundError as error:
            raise MissingExtraError("An export as Parquet", "exports") from error
        self._place = place
        address = urlsplit(endpoint or "")
        options = {
            "scheme": address.scheme,
            "endpoint_override": address.netloc,
            "region": region,
            "access_key": access_key,
            "secret_key": secret_key,
        }
        self._files: Any = fs.S3FileSystem(**{name: value for name, value in options.items() if value})

    def read(self, name: str) -> bytes | None:
        """Return an object; None if there is none."""
        try:
            found: bytes = self._answer(lambda: self._read(name))
        except FileNotFoundError:
            return None
        return found

    def put(self, name: str, file: Path) -> None:
        """Store a copy of a local file."""
        self._answer(lambda: self._put(name, file))

    def check(self) -> None:
        """Check that the store answers; raises as `read`."""
        self._answer(lambda: self._files.get_file_info(self._place))

    def remove_all(self) -> None:
        """Delete all objects below the prefix. Safe to repeat; raises as `read`."""
        self._answer(self._remove_all)

    @property
    def address(self) -> str:
        """Where the objects are, as the setting names it."""
        return f"{_S3}{self._place}"

    def _remove_all(self) -> None:
        fs: Any = import_module("pyarrow.fs")
        if self._files.get_file_info(fs.FileSelector(self._place, allow_not_found=True)):
            self._files.delete_dir(self._place)

    def _read(self, name: str) -> bytes:
        with self._files.open_input_stream(f"{self._place}/{name}") as stream:
            found: bytes = stream.read()
        return found

    def _put(self, name: str, file: Path) -> None:
        with file.open("rb") as source, self._files.open_output_stream(f"{self._place}/{name}") as stream:
            while chunk := source.read(_CHUNK_BYTES):
                stream.write(chunk)

    def _answer(self, ask: Any) -> Any:
        """Ask the store; what it refuses is told by the name of the setting."""
        try:
            return ask()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise ConfigurationError(
                f"FAREGATE_EXPORT_TO: {self.address} cannot be used: {error}; check bucket, address and credentials"
            ) from error
