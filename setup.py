"""Builds the extension modules: Cython over the C core, whose kernels are compiled once per ISA and dtype.

The core is compiled here, file by file, because its kernel files need flags of their own; the objects are linked
into `_core`. Environment: FASTMLP_SANITIZE=address,undefined builds with sanitizers; CC and CFLAGS as usual
(CFLAGS=-DFML_NO_VECTOR_EXTENSIONS builds the kernels as plain C).
"""

import os
import platform
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

X86_64 = platform.machine().lower() in ("x86_64", "amd64")
GNU_LIKE = os.name == "posix"

# One row per group of C files with the same flags: (files, flags on GCC and clang, macros when the group is built).
PLAIN = ["backward", "cores", "dispatch", "forward", "lbfgs", "line_search", "network", "platform", "pool", "rng"]
PLAIN += ["schedules", "train"]
PLAIN += ["kernels_base_f32", "kernels_base_f64"]
AVX2 = ["kernels_avx2_f32", "kernels_avx2_f64"]
GROUPS = [(PLAIN, [], [])]
AVX512 = ["kernels_avx512_f32", "kernels_avx512_f64"]
if X86_64 and GNU_LIKE:
    GROUPS.append((AVX2, ["-mavx2", "-mfma"], [("FML_HAVE_AVX2", "1")]))
    GROUPS.append(
        (
            AVX512,
            ["-mavx512f", "-mavx512dq", "-mavx512vl", "-mfma", "-mprefer-vector-width=512"],
            [("FML_HAVE_AVX512", "1")],
        )
    )
MACROS = [macro for _, _, macros in GROUPS for macro in macros]

# No contraction: every fused multiply-add is written. No fast-math: it would change the whole process.
CORE_FLAGS = [
    "-std=c11",
    "-O3",
    "-g0",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-wrapv",
    "-fvisibility=hidden",
    "-Wall",
    "-Wextra",
    "-Wno-unknown-pragmas",
]
SANITIZE = os.environ.get("FASTMLP_SANITIZE", "")
MODULE_FLAGS = ["-O2", "-g0", "-fvisibility=hidden", "-Wno-unused-function"] if GNU_LIKE else []
LINK_FLAGS = ["-Wl,-s"] if GNU_LIKE and platform.system() == "Linux" and not SANITIZE else []
if SANITIZE:
    instrument = [f"-fsanitize={SANITIZE}", "-fno-omit-frame-pointer", "-g1", "-fno-sanitize-recover=all"]
    CORE_FLAGS += instrument
    MODULE_FLAGS += instrument
    LINK_FLAGS += instrument
    MACROS += [("FML_SANITIZED", "1")]


class BuildExt(build_ext):
    """Compiles the C core before the module that it is linked into."""

    def build_extension(self, ext):
        if ext.name == "fastmlp._core":
            ext.extra_objects = [obj for group in GROUPS for obj in self.compile_group(*group)]
        super().build_extension(ext)

    def compile_group(self, names, flags, _macros):
        return self.compiler.compile(
            [f"csrc/{name}.c" for name in names],
            output_dir=self.build_temp,
            macros=MACROS,
            include_dirs=["csrc"],
            extra_postargs=CORE_FLAGS + flags if GNU_LIKE else ["/O2", "/std:c11"],
            depends=[str(path) for path in Path("csrc").glob("*.[hi]*")],
        )


def extension(name):
    return Extension(
        f"fastmlp.{name}",
        [f"src/fastmlp/{name}.pyx"],
        include_dirs=["csrc", numpy.get_include()],
        depends=sorted(str(path) for path in Path("csrc").iterdir()),
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION"), *MACROS],
        extra_compile_args=MODULE_FLAGS,
        extra_link_args=LINK_FLAGS,
    )


setup(
    ext_modules=cythonize(
        [extension("_core"), extension("_blas")],
        compiler_directives={
            "language_level": 3,
            "auto_pickle": False,
            "binding": False,
            "embedsignature": True,
            "embedsignature.format": "clinic",
        },
        build_dir="build/cython",
    ),
    cmdclass={"build_ext": BuildExt},
)
