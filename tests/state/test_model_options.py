"""Options of a model: one form for all ways to give them, errors that name what is wrong, and no secret among them."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from durable_rlm.state import agreements
from durable_rlm.state.errors import UsageError
from durable_rlm.state.model_options import Options, parse_options
from durable_rlm.state.settings import resolve_settings

SAME = {
    "body.chat_template_kwargs": {"enable_thinking": False, "style": "brief"},
    "body.stop": ["a", "b"],
    "effort": "high",
    "header.x-title": "My app",
    "max_output": 2000,
    "seed": 7,
    "temperature": 0.2,
    "top_p": 1.0,
}


@pytest.mark.parametrize(
    "form",
    [
        [
            "temperature=0.2", "top_p=1", "effort=HIGH", "seed=7", "max_output=2000", "header.X-Title=My app",
            'body.stop=["a", "b"]', "body.chat_template_kwargs.enable_thinking=false",
            "body.chat_template_kwargs.style=brief",
        ],
        'temperature=0.2,top_p=1, effort=high,seed=7,max_output=2000,header.X-Title=My app,body.stop=["a","b"],'
        "body.chat_template_kwargs.enable_thinking=false,body.chat_template_kwargs.style=brief",
        '{"temperature": 0.2, "top_p": 1, "effort": "high", "seed": 7, "max_output": 2000,'
        ' "header": {"X-Title": "My app"}, "body": {"stop": ["a", "b"], "chat_template_kwargs": {"enable_thinking":'
        ' false, "style": "brief"}}}',
        {
            "temperature": "0.2", "top_p": 1, "effort": "high", "seed": "7", "max_output": 2000,
            "header.x-title": "My app", "body.stop": ("a", "b"),
            "body": {"chat_template_kwargs.enable_thinking": False, "chat_template_kwargs": {"style": "brief"}},
        },
    ],
    ids=["flags", "environment", "json", "table"],
)  # fmt: skip
def test_all_forms_give_the_same_options(form: Any) -> None:
    assert parse_options(form) == SAME
    assert list(parse_options(form)) == sorted(SAME)


def test_canonical_options_are_their_own_canonical_form() -> None:
    assert TypeAdapter(Options).validate_python(parse_options(SAME)) == SAME


@pytest.mark.parametrize("nothing", ["", " ", [], (), {}, "{}"])
def test_no_options_are_an_empty_dict(nothing: Any) -> None:
    assert parse_options(nothing) == {}


def test_the_later_of_two_values_counts() -> None:
    assert parse_options(["seed=1", "body.a=1", "seed=2", "body.a.b=2"]) == {"body.a": {"b": 2}, "seed": 2}


@pytest.mark.parametrize(
    ("text", "value"),
    [("5", 5), ('"5"', "5"), ("true", True), ("abc", "abc"), ("NaN", "NaN"), ("", ""), ("a=b", "a=b"), ("null", None)],
)
def test_a_field_is_json_where_it_parses(text: str, value: Any) -> None:
    assert parse_options([f"body.x={text}"]) == {"body.x": value}


def test_a_text_in_a_table_is_no_json() -> None:
    assert parse_options({"body": {"user": "5"}}) == {"body.user": "5"}


def test_an_unknown_option_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        ValueError, match=r"'temp'; there are temperature, top_p, effort, seed, max_output, header.NAME"
    ):
        parse_options(["temp=1"])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("temperature=warm", "temperature: not a number of at least 0"),
        ("temperature=-1", "temperature: not"), ("temperature=inf", "temperature: not"),
        ("top_p=1.5", "from 0 to 1"), ("seed=1.5", "seed: not a whole number"), ("seed=1" + "0" * 20, "seed: not"),
        ("max_output=0", "of at least 1"), ("effort=huge", "none, minimal, low"), ("temperature", "no value"),
        ("body.model=x", "itself"), ("body.messages=[]", "itself"), ("body.stream=true", "itself"),
        ("body.n=2", "itself"),
        ("body.max_tokens=5", "max_output=N"), ("body.=1", "does not name a field"), ("body.a..b=1", "does not name"),
        ("header.Host=x", "itself"), ("header.Content-Length=1", "itself"), ("header.Proxy-Authorization=x", "itself"),
        ("header.X=a\r\nY: b", "on one line"), ("header.X=ü", "ASCII"), ("header.X Y=a", "not the name of a header"),
        ("header.X=env:1A", "environment variable"), ("body.a=" + "[" * 30 + "]" * 30, "too deeply"),
        ("body.a=" + "[" * 90_000 + "]" * 90_000, "too deeply"), ("body.a=" + "x" * 40_000, "longer than"),
        ("body." + "a." * 5000 + "b=1", "too deeply"),
    ],
)  # fmt: skip
def test_a_value_that_makes_no_sense_is_refused(wrong: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as error:
        parse_options([wrong])
    assert len(str(error.value)) < 300


@pytest.mark.parametrize(
    "wrong", [5, {1: 2}, ["a=1", 5], {"body": {"x": float("nan")}}, {"body": {"x": {1: 2}}}, {"body": {"x": "\ud800"}},
              {"seed": True}, {"temperature": True}, {"header": {"X": 5}}, {"effort": 3}, "{"],
)  # fmt: skip
def test_values_that_are_not_json_are_refused(wrong: Any) -> None:
    with pytest.raises(ValueError):
        parse_options(wrong)


@pytest.mark.parametrize(
    "item",
    [
        "header.Authorization=hunter2-hunter2", "header.X-Api-Key=hunter2-hunter2", "header.api-key=hunter2-hunter2",
        "header.Cookie=hunter2-hunter2", "header.X-Auth=hunter2-hunter2", "header.X-Access-Token=hunter2-hunter2",
        "header.Ocp-Apim-Subscription-Key=hunter2-hunter2", "header.X-Other=Bearer hunter2-hunter2",
        "body.api_key=hunter2-hunter2", "body.extra.password=hunter2-hunter2",
        'body.a=[{"api_key": "hunter2-hunter2"}]',
    ],
)  # fmt: skip
def test_a_secret_is_refused_with_the_form_that_is_not_stored(item: str) -> None:
    with pytest.raises(ValueError, match="=env:NAME") as error:
        parse_options([item])
    assert "hunter2" not in str(error.value)


def test_the_name_of_a_variable_is_stored_and_not_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_KEY", "hunter2-hunter2")
    assert parse_options(["header.Authorization=env:GATEWAY_KEY"]) == {"header.authorization": "env:GATEWAY_KEY"}


@given(st.text(max_size=80))
def test_any_text_is_options_or_an_error(text: str) -> None:
    for form in (text, [text], [f"body.{text}"], [f"header.{text}"], {"body": {"x": text}}):
        try:
            options = parse_options(form)
        except ValueError:
            continue
        assert parse_options(options) == options


def _settings_of(text: str) -> dict[str, Any]:
    Path("rlm.toml").write_text(text)
    return resolve_settings({}).option


@pytest.mark.parametrize("line", ["temperature = 0", "header.x = 'a'", "body.models = ['other']"])
def test_a_table_of_the_folder_adds_to_requests_once_the_user_agrees(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        UsageError, match=r"rlm.toml sets option, and .* may not say what is added to requests"
    ) as error:
        _settings_of(f"[option]\n{line}")
    assert "--option" in error.value.hint
    with agreements.trusting():
        [(name, _)] = _settings_of(f"[option]\n{line}").items()
    assert name == line.partition(" ")[0]
