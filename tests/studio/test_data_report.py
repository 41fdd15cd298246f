"""`rlm doctor --data`: where each byte of a run goes, and every host that is asked; without a secret."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from durable_rlm.state.settings import resolve_settings
from durable_rlm.studio.doctor.data import Destination, destinations, host_of
from durable_rlm.studio.doctor.software import TESTED_MACHINES, TESTED_PYTHONS, software
from tests.studio.conftest import Rlm

HOME = Path("/data/runs")


def report(settings: dict[str, Any], **environment: str) -> dict[str, list[Destination]]:
    """Return the report by its lines' names."""
    found: dict[str, list[Destination]] = {}
    for one in destinations(resolve_settings(settings), HOME, environment):
        found.setdefault(one.name, []).append(one)
    return found


def test_each_model_is_listed_with_its_host_and_what_it_gets() -> None:
    models = report({"model": "openai:gpt-5", "sub_model": "anthropic:claude-opus-5", "then": "groq:llama"})["Models"]
    assert [one.hosts for one in models] == [["api.openai.com"], ["api.anthropic.com"], ["api.groq.com"]]
    assert "the question" in models[0].value and "prompts that code writes" not in models[0].value
    assert "any part of the input" in models[1].value


def test_addresses_of_the_settings_and_of_the_environment_are_asked_instead() -> None:
    [ours] = report({"model": "openai:m", "base_url": "http://user:secret@10.0.0.7:8000/v1?key=secret"})["Models"]
    assert ours.hosts == ["10.0.0.7:8000"] and "secret" not in str(ours)
    [theirs] = report({"model": "anthropic:m"}, ANTHROPIC_BASE_URL="https://proxy.example/a")["Models"]
    assert theirs.hosts == ["proxy.example"]
    [azure] = report({"model": "azure_openai:m"}, AZURE_OPENAI_ENDPOINT="https://mine.openai.azure.com")["Models"]
    assert azure.hosts == ["mine.openai.azure.com"]
    [unknown] = report({"model": "bedrock:m"})["Models"]
    assert unknown.hosts == ["unknown"]


def test_a_scripted_model_asks_no_host(tmp_path: Path) -> None:
    [model] = report({"model": f"scripted:{tmp_path / 'm.py'}"})["Models"]
    assert model.hosts == []


def test_without_a_model_it_says_what_names_one() -> None:
    assert "RLM_MODEL" in report({})["Models"][0].value


def test_traces_are_listed_with_their_host_only_when_they_are_asked_for() -> None:
    [off] = report({}, LANGSMITH_TRACING="true")["Tracing"]
    assert off.hosts == [] and "LANGSMITH_TRACING, which is set, turns nothing on" in off.value
    assert report({}, RLM_TRACING="1")["Tracing"][0].hosts == ["api.smith.langchain.com"]
    elsewhere = report({}, RLM_TRACING="1", LANGSMITH_ENDPOINT="https://traces.example")
    assert elsewhere["Tracing"][0].hosts == ["traces.example"]


def test_a_proxy_is_named_without_its_password() -> None:
    [proxy] = report({}, HTTPS_PROXY="http://me:secret@proxy.example:3128")["Proxy"]
    assert proxy.hosts == ["proxy.example:3128"] and "secret" not in str(proxy)


@pytest.mark.parametrize(
    ("settings", "hosts"),
    [({}, []), ({"unsandboxed": True}, ["any"]), ({"kernel_provisioner": "theirs"}, ["unknown"])],
)
def test_the_reach_of_code_is_said(settings: dict[str, Any], hosts: list[str]) -> None:
    [kernels] = report(settings)["Kernels"]
    assert kernels.hosts == hosts


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("http://[::1]:8000/v1", "[::1]:8000"),
        ("example.com:80", "example.com:80"),
        ("http://host:port", "unknown"),
        ("", "unknown"),
        ("http://h\x1b[31m/", "unknown"),
        ("http://h\x1bj/", "h\\x1bj"),
    ],
)
def test_hosts_are_taken_out_of_any_address(address: str, host: str) -> None:
    assert host_of(address) == host


def test_the_command_prints_it(rlm: Rlm) -> None:
    listed = json.loads(rlm("doctor", "--data", "--json").out)
    assert {"Home", "Models", "Kernels", "Tracing", "Telemetry"} <= {one["name"] for one in listed}
    assert {tuple(one) for one in listed} == {("name", "value", "hosts")}
    said = rlm("doctor", "--data").out
    assert "Home" in said and "Tracing" in said and "Telemetry" in said


@pytest.mark.parametrize(
    ("machine", "version", "said"),
    [("aarch64", TESTED_PYTHONS[0], "untested on aarch64"), (TESTED_MACHINES[0], (3, 99), "untested on CPython 3.99")],
)
def test_a_machine_or_python_that_the_suite_has_not_run_on_is_said(
    monkeypatch: pytest.MonkeyPatch, machine: str, version: tuple[int, int], said: str
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr("durable_rlm.studio.doctor.software.sys.version_info", (*version, 0, "final", 0))
    python = software(date(2026, 11, 30))[0]
    assert python.level == "warning" and said in python.value and "The tests have run with" in python.hint
