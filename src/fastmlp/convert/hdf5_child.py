"""A program that reads an HDF5 file from its standard input and writes its groups, arrays and texts to standard output.

hdf5_file.py runs it as a process of its own: the HDF5 library is written in C for files that are trusted, and a damaged
one can keep it in an endless loop or end the process. It imports nothing of this package.

Output: a line of JSON, then the bytes of the arrays one after another. The JSON is {"error": message} or
{"objects": {path: {"attributes": {name: text or list of texts}, "dtype": str, "shape": [...]}}}, where a group has
neither dtype nor shape, and a dataset that is no plain array of numbers has the shape None. The dtype "bfloat16" stands
for two bytes, the upper half of a float32.

Every number is checked before memory is allocated: the arrays together are at most as large as the file, because those
that Keras writes are stored as they are. Links to other files, virtual and compressed datasets are refused.
"""

import io
import json
import sys
from typing import Any

MAX_OBJECTS, MAX_DEPTH = 100_000, 64
SPARE = 256 * 2**20  # bytes of address space beside four times those of the file
TEXTS = ("model_config", "keras_version", "training_config", "name", "weight_names")  # the last also with a number
SKIPPED = ("optimizer", "optimizer_weights", "metrics", "seed_generator")  # groups that no prediction needs


class RefusedError(Exception):
    """The file has something that is not read."""


def limit_memory(size: int) -> None:
    """Limit the address space of this process where the system can do so."""
    try:
        import resource

        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 4 * size + SPARE,) * 2)
    except (ImportError, OSError, ValueError):
        pass


def text_of(value: object) -> str:
    """Return text from an attribute's string."""
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def attributes_of(item: Any) -> dict[str, Any]:
    """Return the texts among the attributes of a group or dataset that a Keras file has."""
    found: dict[str, Any] = {}
    for name in item.attrs:
        if name not in TEXTS and name.rstrip("0123456789") != "weight_names":
            continue
        value = item.attrs[name]
        if isinstance(value, (str, bytes)):
            found[name] = text_of(value)
        elif getattr(value, "dtype", None) is not None and (value.dtype.kind in "SUO" or value.size == 0):
            found[name] = [text_of(each) for each in value.ravel()]
    return found


class Reader:
    """What has been read of a file: the description of each object, and the bytes of the arrays."""

    def __init__(self, h5py: Any, n_bytes: int) -> None:
        self._h5py, self._room = h5py, n_bytes
        self.objects: dict[str, dict[str, Any]] = {}
        self.arrays: list[bytes] = []

    def read(self, file: Any) -> None:
        """Read all objects of an open file."""
        waiting = [("", file)]
        while waiting:
            path, item = waiting.pop()
            if len(self.objects) >= MAX_OBJECTS:
                raise RefusedError(f"expected at most {MAX_OBJECTS:,} groups and arrays, got more")
            self.objects[path] = {"attributes": attributes_of(item)}
            if isinstance(item, self._h5py.Group):
                waiting += self._children(path, item)
            elif isinstance(item, self._h5py.Dataset):
                self._dataset(path, item, self.objects[path])

    def _children(self, path: str, group: Any) -> list[tuple[str, Any]]:
        if path.count("/") >= MAX_DEPTH:
            raise RefusedError(f"{path[:80]}: expected at most {MAX_DEPTH} levels of groups, got more")
        found = []
        for name in group:
            child = f"{path}/{name}"
            if name in SKIPPED:
                continue
            if not isinstance(group.get(name, getlink=True), self._h5py.HardLink):
                raise RefusedError(f"{child[:80]}: expected a group or array of this file, got a link")
            found.append((child, group[name]))
        return found

    def _dataset(self, path: str, dataset: Any, entry: dict[str, Any]) -> None:
        entry["shape"] = None
        dtype = dataset.dtype
        is_bfloat16 = dtype == "V2" and text_of(dataset.attrs.get("dtype", "")) == "bfloat16"  # HDF5 has no such type
        if dataset.shape is None or (dtype.kind not in "fiu" and not is_bfloat16) or dtype.itemsize > 8:
            return
        if dataset.chunks is not None or dataset.is_virtual or dataset.external is not None:
            raise RefusedError(f"{path[:80]}: expected numbers stored as they are, got compressed or distant ones")
        self._room -= dataset.size * dtype.itemsize
        if self._room < 0:
            raise RefusedError(f"{path[:80]}: expected arrays that fit in the file, got the shape {dataset.shape}")
        little = dtype.newbyteorder("<")
        entry.update(shape=list(dataset.shape), dtype="bfloat16" if is_bfloat16 else little.str)
        self.arrays.append(dataset[()].astype(little).tobytes())


def main() -> None:
    """Read standard input, and write what is in it, or why it cannot be read."""
    data = sys.stdin.buffer.read()
    header: dict[str, Any] = {}
    arrays: list[bytes] = []
    try:
        import h5py

        limit_memory(len(data))
        reader = Reader(h5py, len(data))
        with h5py.File(io.BytesIO(data), "r") as file:
            reader.read(file)
        header, arrays = {"objects": reader.objects}, reader.arrays
    except RefusedError as error:
        header = {"error": str(error)}
    except MemoryError:
        header = {"error": "expected an HDF5 file, got one whose parts are larger than itself"}
    except Exception as error:  # of h5py, which raises most of Python's exceptions for a damaged file
        header = {"error": f"expected an HDF5 file, got {type(error).__name__}: {str(error)[:200]}"}
    out = sys.stdout.buffer
    out.write(json.dumps(header).encode() + b"\n")
    for array in arrays:
        out.write(array)
    out.flush()


if __name__ == "__main__":
    main()
