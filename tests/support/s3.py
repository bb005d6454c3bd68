"""A server that speaks S3, in this process, which notes each request."""

from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from moto.server import ThreadedMotoServer

__all__ = ["S3Server", "s3_server"]

_KEYS = {"access_key": "me", "secret_key": "secret", "region": "us-east-1"}


@dataclass
class S3Server:
    """`requests`: method and path of each request, with the query. Requests whose query holds `refused` are answered by 403."""

    url: str
    requests: list[str] = field(default_factory=list)
    refused: str | None = None

    @property
    def settings(self) -> Mapping[str, str]:
        """The settings that name it."""
        return {"export_s3_endpoint": self.url, **{f"export_s3_{name}": value for name, value in _KEYS.items()}}

    @property
    def environment(self) -> Mapping[str, str]:
        """The same as variables."""
        return {f"FAREGATE_{name.upper()}": value for name, value in self.settings.items()}

    @property
    def client(self) -> Any:
        boto3: Any = import_module("boto3")
        names = {"access_key": "aws_access_key_id", "secret_key": "aws_secret_access_key", "region": "region_name"}
        return boto3.client("s3", endpoint_url=self.url, **{names[name]: value for name, value in _KEYS.items()})

    def objects(self, bucket: str, prefix: str = "") -> dict[str, bytes]:
        """Return what a bucket holds."""
        client = self.client
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        names = [item["Key"] for page in pages for item in page.get("Contents", [])]
        return {name: client.get_object(Bucket=bucket, Key=name)["Body"].read() for name in names}


@contextmanager
def s3_server() -> Generator[S3Server]:
    """Run a server until the block ends."""
    running: Any = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    server = S3Server(f"http://{host}:{port}")
    answer = running._server.app

    def noted(environ: Any, start_response: Any) -> Iterable[bytes]:
        server.requests.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}?{environ['QUERY_STRING']}")
        if server.refused is not None and server.refused in environ["QUERY_STRING"]:
            start_response("403 Forbidden", [("content-length", "0")])
            return []
        answered: Iterable[bytes] = answer(environ, start_response)
        return answered

    running._server.app = noted
    try:
        yield server
    finally:
        running.stop()
