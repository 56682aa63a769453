"""Files of torch.save and safetensors are read without torch, and what is no state dict is refused."""

from __future__ import annotations

import io
import pickle
import struct
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

import fastmlp
from fastmlp import FormatError
from fastmlp.convert import checking, safetensors_file, torch_file
from fastmlp.convert.zip_members import Archive
from torch_models import RELU, TANH, agrees, plain, saved

MODELS = Path(__file__).parent / "models"
# ---------------------------------------------------------------------------------------------------- the tool's files

FILES = [*(MODELS / "torch-state-dict").glob("*.pt"), *(MODELS / "torch-safetensors").glob("*.safetensors")]


@pytest.mark.parametrize("path", [path for path in FILES if path.stem != "old_format"], ids=lambda path: path.stem)
def test_files_of_the_tool(path: Path) -> None:
    expected = np.load(path.with_name(f"{path.stem}.expected.npz"))
    spec = RELU if path.stem in ("batchnorm_relu", "float64") else TANH
    net = checking.network(torch_file.read(path, **spec))
    got = net.predict(expected["input"])
    assert got.dtype == expected["torch"].dtype
    tolerance = 1e-13 if got.dtype == np.float64 else 2e-6
    np.testing.assert_allclose(got, expected["torch"], rtol=tolerance, atol=tolerance)


def test_files_are_read_without_torch() -> None:
    path = MODELS / "torch-state-dict" / "plain.pt"
    code = f"""
import sys
from fastmlp.convert import torch_file
torch_file.read({str(path)!r}, activation='tanh', output_activation='identity')
assert not {{'torch', 'safetensors'}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_format_before_zip_is_refused() -> None:
    with pytest.raises(FormatError, match=r"since version 1\.6.*torch\.save\(net\.state_dict\(\), path\)"):
        torch_file.read(MODELS / "torch-state-dict" / "old_format.pt", **TANH)


# -------------------------------------------------------------------------------------------------- tensors in files


def test_strides_offsets_and_slices() -> None:
    module = plain()
    large = torch.randn(20, 30)
    state = module.state_dict()
    state["0.weight"] = large.t()[3:9, 5:9]
    state["2.weight"] = torch.randn(3, 12)[:, ::2]
    state["2.bias"] = torch.randn(1).expand(3)
    module.load_state_dict(state)
    agrees(saved(state), module, **TANH)
    assert len(saved(state)) > 20 * 30 * 4  # the whole of the large array is in the file


def test_tied_tensors() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))
    module[2].weight = module[0].weight
    net = agrees(saved(module.state_dict()), module, **TANH)
    np.testing.assert_array_equal(net.weights[0], net.weights[1])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_short_floats_become_float32_exactly(dtype: torch.dtype) -> None:
    module = plain().to(dtype)
    module[0].weight.data[0, 0] = 1e-7  # subnormal in float16
    net = checking.network(torch_file.read(saved(module.state_dict()), **TANH))
    assert net.parameters.dtype == np.float32
    np.testing.assert_array_equal(net.weights[0], module[0].weight.detach().float().numpy())
    np.testing.assert_array_equal(net.biases[1], module[2].bias.detach().float().numpy())


def test_byte_orders() -> None:
    module = plain()
    data = repacked(saved(module.state_dict()), swap_floats)
    agrees(data, module, **TANH)


def swap_floats(members: dict[str, bytes]) -> None:
    """Store the floats as a big-endian machine does."""
    for name, content in members.items():
        if "/data/" in name:
            members[name] = np.frombuffer(content, "<f4").byteswap().tobytes()
        elif name.endswith("/byteorder"):
            members[name] = b"big"


def repacked(data: bytes, change: Callable[[dict[str, bytes]], None], method: int = zipfile.ZIP_STORED) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def test_archives_packed_anew_are_read() -> None:
    module = plain()
    agrees(repacked(saved(module.state_dict()), lambda members: None, zipfile.ZIP_DEFLATED), module, **TANH)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickle_protocols(protocol: int) -> None:
    module = plain()
    agrees(saved(module.state_dict(), pickle_protocol=protocol), module, **TANH)


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model"])
def test_checkpoints(key: str) -> None:
    module = plain()
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.ones(1, 4)).sum().backward()
    optimizer.step()
    checkpoint = {"epoch": 3, "loss": 0.5, "optimizer": optimizer.state_dict(), key: module.state_dict(), "note": None}
    agrees(saved(checkpoint), module, **TANH)
    agrees(saved({"model": checkpoint} if key != "model" else checkpoint), module, **TANH)


def test_a_checkpoint_of_two_state_dicts_is_refused() -> None:
    state = plain().state_dict()
    with pytest.raises(FormatError, match="several state dicts among the keys 'model', 'state_dict'"):
        torch_file.read(saved({"model": state, "state_dict": state}), **TANH)
    with pytest.raises(FormatError, match="no state dict among the keys 'net'"):
        torch_file.read(saved({"net": state, "epoch": 1}), **TANH)
    with pytest.raises(FormatError, match=r"entry: expected one of 'net', got 'other'"):
        torch_file.read(saved({"net": state, "epoch": 1}), entry="other", **TANH)
    agrees(saved({"model": {}, "state_dict": {"net": state}, "net": state}), plain(), entry="net", **TANH)


def test_prefixes_of_wrappers() -> None:
    module = plain()
    compiled = torch.compile(module, backend="eager")
    for wrapped in (
        compiled,
        *(nn.ModuleDict({name: each}) for name in ("module", "net") for each in (module, compiled)),
    ):
        agrees(saved(wrapped.state_dict()), module, **TANH)


def test_parameters_and_dictionaries_in_memory() -> None:
    module = plain()
    agrees(saved(dict(module.named_parameters())), module, **TANH)
    agrees(module.state_dict(), module, **TANH)
    agrees({name: tensor.numpy() for name, tensor in module.state_dict().items()}, module, **TANH)


def test_weight_norm_and_spectral_norm() -> None:
    for normed in (
        lambda: parametrizations.weight_norm(nn.Linear(4, 5)),
        lambda: parametrizations.weight_norm(nn.Linear(4, 5), dim=1),
        lambda: parametrizations.weight_norm(nn.Linear(4, 5), dim=None),
        lambda: parametrizations.spectral_norm(nn.Linear(4, 5)),
        lambda: torch.nn.utils.spectral_norm(nn.Linear(4, 5)),
        lambda: old_weight_norm(nn.Linear(4, 5)),
    ):
        module = nn.Sequential(normed(), nn.ReLU(), normed())
        module[2] = nn.Linear(5, 2)
        module(torch.randn(8, 4))
        for name, tensor in module.named_parameters():
            if name.endswith(("original0", "weight_g")):
                tensor.data *= 1.7
        agrees(saved(module.eval().state_dict()), module, **RELU)


def old_weight_norm(layer: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.nn.utils.weight_norm(layer)


def test_pruned_weights() -> None:
    module = plain()
    prune.l1_unstructured(module[0], "weight", amount=0.5)
    net = agrees(saved(module.state_dict()), module, **TANH)
    assert (net.weights[0] == 0).sum() == 12


# --------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (
            nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2), nn.Linear(2, 2)),
            "module '1': .*a LayerNorm, a BatchNorm without",
        ),
        (nn.Sequential(nn.Linear(2, 2), nn.PReLU(2)), "module '1': .*a PReLU of several slopes"),
        (nn.Sequential(nn.Conv1d(1, 2, 3), nn.Linear(2, 2)), r"module '0': .*a weight of shape \(2, 1, 3\)"),
        (nn.Sequential(nn.LSTM(2, 2)), "tensor '0.weight_ih_l0': .*no known layer"),
        (
            nn.Sequential(nn.Embedding(9, 2), nn.ReLU(), nn.Linear(2, 2)),
            "layers: module '0' has no bias, as others have: it may be an Embedding, which has no equal",
        ),
        (nn.ReLU(), "state dict: expected a dictionary of tensors"),
    ],
)
def test_other_layers_are_refused(module: nn.Module, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        torch_file.read(saved(module.state_dict()), **RELU)


def test_whole_modules_are_refused() -> None:
    with pytest.raises(FormatError, match="got a whole module with the class"):
        torch_file.read(saved(plain()), **TANH)


@pytest.mark.filterwarnings("ignore")
def test_torchscript_is_refused() -> None:
    for script in (torch.jit.script(plain()), torch.jit.freeze(torch.jit.script(plain().eval()))):
        stream = io.BytesIO()
        torch.jit.save(script, stream)
        with pytest.raises(FormatError, match="TorchScript module, whose layers are program text"):
            torch_file.read(stream.getvalue(), **TANH)


class Runs:
    def __reduce__(self) -> Any:
        return print, ("it ran",)


@pytest.mark.parametrize(
    "value", [Runs(), np.float64(1.0), torch.Size([1]), {"a": set()}, torch.zeros(2, dtype=torch.cfloat)]
)
def test_other_objects_are_refused(value: Any, capsys: Any) -> None:
    with pytest.raises(FormatError, match=r"data\.pkl: expected"):
        torch_file.read(saved({"state_dict": plain().state_dict(), "other": value}), **TANH)
    assert capsys.readouterr().out == ""


def test_numbers_that_are_not_finite_are_refused() -> None:
    state = plain().state_dict()
    state["2.bias"][0] = torch.inf
    with pytest.raises(FormatError, match="module '2': bias: expected finite numbers"):
        torch_file.read(state, **TANH)


def test_other_files_are_refused(tmp_path: Path) -> None:
    for content, message in (
        (b"", "an empty file"),
        (b"GGUF" + bytes(20), "a GGUF model"),
        (pickle.dumps([1]), "a pickle"),
    ):
        with pytest.raises(FormatError, match=message):
            torch_file.read(content, **TANH)
    with pytest.raises(OSError, match="nothing"):
        torch_file.read(tmp_path / "nothing.pt", **TANH)
    net = fastmlp.Network([2, 1])
    net.save(tmp_path / "ours.safetensors")
    with pytest.raises(FormatError, match=r"fastmlp\.load reads it"):
        torch_file.read(tmp_path / "ours.safetensors", **TANH)


# ------------------------------------------------------------------------------------------------ hostile archives


def test_compressed_bombs_are_refused() -> None:
    def grow(members: dict[str, bytes]) -> None:
        members["archive/data/0"] = bytes(10**7)

    with pytest.raises(FormatError, match="expected members of at most 32 times"):
        torch_file.read(repacked(saved(plain().state_dict()), grow, zipfile.ZIP_DEFLATED), **TANH)


def test_wrong_checksums_are_refused() -> None:
    data = bytearray(saved(plain().state_dict()))
    with Archive(bytes(data), "file") as archive:
        content = archive.read("archive/data/0")
    data[data.index(content)] ^= 1
    with pytest.raises(FormatError, match=r"member 'archive/data/0': .*Bad CRC-32"):
        torch_file.read(bytes(data), **TANH)


def test_overlapping_members_are_refused() -> None:
    data = bytearray(saved(plain().state_dict()))
    first = data.index(b"PK\x01\x02")
    second = data.index(b"PK\x01\x02", first + 4)
    data[second + 42 : second + 46] = data[first + 42 : first + 46]  # the second member's header is the first's
    with pytest.raises(FormatError, match=r"overlaps|header|differ|zip archive"):
        torch_file.read(bytes(data), **TANH)


def test_tensors_outside_of_their_storage_are_refused() -> None:
    def reach(members: dict[str, bytes]) -> None:
        pkl = members["archive/data.pkl"]
        assert pkl.count(b"K\x06K\x04\x86") == 1  # the shape (6, 4)
        members["archive/data.pkl"] = pkl.replace(b"K\x06K\x04\x86", b"K\x07K\x04\x86")

    with pytest.raises(
        FormatError, match=r"tensor '0\.weight': expected elements of its storage of 24, got element 27"
    ):
        torch_file.read(repacked(saved(plain().state_dict()), reach), **TANH)


def test_expanded_tensors_are_bounded() -> None:
    state = {f"{i}.weight": torch.zeros(1).expand(10**6, 10**3) for i in range(2)}
    with pytest.raises(FormatError, match="expected tensors of at most 16 times the file's size"):
        torch_file.read(saved(state), **TANH)


def test_a_deep_pickle_is_refused() -> None:
    def deepen(members: dict[str, bytes]) -> None:
        members["archive/data.pkl"] = b"\x80\x02" + b"]" * 10**5 + b"a" * (10**5 - 1) + b"."

    with pytest.raises(FormatError, match="expected a dictionary of tensors, got list"):
        torch_file.read(repacked(saved(plain().state_dict()), deepen), **TANH)
    for code in (
        b"]" + b"\x85" * 10**5 + b"]\x86.",
        b"}" + b")" + b"\x85" * 10**5 + b"Ns.",
        b"r\xff\xff\xff\xff.",
        b"(" * 99,
    ):
        with pytest.raises(FormatError):
            torch_file.read(
                repacked(saved({}), lambda members, code=code: members.update({"archive/data.pkl": code})), **TANH
            )


@pytest.mark.parametrize("kind", ["zip", "pickle", "safetensors"])
def test_fuzz(kind: str) -> None:
    """Altered files give a network or a FormatError."""
    rng = np.random.default_rng(0)
    state = plain().state_dict()
    good = safetensors.torch.save(state) if kind == "safetensors" else saved(state)
    with zipfile.ZipFile(io.BytesIO(saved(state))) as archive:
        pkl = archive.read("archive/data.pkl")
    n_refused = 0
    for _ in range(1500):
        base = bytearray(pkl if kind == "pickle" else good)
        match rng.integers(4):
            case 0:
                base[rng.integers(len(base))] ^= 1 << rng.integers(8)
            case 1:
                del base[rng.integers(len(base)) :]
            case 2:
                at = rng.integers(len(base) - 8)
                base[at : at + 4] = struct.pack(
                    "<I", int(rng.choice([0, 1, 2**31 - 1, 2**32 - 1, rng.integers(2**32)]))
                )
            case 3:
                at, to, n = [*rng.integers(len(base), size=2).tolist(), int(rng.integers(1, 40))]
                base[at : at + n] = base[to : to + n]
        altered = bytes(base)
        if kind == "pickle":
            altered = repacked(good, lambda members, new=altered: members.update({"archive/data.pkl": new}))
        try:
            torch_file.read(altered, **TANH)
        except FormatError:
            n_refused += 1
    assert n_refused > 300


# ------------------------------------------------------------------------------------------------------ safetensors


def test_tied_tensors_of_save_model(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))
    module[2].weight = module[0].weight
    safetensors.torch.save_model(module, str(tmp_path / "tied.safetensors"))
    agrees(tmp_path / "tied.safetensors", module, **TANH)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_dtypes_of_safetensors(dtype: torch.dtype) -> None:
    module = plain().to(dtype)
    tensors, _ = safetensors_file.tensors_of_file(safetensors.torch.save(module.state_dict()))
    for name, tensor in module.state_dict().items():
        expected = tensor.float() if dtype == torch.bfloat16 else tensor
        np.testing.assert_array_equal(tensors[name], expected.numpy())


def test_tied_tensors_are_bounded() -> None:
    metadata = {f"{i}.weight": "0.weight" for i in range(1, 100)}
    data = safetensors.torch.save({"0.weight": torch.zeros(100, 100)}, metadata)
    with pytest.raises(FormatError, match="expected tied tensors of at most 16 times the file"):
        torch_file.read(data, **TANH)
