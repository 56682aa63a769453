from collections.abc import Callable
from typing import Any

from numpy.typing import ArrayLike
from typing_extensions import disjoint_base

def custom_values(argument: str, function: Callable[[Any], Any], z: ArrayLike) -> Any: ...

@disjoint_base
class CustomLayer: ...

@disjoint_base
class CustomCall: ...
