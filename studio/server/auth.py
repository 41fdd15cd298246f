"""LangGraph's `auth`, which `langgraph.json` names: a request that the guard has let in is the owner's.

`authenticate` lets nothing in without the guard's mark: should a later version put the guard elsewhere, what matters is
refused. `disable_studio_auth` goes with it: without that, LangGraph's development server lets in any request with the
header `x-auth-scheme: langsmith`.
"""

from typing import Any

from langgraph_sdk import Auth

from ..serving.guard import has_passed

OWNER = "owner"
auth = Auth()


@auth.authenticate
async def authenticate(scope: dict[str, Any]) -> str:
    """Return the name of the client. Raises Auth's HTTPException, 401, for a request that has come past the guard."""
    if not has_passed(scope):
        raise Auth.exceptions.HTTPException(status_code=401, detail="This request was not checked.")
    return OWNER
