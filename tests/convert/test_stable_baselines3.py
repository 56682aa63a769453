"""Policies of stable-baselines3 choose the actions that they choose there, from a file and from a model."""

from __future__ import annotations

import copy
import functools
import io
import json
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import A2C, DDPG, DQN, PPO, SAC, TD3
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from torch import nn

import fastmlp
from fastmlp import FormatError
from fastmlp import from_stable_baselines3 as read_policy
from fastmlp.policy import Clipped, Discrete, Policy

MODELS = Path(__file__).parent / "models" / "stable-baselines3"
BOX = spaces.Box(np.float32([-2.0, 0.0]), np.float32([2.0, 5.0]))
VECTOR = spaces.Box(-np.inf, np.inf, (3,))


class Environment(gymnasium.Env):
    """Random observations, whatever is done."""

    def __init__(self, actions: spaces.Space, observations: spaces.Space = VECTOR) -> None:
        self.action_space, self.observation_space = actions, observations

    def reset(self, **_: Any) -> Any:
        return self.observation_space.sample(), {}

    def step(self, _: Any) -> Any:
        return self.observation_space.sample(), 0.0, False, False, {}


def model_of(algorithm: Any, actions: spaces.Space, observations: spaces.Space = VECTOR, **kwargs: Any) -> Any:
    policy_kwargs = {"net_arch": [8, 8], **kwargs.pop("policy_kwargs", {})}
    if "buffer_size" in algorithm.__init__.__annotations__:
        kwargs["buffer_size"] = 10
    env = Environment(actions, observations)
    made = algorithm("MlpPolicy", env, policy_kwargs=policy_kwargs, seed=0, device="cpu", **kwargs)
    for tensor in made.policy.parameters():  # actions as large as the bounds
        tensor.data.normal_()
    return made


def saved(model: Any) -> bytes:
    stream = io.BytesIO()
    model.save(stream)
    return stream.getvalue()


def altered(data: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """Return a file with another member `data`."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w") as new:
        for name in old.namelist():
            content: Any = old.read(name)
            if name == "data":
                members = json.loads(content)
                change(members)
                content = json.dumps(members)
            new.writestr(name, content)
    return stream.getvalue()


def rows(space: spaces.Space, n: int = 100) -> Any:
    space.seed(0)
    return np.array([space.sample() for _ in range(n)])


def same(policy: Policy, model: Any, X: Any) -> None:
    """Check that the policy's actions are the model's, of many observations and of one."""
    expected = model.predict(X, deterministic=True)[0]
    got = policy.action(X)
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    if got.dtype.kind == "f":
        span = np.abs(expected).max()
        assert np.abs(got - expected).max() <= 2e-5 * span
    else:
        np.testing.assert_array_equal(got, expected)
    one = policy.action(X[0])
    assert np.shape(one) == np.shape(model.predict(X[0], deterministic=True)[0])
    np.testing.assert_array_equal(one, got[0])


# ---------------------------------------------------------------------------------------------------- the tool's files


@pytest.mark.parametrize("name", ["ppo_box", "ppo_box_vecnormalize", "sac_box", "dqn"])
def test_files_of_the_tool(name: str) -> None:
    expected = np.load(MODELS / f"{name}.expected.npz")
    kwargs: dict[str, Any] = {} if name == "dqn" else {"low": [-2, 0], "high": [2, 5]}
    if "obs_mean" in expected:
        kwargs["observation_scaling"] = expected["obs_mean"], expected["obs_var"]
    policy = read_policy(MODELS / f"{name}.zip", **kwargs)
    got = policy.action(expected["observation"])
    assert got.dtype == expected["action"].dtype
    np.testing.assert_allclose(got, expected["action"], rtol=2e-6, atol=2e-6)
    assert policy.network.conversion.source == "stable-baselines3"
    assert policy.network.conversion.version == "2.9.2"
    assert any("the default of the policies of" in note for note in policy.network.conversion.folded)


def test_files_are_read_without_the_tool() -> None:
    code = f"""
import sys
import fastmlp
fastmlp.from_stable_baselines3({str(MODELS / "dqn.zip")!r})
assert not {{'torch', 'stable_baselines3', 'gymnasium', 'cloudpickle'}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


# ------------------------------------------------------------------------------------------------------ the tool itself

CONTINUOUS = [
    (PPO, {}),
    (A2C, {"policy_kwargs": {"activation_fn": nn.ReLU}}),
    (PPO, {"use_sde": True}),
    (PPO, {"use_sde": True, "policy_kwargs": {"squash_output": True}}),
    (PPO, {"policy_kwargs": {"net_arch": []}}),
    (PPO, {"policy_kwargs": {"net_arch": {"pi": [5], "vf": [7, 7]}, "activation_fn": nn.ELU}}),
    (PPO, {"policy_kwargs": {"activation_fn": nn.PReLU}}),
    (PPO, {"policy_kwargs": {"activation_fn": nn.CELU, "share_features_extractor": False}}),
    (SAC, {}),
    (SAC, {"use_sde": True}),
    (SAC, {"use_sde": True, "policy_kwargs": {"clip_mean": 0.5}}),
    (SAC, {"use_sde": True, "policy_kwargs": {"clip_mean": 0.0}}),
    (SAC, {"policy_kwargs": {"activation_fn": nn.Tanh, "net_arch": {"pi": [6, 6, 6], "qf": [3]}}}),
    (TD3, {}),
    (DDPG, {"policy_kwargs": {"activation_fn": nn.GELU}}),
]


@pytest.mark.parametrize(("algorithm", "kwargs"), CONTINUOUS)
def test_continuous_actions(algorithm: Any, kwargs: dict[str, Any]) -> None:
    model = model_of(algorithm, BOX, **kwargs)
    X = rows(VECTOR)
    from_file = read_policy(saved(model), low=BOX.low, high=BOX.high)
    same(from_file, model, X)
    same(read_policy(model), model, X)
    assert (from_file.action(X) >= BOX.low).all()
    assert (from_file.action(X) <= BOX.high).all()


def test_actions_are_clipped_where_the_algorithm_clips() -> None:
    model = model_of(PPO, BOX)
    X = rows(VECTOR)
    policy = read_policy(saved(model), low=[-2, 0], high=[2, 5])
    outputs = policy.network.predict(X)
    assert (outputs < BOX.low).any()
    assert (outputs > BOX.high).any()
    np.testing.assert_array_equal(policy.action(X), np.clip(outputs, BOX.low, BOX.high))


@pytest.mark.parametrize("algorithm", [PPO, A2C, DQN])
def test_discrete_actions(algorithm: Any) -> None:
    model = model_of(algorithm, spaces.Discrete(4, start=2))
    policy = read_policy(saved(model))
    assert isinstance(policy, Discrete)
    same(policy, model, rows(VECTOR))
    assert len(np.unique(policy.action(rows(VECTOR)))) > 1


@pytest.mark.parametrize("actions", [spaces.MultiDiscrete([3, 2, 4]), spaces.MultiBinary(3), spaces.Discrete(1)])
def test_other_actions(actions: spaces.Space) -> None:
    model = model_of(PPO, actions)
    same(read_policy(saved(model)), model, rows(VECTOR))
    same(read_policy(model), model, rows(VECTOR))


@pytest.mark.parametrize(
    "observations",
    [
        spaces.Discrete(5),
        spaces.MultiDiscrete([3, 4]),
        spaces.MultiBinary(4),
        spaces.Box(-1, 1, (2, 3)),
        spaces.Box(-1, 1, (2, 2, 3)),
        spaces.Box(-1, 1, (3,), np.float64),
        spaces.Box(0, 255, (3,), np.uint8),
    ],
)
def test_other_observations(observations: spaces.Space) -> None:
    for actions in (BOX, spaces.Discrete(3), spaces.MultiDiscrete([2, 3])):
        model = model_of(PPO, actions, observations)
        bounds = {"low": BOX.low, "high": BOX.high} if actions is BOX else {}
        same(read_policy(saved(model), **bounds), model, rows(observations))


def test_shapes_and_types_of_actions() -> None:
    matrix = spaces.Box(-1, np.arange(1, 7, dtype=np.float32).reshape(2, 3), (2, 3))
    double = spaces.Box(-0.1, 0.3, (2,), np.float64)
    for algorithm in (PPO, SAC):
        for space in (matrix, double):
            model = model_of(algorithm, space)
            same(read_policy(saved(model), low=space.low, high=space.high), model, rows(VECTOR))


def test_bounds_far_from_zero() -> None:
    space = spaces.Box(1e6, 1e6 + 8, (1,))
    model = model_of(SAC, space)
    same(read_policy(saved(model), low=1e6, high=1e6 + 8), model, rows(VECTOR))


def test_random_policies() -> None:
    rng = np.random.default_rng(0)
    functions = [nn.Tanh, nn.ReLU, nn.SiLU, nn.GELU, nn.LeakyReLU, nn.ELU, nn.Softplus, nn.Hardtanh, nn.ReLU6, nn.Mish]
    for _ in range(30):
        algorithm = [PPO, A2C, SAC, TD3, DDPG, DQN][rng.integers(6)]
        f = functions[rng.integers(len(functions))]
        sizes = rng.integers(1, 40, size=rng.integers(0, 4)).tolist()
        actions = spaces.Discrete(3) if algorithm is DQN else BOX
        model = model_of(algorithm, actions, policy_kwargs={"net_arch": sizes, "activation_fn": f})
        bounds = {} if algorithm is DQN else {"low": BOX.low, "high": BOX.high}
        same(read_policy(saved(model), **bounds), model, rows(VECTOR))


# -------------------------------------------------------------------------------------------------- VecNormalize


def normalised() -> VecNormalize:
    env = VecNormalize(DummyVecEnv([lambda: Environment(BOX)]), clip_obs=2.0, epsilon=1e-3)
    env.obs_rms.mean, env.obs_rms.var = np.array([1e6, 0.0, -3.0]), np.array([1.0, 100.0, 1e-4])
    return env


@pytest.mark.parametrize("norm_obs", [False, True])
def test_a_model_brings_the_statistics_of_its_vecnormalize(norm_obs: bool) -> None:
    env = normalised()
    env.norm_obs = norm_obs
    model = PPO("MlpPolicy", env, n_steps=8, batch_size=8, device="cpu", seed=0)
    X = np.float32(rows(VECTOR) * np.sqrt(env.obs_rms.var) + env.obs_rms.mean)
    expected = model.predict(env.normalize_obs(X), deterministic=True)[0]
    policy = read_policy(model)
    np.testing.assert_allclose(policy.action(X), expected, rtol=1e-5, atol=1e-5)
    said = "observations are normalised by the statistics of the model's VecNormalize"
    assert (said in policy.network.conversion.folded) == norm_obs
    given = read_policy(model, observation_scaling=fastmlp.Scaling([0.0] * 3, [1.0] * 3))
    np.testing.assert_allclose(given.action(X), model.predict(X, deterministic=True)[0], rtol=1e-5, atol=1e-5)
    assert said not in given.network.conversion.folded


def test_statistics_of_vecnormalize() -> None:
    env, model = normalised(), model_of(PPO, BOX)
    data = saved(model)
    X = np.float32(rows(VECTOR) * np.sqrt(env.obs_rms.var) + env.obs_rms.mean) + 0.5
    expected = model.predict(env.normalize_obs(X), deterministic=True)[0]
    values = {"mean": env.obs_rms.mean, "var": env.obs_rms.var, "clip": 2.0, "epsilon": 1e-3}
    for given in (env, values):
        policy = read_policy(data, low=BOX.low, high=BOX.high, observation_scaling=given)
        np.testing.assert_allclose(policy.action(X), expected, rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(policy.action(X[0]), policy.action(X)[0])
    assert (np.abs(env.normalize_obs(X)) == 2.0).any()
    env.clip_obs, env.epsilon = 10.0, 1e-8
    expected = model.predict(env.normalize_obs(X), deterministic=True)[0]
    for given in (env.obs_rms, (env.obs_rms.mean, env.obs_rms.var)):
        policy = read_policy(data, low=BOX.low, high=BOX.high, observation_scaling=given)
        np.testing.assert_allclose(policy.action(X), expected, rtol=1e-5, atol=1e-5)
    env.norm_obs = False
    policy = read_policy(data, low=BOX.low, high=BOX.high, observation_scaling=env)
    np.testing.assert_allclose(policy.action(X), model.predict(X, deterministic=True)[0], rtol=1e-5)


def test_a_scaling_has_no_clip() -> None:
    scaling = fastmlp.Scaling([1.0, 2.0, 3.0], [1.0, 2.0, 0.01])
    model = model_of(PPO, BOX)
    policy = read_policy(saved(model), low=BOX.low, high=BOX.high, observation_scaling=scaling)
    X = rows(VECTOR)
    expected = model.predict(scaling.apply(X, np.float32), deterministic=True)[0]
    np.testing.assert_allclose(policy.action(X), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("vecnormalize.pkl", "a pickle, which can run any code and is not opened here"),
        (3, "expected a VecNormalize, its obs_rms"),
        (([1.0], [1.0]), "expected 3 numbers, one for each input, got 1"),
        (([1.0] * 3, [-1.0] * 3), "variances of at least 0"),
        ({"mean": [0.0] * 3}, "expected mean, var and perhaps clip"),
        (fastmlp.Scaling([1.0], [1.0]), "expected 3 numbers"),
    ],
)
def test_other_statistics_are_refused(given: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=f"observation_scaling: .*{message}"):
        read_policy(MODELS / "dqn.zip", observation_scaling=given)


# --------------------------------------------------------------------------------------------- what a file does not say


def test_bounds_are_asked_for_and_compared() -> None:
    path = MODELS / "ppo_box.zip"
    with pytest.raises(FormatError, match=r"low: expected the bounds.*rounded as NumPy prints it: \[-2\., 0\.\]"):
        read_policy(path)
    with pytest.raises(FormatError, match="high: expected the bounds"):
        read_policy(path, low=[-2, 0])
    with pytest.raises(ValueError, match=r"high: expected what the file prints, \[2\., 5\.\], got 4\.0 at \[1\]"):
        read_policy(path, low=[-2, 0], high=[2, 4])
    with pytest.raises(ValueError, match=r"high: expected a number, or numbers of shape \(2,\)"):
        read_policy(path, low=[-2, 0], high=[1, 2, 3])
    with pytest.raises(ValueError, match="low: expected None, as the actions are Discrete"):
        read_policy(MODELS / "dqn.zip", low=0, high=1)


def test_bounds_are_taken_in_full_precision() -> None:
    low, high = np.float32([-0.012345678, 1e-7 / 3]), np.float32([1 / 3, 12345.678])
    model = model_of(SAC, spaces.Box(low, high))
    same(read_policy(saved(model), low=low, high=high), model, rows(VECTOR))
    with np.printoptions(precision=2):
        data = saved(model)
    policy = read_policy(data, low=low, high=high)
    np.testing.assert_array_equal(policy.low, low)
    with pytest.raises(ValueError, match="high: expected what the file prints"):
        read_policy(data, low=low, high=[0.35, 12345.678])
    many = spaces.Box(-1, 1, (1100,))
    same(read_policy(saved(model_of(PPO, many)), low=-1, high=1), model_of(PPO, many), rows(VECTOR, 3))


def test_infinite_bounds() -> None:
    """The newest version refuses them, files of older ones may have them."""

    def open_bounds(data: dict[str, Any]) -> None:
        data["action_space"].update(low="[-inf -inf]", high="[inf inf]")

    data = altered((MODELS / "ppo_box.zip").read_bytes(), open_bounds)
    policy = read_policy(data, low=-np.inf, high=np.inf)
    np.testing.assert_array_equal(policy.action(rows(VECTOR)), policy.network.predict(rows(VECTOR)))
    data = altered((MODELS / "sac_box.zip").read_bytes(), open_bounds)
    with pytest.raises(ValueError, match="low, high: expected finite numbers"):
        read_policy(data, low=-np.inf, high=np.inf)


def test_an_activation_that_the_file_says_in_words_only_is_asked_for() -> None:
    f = functools.partial(nn.LeakyReLU, 0.3)
    model = model_of(PPO, spaces.Discrete(3), policy_kwargs={"activation_fn": f})
    with pytest.raises(
        FormatError, match="activation: expected the activation of the hidden layers, as the file says it"
    ):
        read_policy(saved(model))
    same(read_policy(saved(model), activation=fastmlp.LeakyReLU(0.3)), model, rows(VECTOR))


def test_an_activation_must_not_contradict_the_file() -> None:
    data = saved(model_of(PPO, spaces.Discrete(3), policy_kwargs={"activation_fn": nn.ReLU}))
    with pytest.raises(ValueError, match=r"activation: expected ReLU\(\), which the file says, or None, got Tanh\(\)"):
        read_policy(data, activation="tanh")
    assert read_policy(data, activation="relu").network.activation == (fastmlp.ReLU(), fastmlp.ReLU())


# --------------------------------------------------------------------------------------------------------- refusals


class OwnPolicy(ActorCriticPolicy):
    pass


def test_other_policy_classes_are_refused() -> None:
    model = PPO(OwnPolicy, Environment(spaces.Discrete(3)), device="cpu")
    for source in (model, saved(model)):
        with pytest.raises(FormatError, match=r"policy_class: .*a class of the module '.*test_stable_baselines3'"):
            read_policy(source)


class Doubled(nn.Module):
    features_dim = 3

    def __init__(self, *_: Any) -> None:
        super().__init__()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * x


class MyFlattenExtractor(FlattenExtractor):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


@pytest.mark.parametrize("algorithm", [PPO, SAC, TD3, DQN])
def test_a_flatten_extractor_of_ones_own_is_refused(algorithm: Any) -> None:
    actions = spaces.Discrete(3) if algorithm is DQN else BOX
    model = model_of(algorithm, actions, policy_kwargs={"features_extractor_class": MyFlattenExtractor})
    replaced = model_of(algorithm, actions)
    part = {PPO: replaced.policy, DQN: getattr(replaced.policy, "q_net", None)}.get(algorithm)
    (part or replaced.policy.actor).features_extractor = MyFlattenExtractor(VECTOR)
    bounds = {} if algorithm is DQN else {"low": BOX.low, "high": BOX.high}
    for source, given in ((model, {}), (saved(model), bounds), (replaced, {})):
        with pytest.raises(FormatError, match=r"policy_kwargs: .*a features_extractor_class of its own"):
            read_policy(source, **given)


class OwnPrediction(PPO):
    def predict(self, *args: Any, **kwargs: Any) -> Any:
        return -super().predict(*args, **kwargs)[0], None


def test_a_prediction_of_ones_own_is_refused() -> None:
    altered_model, altered_policy = model_of(PPO, BOX), model_of(PPO, BOX)
    altered_model.predict = altered_policy.policy.predict = lambda *args, **kwargs: None
    for model in (model_of(OwnPrediction, BOX), altered_model, altered_policy):
        with pytest.raises(FormatError, match=r"predict: .*with a predict of its own"):
            read_policy(model)


def test_other_extractors_and_arguments_are_refused() -> None:
    model = model_of(PPO, spaces.Discrete(3), policy_kwargs={"features_extractor_class": Doubled})
    for source in (model, saved(model)):
        with pytest.raises(FormatError, match=r"policy_kwargs: .*a features_extractor_class of its own"):
            read_policy(source)
    data = altered(saved(model_of(DQN, spaces.Discrete(3))), lambda data: data["policy_kwargs"].update(lstm_size=3))
    with pytest.raises(FormatError, match=r"policy_kwargs: .*lstm_size"):
        read_policy(data)


def test_spaces_that_are_not_understood_are_refused() -> None:
    image = spaces.Box(0, 255, (36, 36, 3), np.uint8)
    model = PPO("MlpPolicy", Environment(spaces.Discrete(3), image), device="cpu")
    with pytest.raises(FormatError, match=r"observation_space: .*images"):
        read_policy(saved(model))
    both = spaces.Dict({"a": VECTOR, "b": VECTOR})
    model = PPO("MultiInputPolicy", Environment(spaces.Discrete(3), both), device="cpu")
    with pytest.raises(FormatError, match=r"observation_space: .*Dict"):
        read_policy(saved(model))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data["action_space"].update(n="4"), "action_space: .*Discrete of .4,. for 3 outputs"),
        (lambda data: data["action_space"].update(n="x"), "action_space: n: expected numbers of values"),
        (lambda data: data["action_space"].update({":type:": "<class 'x.Box'>"}), "action_space: .*the space"),
        (lambda data: data["observation_space"].update(_shape=[4]), r"observations of shape \(4,\) for 3 inputs"),
        (lambda data: data["observation_space"].update(_shape=["a"]), "_shape: expected a list of lengths"),
        (lambda data: data.update(policy_class=3), "policy_class: expected an object"),
        (lambda data: data.pop("observation_space"), "observation_space: expected an object"),
        (lambda data: data["policy_class"].update(__module__="stable_baselines3.sac.policies"), "q_net.q_net.0"),
        (lambda data: data["policy_kwargs"].update(activation_fn="<class 'torch.nn.modules.activation.GLU'>"), "'GLU'"),
    ],
)
def test_files_that_contradict_themselves_are_refused(change: Any, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read_policy(altered((MODELS / "dqn.zip").read_bytes(), change))


def test_other_sources_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="model: expected a path or a model"):
        read_policy(3)
    with pytest.raises(OSError, match="nothing"):
        read_policy(tmp_path / "nothing.zip")
    with pytest.raises(FormatError, match=r"with data and policy.pth"):
        read_policy(MODELS.parent / "torch-state-dict" / "plain.pt")
    with pytest.raises(FormatError, match="expected a zip archive"):
        read_policy(MODELS / "ppo_box_vecnormalize.vecnormalize.pkl")


@pytest.mark.parametrize("algorithm", [PPO, SAC, TD3, DQN])
def test_a_model_whose_modules_are_not_those_of_its_class_is_refused(algorithm: Any) -> None:
    model = model_of(algorithm, spaces.Discrete(3) if algorithm is DQN else BOX)
    policy = model.policy
    body = {PPO: lambda: policy.mlp_extractor.policy_net, DQN: lambda: policy.q_net.q_net}.get(
        algorithm, lambda: getattr(policy.actor, "latent_pi", policy.actor.mu)
    )()
    read_policy(model)
    body[1] = nn.Sigmoid()
    with pytest.raises(FormatError, match="expected a network with the outputs of the model"):
        read_policy(model)


def test_policies_can_be_pickled_and_copied() -> None:
    for name, bounds in (("ppo_box", {"low": [-2, 0], "high": [2, 5]}), ("dqn", {})):
        policy = read_policy(MODELS / f"{name}.zip", **bounds)
        for again in (pickle.loads(pickle.dumps(policy)), copy.deepcopy(policy)):
            np.testing.assert_array_equal(again.action(rows(VECTOR)), policy.action(rows(VECTOR)))
            assert repr(again) == repr(policy)


def test_observations_that_do_not_fit_are_refused() -> None:
    policy = read_policy(MODELS / "dqn.zip")
    with pytest.raises(ValueError, match="X: expected"):
        policy.action([1.0, 2.0])
    policy = read_policy(saved(model_of(PPO, spaces.Discrete(2), spaces.Discrete(5))))
    with pytest.raises(ValueError, match="observations: expected numbers from 0 to below"):
        policy.action(5)
    with pytest.raises(TypeError, match="observations: expected integers"):
        policy.action(1.5)
    assert policy.action(4).shape == ()


def test_fuzz() -> None:
    """Altered files give a policy or a FormatError."""
    rng = np.random.default_rng(0)
    good = (MODELS / "ppo_box.zip").read_bytes()
    n_refused = 0
    for _ in range(400):
        base = bytearray(good)
        if rng.random() < 0.5:
            base[rng.integers(len(base))] ^= 1 << rng.integers(8)
        else:
            at, to, n = [*rng.integers(len(base), size=2).tolist(), int(rng.integers(1, 400))]
            base[at : at + n] = base[to : to + n]
        try:
            read_policy(bytes(base), low=[-2, 0], high=[2, 5])
        except FormatError:
            n_refused += 1
    assert n_refused > 100
    for _ in range(400):
        with zipfile.ZipFile(io.BytesIO(good)) as archive:
            data = bytearray(archive.read("data"))
        data[rng.integers(len(data))] = rng.integers(32, 127)
        stream = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(good)) as old, zipfile.ZipFile(stream, "w") as new:
            for name in ("data", "policy.pth"):
                new.writestr(name, bytes(data) if name == "data" else old.read(name))
        try:
            read_policy(stream.getvalue(), low=[-2, 0], high=[2, 5])
        except ValueError as error:  # also where the bounds are no longer those of the file
            n_refused += isinstance(error, FormatError)


# ------------------------------------------------------------------------------------------------- files of policies


ONE = spaces.Box(-np.inf, np.inf, (1,))
KEPT = {
    "clipped": (PPO, BOX, VECTOR, {}),
    "float64": (PPO, spaces.Box(np.array([-0.1]), np.array([0.1]), dtype=np.float64), ONE, {}),
    "squashed": (SAC, BOX, spaces.Box(-1, 1, (2, 3)), {}),
    "discrete": (DQN, spaces.Discrete(4), spaces.Discrete(5), {}),
    "multi-discrete": (PPO, spaces.MultiDiscrete([2, 3]), spaces.MultiDiscrete([3, 4]), {}),
    "multi-binary": (A2C, spaces.MultiBinary(4), VECTOR, {}),
}


@pytest.mark.parametrize("kind", KEPT)
def test_a_file_and_a_pickle_hold_all_of_a_policy(kind: str, tmp_path: Path) -> None:
    algorithm, actions, observations, kwargs = KEPT[kind]
    policy, X = read_policy(model_of(algorithm, actions, observations, **kwargs)), rows(observations)
    policy.save(tmp_path / "policy.zip")
    found = [Policy.load(tmp_path / "policy.zip", n_threads=1), fastmlp.from_file(tmp_path / "policy.zip")]
    for again in (*found, pickle.loads(pickle.dumps(policy)), copy.deepcopy(policy)):
        assert type(again) is type(policy)
        assert repr(again) == repr(policy)
        np.testing.assert_array_equal(again.action(X), policy.action(X))
        assert again.action(X[0]).dtype == policy.action(X[0]).dtype
    with pytest.raises(FormatError, match=r"got the file of a policy\. fastmlp\.Policy\.load reads it"):
        fastmlp.load(tmp_path / "policy.zip")


def test_a_file_of_a_policy_has_bounds_on_one_side(tmp_path: Path) -> None:
    policy = Clipped(fastmlp.Network([1, 2], seed=0), None, (2,), low=[-np.inf, 0.1], high=[0.3, np.inf])
    policy.save(tmp_path / "policy.zip")
    again = Policy.load(tmp_path / "policy.zip")
    np.testing.assert_array_equal([again.low, again.high], [policy.low, policy.high])


def policy_file(change: Callable[[dict[str, Any]], None]) -> bytes:
    """Return the file of a policy whose first member has been changed."""
    policy = read_policy(model_of(PPO, BOX, spaces.Box(-1, 1, (2, 3))))
    stream, found = io.BytesIO(), io.BytesIO()
    policy.save("policy.zip")
    found = io.BytesIO(Path("policy.zip").read_bytes())
    with zipfile.ZipFile(found) as old, zipfile.ZipFile(stream, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith(".json"):
                manifest = json.loads(content)
                change(manifest)
                content = json.dumps(manifest).encode()
            new.writestr(name, content)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: file.update(version=2), "version: expected 1, got 2"),
        (lambda file: file.update(n_networks=2), "the version and the number of networks, 1, got 2"),
        (lambda file: file.update(more=1), "one network and the description of a policy"),
        (lambda file: file["policy"].update(kind="other"), "policy: kind: expected one of clipped, squashed"),
        (lambda file: file["policy"].update(kind=["clipped"]), "policy: kind: expected one of clipped, squashed"),
        (lambda file: file["policy"].update(kind="discrete"), "policy: expected the fields action_shape, kind"),
        (lambda file: file["policy"].update(action_shape=[3]), "the shape of actions of 2 outputs"),
        (lambda file: file["policy"].update(action_shape="2"), "a list of numbers above 0"),
        (lambda file: file["policy"].update(action_shape=[]), "the shape of actions of 2 outputs"),
        (lambda file: file["policy"].update(dtype="float16"), "float32 or float64"),
        (lambda file: file["policy"].update(low=[0.1, 0]), "numbers of float32"),
        (lambda file: file["policy"].update(low=[1e39, 0]), "numbers of float32"),
        (lambda file: file["policy"].update(low=[9, 0]), "numbers below those of high"),
        (lambda file: file["policy"].update(low=[0]), "2 numbers"),
        (lambda file: file["policy"].update(low=[True, 0]), "2 numbers"),
        (lambda file: file["policy"].pop("high"), "policy: expected the fields"),
        (lambda file: file["policy"]["observations"].update(shape=[2, 2]), "what makes 6 columns"),
        (lambda file: file["policy"]["observations"].update(kind="one_hot"), "what makes 6 columns"),
        (lambda file: file["policy"].update(observations=3), "observations: expected an object"),
        (lambda file: None, None),
    ],
)
def test_a_file_of_a_policy_that_does_not_fit_is_refused(
    change: Any, message: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("changed.zip").write_bytes(policy_file(change))
    if message is None:
        Policy.load("changed.zip")
        return
    with pytest.raises(FormatError, match=f"changed.zip: .*{message}"):
        Policy.load("changed.zip")


def test_a_damaged_file_of_a_policy_is_refused_or_the_same(tmp_path: Path) -> None:
    policy = read_policy(model_of(PPO, BOX))
    policy.save(tmp_path / "p")
    whole, rng = (tmp_path / "p").read_bytes(), np.random.default_rng(0)
    damaged = [whole[:n] for n in range(0, len(whole), 53)]
    for at in range(0, len(whole), 5):
        damaged.append(whole[:at] + bytes([whole[at] ^ int(rng.integers(1, 256))]) + whole[at + 1 :])
    n_refused = 0
    for data in damaged:
        (tmp_path / "d").write_bytes(data)
        try:
            again = Policy.load(tmp_path / "d")
        except FormatError:
            n_refused += 1
        else:
            np.testing.assert_array_equal(again.network.parameters, policy.network.parameters)
            assert repr(again) == repr(policy)
    assert n_refused > len(damaged) // 2


def test_bounds_in_messages_can_be_copied(tmp_path: Path) -> None:
    many = spaces.Box(-1, 1, (40,))
    with pytest.raises(FormatError, match=r"rounded as NumPy prints it: -1$"):
        read_policy(saved(model_of(PPO, many)))
    differing = spaces.Box(np.arange(-40, 0, dtype=np.float32), 1)
    with pytest.raises(FormatError, match=r"it: \[-40\., -39\., .*, -1\.\]$"):
        read_policy(saved(model_of(PPO, differing)))
    with pytest.raises(FormatError, match=r"env.action_space.low.*more numbers than a message can have$"):
        read_policy(saved(model_of(PPO, spaces.Box(np.arange(-80, 0, dtype=np.float32), 1))))
    assert repr(read_policy(model_of(PPO, many))).endswith("low=-1.0, high=1.0>")
    assert repr(read_policy(model_of(PPO, differing))).endswith("low=40 numbers, high=1.0>")
