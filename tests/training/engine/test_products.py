"""Linear layers by oneDNN give the numbers and gradients of torch's own, wherever they are used."""

import pytest
import torch
from torch import nn

from training.engine.runtime import onednn
from training.engine.runtime.onednn import with_onednn


@pytest.fixture
def pays(monkeypatch):
    """What is tried on the processor comes out like this."""

    def comes_out(value):
        monkeypatch.setattr(onednn, "is_faster", lambda: value)

    return comes_out


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 96), nn.SiLU(), nn.Linear(96, 32, bias=False))


def numbers(layers, x):
    x = x.clone().requires_grad_()
    out = layers(x)
    out.square().sum().backward()
    return [out.detach(), x.grad, *(p.grad for p in layers.parameters())]


@pytest.mark.parametrize("shape", [(5, 64), (3, 7, 64)])
def test_numbers_and_gradients_are_those_of_torch(pays, shape):
    pays(True)
    x = torch.randn(shape)
    expected, found = numbers(model(), x), numbers(with_onednn(model()), x)
    for a, b in zip(expected, found, strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-3)
    with torch.inference_mode():
        assert torch.allclose(with_onednn(model())(x), expected[0], rtol=1e-4, atol=1e-4)
    assert torch.backends.mkldnn.matmul.fp32_precision == "none"  # the setting does not reach further


def test_weights_keep_their_names_and_frozen_ones_get_no_gradient(pays):
    pays(True)
    layers = with_onednn(model())
    assert set(layers.state_dict()) == set(model().state_dict())
    layers[0].requires_grad_(False)
    layers(torch.randn(2, 64)).sum().backward()
    assert layers[0].weight.grad is None
    assert layers[2].weight.grad is not None


def test_in_bfloat16_products_and_their_gradients_are_rounded_alike_and_nothing_else_is(pays):
    """The gradient is computed outside, as by an optimiser's step; what it gives is float32 again."""
    pays(True)
    x = torch.randn(3, 7, 64)
    expected = numbers(model(), x)
    layers, x = with_onednn(model()), x.requires_grad_()
    with onednn.in_bfloat16():
        out = layers(x)
    out.square().sum().backward()
    for a, b in zip(expected, [out.detach(), x.grad, *(p.grad for p in layers.parameters())], strict=True):
        assert b.dtype == torch.float32
        assert 1e-4 < (a - b).norm() / a.norm() < 2e-2
    assert torch.allclose(layers(x), expected[0], rtol=1e-4, atol=1e-4)


def test_other_precisions_stay_with_torch(pays):
    pays(True)
    layers = with_onednn(model())
    assert layers.double()(torch.randn(2, 64, dtype=torch.float64)).dtype == torch.float64
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layers.float()(torch.randn(2, 64)).dtype == torch.bfloat16


def test_where_it_does_not_pay_nothing_changes(pays):
    pays(False)
    assert type(with_onednn(model())[0]) is nn.Linear


def test_a_processor_that_would_round_is_left_alone(monkeypatch):
    """As one with AMX does, which computes these products in bfloat16."""
    true = torch.nn.functional.linear

    def rounded(x, weight, bias=None):
        if torch.backends.mkldnn.matmul.fp32_precision == "bf16":
            return true(x.bfloat16(), weight.bfloat16()).float()
        return true(x, weight, bias)

    monkeypatch.setattr(onednn.F, "linear", rounded)
    monkeypatch.setattr(onednn, "_seconds", lambda product: 1.0 if product() is None else 0.0)
    assert not onednn.is_faster.__wrapped__()
