"""What `langgraph.json` names as `auth`: whoever the guard has let in is the owner, and nobody else is anybody.

`disable_studio_auth` goes with it: without that, LangGraph's development server lets in whoever sends the header
`x-auth-scheme: langsmith`.
"""

from typing import Any

from langgraph_sdk import Auth

from .guard import has_passed

OWNER = "owner"
auth = Auth()


@auth.authenticate
async def authenticate(scope: dict[str, Any]) -> str:
    """The name of who asks. Raises Auth's HTTPException, 401, for what has come past the guard."""
    if not has_passed(scope):
        raise Auth.exceptions.HTTPException(status_code=401, detail="This request was not checked.")
    return OWNER
