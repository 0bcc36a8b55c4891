"""The device of these tests: CUDA, or the CPU where NAS_LIGHTNING_GPU_TESTS=cpu says so, to prove that they run."""

import os

import pytest


@pytest.fixture(scope="session")
def device():
    """torch.device; skips where there is no CUDA device and nobody asked for the CPU."""
    # cuBLAS reads it when it starts: in this process that is before any job of trainer.deterministic=true.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    if os.environ.get("NAS_LIGHTNING_GPU_TESTS") == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device that PyTorch can use (NAS_LIGHTNING_GPU_TESTS=cpu runs these on the CPU)")
    return torch.device("cuda")


@pytest.fixture
def cuda(device):
    """`device`, for what only CUDA can show."""
    if device.type != "cuda":
        pytest.skip("only a CUDA device counts this")
    return device


@pytest.fixture
def without_tf32(device):
    """float32 products in full precision, whatever was set before."""
    import torch

    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
