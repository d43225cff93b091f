"""The bound on what one request may upload, wherever it is sent to."""

from __future__ import annotations

from typing import Any

from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest

MAX_UPLOAD_BYTES = 20 * 1024 * 1024  # of all files of one request


class BoundedUploads(FileUploadHandler):
    """Stands before the handlers that keep files, and gives them no byte past the bound.

    The rest of the form is still read, so that its page can say what happened.
    """

    def __init__(self, request: HttpRequest | None = None) -> None:
        super().__init__(request)
        self._seen = 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        self._seen += len(raw_data)
        if self._seen <= MAX_UPLOAD_BYTES:
            return raw_data
        if self.request is not None:
            self.request.uploads_cut = True
        return None

    def file_complete(self, file_size: int) -> Any:
        return None  # the next handler has the file


def is_cut(request: HttpRequest) -> bool:
    """Whether more came than is kept: then none of it may be used."""
    return getattr(request, "uploads_cut", False)
