"""Refusals over HTTP, in the only shape that the `openai` client reads."""

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class ApiError(Exception):
    """A refusal with one sentence that says what and what to do."""

    def __init__(
        self, status: int, message: str, code: str, param: str | None = None, headers: dict[str, str] | None = None
    ):
        super().__init__(message)
        self.status, self.message, self.code, self.param, self.headers = status, message, code, param, headers

    def response(self) -> JSONResponse:
        """Return it as `{"error": {"message", "type", "param", "code"}}`."""
        kind = TYPES.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")
        error = {"message": self.message, "type": kind, "param": self.param, "code": self.code}
        return JSONResponse({"error": error}, self.status, headers=self.headers)


def handle_errors(app: FastAPI) -> None:
    """Answer every failure of `app` in that shape."""

    def refused(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, ApiError)
        return error.response()

    def http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return ApiError(error.status_code, f"{error.detail.rstrip('.')}.", "http_error").response()

    def broken(request: Request, error: Exception) -> JSONResponse:
        return ApiError(500, "the endpoint failed on this request; its log says why.", "internal_error").response()

    app.add_exception_handler(Exception, broken)
    app.add_exception_handler(ApiError, refused)
    app.add_exception_handler(HTTPException, http)
