"""What a client is told when a request of its cannot be done: the same sentence as on the command line."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ...state.errors import LeaseLost, RlmError, RunBusy, ThreadExists, UnknownThread


async def refused(request: Request, error: Exception) -> Response:
    """LangGraph's form of an error, for one of ours."""
    del request
    facts = {"hint": error.hint, "error": error.type} if isinstance(error, RlmError) else {}
    return JSONResponse({"detail": str(error), **facts}, status_code=_status(error))


def _status(error: Exception) -> HTTPStatus:
    match error:
        case UnknownThread():
            return HTTPStatus.NOT_FOUND
        case RunBusy() | LeaseLost() | ThreadExists():
            return HTTPStatus.CONFLICT
        case RlmError(exit_code=2):
            return HTTPStatus.UNPROCESSABLE_ENTITY
        case _:
            return HTTPStatus.INTERNAL_SERVER_ERROR
