"""The private parts of cloudpickle that are used, to pickle the classes of cells.

Its records of the classes that it has pickled or loaded are variables of its module, and no argument replaces them.
The form of its reduction of a class is its own affair, and no hook of it is called before the class is made.
"""

from dataclasses import dataclass, field
from typing import Any
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


def with_slots(reduced: tuple[Any, ...], slots: Any) -> tuple[Any, ...]:
    """Return cloudpickle's reduction of a class with `__slots__` among the names with which the class is made.

    cloudpickle would set `__slots__` on the finished class, which then has no slots.
    """
    kind, name, bases, content, *rest = reduced[1]
    return (reduced[0], (kind, name, bases, {**content, "__slots__": slots}, *rest), *reduced[2:])
