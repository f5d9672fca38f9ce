"""Whether what is to be learnt can be learnt."""

from collections.abc import Iterator

import torch
from pyro import poutine
from torch import Tensor
from torch.func import grad_and_value

from .fault import Fault, Place
from .subject import Subject


def no_plain_tensors(subject: Subject) -> Iterator[Fault]:
    """Every tensor of the pair is a parameter, which moves, or a buffer, which goes along to the GPU and into the saved file."""
    for path, module in subject.pair.named_modules():
        for name, value in vars(module).items():
            if not isinstance(value, Tensor) or isinstance(value, torch.nn.Parameter):
                continue
            told = f"{path}.{name}" if path else name
            if name.startswith("q_"):
                says = f"`{told}` is a plain tensor, which never moves; write self.{name} = PyroParam({name}, constraint), or nn.Parameter"
            else:
                says = (
                    f"`{told}` is a plain tensor, left behind when the pair goes to a GPU or is saved; use register_buffer({name!r}, ...)"
                )
            yield Fault(says, subject.source.attribute(name))


def parameters_belong_to_the_pair(subject: Subject) -> Iterator[Fault]:
    """No `pyro.param`: what model and guide learn are attributes of the pair, made once, where an optimiser finds them."""
    own = {name for name, _ in subject.pair.named_parameters()} | {name for name, _ in subject.pair.named_pyro_params()}
    for name in ("model", "guide"):
        with torch.no_grad(), subject.unchecked():
            nodes = poutine.trace(getattr(subject.pair, name)).get_trace(subject.x).nodes
        for site in nodes.values():
            told = site["name"].rpartition("$$$")[2]
            if site["type"] == "param" and told not in own and told.rpartition(".")[2] not in own:
                says = f"pyro.param({site['name']!r}) in the {name} is made while it runs, so that it never moves; make it in __init__: "
                yield Fault(f"{says}self.q_{told} = PyroParam(value, constraint)", subject.source.start(name))


def every_parameter_of_the_guide_moves(subject: Subject) -> Iterator[Fault]:
    """The objective has a gradient in each of its parameters, finite and not all zero."""
    values = {name: p.detach() for name, p in subject.objective.named_parameters()}
    if subject.flat.size and not values:
        yield Fault(
            "the guide has no parameter to learn; make some in __init__: PyroParam(value, constraint)", subject.source.start("guide")
        )
        return
    torch.manual_seed(0)
    with subject.unchecked():
        begin = subject.objective.begin(subject.x)
        grads, (loss, _) = grad_and_value(subject.objective.step, has_aux=True)(values, subject.x, begin)
    if not bool(loss.isfinite()):
        yield Fault(f"the loss is {float(loss)} at the guide's first parameters; choose a start from which it is finite")
        return
    for name, grad in grads.items():
        if not bool(grad.isfinite().all()):
            yield Fault(
                f"the gradient in `{_told(name)}` is not finite, so that it cannot move; is a log or a root taken of zero?",
                _where(subject, name),
            )
        elif not bool((grad != 0).any()):
            says = f"`{_told(name)}` never moves: the loss does not depend on it. Use it in the model or guide, without `detach` or `.data`"
            yield Fault(f"{says}, or remove it", _where(subject, name))


def other_parameters_are_the_models(subject: Subject) -> Iterator[Fault]:
    """Parameters not named q_* are learnt as points of the model, so that its density depends on them, and on none of the guide's."""
    named = dict(subject.pair.named_parameters())
    others = {name for name in named if not any(part.startswith("q_") for part in name.split("."))}
    used = _of_the_density(subject)
    for name in sorted(others - used):
        says = f"the parameter `{_told(name)}` has no part in the model's density; if it is the guide's, its name begins with q_"
        yield Fault(says, _where(subject, name))
    for name in sorted(used - others):
        says = f"the model's density depends on `{_told(name)}`, which by its name is the guide's; give it a prior, or another name"
        yield Fault(says, _where(subject, name))


def _of_the_density(subject: Subject) -> set[str]:
    with subject.unchecked():
        density = subject.program.log_joint(subject.values, subject.x)
    if not density.requires_grad:
        return set()
    names, parameters = zip(*subject.pair.named_parameters(), strict=True)
    grads = torch.autograd.grad(density, parameters, allow_unused=True)
    return {name for name, grad in zip(names, grads, strict=True) if grad is not None}


def _told(name: str) -> str:
    return name.removeprefix("pair.").removesuffix("_unconstrained")


def _where(subject: Subject, name: str) -> Place | None:
    return subject.source.attribute(_told(name).partition(".")[0])
