"""Lists of what is known to be harmless, or to run code later, in the libraries that cells mostly use.

What is on no list is looked at. A new name of a library is therefore a question more, and not a way around.
"""

from collections.abc import Mapping

from .code_policy_names import DEFAULT_IMPORTS, HARMLESS_DUNDERS


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


USUAL_NAMES: Mapping[str, str] = {
    **{name: name for name in DEFAULT_IMPORTS if "." not in name},
    "np": "numpy",
    "pd": "pandas",
}
"""Names that mean modules, also in a cell that does not import them itself."""

_NUMPY = """
    abs absolute add all allclose amax amin angle any append arange argmax argmin argpartition argsort argwhere
    around array array_equal array_split asarray astype atleast_1d atleast_2d average bincount bool bool_
    broadcast_to busday_count cbrt ceil char clip column_stack complex128 concatenate convolve copy corrcoef cos
    cosh count_nonzero cov cross cumprod cumsum datetime64 deg2rad delete diag diff digitize divide dot dstack dtype
    dtypes e einsum empty empty_like equal errstate exceptions exp expand_dims expm1 eye fft finfo flatnonzero flip
    fliplr flipud float16 float32 float64 floating floor floor_divide fmax fmin full full_like gcd generic geomspace
    gradient greater greater_equal histogram histogram2d hsplit hstack hypot identity iinfo in1d inf inner insert
    int16 int32 int64 int8 integer interp intersect1d isclose isfinite isin isinf isnan isnat isscalar ix_ kron lcm
    less less_equal lexsort linalg linspace log log10 log1p log2 logaddexp logical_and logical_not logical_or
    logical_xor logspace ma matmul max maximum mean median meshgrid min minimum mod multiply nan nan_to_num
    nanargmax nanargmin nanmax nanmean nanmedian nanmin nanpercentile nanquantile nanstd nansum nanvar ndarray
    ndenumerate ndim ndindex negative newaxis nonzero not_equal number object_ ones ones_like outer pad partition
    percentile pi place poly1d polyfit polynomial polyval power prod ptp put putmask quantile rad2deg random ravel
    real rec reciprocal remainder repeat reshape resize roll rollaxis rot90 round row_stack searchsorted select
    set_printoptions setdiff1d setxor1d shape sign sin sinh size sort split sqrt square squeeze stack std str_
    strings subtract sum swapaxes take tan tanh tensordot tile timedelta64 trace transpose trapezoid trapz tri tril
    triu true_divide trunc typing uint16 uint32 uint64 uint8 union1d unique unravel_index vander var vdot vectorize
    vsplit vstack where zeros zeros_like
    """
_NUMPY_FILES = "load loadtxt genfromtxt fromfile fromstring frombuffer memmap save savetxt savez savez_compressed"
_PANDAS = """
    ArrowDtype BooleanDtype Categorical CategoricalDtype CategoricalIndex DataFrame DateOffset DatetimeIndex
    DatetimeTZDtype ExcelFile ExcelWriter Float32Dtype Float64Dtype Grouper HDFStore Index IndexSlice Int16Dtype
    Int32Dtype Int64Dtype Int8Dtype Interval IntervalDtype IntervalIndex MultiIndex NA NaT NamedAgg Period
    PeriodDtype PeriodIndex RangeIndex Series SparseDtype StringDtype Timedelta TimedeltaIndex Timestamp UInt16Dtype
    UInt32Dtype UInt64Dtype UInt8Dtype api array arrays bdate_range concat crosstab cut date_range describe_option
    errors eval factorize from_dummies get_dummies get_option infer_freq interval_range isna isnull json_normalize
    lreshape melt merge merge_asof merge_ordered notna notnull offsets option_context options period_range pivot
    pivot_table qcut read_csv read_excel read_feather read_fwf read_html read_json read_orc read_parquet read_pickle
    read_sql read_sql_query read_sql_table read_table read_xml reset_option set_option timedelta_range to_datetime
    to_numeric to_pickle to_timedelta unique wide_to_long
    """
_PYDANTIC = """
    AfterValidator AliasChoices AliasPath AwareDatetime BaseModel BeforeValidator ConfigDict Discriminator Field
    FiniteFloat FutureDate NaiveDatetime NegativeFloat NegativeInt NonNegativeFloat NonNegativeInt NonPositiveInt
    PastDate PastDatetime PlainSerializer PlainValidator PositiveFloat PositiveInt PrivateAttr RootModel Secret
    SecretStr StrictBool StrictFloat StrictInt StrictStr StringConstraints Tag TypeAdapter ValidationError
    ValidationInfo WrapValidator computed_field conint conlist constr field_serializer field_validator
    model_serializer model_validator validate_call
    """
MEMBERS: Mapping[str, frozenset[str]] = {
    # Those that write files are judged by their names.
    "numpy": _words(f"{_NUMPY} {_NUMPY_FILES}"),
    "pandas": _words(_PANDAS),
    "pydantic": _words(_PYDANTIC),
}
"""Members of large libraries that are known to be harmless, or judged by their own names."""
LISTED = frozenset({"np", "pd"})
"""Usual names of such libraries, which mean nothing else."""

LATER = _words("""
    Timer add_done_callback add_reader add_signal_handler add_writer call_at call_later call_soon
    call_soon_threadsafe callback callbacks dispatch_table displayhook excepthook finalize push_async_callback
    set_exception_handler set_task_factory setprofile setprofile_all_threads settrace settrace_all_threads
    unraisablehook
    """)
"""Members by which code is handed over that runs later, perhaps in another cell."""

PUBLIC_IN_SPITE = _words("_ _asdict _field_defaults _fields _make _name_ _replace _repr_html_ _value_")
"""Members that begin with an underscore and are part of an interface."""

HARMLESS_TO = _words("""
    to_bytes to_csv to_datetime to_datetime64 to_dict to_flat_index to_frame to_html to_integral to_integral_exact
    to_integral_value to_json to_julian_date to_latex to_list to_markdown to_numeric to_numpy to_offset to_period
    to_pydatetime to_pytimedelta to_records to_series to_string to_thread to_timedelta to_timedelta64 to_timestamp
    to_xml
    """)
"""Conversions that write nothing, or are judged by their arguments (`WRITING_WHEN_GIVEN_A_PLACE`)."""

FINISHING = frozenset({"FINAL", "FINAL_VAR", "SUBMIT"})
KEPT_MEANINGS = FINISHING | _words("""
    SHOW_VARS compile delattr eval exec getattr globals locals open print setattr vars __import__ __builtins__
    """)
"""Names that the policy or a reviewer goes by, beside those of queries."""

HARMLESS_METHODS = HARMLESS_DUNDERS | _words("""
    __abs__ __add__ __aenter__ __aexit__ __aiter__ __and__ __anext__ __await__ __bool__ __bytes__ __call__
    __contains__ __divmod__ __float__ __floordiv__ __format__ __ge__ __getitem__ __gt__ __iadd__ __iand__ __index__
    __int__ __invert__ __ior__ __isub__ __le__ __lshift__ __lt__ __match_args__ __matmul__ __missing__ __mod__
    __mul__ __ne__ __neg__ __or__ __pos__ __pow__ __radd__ __reversed__ __rmul__ __round__ __rshift__ __rsub__
    __rtruediv__ __slots__ __sub__ __truediv__ __setitem__ __delitem__ __xor__
    """)
"""Methods that are called where the code uses an object, and nowhere else. A class may have others of these names:
`__del__`, `__getstate__` and `__reduce__` run when the REPL is saved or an object ends."""
HARMLESS_CLASS_KEYWORDS = frozenset({"total", "frozen", "extra"})
"""Keywords of a class that are not a metaclass, and that the libraries above know."""

TAKING_METHODS = frozenset({"agg", "aggregate", "apply", "applymap", "transform"})
"""Methods of tables that take a function, or the name of a method as text."""
OPTIONS_OF_METHODS = _words(
    "args axis by_row engine engine_kwargs func include_groups kwargs na_action raw result_type"
)
HARMLESS_AGGREGATIONS = _words("""
    abs all any bfill count cumcount cummax cummin cumprod cumsum diff ffill first head idxmax idxmin kurt last len
    max mean median min mode ngroup nlargest nsmallest nunique pct_change prod product quantile rank sem shift size
    skew std str sum tail unique value_counts var
    """)
FUNCTIONS = _words("""
    abs all any ascii bin bool bytes callable chr complex dict divmod enumerate float format frozenset hash hex id
    int isinstance iter len list max min next object oct ord pow range repr reversed round set slice sorted str sum
    tuple zip
    """)
"""Functions and types of Python itself that only compute."""
