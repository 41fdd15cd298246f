"""The private parts of cloudpickle and `abc` that are used.

cloudpickle's records of the classes and type variables that it has pickled or loaded are variables of its module, and
no argument replaces them.
"""

from abc import _get_dump  # type: ignore[attr-defined]
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary, WeakValueDictionary

from cloudpickle import cloudpickle


@dataclass
class ClassRecords:
    """cloudpickle's records of classes of cells: by the class, and by the id that it is pickled with."""

    by_class: "WeakKeyDictionary[type, str]" = field(default_factory=WeakKeyDictionary["type", "str"])
    by_id: "WeakValueDictionary[str, type]" = field(default_factory=WeakValueDictionary["str", "type"])


def use_records(records: ClassRecords) -> ClassRecords:
    """Have cloudpickle use these records from now on, in the whole process. Return those that it used before."""
    before = ClassRecords(cloudpickle._DYNAMIC_CLASS_TRACKER_BY_CLASS, cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID)
    cloudpickle._DYNAMIC_CLASS_TRACKER_BY_CLASS = records.by_class
    cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID = records.by_id
    return before


def registered_with(kind: type) -> list[type]:
    """Return the classes that were registered with an abstract class. `abc` has no public function for that."""
    held = (reference() for reference in _get_dump(kind)[0])
    return [one for one in held if one is not None]
