"""Verdicts of schema checks: invalid schemas are refused, ordinary ones get the verdict of plain jsonschema."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from referencing import Registry

from durable_rlm.nodes.models.schema_validation import mismatch
from durable_rlm.nodes.models.work_limit import SchemaInvalid, WorkLimit, limited
from tests.nodes.models.conftest import CHECK_STEPS, Schema

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from(["", "a", "x", "object", "#", "#/a", 0.5]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["a", "x", *Draft202012Validator.VALIDATORS, "$id", "$defs"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*Draft202012Validator.VALIDATORS, "a", "$id"]), json_values), json_values)
@hypothesis_settings(max_examples=150)
def test_any_json_as_a_schema_is_used_or_refused_as_invalid(schema: Schema, value: Any) -> None:
    with limited(WorkLimit(CHECK_STEPS, grows=False)):
        try:
            mismatch(value, schema)
        except SchemaInvalid as error:
            assert 0 < len(str(error)) <= 300


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/default", "default": {"type": "nonsense"}},
        {"$ref": "#/default", "default": 5},
        {"$ref": "#/default", "default": {"properties": []}},
        {"$ref": "http://[x/"},
        {"minimum": float("nan")},
    ],
)
def test_a_reference_to_an_invalid_schema_is_refused_as_a_fault_of_the_schema(schema: Schema) -> None:
    with pytest.raises(SchemaInvalid):
        mismatch(1, schema)


names = st.sampled_from(["a", "b", "ab", "n_1"])
numbers = st.integers(-3, 3) | st.sampled_from([0.5, 1.0, -2.0])
scalars = st.none() | st.booleans() | numbers | names
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=3), max_leaves=10
)
types = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])


def _applicators(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Schema]:
    some = st.lists(inner, min_size=1, max_size=3)
    return st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), some),
            **dict.fromkeys(("not", "if", "then", "else", "contains", "propertyNames"), inner),
            **dict.fromkeys(("items", "additionalProperties"), inner),
            **dict.fromkeys(("properties", "dependentSchemas"), st.dictionaries(names, inner, max_size=3)),
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "b$", "_"]), inner, max_size=2),
            "$ref": st.sampled_from(["#/$defs/one", "#two"]),
        },
    ) | st.fixed_dictionaries({}, optional={"properties": st.dictionaries(names, inner, max_size=3)}).flatmap(
        lambda schema: st.sampled_from([{}, {"unevaluatedProperties": False}, {"unevaluatedItems": False}]).map(
            lambda more: {**schema, **more}
        )
    )


simple: st.SearchStrategy[Any] = st.booleans() | st.fixed_dictionaries(
    {},
    optional={
        "type": types | st.lists(types, min_size=1, max_size=2, unique=True),
        "enum": st.lists(values, min_size=1, max_size=4),
        "const": values,
        **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), numbers),
        "multipleOf": st.sampled_from([1, 2, 0.5]),
        **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties"), st.integers(0, 3)),
        "uniqueItems": st.booleans(),
        "required": st.lists(names, max_size=2, unique=True),
        "dependentRequired": st.dictionaries(names, st.lists(names, max_size=2, unique=True), max_size=2),
        "pattern": st.sampled_from(["^a", "b$", "_"]),
    },
)


def _ordinary(schema: Schema, one: Schema, two: Schema) -> Schema:
    return {**schema, "$defs": {"one": one, "two": {"allOf": [two], "$anchor": "two"}}}


ordinary = st.builds(
    _ordinary,
    st.recursive(simple, _applicators, max_leaves=6).filter(lambda schema: isinstance(schema, dict)),
    simple,
    simple,
)


@given(ordinary, values)
@hypothesis_settings(max_examples=200)
def test_ordinary_schemas_get_the_verdict_of_plain_jsonschema(schema: Schema, value: Any) -> None:
    plain = Draft202012Validator(schema, registry=Registry())
    assert (mismatch(value, schema) == "") == plain.is_valid(value)


def test_values_are_equal_and_unique_as_json_schema_defines() -> None:
    unique = {"uniqueItems": True}
    assert mismatch([1, True, "1", [1], [True], {"a": 1}, {"a": True}, None, "None"], unique) == ""
    for pair in ([1, 1.0], [{"a": [1], "b": 2}, {"b": 2.0, "a": [1.0]}], ["é", "é"], [0, -0.0], [2**70, float(2**70)]):
        assert "non-unique" in mismatch(pair, unique)
        assert mismatch(pair[0], {"const": pair[1]}) == mismatch(pair[0], {"enum": ["other", pair[1]]}) == ""


def test_a_number_too_large_for_a_float_is_checked_too() -> None:
    assert mismatch(10**400, {"multipleOf": 0.5}) == ""
    assert mismatch(10**400 + 1, {"multipleOf": 1.5}) != ""
