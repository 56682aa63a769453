"""What files of earlier versions say, in today's terms.

The command line of version 0.1.0 kept scaling, column names and classes beside the network, as JSON in the file's
`extra`, where Python did not look. They are the network's own now: here they become fields of its architecture. A file
that cannot be read so is refused with a sentence that says what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import strict_json

_FIELDS = {  # of `extra`, with the field of the architecture that each has become
    "columns": "feature_names",
    "target": "target_name",
    "classes": "class_names",
    "scaling": "input_scaling",
    "target_scaling": "target_scaling",
}
_TASKS = ("classification", "regression")


def from_command_line(architecture: dict[str, Any], extra: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The architecture with what the command line of 0.1.0 kept in `extra`, and the rest of `extra`.

    Raises
    ------
    ValueError
        If an entry is not the JSON that it should be, or the architecture has that field, too.
    """
    if _parsed(extra, "task") not in _TASKS:
        return architecture, extra
    found = {ours: _parsed(extra, theirs) for theirs, ours in _FIELDS.items() if theirs in extra}
    twice = sorted(found.keys() & architecture.keys())
    if twice:
        raise ValueError(
            f"{twice[0]}: expected it once, got it in the architecture and in what the command line of 0.1.0 kept "
            "beside the network; train the model again"
        )
    rest = {key: value for key, value in extra.items() if key != "task" and key not in _FIELDS}
    return {**architecture, **found}, rest


def _parsed(extra: Mapping[str, str], key: str) -> Any:
    if key not in extra:
        return None
    try:
        return strict_json.parse(extra[key])
    except ValueError:
        if key == "task":  # an entry of somebody else's
            return None
        raise ValueError(
            f"{key}: expected JSON, as the command line of 0.1.0 wrote it, got {extra[key]!r:.60}"
        ) from None
