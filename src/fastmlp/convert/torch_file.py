"""PyTorch's files of state dicts, read without torch: the zip that torch.save writes, and dictionaries of tensors.

A file is untrusted: zip_members.py bounds the archive, torch_pickle.py knows tensors and dictionaries alone, and here
each tensor's place is compared with the storage that it looks at; what all tensors take together is bounded by the
file's size. Files of before PyTorch 1.6, whole modules and TorchScript are refused with what to do.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..activations import Activation
from ..errors import FormatError
from ..formats import foreign
from .chain import Chain
from .torch_layers import EPS, MAX_TENSOR_BYTES, without_prefixes
from .torch_pickle import Tensor, load
from .torch_spec import Spec, chain
from .zip_members import Archive

ENTRIES = ("state_dict", "model_state_dict", "model")  # under which checkpoints keep the state dict
_OLD_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_SAVE = "load it with torch and write torch.save(net.state_dict(), path)"


def read(
    source: str | os.PathLike[str] | bytes | Mapping[str, Any],
    *,
    activation: str | Activation | Sequence[str | Activation] | None = None,
    output_activation: str | Activation | None = None,
    layers: Sequence[str | Activation] | None = None,
    ignore_unused: bool = False,
    eps: float = EPS,
    entry: str | None = None,
) -> Chain:
    """Return the chain of a state dict: a file of torch.save, its bytes, or a dictionary of tensors or arrays.

    The arguments are those of `from_torch`. A safetensors file is read, too.
    """
    spec = Spec(activation, output_activation, layers, ignore_unused, eps)
    if isinstance(source, Mapping):
        tensors = _arrays(_state_dict(dict(source), entry))
        return chain(tensors, spec, sorted_by_name=False, tool="PyTorch", version="")
    head, size = beginning(source)
    if head[:4] != b"PK\x03\x04":
        from . import safetensors_file

        if head[8:9] == b"{":
            if entry is not None:
                raise ValueError(f"entry: expected None for a safetensors file, which has no entries, got {entry!r}")
            return safetensors_file.read(source, **vars(spec))
        _refuse_other(head, size)
    return chain(tensors_of_file(source, entry=entry), spec, sorted_by_name=False, tool="PyTorch", version="")


def beginning(source: str | os.PathLike[str] | bytes) -> tuple[bytes, int]:
    """Return the first bytes of a file or of bytes, and the number of bytes in all."""
    if isinstance(source, bytes):
        return source[: foreign.N_BYTES], len(source)
    with open(source, "rb") as stream:
        return stream.read(foreign.N_BYTES), os.fstat(stream.fileno()).st_size


def _refuse_other(head: bytes, size: int) -> None:
    if head.startswith(_OLD_MAGIC):
        raise FormatError(
            "PyTorch file: expected a zip archive, as torch.save writes since version 1.6, got the format before it (a "
            f"chain of pickles, _use_new_zipfile_serialization=False); {_SAVE}"
        )
    found = foreign.describe(head, size) or "other bytes"
    raise FormatError(f"PyTorch file: expected a state dict as torch.save writes, got {found}")


def tensors_of_file(
    source: str | os.PathLike[str] | bytes, name: str = "PyTorch file", entry: str | None = None
) -> dict[str, NDArray[Any]]:
    """Return the tensors of the state dict in a file of torch.save, by name and in the file's order."""
    with Archive(source, name) as archive:
        found = [member for member in archive.names if member.count("/") == 1 and member.endswith("/data.pkl")]
        if any("/code/" in member or member.endswith("/constants.pkl") for member in archive.names):
            raise FormatError(
                f"{name}: expected a state dict, got a TorchScript module, whose layers are program text; load it with "
                "torch.jit.load and write torch.save(net.state_dict(), path)"
            )
        if len(found) != 1:
            raise FormatError(
                f"{name}: expected a zip archive of torch.save with a member data.pkl in one folder, got the members "
                f"{', '.join(map(repr, archive.names[:4]))!s:.200}; {_SAVE}"
            )
        folder = found[0].removesuffix("data.pkl")
        state_dict = _state_dict(load(archive.read(found[0])), entry)
        return _Reader(archive, folder).arrays(state_dict)


class _Reader:
    """Makes arrays of the tensors in an archive."""

    def __init__(self, archive: Archive, folder: str) -> None:
        self._archive, self._folder = archive, folder
        self._storages: dict[str, tuple[str, NDArray[Any]]] = {}
        self._left = MAX_TENSOR_BYTES * archive.n_bytes
        order = archive.read(f"{folder}byteorder") if f"{folder}byteorder" in archive else b"little"
        if order not in (b"little", b"big"):
            raise FormatError(f"byteorder: expected little or big, got {order[:20]!r}")
        self._order: Literal["<", ">"] = "<" if order == b"little" else ">"

    def arrays(self, tensors: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """Return the tensors as arrays that own their elements."""
        return {name: self._array(name, tensor) for name, tensor in tensors.items()}

    def _array(self, name: str, tensor: Tensor) -> NDArray[Any]:
        elements = self._storage(name, tensor)
        n_elements, last = 1, tensor.offset
        for length, stride in zip(tensor.shape, tensor.stride, strict=True):
            n_elements *= length
            last += (length - 1) * stride
        if n_elements and last >= len(elements):
            raise FormatError(
                f"tensor {name!r:.200}: expected elements of its storage of {len(elements)}, got element {last}"
            )
        self._left -= n_elements * max(4, elements.itemsize)
        if self._left < 0:
            raise FormatError(
                f"tensor {name!r:.200}: expected tensors of at most {MAX_TENSOR_BYTES} times the file's size, got more"
            )
        if n_elements == 0:
            return np.zeros(0, elements.dtype)  # its shape may have a length that no array has
        strides = [stride * elements.itemsize for stride in tensor.stride]
        view = np.lib.stride_tricks.as_strided(elements[tensor.offset :], tensor.shape, strides)
        return _floats(view) if tensor.storage.dtype == "bfloat16" else view.astype(view.dtype.newbyteorder("="))

    def _storage(self, name: str, tensor: Tensor) -> NDArray[Any]:
        """Return the elements of a tensor's storage; those of bfloat16 as uint16."""
        storage = tensor.storage
        if storage.key not in self._storages:
            member = f"{self._folder}data/{storage.key}"
            dtype = np.dtype("u2" if storage.dtype == "bfloat16" else storage.dtype).newbyteorder(self._order)
            if member not in self._archive or self._archive.size(member) != storage.n_elements * dtype.itemsize:
                raise FormatError(
                    f"tensor {name!r:.200}: expected a member {member!r:.100} of {storage.n_elements} elements of "
                    f"{storage.dtype}, which is not there"
                )
            self._storages[storage.key] = storage.dtype, np.frombuffer(self._archive.read(member), dtype)
        dtype_name, elements = self._storages[storage.key]
        if dtype_name != storage.dtype or len(elements) != storage.n_elements:
            raise FormatError(f"tensor {name!r:.200}: expected its storage once, got it as two of different kinds")
        return elements


def _floats(bfloat16: NDArray[Any]) -> NDArray[np.float32]:
    """Return bfloat16, given as uint16, as float32: its upper half."""
    return (bfloat16.astype(np.uint32) << 16).view(np.float32)


def _state_dict(found: Any, entry: str | None) -> dict[str, Any]:
    """Return the state dict in what a file holds: itself, or an entry of a checkpoint, without prefixes of wrappers."""
    if entry is not None:
        known = (
            [key for key, value in found.items() if isinstance(value, Mapping)] if isinstance(found, Mapping) else []
        )
        if entry not in known:
            raise FormatError(f"entry: expected one of {', '.join(map(repr, known))!s:.200}, got {entry!r}")
        found = found[entry]
    for _ in range(4):
        if not isinstance(found, Mapping):
            raise FormatError(f"state dict: expected a dictionary of tensors, got {type(found).__name__}; {_SAVE}")
        if found and all(_is_tensor(value) for value in found.values()):
            break
        entries = [entry for entry in ENTRIES if isinstance(found.get(entry), Mapping)]
        if len(entries) != 1:
            keys = ", ".join(repr(key)[:40] for key in list(found)[:8])
            what = "several state dicts" if entries else "no state dict"
            raise FormatError(
                f"state dict: expected a dictionary of tensors, or one with a state dict as one of {', '.join(ENTRIES)}"
                f", got {what} among the keys {keys}; name the dictionary as entry=..."
            )
        found = found[entries[0]]
    names = list(found)
    if not all(isinstance(name, str) for name in names) or not all(_is_tensor(value) for value in found.values()):
        raise FormatError(f"state dict: expected tensors by name, got other entries; {_SAVE}")
    plain = without_prefixes(names)
    if len(set(plain)) != len(plain):
        raise FormatError("state dict: expected different names of tensors after their prefixes, got one twice")
    return dict(zip(plain, found.values(), strict=True))


def _is_tensor(value: object) -> bool:
    """Whether a value is a tensor of a file, of torch or of NumPy."""
    return isinstance(value, (Tensor, np.ndarray)) or (hasattr(value, "detach") and hasattr(value, "numpy"))


def _arrays(tensors: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    return {name: array(tensor) for name, tensor in tensors.items()}


def array(tensor: Any) -> NDArray[Any]:
    """Return a tensor of torch, or an array, as an array; bfloat16 as float32."""
    if isinstance(tensor, np.ndarray):
        return tensor
    found = tensor.detach().cpu()
    if hasattr(found, "resolve_neg"):
        found = found.resolve_neg()
    if str(found.dtype) == "torch.bfloat16":
        found = found.float()
    made: NDArray[Any] = found.numpy()
    return made
