"""What a state dict does not say, its activations and where in doubt the order of its layers, is asked for."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn
from torch.nn.utils import parametrizations

import fastmlp
from fastmlp import FormatError
from fastmlp.convert import checking, torch_file
from torch_models import RELU, TANH, agrees, batch_norm, outputs, plain, saved


def test_activations_are_asked_for() -> None:
    state = plain().state_dict()
    with pytest.raises(FormatError, match=r"activation: expected the activation of the hidden layers \(1\)"):
        torch_file.read(state, output_activation="identity")
    with pytest.raises(FormatError, match="output_activation: expected the activation after the last layer"):
        torch_file.read(state, activation="tanh")
    with pytest.raises(ValueError, match="activation: expected 1 activations"):
        torch_file.read(state, activation=["tanh", "tanh"], output_activation="identity")
    with pytest.raises(ValueError, match="activation: expected one of"):
        torch_file.read(state, activation="tahn", output_activation="identity")
    with pytest.raises(ValueError, match="layers: cannot be combined with activation"):
        torch_file.read(state, layers=["0"], activation="tanh")


def test_one_layer_needs_no_hidden_activation() -> None:
    module = nn.Linear(3, 2)
    agrees(module.state_dict(), module, output_activation="identity")
    agrees(module.state_dict(), nn.Sequential(module, nn.Softmax(-1)), output_activation="softmax")


def test_a_list_of_activations() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 4), nn.LeakyReLU(0.3), nn.Linear(4, 1), nn.Sigmoid()
    )
    spec = {"activation": ["relu", fastmlp.LeakyReLU(0.3)], "output_activation": "sigmoid"}
    agrees(module.state_dict(), module, **spec)


def test_gaps_between_indices_tell_where_batch_norm_stands() -> None:
    torch.manual_seed(0)
    for module in (
        nn.Sequential(nn.Linear(3, 5), batch_norm(5), nn.ReLU(), nn.Linear(5, 2)),
        nn.Sequential(nn.Linear(3, 5), nn.ReLU(), batch_norm(5), nn.Linear(5, 2)),
        nn.Sequential(batch_norm(3), nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2), batch_norm(2)),
    ):
        agrees(saved(module.state_dict()), module, **RELU)


def test_an_unclear_place_of_batch_norm_is_asked_for() -> None:
    torch.manual_seed(0)
    unclear = nn.Sequential(nn.Linear(3, 5), nn.Dropout(), batch_norm(5), nn.ReLU(), nn.Linear(5, 2))
    with pytest.raises(
        FormatError,
        match=r"layers: of modules without tensors between '0', '2', '4', .*layers=\['0', 'relu', '2', '4'\]",
    ):
        torch_file.read(unclear.state_dict(), **RELU)
    agrees(unclear.state_dict(), unclear, layers=["0", "2", "relu", "4"])
    last = nn.Sequential(nn.Linear(3, 5), batch_norm(5), nn.Sigmoid())
    with pytest.raises(FormatError, match="layers: whether the output activation comes before or after"):
        torch_file.read(last.state_dict(), output_activation="sigmoid")
    agrees(last.state_dict(), last, layers=["0", "1", "sigmoid"])


def test_eps_of_batch_norm_is_an_argument() -> None:
    module = nn.Sequential(nn.Linear(3, 5), batch_norm(5), nn.ReLU(), nn.Linear(5, 2))
    module[1].eps = 0.1
    agrees(module.state_dict(), module, eps=0.1, **RELU)
    folded = ("order of the layers: 0 -> 1 -> relu -> 3", "module '1': BatchNorm1d with eps 1e-05")
    assert torch_file.read(module.state_dict(), **RELU).folded == folded


def test_one_slope_of_prelu_is_its_activation() -> None:
    module = nn.Sequential(nn.Linear(3, 5), nn.PReLU(init=0.3), nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 2), nn.PReLU())
    with pytest.raises(FormatError, match=r"may be the slope of a PReLU.*layers=\['0', '1', '2', 'tanh', '4', '5'\]"):
        torch_file.read(module.state_dict(), activation="tanh", output_activation="identity")
    net = agrees(module.state_dict(), module, layers=["0", "1", "2", "tanh", "4", "5"])
    assert net.conversion is not None
    assert "module '1': PReLU of the slope 0.3" in net.conversion.folded


class Temperature(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.5]))


UNSEEN: dict[str, Callable[[], nn.Module]] = {  # what changes numbers and leaves no trace, or that of another thing
    "a temperature": lambda: nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1), Temperature()),
    "a norm of one column": lambda: nn.Sequential(nn.Linear(3, 1), nn.RMSNorm(1), nn.Linear(1, 2)),
    "something before": lambda: nn.Sequential(nn.Tanh(), nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)),
    "two activations": lambda: nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.ReLU(), nn.Linear(4, 2)),
    "a norm without tensors": lambda: nn.Sequential(
        nn.Linear(3, 4), nn.LayerNorm(4, elementwise_affine=False), nn.ReLU(), nn.Linear(4, 2)
    ),
    "an embedding behind": lambda: nn.ModuleDict({"a": nn.Linear(3, 4), "b": nn.Linear(4, 5), "e": nn.Embedding(9, 5)}),
}


@pytest.mark.parametrize("name", UNSEEN)
def test_what_a_file_may_hide_is_asked_for(name: str) -> None:
    state = UNSEEN[name]().state_dict()
    for content in (state, saved(state), safetensors.torch.save(state)):
        with pytest.raises(FormatError, match=r"layers: .*if it is this one, layers="):
            torch_file.read(content, **RELU)


def test_a_sign_bit_is_obeyed_or_refused() -> None:
    module = nn.Linear(3, 2)
    negated = torch.complex(torch.zeros(2, 3), -module.weight.detach()).conj().imag
    assert negated.is_neg()
    state = {"weight": negated, "bias": module.bias.detach()}
    agrees(state, module, output_activation="identity")
    with pytest.raises(FormatError, match=r"a tensor with the metadata .*resolve_neg"):
        torch_file.read(saved(state), output_activation="identity")


@pytest.mark.parametrize("normed", [parametrizations.spectral_norm, torch.nn.utils.spectral_norm])
@pytest.mark.parametrize("dim", [0, 1])
def test_spectral_norm_of_a_square_weight_is_read_of_a_module_alone(normed: Any, dim: int) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(normed(nn.Linear(4, 4), dim=dim), nn.ReLU(), nn.Linear(4, 2))
    module(torch.randn(8, 4))
    with pytest.raises(FormatError, match="sigma depends on the dimension"):
        torch_file.read(module.eval().state_dict(), **RELU)
    X = np.random.default_rng(0).standard_normal((32, 4)).astype(np.float32)
    np.testing.assert_allclose(fastmlp.from_torch(module).predict(X), outputs(module, X), rtol=1e-5, atol=1e-6)


def test_an_activation_of_another_type() -> None:
    for given in (True, nn.ReLU(), torch.relu, [nn.ReLU()]):
        with pytest.raises(TypeError, match=r"activation(\[0\])?: expected one of"):
            torch_file.read(plain().state_dict(), activation=given, output_activation="identity")


def test_the_order_of_layers() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(*[layer for _ in range(6) for layer in (nn.Linear(4, 4), nn.Tanh())], nn.Linear(4, 2))
    by_text = dict(sorted(module.state_dict().items()))
    assert list(by_text)[2] == "10.bias"
    agrees(by_text, module, **TANH)
    agrees(safetensors.torch.save(module.state_dict()), module, **TANH)
    other = OrderedDict((name, module.state_dict()[name]) for n in (4, 0, 2) for name in (f"{n}.weight", f"{n}.bias"))
    with pytest.raises(
        FormatError, match="the order of the modules in the file is another one than that of their numb"
    ):
        torch_file.read(other, **TANH)


class Named(nn.Module):
    """Layers by name in a row, made in the order of the names that are given and used in that of `layers`."""

    def __init__(self, layers: dict[str, nn.Linear], made: list[str] | None = None) -> None:
        super().__init__()
        for name in made or list(layers):
            self.add_module(name, layers[name])
        self.names = list(layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for name in self.names[:-1]:
            x = torch.tanh(self.get_submodule(name)(x))
        return self.get_submodule(self.names[-1])(x)


def square() -> Named:
    torch.manual_seed(0)
    return Named({name: nn.Linear(4, 4) for name in ("input", "hidden", "out")})


def in_file(content: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "model"
    path.write_bytes(content)
    return path


KINDS_OF_STATE: dict[str, Callable[[nn.Module, Path], Any]] = {
    "state dict": lambda module, folder: module.state_dict(),
    "arrays": lambda module, folder: {name: tensor.numpy() for name, tensor in module.state_dict().items()},
    "bytes": lambda module, folder: saved(module.state_dict()),
    "file": lambda module, folder: in_file(saved(module.state_dict()), folder),
    "checkpoint": lambda module, folder: saved({"epoch": 1, "state_dict": module.state_dict()}),
    "safetensors bytes": lambda module, folder: safetensors.torch.save(module.state_dict()),
    "safetensors file": lambda module, folder: in_file(safetensors.torch.save(module.state_dict()), folder),
}


@pytest.mark.parametrize("kind", KINDS_OF_STATE)
def test_shapes_that_allow_one_order_give_it(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    linear = nn.Linear
    cases: list[tuple[dict[str, nn.Linear], list[str] | None]] = [
        ({"trunk": linear(4, 6), "head": linear(6, 2)}, None),
        ({"trunk": linear(4, 6), "head": linear(6, 2)}, ["head", "trunk"]),
        ({"z": linear(4, 6), "middle": linear(6, 6), "a": linear(6, 2)}, ["a", "middle", "z"]),
        ({"input": linear(4, 6), "fc2": linear(6, 6), "fc10": linear(6, 6), "a": linear(6, 1)}, None),
        ({"down": linear(5, 3), "up": linear(3, 5), "out": linear(5, 1)}, ["out", "up", "down"]),
        ({"only": linear(3, 3)}, None),
    ]  # fmt: skip
    for layers, made in cases:
        module = Named(layers, made)
        agrees(
            KINDS_OF_STATE[kind](module, tmp_path),
            module,
            **(TANH if len(layers) > 1 else {"output_activation": "identity"}),
        )


class Row(nn.Module):
    """Modules with names, of which `forward` uses some, one after another, with the activations among them."""

    def __init__(self, modules: dict[str, nn.Module], used: list[str]) -> None:
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)
        self.used = used

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for name in self.used:
            x = getattr(torch, name)(x) if name in ("relu", "tanh") else self.get_submodule(name)(x)
        return x


def pair(*sizes: int) -> nn.Sequential:
    """Linear, ReLU, Linear."""
    return nn.Sequential(nn.Linear(*sizes[:2]), nn.ReLU(), nn.Linear(*sizes[1:]))


L = nn.Linear
DOUBTFUL: dict[str, Callable[[], Row]] = {
    "a linear bottleneck between containers": lambda: Row(
        {"enc": pair(4, 8, 2), "head": pair(2, 8, 1)}, ["enc.0", "relu", "enc.2", "head.0", "relu", "head.2"]
    ),
    "a container beside a layer": lambda: Row(
        {"net": nn.Sequential(L(4, 6), L(6, 5)), "out": L(5, 2)}, ["net.0", "net.1", "relu", "out"]
    ),
    "a list beside a layer": lambda: Row(
        {"hidden": nn.ModuleList([L(4, 6), L(6, 6)]), "out": L(6, 2)}, ["hidden.0", "tanh", "hidden.1", "tanh", "out"]
    ),
    "blocks in a list": lambda: Row(
        {"0": nn.ModuleDict({"fc": L(4, 6)}), "1": nn.ModuleDict({"fc": L(6, 2)})}, ["0.fc", "1.fc"]
    ),
    "an actor beside a critic": lambda: Row(
        {"actor": pair(4, 8, 4), "critic": pair(4, 8, 1)}, ["actor.0", "relu", "actor.2"]
    ),
    "two heads": lambda: Row(
        {"body": pair(4, 8, 8), "mean": L(8, 8), "value": L(8, 1)}, ["body.0", "relu", "body.2", "mean"]
    ),
    "two heads of named layers": lambda: Row({"fc": L(4, 8), "mean": L(8, 8), "std": L(8, 8)}, ["fc", "relu", "mean"]),
    "a copy of averages": lambda: Row({"net": pair(4, 8, 4), "ema": pair(4, 8, 4)}, ["net.0", "relu", "net.2"]),
    "a copy of averages of named layers": lambda: Row(
        {"fc1": L(4, 4), "fc2": L(4, 4), "ema_fc1": L(4, 4), "ema_fc2": L(4, 4)}, ["fc1", "relu", "fc2"]
    ),
    "a head made before the body": lambda: Row(
        {"head": pair(4, 4, 4), "body": pair(4, 4, 4)}, ["body.0", "relu", "body.2", "head.0", "relu", "head.2"]
    ),
    "a square weight without a bias": lambda: Row({"fc1": L(4, 4, bias=False), "fc2": L(4, 2)}, ["fc1", "relu", "fc2"]),
    "the same in a container": lambda: Row(
        {"net": nn.Sequential(L(4, 8, bias=False), nn.ReLU(), L(8, 2))}, ["net.0", "relu", "net.2"]
    ),
    "a BatchNorm with a name": lambda: Row(
        {"fc1": L(4, 6), "bn1": batch_norm(6), "fc2": L(6, 2)}, ["fc1", "bn1", "relu", "fc2"]
    ),
    "a PReLU with a name": lambda: Row({"fc1": L(4, 6), "act": nn.PReLU(), "fc2": L(6, 2)}, ["fc1", "act", "fc2"]),
    "encoder and decoder": lambda: Row({"encoder": L(5, 2), "decoder": L(2, 5)}, ["encoder", "relu", "decoder"]),
    "one square layer in the middle of two": lambda: Row(
        {"a": L(2, 4), "b": L(4, 4), "c": L(4, 4), "d": L(4, 1)}, ["a", "tanh", "c", "tanh", "b", "tanh", "d"]
    ),
    "a name beside numbers": lambda: Row(
        {"fc1": L(3, 3), "fc2": L(3, 3), "x": L(3, 3)}, ["fc1", "relu", "x", "relu", "fc2"]
    ),
    "many names": lambda: Row({f"layer{'x' * i}": L(2, 2) for i in range(20)}, [f"layer{'x' * i}" for i in range(20)]),
}


@pytest.mark.parametrize("name", DOUBTFUL)
@pytest.mark.parametrize("kind", ["state dict", "file", "safetensors bytes"])
def test_an_order_that_is_in_doubt_is_asked_for(name: str, kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = DOUBTFUL[name]()
    source = KINDS_OF_STATE[kind](module, tmp_path)
    for spec in (RELU, {"output_activation": "identity"}, {}):
        with pytest.raises(FormatError, match=r"^layers: .*forward uses them: if it is this one, layers=") as caught:
            torch_file.read(source, **spec)
        proposed = re.findall("'([^']*)'", str(caught.value).split("layers=")[1])
        with_tensors = {each.rpartition(".")[0] for each in module.state_dict()}
        assert set(proposed) - {"relu"} == with_tensors
        assert "relu" in proposed
    unused = with_tensors - set(module.used)
    if unused:
        with pytest.raises(FormatError, match="layers: expected all modules of the state dict, got none of the tens"):
            torch_file.read(source, layers=module.used)
    net = agrees(source, module, layers=module.used, ignore_unused=bool(unused))
    assert net.conversion is not None
    assert net.conversion.folded[0] == f"order of the layers: {' -> '.join(module.used)}"
    assert {each.split("'")[1].rpartition(".")[0] for each in net.conversion.folded if "not used" in each} == unused


def test_a_proposed_order_can_be_taken() -> None:
    """Where it is the model's, the text of the message gives the model."""
    module = DOUBTFUL["a BatchNorm with a name"]()
    with pytest.raises(FormatError) as caught:
        torch_file.read(safetensors.torch.save(module.state_dict()), **RELU)
    agrees(module.state_dict(), module, layers=eval(str(caught.value).split("layers=")[1]))


def test_adapters_are_refused() -> None:
    state = {f"fc{i}.{part}.weight": torch.ones(4, 4) for i in (1, 2) for part in ("base_layer", "lora_A.default")}
    with pytest.raises(FormatError, match=r"tensor 'fc1\.lora_A\.default\.weight': .*merge_and_unload"):
        torch_file.read(state, **TANH)


def test_the_order_that_is_assumed_is_said() -> None:
    for module, spec, order in (
        (plain(), TANH, "0 -> tanh -> 2"),
        (plain(), {"activation": [fastmlp.LeakyReLU(0.2)], "output_activation": "softmax"},
         "0 -> LeakyReLU(negative_slope=0.2) -> 2 -> softmax"),
        (Named({"trunk": nn.Linear(4, 6), "head": nn.Linear(6, 2)}, ["head", "trunk"]), TANH, "trunk -> tanh -> head"),
    ):  # fmt: skip
        assert torch_file.read(module.state_dict(), **spec).folded == (f"order of the layers: {order}",)


def test_shapes_that_fit_no_order() -> None:
    with pytest.raises(FormatError, match="layers: names and shapes of the modules do not leave exactly one order"):
        torch_file.read(Named({"actor": nn.Linear(3, 2), "critic": nn.Linear(3, 1)}).state_dict(), **TANH)


def test_layers_name_modules_of_the_file() -> None:
    module = square()
    data = safetensors.torch.save(module.state_dict())
    agrees(data, module, layers=["input", "tanh", "hidden", "tanh", "out"])
    with pytest.raises(ValueError, match=r"layers\[0\]: expected a module \('hidden', 'input', 'out'\)"):
        torch_file.read(data, layers=["in"])
    notes = (
        "order of the layers: hidden -> tanh -> out",
        "tensor 'input.bias': not used",
        "tensor 'input.weight': not used",
    )
    assert torch_file.read(data, layers=["hidden", "tanh", "out"], ignore_unused=True).folded == notes
    with pytest.raises(ValueError, match=r"ignore_unused: expected layers=\[\.\.\.\] beside it"):
        torch_file.read(data, ignore_unused=True, **TANH)
    with pytest.raises(TypeError, match="layers: expected a list"):
        torch_file.read(data, layers="hidden")


def test_parts_of_a_model_can_be_chosen() -> None:
    module = square()
    whole = nn.ModuleDict({"actor": module, "critic": nn.LSTM(4, 4), "norm": nn.LayerNorm(4)})
    with pytest.raises(FormatError, match="of no known layer"):
        torch_file.read(whole.state_dict(), **TANH)
    layers = ["actor.input", "tanh", "actor.hidden", "tanh", "actor.out"]
    with pytest.raises(FormatError, match=r"tensors 'critic\.weight_ih_l0', .*ignore_unused=True"):
        torch_file.read(whole.state_dict(), layers=layers)
    agrees(saved(whole.state_dict()), module, layers=layers, ignore_unused=True)


@pytest.mark.parametrize("buffers", [{"mean": torch.ones(4)}, {"mean": torch.ones(4, dtype=torch.float64)}])
def test_buffers_and_their_dtypes(buffers: dict[str, torch.Tensor]) -> None:
    """What is not used is refused, and if it is ignored its dtype does not count."""
    module = square()
    layers = ["input", "tanh", "hidden", "tanh", "out"]
    with pytest.raises(FormatError, match="got none of the tensors 'mean'"):
        torch_file.read(module.state_dict() | buffers, layers=layers)
    agrees(module.state_dict() | buffers, module, layers=layers, ignore_unused=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_state_dicts_of_to_torch_have_their_scalings(dtype: str) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal([1000.0, 0.0, -3.0], 5.0, (64, 3)), rng.normal(1e4, 10.0, (64, 1))
    for output, layers in (("identity", []), ("sigmoid", ["sigmoid"])):
        net = fastmlp.Network(
            [3, 8, 1], activation="tanh", output_activation=output, dtype=dtype, seed=0,
            input_scaling=fastmlp.Scaling(X.mean(0), X.std(0)), target_scaling=fastmlp.Scaling(y.mean(0), y.std(0)),
        )  # fmt: skip
        state = net.to_torch().state_dict()
        *_, last = [each.rpartition(".")[0] for each in state]
        for content in (state, saved(state), safetensors.torch.save(state)):
            for spec in (
                {"activation": "tanh", "output_activation": output},
                {"layers": ["0", "1", "tanh", "3", *layers, last]},
            ):
                again = checking.network(torch_file.read(content, **spec))
                np.testing.assert_array_equal(again.parameters, net.parameters)
                np.testing.assert_array_equal(again.predict(X), net.predict(X))


def test_neighbours_without_an_activation_between_them_are_not_given_one() -> None:
    module = nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 2))
    with pytest.raises(FormatError, match="layers: of modules without tensors between '0', '1', one"):
        torch_file.read(module.state_dict(), activation="relu", output_activation="identity")
    agrees(module.state_dict(), module, layers=["0", "1", "relu", "3"])
