"""The configuration of LangGraph's server, in code: an installed wheel has no `langgraph.json` beside it.

The server reads its configuration from the environment when it is imported. `langgraph.json` says the same for
`langgraph dev`; a test holds them together.
"""

import json
import os
from pathlib import Path
from typing import Any

from ...graph.tracing import SWITCHES, VARIABLE

GRAPHS: dict[str, Any] = {
    "rlm": {
        "path": "durable_rlm.graph.serve:make_graph",
        "description": "A Recursive Language Model: answers a question over an input of any size, every step saved",
    }
}
CHECKPOINTER: dict[str, Any] = {"path": "durable_rlm.graph.serve.checkpointer"}
AUTH: dict[str, Any] = {
    "path": "durable_rlm.studio.server.auth:auth",
    "disable_studio_auth": True,
    # How the server describes itself in /openapi.json.
    "openapi": {
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer"},
            "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
        },
        "security": [{"bearer": []}, {"x-api-key": []}],
    },
}
HTTP: dict[str, Any] = {
    "app": "durable_rlm.studio.server.app:app",
    # What nothing here needs is not served.
    "disable_a2a": True,
    "disable_mcp": True,
    "disable_store": True,
    "disable_ui": True,
    "disable_webhooks": True,
    # LangGraph's default lets every origin read; the guard says which one may.
    "cors": {"allow_origins": []},
    # No header of a request becomes a part of a run, or of a log.
    "configurable_headers": {"excludes": ["*"]},
    "logging_headers": {"excludes": ["*"]},
}
RUNS_AT_ONCE = 10

_UNSET = (
    *SWITCHES,
    "LANGCHAIN_HANDLER",
    "CORS_ALLOW_ORIGINS",
    "CORS_CONFIG",
    "LANGGRAPH_ENCRYPTION",
    "LANGGRAPH_METRICS_ENDPOINT",
    "LANGGRAPH_LOGS_ENDPOINT",
    "LANGGRAPH_MOUNT_PREFIX",
    "LANGGRAPH_STORE",
    "LANGGRAPH_THREAD_TTL",
    "LANGGRAPH_UI",
    "LANGGRAPH_UI_CONFIG",
    "LANGGRAPH_WEBHOOKS",
    "LOG_JSON",
    "MOUNT_PREFIX",
)


def set_up(home: Path, url: str, *, debug: bool, colours: bool, tracing: bool) -> None:
    """Put the configuration into the environment of this process. `home` and `url` are those of this server.

    `tracing`: whether runs are traced. LangGraph's server would trace them wherever it finds a key of LangSmith's.
    """
    for name in _UNSET:
        os.environ.pop(name, None)
    os.environ.update(_environment(home, url, debug=debug, colours=colours))
    os.environ["LANGSMITH_TRACING"] = os.environ[VARIABLE] = "true" if tracing else "false"
    if not tracing:
        os.environ["OTEL_ENABLED"] = "false"
    # Model clients trust the certificates that they trust on the command line.
    os.environ.setdefault("DISABLE_TRUSTSTORE", "true")


def _environment(home: Path, url: str, *, debug: bool, colours: bool) -> dict[str, str]:
    return {
        "RLM_HOME": str(home),
        "LANGSERVE_GRAPHS": json.dumps(GRAPHS),
        "LANGGRAPH_CHECKPOINTER": json.dumps({"backend": "custom", **CHECKPOINTER}),
        "LANGGRAPH_AUTH": json.dumps(AUTH),
        "LANGGRAPH_AUTH_TYPE": "noop",
        "LANGGRAPH_HTTP": json.dumps(HTTP),
        "LANGGRAPH_API_URL": url,
        "LANGSMITH_LANGGRAPH_API_VARIANT": "local_dev",
        "LANGGRAPH_RUNTIME_EDITION": "inmem",
        "MIGRATIONS_PATH": "__inmem",
        "DATABASE_URI": ":memory:",
        "REDIS_URI": "fake",
        "LANGGRAPH_DISABLE_FILE_PERSISTENCE": "false",
        "LANGGRAPH_ALLOW_BLOCKING": "false",
        # Stores and kernels belong to one event loop.
        "BG_JOB_ISOLATED_LOOPS": "false",
        "N_JOBS_PER_WORKER": str(RUNS_AT_ONCE),
        # The guard answers preflights.
        "ALLOW_PRIVATE_NETWORK": "false",
        "FF_PYSPY_PROFILING_ENABLED": "false",
        # Nothing about these runs, or that there are any, is sent anywhere.
        "LANGSMITH_CONTROL_PLANE_API_KEY": "",
        "LANGGRAPH_CLOUD_LICENSE_KEY": "",
        "LANGGRAPH_METRICS_ENABLED": "false",
        "LANGGRAPH_LOGS_ENABLED": "false",
        "LSD_DD_API_KEY": "",
        "CUSTOM_LSD_DD_API_KEY": "",
        "LANGGRAPH_NO_VERSION_CHECK": "true",
        "LOG_LEVEL": "INFO" if debug else "WARNING",
        "LOG_COLOR": "true" if colours else "false",
    }
