"""Modules of PyTorch become networks that compute the same, and networks become modules with the same parameters."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import fx, nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.utils import parametrizations, prune

import fastmlp
from chains import ACTIVATIONS
from fastmlp import FormatError
from fastmlp.convert import checking, torch_modules
from torch_models import batch_norm

torch.set_num_threads(1)

MODULES: list[Callable[[], nn.Module]] = [
    nn.ReLU, nn.Tanh, nn.Sigmoid, nn.SiLU, nn.Mish, nn.Softsign, nn.SELU, nn.GELU, lambda: nn.GELU("tanh"),
    lambda: nn.ELU(0.7), lambda: nn.LeakyReLU(0.2), nn.RReLU, lambda: nn.Softplus(1.0, 40.0),
    lambda: nn.Softplus(2.0, 50.0), nn.Hardsigmoid, lambda: nn.Hardtanh(-0.5, 2.0), nn.ReLU6, nn.PReLU,
    lambda: nn.CELU(0.6), nn.LogSigmoid, nn.Identity, lambda: nn.Dropout(0.3), lambda: nn.Threshold(0.0, 0.0),
]  # fmt: skip


def random_module(seed: int, dtype: torch.dtype) -> nn.Sequential:
    """Make an nn.Sequential of a random architecture."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 12))
    modules: list[nn.Module] = [batch_norm(n)] if rng.random() < 0.2 else []
    for _ in range(rng.integers(1, 6)):
        n_outputs = int(rng.integers(1, 40))
        modules.append(nn.Linear(n, n_outputs, bias=bool(rng.random() < 0.8)))
        n = n_outputs
        modules += [batch_norm(n)] if rng.random() < 0.25 else []
        modules.append(MODULES[rng.integers(len(MODULES))]())
        modules += [batch_norm(n)] if rng.random() < 0.15 else []
    modules.append(nn.Linear(n, int(rng.integers(2, 9))))
    last = rng.random()
    if last < 0.5:
        modules.append(nn.Softmax(-1) if last < 0.3 else MODULES[rng.integers(len(MODULES))]())
    return nn.Sequential(*modules).to(dtype)


def outputs(module: nn.Module, X: Any) -> Any:
    with torch.no_grad():
        return module.eval()(torch.as_tensor(X)).numpy()


def rows(net: fastmlp.Network, n_rows: int = 64) -> Any:
    return np.random.default_rng(0).standard_normal((n_rows, net.sizes[0])).astype(net.parameters.dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_random_architectures_agree_and_come_back_with_the_same_bits(dtype: torch.dtype) -> None:
    for seed in range(200):
        module = random_module(seed, dtype)
        net = checking.network(torch_modules.read(module))
        X = rows(net)
        expected, got = outputs(module, X), net.predict(X)
        assert got.dtype == expected.dtype
        limit = 1e-13 if dtype == torch.float64 else 4 * (len(net.sizes) - 1) * np.finfo(np.float32).eps
        assert np.abs(got - expected).max() <= limit * np.abs(expected).max(), module
        again = checking.network(torch_modules.read(torch_modules.write(net)))
        np.testing.assert_array_equal(again.parameters, net.parameters)
        assert (again.sizes, again.activation, again.output_activation) == (
            net.sizes,
            net.activation,
            net.output_activation,
        )
        assert (again.input_scaling, again.target_scaling) == (net.input_scaling, net.target_scaling)


STEPWISE = [fastmlp.StepwiseSigmoid(), fastmlp.StepwiseTanh()]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("f", [*ACTIVATIONS, *STEPWISE, fastmlp.Threshold()], ids=repr)
def test_networks_as_modules(f: Any, dtype: str) -> None:
    net = fastmlp.Network(
        [3, 7, 5, 2],
        activation=f,
        dtype=dtype,
        seed=0,
        input_scaling=fastmlp.Scaling([1e6, 0.0, -3.0], [1.0, 0.3, 7.0]),
        target_scaling=fastmlp.Scaling([5.0, -1.0], [3.0, 0.1]),
    )
    module = torch_modules.write(net)
    X = rows(net)
    X[:, 0] += 1_000_000
    got, expected = outputs(module, X), net.predict(X)
    assert got.dtype == expected.dtype == dtype
    assert np.abs(got - expected).max() <= (1e-13 if dtype == "float64" else 4e-6) * np.abs(expected).max()
    assert not module.training
    np.testing.assert_array_equal(module[1].weight.detach().numpy(), net.weights[0])
    again = checking.network(torch_modules.read(module))
    np.testing.assert_array_equal(again.parameters, net.parameters)
    assert again.input_scaling == net.input_scaling
    assert again.target_scaling == net.target_scaling
    assert again.activation == net.activation


def test_softmax_of_a_network_as_a_module() -> None:
    net = fastmlp.Network([3, 4], loss="cross_entropy", seed=0)
    module = torch_modules.write(net)
    np.testing.assert_allclose(outputs(module, rows(net)), net.predict(rows(net)), rtol=1e-6)
    assert checking.network(torch_modules.read(module)).output_activation == fastmlp.Softmax()


def test_scalings_stay_in_float64_when_a_module_is_moved() -> None:
    net = fastmlp.Network(
        [1, 1], input_scaling=fastmlp.Scaling([0.1], [3.0]), target_scaling=fastmlp.Scaling([1e6], [1.0])
    )
    module = torch_modules.write(net)
    assert outputs(module, np.float32([[1.0]])).dtype == net.predict([1.0]).dtype == np.float64
    module.double()
    assert outputs(module, np.float64([[1.0]])).dtype == np.float64
    module.float()
    assert outputs(module, np.float32([[1.0]])).dtype == np.float32
    assert module[0].offset.dtype == torch.float64
    assert checking.network(torch_modules.read(module)).input_scaling == net.input_scaling


def test_networks_that_no_module_says_are_refused() -> None:
    with pytest.raises(ValueError, match="input_scaling: expected one that a fit has computed"):
        torch_modules.write(fastmlp.Network([2, 1], input_scaling="standard"))
    custom = fastmlp.CustomActivation(np.arctan, lambda z: 1 / (1 + z * z))
    with pytest.raises(ValueError, match="activation: expected one that PyTorch can compute"):
        torch_modules.write(fastmlp.Network([2, 2, 1], activation=custom))


# ----------------------------------------------------------------------------------------------------------- traces


class Functional(nn.Module):
    def __init__(self, f: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.f = f
        self.first, self.second, self.drop = nn.Linear(4, 6), nn.Linear(6, 3), nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.drop(self.f(self.first(x))))


FUNCTIONS = [
    torch.relu, F.relu, torch.tanh, F.tanh, torch.sigmoid, F.sigmoid, F.silu, F.mish, F.softsign, F.selu, torch.selu,
    F.gelu, lambda z: F.gelu(z, approximate="tanh"), lambda z: F.elu(z, 0.7), lambda z: F.leaky_relu(z, 0.2),
    lambda z: F.leaky_relu(z, negative_slope=0.2), F.softplus, lambda z: F.softplus(z, 2.0), F.hardsigmoid,
    lambda z: F.hardtanh(z, -0.5, 2.0), F.hardtanh, F.relu6, lambda z: F.celu(z, 0.6), F.celu, F.logsigmoid,
    lambda z: z.relu(), lambda z: z.tanh(), lambda z: z.sigmoid(), lambda z: z.clamp(min=0), torch.sin,
    lambda z: torch.clamp(z, -1, 1), lambda z: z.clip(-0.2, 0.3), lambda z: torch.tanh(2 * z) * 0.5 + 1,
    lambda z: (1 - torch.tanh(-z)) / 2, lambda z: F.dropout(z, 0.5, training=False), lambda z: z.view(z.size(0), -1),
    lambda z: z.view(-1, 6), lambda z: z.reshape(z.shape[0], 6), lambda z: torch.flatten(z, 1), lambda z: z.flatten(1),
    lambda z: z.sub(0.5).mul(2).div(3).add(1).neg(),
]  # fmt: skip


@pytest.mark.parametrize("f", FUNCTIONS)
def test_functional_forms(f: Any) -> None:
    torch.manual_seed(0)
    module = Functional(f)
    net = checking.network(torch_modules.read(module))
    X = rows(net)
    np.testing.assert_allclose(net.predict(X), outputs(module, X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda z: z + torch.relu(z), "such as a residual connection"),
        (lambda z: z * z, "arithmetic of x with itself"),
        (lambda z: 1 / z, "a division by x"),
        (lambda z: F.dropout(z), "a dropout that drops in evaluation, too"),
        (lambda z: F.log_softmax(z, 1), "LogSoftmax: use Softmax in its place"),
        (lambda z: F.softmax(z, 0), "a softmax over dimension 0"),
        (lambda z: F.softmax(z, 1), "a softmax that is not the last layer"),
        (lambda z: F.hardswish(z), "the operation hardswish"),
        (lambda z: F.layer_norm(z, (6,)), "the operation layer_norm"),
        (lambda z: torch.exp(z), "the operation exp"),
        (lambda z: z.view(-1, 3).view(-1, 6), "a reshape to"),
        (lambda z: z.t().t(), "the operation t"),
        (lambda z: F.leaky_relu(z, -0.1), "LeakyReLU of the slope -0.1"),
        (lambda z: F.softplus(z, 1.0, 2.0), "Softplus of the threshold 2.0"),
        (lambda z: z if z.sum() > 0 else -z, "a forward that torch.fx cannot trace"),
        (lambda z: torch.cat([z, z], 1)[:, :6], "cat of other arguments"),
    ],
)
def test_functions_without_an_equal_are_refused(f: Any, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        checking.network(torch_modules.read(Functional(f)))


class Squeezed(Functional):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).sub(1).squeeze(-1)


def test_squeeze_of_one_column() -> None:
    module = Squeezed(torch.relu)
    with pytest.raises(FormatError, match="the operation squeeze"):
        torch_modules.read(module)
    module.second = nn.Linear(6, 1)
    net = checking.network(torch_modules.read(module))
    np.testing.assert_allclose(net.predict(rows(net))[:, 0], outputs(module, rows(net)), rtol=1e-5, atol=1e-6)


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
        self.register_buffer("mean", torch.tensor([1e6, 0.0, -2.0]))
        self.register_buffer("deviation", torch.tensor([1.0, 3.0, 0.1]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net((x - self.mean) / self.deviation) * 10.0


def test_scalings_of_a_forward_become_scalings() -> None:
    torch.manual_seed(0)
    module = Scaled()
    net = checking.network(torch_modules.read(module))
    assert net.input_scaling == fastmlp.Scaling([1e6, 0.0, -2.0], np.float32([1.0, 3.0, 0.1]))
    assert net.target_scaling == fastmlp.Scaling([0.0, 0.0], [10.0, 10.0])
    X = rows(net)
    X[:, 0] += 1_000_000
    np.testing.assert_allclose(net.predict(X), outputs(module, X), rtol=1e-5)


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(2, 2)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.a(x) + y


def test_several_inputs_are_refused() -> None:
    with pytest.raises(FormatError, match="a second input 'y'"):
        torch_modules.read(TwoInputs())


# ---------------------------------------------------------------------------------------------------------- modules


def test_training_mode_is_left_as_it_was_and_noted() -> None:
    module = nn.Sequential(nn.Linear(3, 4), batch_norm(4), nn.Dropout(), nn.Linear(4, 1))
    module[1].eval()
    chain = torch_modules.read(module)
    net = checking.network(chain)
    assert [each.training for each in module] == [True, False, True, True]
    assert net.conversion.folded[:2] == ("module '1': BatchNorm1d with eps 1e-05", "module '2' (Dropout): left out")
    assert "the module was in training mode; the network computes what it does after eval()" in net.conversion.folded
    assert net.conversion.version == torch.__version__
    assert not any("training" in note for note in torch_modules.read(module.eval()).folded)


def test_parametrizations() -> None:
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        old = torch.nn.utils.weight_norm(nn.Linear(4, 4))
    pruned = nn.Linear(4, 4)
    prune.l1_unstructured(pruned, "weight", amount=0.5)
    for layer in (
        parametrizations.weight_norm(nn.Linear(4, 4)),
        parametrizations.spectral_norm(nn.Linear(4, 4)),
        parametrizations.orthogonal(nn.Linear(4, 4)),
        torch.nn.utils.spectral_norm(nn.Linear(4, 4)),
        old,
        pruned,
    ):
        module = nn.Sequential(layer, nn.Tanh(), nn.Linear(4, 2))
        net = checking.network(torch_modules.read(module))
        np.testing.assert_allclose(net.predict(rows(net)), outputs(module, rows(net)), rtol=1e-5, atol=1e-6)


def test_wrappers_and_subclasses() -> None:
    class Ours(nn.Linear):
        pass

    module = nn.Sequential(Ours(3, 3), nn.Sequential(nn.ReLU(), nn.Linear(3, 2)))
    compiled = torch.compile(module, backend="eager")
    for wrapped in (compiled, nn.Sequential(compiled)):
        np.testing.assert_array_equal(
            checking.network(torch_modules.read(wrapped)).weights[0], module[0].weight.detach()
        )


def test_short_floats_are_compared_with_numpy() -> None:
    net = checking.network(torch_modules.read(nn.Sequential(nn.Linear(3, 2), nn.Tanh()).bfloat16()))
    assert net.parameters.dtype == np.float32


def test_a_softplus_that_torch_cuts_is_noted_in_float64() -> None:
    net = checking.network(torch_modules.read(nn.Sequential(nn.Linear(2, 2), nn.Softplus(), nn.Linear(2, 1)).double()))
    assert any("PyTorch returns z where beta z is above 20" in note for note in net.conversion.folded)


class PlusOne(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + 1


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)), r"module '1' \(LayerNorm\): .*the layer LayerNorm"),
        (nn.Sequential(nn.Linear(2, 2), nn.LogSoftmax(1)), "use Softmax in its place"),
        (nn.Sequential(nn.Linear(2, 2), nn.Hardswish()), "the layer Hardswish"),
        (nn.Sequential(nn.Linear(2, 2), nn.Softmax(0)), "a softmax over dimension 0"),
        (nn.Sequential(nn.Linear(2, 2), nn.Softmax(1), nn.Linear(2, 2)), "a softmax that is not the last layer"),
        (nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, track_running_stats=False)), "without running statistics"),
        (nn.Sequential(nn.Linear(2, 2), nn.BatchNorm2d(2)), "the layer BatchNorm2d"),
        (nn.Sequential(nn.Flatten(0), nn.Linear(2, 2)), r"Flatten\(0, -1\)"),
        (nn.Sequential(nn.Conv1d(1, 1, 1), nn.Linear(2, 2)), "the layer Conv1d"),
        (nn.Sequential(nn.Embedding(3, 2), nn.Linear(2, 2)), "the layer Embedding"),
        (nn.Sequential(nn.Linear(2, 3), nn.PReLU(3, 0.1)), None),
        (nn.Sequential(nn.Linear(2, 2), nn.PReLU(1, -0.1)), "a PReLU of the slope -0.1"),
        (nn.Sequential(nn.Linear(2, 2), nn.Threshold(0.5, 0.0)), "Threshold"),
        (nn.Sequential(nn.Linear(2, 2), nn.Softplus(1.0, 3.0)), "Softplus of the threshold 3.0"),
        (nn.Sequential(nn.Linear(2, 3), nn.Linear(2, 2)), "2 inputs after a layer of 3 outputs"),
        (nn.Sequential(nn.ReLU()), "without a linear layer"),
        (nn.Sequential(nn.LazyLinear(2)), "a lazy module"),
        (nn.ModuleList([nn.Linear(2, 2)]), "the layer ModuleList"),
    ],
)
def test_modules_without_an_equal_are_refused(module: nn.Module, message: str | None) -> None:
    if message is None:  # slopes that are all the same
        checking.network(torch_modules.read(module))
        module[1].weight.data[0] = 0.2
        message = "a PReLU of 3 slopes"
    with pytest.raises(FormatError, match=message):
        checking.network(torch_modules.read(module))


FORWARDS: dict[str, tuple[Callable[..., Any], str | None]] = {
    "detach": (lambda a, b, x: b(torch.tanh(a(x)).detach()), None),
    "float": (lambda a, b, x: b(torch.tanh(a(x.float()))), None),
    "to": (lambda a, b, x: b(torch.tanh(a(x.to(torch.float32)))), None),
    "contiguous": (lambda a, b, x: b(torch.tanh(a(x)).contiguous().clone()), None),
    "squeeze": (lambda a, b, x: b(torch.relu(a(x))).squeeze(-1), None),
    "half": (lambda a, b, x: b(torch.relu(a(x)).half().float()), "operation 'half'"),
    "to half": (lambda a, b, x: b(torch.relu(a(x)).to(torch.float16).float()), "operation 'to'"),
    "double": (lambda a, b, x: b(torch.relu(a(x))).double(), "operation 'double'"),
    "squeeze of all": (lambda a, b, x: b(torch.relu(a(x))).squeeze(), r"write squeeze\(-1\)"),
    "unsqueeze": (lambda a, b, x: b(torch.relu(a(x))).unsqueeze(1), "operation 'unsqueeze'"),
    "tuple": (lambda a, b, x: (b(torch.relu(a(x))),), "a tuple as output; return the tensor alone"),
    "dict": (lambda a, b, x: {"y": b(torch.relu(a(x)))}, "dict as output; return the tensor alone"),
    "second input": (lambda a, b, x, scale=2.0: b(torch.relu(a(x)) * scale), "second input 'scale'; join inputs"),
}


@pytest.mark.parametrize("name", FORWARDS)
def test_forwards_that_change_no_number_and_others(name: str) -> None:
    forward, message = FORWARDS[name]

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 4), nn.Linear(4, 1)

    if name == "second input":
        Net.forward = lambda self, x, scale=2.0: forward(self.a, self.b, x, scale)
    else:
        Net.forward = lambda self, x: forward(self.a, self.b, x)
    if message is None:
        net = checking.network(torch_modules.read(Net()))
        assert any("left out" in note for note in net.conversion.folded)
    else:
        with pytest.raises(FormatError, match=message):
            torch_modules.read(Net())


def test_a_type_of_numbers_that_a_module_does_not_have_is_refused() -> None:
    with pytest.raises(FormatError, match="the operation float"):
        torch_modules.read(Halved().double())
    assert torch_modules.read(Halved()).n_inputs == 2


class Halved(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> Any:
        return self.a(x.float())


def test_a_program_of_torch_export_is_refused() -> None:
    with pytest.raises(TypeError, match="got ExportedProgram; give the module that it was made of"):
        fastmlp.from_torch(torch.export.export(nn.Linear(2, 1), (torch.zeros(3, 2),)))


DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_module_that_is_there_twice_is_used_twice(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    f, block = nn.ReLU(), nn.Sequential(nn.Linear(6, 6), nn.Tanh())
    module = nn.Sequential(nn.Linear(4, 6), f, block, block, nn.Linear(6, 6), f, nn.Linear(6, 2)).to(dtype)
    net = fastmlp.from_torch(module)
    assert [f.name for f in net.activation] == ["relu", "tanh", "tanh", "relu"]
    X = np.random.default_rng(0).standard_normal((32, 4))
    tolerance = {torch.float16: 1e-2, torch.bfloat16: 1e-1}.get(dtype, 1e-5)
    with torch.no_grad():
        expected = module(torch.tensor(X, dtype=dtype)).double().numpy()
    np.testing.assert_allclose(net.predict(X), expected, rtol=tolerance, atol=tolerance)


def dropped_in_evaluation() -> nn.Module:
    class Always(nn.Dropout):
        def train(self, mode: bool = True) -> Any:
            return super().train(True)

    return Always()


class OnTensors(nn.Module):
    """What torch.fx does not see, because it calls forward with stand-ins."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> Any:
        return self.a(x) * 3 if isinstance(x, torch.Tensor) else self.a(x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "make",
    [
        OnTensors,
        lambda: nn.Sequential(nn.Linear(4, 6), dropped_in_evaluation(), nn.Linear(6, 2)),
        lambda: nn.Sequential(nn.Linear(4, 6), nn.Softplus(), OnTensors()),
    ],
)
def test_modules_are_compared_in_every_type(make: Callable[[], nn.Module], dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    module = make()
    if isinstance(module, nn.Sequential) and isinstance(module[-1], OnTensors):
        module[-1].a = nn.Linear(6, 2)
    with pytest.raises(FormatError, match="expected a network with the outputs of the model"):
        fastmlp.from_torch(module.to(dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_modules_of_small_outputs_are_compared_too(dtype: torch.dtype) -> None:
    module = OnTensors().to(dtype)
    module.a.weight.data *= 1e-14
    module.a.bias.data *= 1e-14
    with pytest.raises(FormatError, match="expected a network with the outputs of the model"):
        fastmlp.from_torch(module)


@fx.wrap
def relu(x: torch.Tensor) -> torch.Tensor:
    return x.clamp(0, 50)


class Wrapped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> Any:
        return relu(self.a(x))


class Capped(nn.ReLU):
    def __call__(self, x: torch.Tensor) -> Any:  # type: ignore[override]
        return super().__call__(x).clamp(max=50)


def with_forward() -> nn.Module:
    module = nn.Sequential(nn.Linear(4, 2), nn.ReLU())
    module[1].forward = lambda x: x.clamp(0, 50)
    return module


def hooked_wrapper() -> nn.Module:
    module = nn.DataParallel(nn.Sequential(nn.Linear(4, 2)))
    module.register_forward_hook(lambda module, x, y: y.clamp(0, 50))
    return module


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Wrapped, r"the operation \S*relu"),
        (lambda: nn.Sequential(nn.Linear(4, 2), Capped()), "a __call__ of its own"),
        (with_forward, "a forward that was set on the object"),
        (hooked_wrapper, "a module with forward hooks"),
        (lambda: nn.Linear(4, 2, device="meta"), "on the device 'meta'"),
    ],
)
def test_functions_of_ones_own_with_the_names_of_torch(make: Callable[[], nn.Module], message: str) -> None:
    """Rows of the comparison do not reach 50."""
    with pytest.raises(FormatError, match=message):
        fastmlp.from_torch(make())


def test_training_is_restored_by_the_module_itself() -> None:
    class Merging(nn.Linear):
        merged = False

        def train(self, mode: bool = True) -> Any:
            self.merged = not mode
            return super().train(mode)

    module = nn.Sequential(Merging(2, 2), nn.BatchNorm1d(2)).train()
    module[1].eval()
    fastmlp.from_torch(module)
    assert (module[0].merged, module.training, module[0].training, module[1].training) == (False, True, True, False)


def test_hooks_and_overridden_forwards() -> None:
    module = nn.Sequential(nn.Linear(2, 2))
    module[0].register_forward_hook(lambda *_: None)
    with pytest.raises(FormatError, match="a module with forward hooks"):
        torch_modules.read(module)
    module = nn.Sequential(PlusOne(2, 2))
    net = checking.network(torch_modules.read(module))
    np.testing.assert_allclose(net.predict(rows(net)), outputs(module, rows(net)), rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_torchscript_is_refused() -> None:
    with pytest.raises(FormatError, match="a TorchScript module"):
        torch_modules.read(torch.jit.script(nn.Linear(2, 2)))


def test_arguments_of_state_dicts_are_refused_for_modules() -> None:
    with pytest.raises(ValueError, match="activation: only for a state dict"):
        torch_modules.read(nn.Linear(2, 2), activation="relu")
    with pytest.raises(ValueError, match="ignore_unused, eps: only for a state dict"):
        torch_modules.read(nn.Linear(2, 2), ignore_unused=True, eps=0.1)
    with pytest.raises(TypeError, match=r"model: expected a torch\.nn\.Module"):
        torch_modules.read(3)
    chain = torch_modules.read(nn.Linear(2, 2).state_dict(), output_activation="identity")
    assert chain.n_inputs == 2
