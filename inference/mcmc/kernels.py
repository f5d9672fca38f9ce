"""The kernels by name."""

from ..suggest import unknown
from . import chees, hmc, mams, nuts

KERNELS = {"chees": chees.Kernel, "hmc": hmc.Kernel, "mams": mams.Kernel, "nuts": nuts.Kernel}
NAMES = (*KERNELS, "gibbs")


def check_kernel(kernel: str, target_acceptance: float | None, own: bool) -> None:
    """Refuse a kernel that there is not, or that takes less than it was given. own: whether it was given nothing but counts."""
    if kernel not in NAMES:
        raise ValueError(unknown("kernel", kernel, NAMES))
    if target_acceptance is not None and not 0 < target_acceptance < 1:
        raise ValueError(f"target_acceptance={target_acceptance!r} must lie between 0 and 1; 0.95 is careful")
    if kernel == "gibbs" and not own:
        raise ValueError("kernel='gibbs' takes no checkpoint, start or target_acceptance; leave them out")
