"""Checks of what the package's modules import from one another: no circle, and each layer only from those below it.

A module's imports are those that its own code does, at import and later; what only type checkers read is left out, and
the compiled core's are those of its Cython source. ALLOWED are the imports that lead upwards all the same, each done
late, with the reason.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path("src/fastmlp")
LAYERS = (  # from the lowest on; a name with a dot at its end stands for a folder
    "_version arguments console frozen history suggestions formats.atomic formats.foreign formats.strict_json",
    "inputs.arrays formats.safetensors formats.upgrade training.progress cli.preparation",
    "inputs. tables.",
    "_blas _custom _rows",
    "_core about datasets inputs.sharing",
    "inputs.moments activations schedules initializers optimizers losses metrics regularization scaling engines "
    "encoder",
    "architecture",
    "formats. callbacks model training. network ensemble",
    "__init__",
    "reference. sklearn. cli. __main__",
)
COMPILED = {  # an extension module's Cython sources
    "_blas": ("_blas.pyx", "_blas.pxd"),
    "_core": ("_core.pyx", "_*.pxi"),
    "_custom": ("_custom.pyx", "_custom.pxd"),
    "_rows": ("_rows.pyx", "_rows.pxd"),
}
ALLOWED = {
    ("inputs.schema", "encoder"): "a network has an encoder only if its frames need one, and encoding needs the core",
}


def imports_of(tree: ast.AST, package: list[str], known: set[str]) -> Iterator[str]:
    """The modules of the package that the code imports."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.ImportFrom) and node.level > 0:
            base = [*package[: len(package) - node.level + 1], *(node.module.split(".") if node.module else [])]
            for alias in node.names:
                longer = ".".join([*base, alias.name])
                yield longer if longer in known else ".".join(base) or "__init__"
        yield from imports_of(node, package, known)


def graph() -> dict[str, set[str]]:
    """What each module imports, by name within the package."""
    paths = {".".join(path.relative_to(SOURCE).with_suffix("").parts): path for path in SOURCE.rglob("*.py")}
    names = {name: name.removesuffix(".__init__") for name in paths}
    known = {*names.values(), *COMPILED}
    edges = {
        names[name]: set(imports_of(ast.parse(path.read_text()), list(path.relative_to(SOURCE).parts[:-1]), known))
        for name, path in paths.items()
    }
    for name, sources in COMPILED.items():
        edges[name] = set()
        for path in (path for source in sources for path in SOURCE.glob(source)):
            for module, imported in re.findall(r"^from \.([\w.]*) c?import (.*)$", path.read_text(), re.MULTILINE):
                edges[name].update([module] if module else imported.split(", "))
        edges[name] -= {"_csrc"}  # declarations of the C core
    return {name: {other for other in others if other != name} for name, others in edges.items()}


def layer(name: str) -> int:
    """The number of a module's layer; -1 if it has none."""
    folder = name.partition(".")[0] + "."
    own = next((i for i, names in enumerate(LAYERS) if name in names.split()), -1)
    return own if own >= 0 else next((i for i, names in enumerate(LAYERS) if folder in names.split()), -1)


def circle(edges: dict[str, set[str]], name: str, path: tuple[str, ...] = ()) -> tuple[str, ...]:
    """A circle that begins and ends with the last name of the path, or nothing."""
    if name in path:
        return (*path[path.index(name) :], name)
    return next(filter(None, (circle(edges, other, (*path, name)) for other in sorted(edges.get(name, ())))), ())


def main() -> int:
    """Prints what is wrong."""
    edges = graph()
    problems = [f"{name} is in no layer of {__file__}" for name in sorted(edges) if layer(name) < 0]
    problems += [
        f"{name} imports {other}, which is in a higher layer"
        for name, others in sorted(edges.items())
        for other in sorted(others)
        if layer(other) > layer(name) and (name, other) not in ALLOWED
    ]
    problems += [f"{name} no longer imports {other}" for name, other in ALLOWED if other not in edges[name]]
    down = {name: {other for other in others if (name, other) not in ALLOWED} for name, others in edges.items()}
    found = next(filter(None, (circle(down, name) for name in sorted(down))), ())
    problems += [f"a circle of imports: {' -> '.join(found)}"] if found else []
    for problem in problems:
        print(problem)
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
